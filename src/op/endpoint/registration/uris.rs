//! What may be registered as an address (OpenID Connect Registration §2, RFC 8252 §7, RFC 9700 §4.1).

use url::{Host, Url};

/// Schemes that run script, read files or lead nowhere; never a redirect target.
const UNSAFE: [&str; 12] = [
    "javascript",
    "data",
    "vbscript",
    "file",
    "blob",
    "about",
    "filesystem",
    "view-source",
    "ws",
    "wss",
    "ftp",
    "mailto",
];

/// An https URL with a host.
pub(crate) fn is_https(uri: &str) -> bool {
    plain(uri).is_some_and(|url| url.scheme() == "https")
}

/// An http or https URL with a host: what a page may link to.
pub(crate) fn is_web(uri: &str) -> bool {
    plain(uri).is_some_and(|url| matches!(url.scheme(), "http" | "https"))
}

/// The host, as it is compared.
pub(crate) fn host(uri: &str) -> Option<String> {
    Url::parse(uri).ok().and_then(|url| url.host_str().map(str::to_owned))
}

/// A URL that every parser reads alike: no white space, no backslash, no user information.
fn plain(uri: &str) -> Option<Url> {
    let odd = |c: char| {
        c.is_whitespace()
            || c.is_control()
            || matches!(c, '\\' | '"' | '<' | '>' | '^' | '`' | '{' | '}' | '|')
    };
    if uri.is_empty() || uri.contains(odd) || !uri.is_ascii() {
        return None;
    }
    let url = Url::parse(uri).ok()?;
    (url.has_host() && url.username().is_empty() && url.password().is_none()).then_some(url)
}

/// Whether `uri` may be redirected to by a client of this application type.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn check_redirect(uri: &str, application_type: &str) -> Result<(), &'static str> {
    if uri.contains('#') {
        // RFC 6749 §3.1.2.
        return Err("must not have a fragment");
    }
    let odd = |c: char| c.is_whitespace() || c.is_control() || c == '\\';
    if uri.contains(odd) || !uri.is_ascii() {
        return Err("must be a URI in ASCII without spaces and backslashes");
    }
    let url = Url::parse(uri).map_err(|_| "must be an absolute URI")?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not have user information");
    }
    // A dot segment would be another address to a browser than to the exact comparison.
    let path = uri.split(['?']).next().unwrap_or(uri).to_ascii_lowercase();
    if path.split('/').any(|segment| matches!(segment, "." | ".." | "%2e" | "%2e%2e" | ".%2e" | "%2e.")) {
        return Err("must not have dot segments");
    }
    match (url.scheme(), application_type) {
        ("https", _) => Ok(()),
        ("http", _) if is_loopback(&url) => Ok(()),
        ("http", _) => Err("http is for loopback addresses only: use https"),
        (scheme, _) if UNSAFE.contains(&scheme) => Err("has a scheme that is not safe to redirect to"),
        // RFC 8252 §7.1.
        (_, "native") => Ok(()),
        _ => Err("a scheme of its own is for native applications (application_type native)"),
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_safe_addresses_can_be_registered() {
        for good in [
            "https://rp.example/cb?x=1",
            "http://127.0.0.1:8090/cb",
            "http://[::1]/cb",
            "http://localhost/cb",
        ] {
            assert_eq!(check_redirect(good, "web"), Ok(()), "{good}");
        }
        for bad in [
            "https://rp.example/cb#f",
            "http://rp.example/cb",
            "javascript:alert(1)",
            "data:text/html,x",
            "/cb",
            "https://u@rp.example/",
            "https://u:p@rp.example/",
            "https://rp.example\\@evil/",
            "https://rp.example/a b",
            "https://rp.example/\tcb",
            "app:/cb",
            "https://rp.example/a/../b",
            "https://rp.example/%2e%2E/b",
            "https://rp.exämple/",
            "https://",
            "JavaScript:alert(1)",
            "http://127.0.0.1.evil.example/cb",
        ] {
            assert!(check_redirect(bad, "web").is_err(), "{bad}");
        }
        assert_eq!(check_redirect("com.example.app:/cb", "native"), Ok(()));
        assert!(check_redirect("javascript:alert(1)", "native").is_err());
    }

    #[test]
    fn pages_are_linked_to_only_over_http() {
        assert!(is_web("https://rp.example/logo.png") && is_web("http://rp.example/"));
        for bad in [
            "javascript:alert(1)",
            "data:image/png;base64,x",
            "//rp.example",
            "https://a@b/",
            "https://x/\"y",
        ] {
            assert!(!is_web(bad), "{bad}");
        }
    }
}
