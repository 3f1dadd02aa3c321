//! Our cookies. Names carry `__Host-` (RFC 6265bis §4.1.3.2): cookies ignore ports, and no other host may set them.
//! `SameSite=None`, since a cross-site POST to the authorization endpoint and a `prompt=none` iframe must see them;
//! hence every form that changes something carries a token bound to the browser. One of them is for scripts to read.

use http::{HeaderMap, HeaderValue, Response, header};

/// The session of the person at the browser: `sid.handle`.
pub const SESSION: &str = "__Host-oidcop_session";
/// Tells this browser from others; interactions and forms are bound to it.
pub const BROWSER: &str = "__Host-oidcop_browser";
/// What the check-session iframe compares (OpenID Connect Session Management §3.2): scripts of ours can read it.
pub const STATE: &str = "__Host-oidcop_state";

/// Every cookie of ours: the edge keeps them from upstreams, and upstreams from setting them.
pub const COOKIES: &[&str] = &[SESSION, BROWSER, STATE];

const ATTRIBUTES: &str = "Path=/; Secure; HttpOnly; SameSite=None";
const READABLE: &str = "Path=/; Secure; SameSite=None";

/// The value of the cookie `name`, if it is there once.
pub(super) fn read<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let mut values = pairs.filter(|(known, _)| *known == name).map(|(_, value)| value);
    // A browser sends a `__Host-` cookie once; two are somebody's attempt to have us look at the other one.
    values.next().filter(|_| values.next().is_none())
}

/// Kept until the browser is closed; how long it is worth anything is in the store.
pub(super) fn set<T>(response: &mut Response<T>, name: &str, value: &str) {
    append(response, format!("{name}={value}; {ATTRIBUTES}"));
}

/// [`STATE`], which scripts may read. Once per response is enough.
pub(super) fn set_state<T>(response: &mut Response<T>, value: &str) {
    let line = format!("{STATE}={value}; {READABLE}");
    if !response.headers().get_all(header::SET_COOKIE).iter().any(|set| set.as_bytes() == line.as_bytes()) {
        append(response, line);
    }
}

pub(super) fn clear<T>(response: &mut Response<T>, name: &str) {
    append(response, format!("{name}=; Max-Age=0; {ATTRIBUTES}"));
}

fn append<T>(response: &mut Response<T>, line: String) {
    if let Ok(value) = HeaderValue::from_str(&line) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_read_by_its_exact_name_and_only_if_it_is_there_once() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, HeaderValue::from_static("a=1; __Host-oidcop_session=x.y"));
        headers.append(header::COOKIE, HeaderValue::from_static("__host-oidcop_session=no"));
        assert_eq!(read(&headers, SESSION), Some("x.y"));
        headers.append(header::COOKIE, HeaderValue::from_static("__Host-oidcop_session=z"));
        assert_eq!(read(&headers, SESSION), None);
    }

    #[test]
    fn every_cookie_is_host_bound_secure_and_out_of_scripts_reach() {
        let mut response = Response::new(());
        assert!(COOKIES.iter().all(|name| name.starts_with("__Host-")));
        for name in [SESSION, BROWSER] {
            set(&mut response, name, "v");
            clear(&mut response, name);
        }
        for line in response.headers().get_all(header::SET_COOKIE) {
            let line = line.to_str().unwrap();
            for attribute in ["Path=/", "Secure", "HttpOnly", "SameSite=None"] {
                assert!(line.contains(attribute), "{line}");
            }
            assert!(!line.contains("Domain"));
        }
        let mut response = Response::new(());
        set_state(&mut response, "v");
        set_state(&mut response, "v");
        let lines: Vec<_> = response.headers().get_all(header::SET_COOKIE).iter().collect();
        assert_eq!(lines, ["__Host-oidcop_state=v; Path=/; Secure; SameSite=None"]);
    }
}
