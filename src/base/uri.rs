//! What OpenID Connect and OAuth ask of URIs: comparison, loopback, schemes, origins. Pure functions.
//! Comparisons work on the text as registered, never on a parsed or decoded form: two parsers that disagree are
//! how open redirects are made.

use url::{Host, Url};

/// Longer URIs are refused before they are looked at.
pub const MAX_URI: usize = 2_048;

/// Where a redirect URI leads, which decides who may register it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Redirect {
    /// `https://…`
    Https,
    /// `http://127.0.0.1…`, `http://[::1]…` or `http://localhost…`: RFC 8252 §7.3, §8.3.
    Loopback,
    /// Any other `http://…`: only in the clear.
    Http,
    /// A private-use scheme in reverse domain form, `com.example.app:/…`: RFC 8252 §7.1.
    PrivateUse,
}

/// What kind of redirect URI this is; `None` if it must not be registered at all: relative, with a fragment or user
/// information, with characters that parsers disagree about, with dot segments, or of a scheme that could run code.
pub fn redirect(uri: &str) -> Option<Redirect> {
    let (scheme, rest) = split_plain(uri)?;
    match scheme {
        "https" => web(uri, rest).map(|_| Redirect::Https),
        "http" if loopback(uri).is_some() => web(uri, rest).map(|_| Redirect::Loopback),
        "http" => web(uri, rest).map(|_| Redirect::Http),
        // RFC 8252 §7.1: a private-use scheme is a reversed domain name, so it has a dot. `javascript:`, `data:`,
        // `file:`, `blob:` and all the others that mean something to a browser have none.
        _ => {
            let app =
                scheme.contains('.') && !rest.trim_start_matches('/').is_empty() && Url::parse(uri).is_ok();
            (app && !has_user(rest)).then_some(Redirect::PrivateUse)
        }
    }
}

/// Whether the authorization request's `asked` is the registered URI. Exact, text for text (RFC 9700 §4.1.3); only
/// if `free_ports` (a native client) the port of a loopback URI may differ (RFC 8252 §7.3).
pub fn same_redirect(registered: &str, asked: &str, free_ports: bool) -> bool {
    if registered == asked {
        return true;
    }
    if !free_ports || asked.len() > MAX_URI {
        return false;
    }
    match (loopback(registered), loopback(asked)) {
        (Some(registered), Some(asked)) => registered == asked,
        _ => false,
    }
}

/// A URL we may show or fetch: `https`, a host, no user information, no fragment, nothing parsers disagree about.
pub fn is_https_url(uri: &str) -> bool {
    redirect(uri) == Some(Redirect::Https)
}

pub fn has_fragment(uri: &str) -> bool {
    uri.contains('#')
}

/// The serialised origin (RFC 6454 §6.2) of an `http` or `https` URL: lower case, default port left out. `None` for
/// everything else: other schemes have no origin that could be compared.
pub fn origin(uri: &str) -> Option<String> {
    split_plain(uri.split('#').next()?)?;
    let url = Url::parse(uri).ok()?;
    matches!(url.scheme(), "http" | "https").then(|| url.origin().ascii_serialization())
}

/// The host of an `https` URL in lower case, without port: the sector of pairwise subjects (OIDC Core §8.1).
pub fn host(uri: &str) -> Option<String> {
    if !is_https_url(uri) {
        return None;
    }
    Url::parse(uri).ok()?.host_str().map(str::to_owned)
}

/// Whether a host, as it stands in a URL, names this machine: an address of 127.0.0.0/8, `[::1]`, `localhost`.
pub fn is_loopback_host(host: &str) -> bool {
    match Host::parse(host) {
        Ok(Host::Ipv4(address)) => address.is_loopback(),
        Ok(Host::Ipv6(address)) => address.is_loopback(),
        Ok(Host::Domain(name)) => name == "localhost",
        Err(_) => false,
    }
}

/// A loopback redirect URI without its port: the host text and what follows the port.
fn loopback(uri: &str) -> Option<(&str, &str)> {
    let rest = uri.strip_prefix("http://")?;
    let host = ["127.0.0.1", "[::1]", "localhost"].into_iter().find(|host| rest.starts_with(host))?;
    let rest = rest.strip_prefix(host)?;
    let rest = match rest.strip_prefix(':') {
        None => rest,
        Some(after) => {
            let end = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
            let (port, rest) = after.split_at_checked(end)?;
            // Canonical digits only: "+80", "080" and "65536" name no port.
            let number: u16 = port.parse().ok()?;
            if number == 0 || port.starts_with('0') {
                return None;
            }
            rest
        }
    };
    // What follows the port ends the authority: otherwise it would be `127.0.0.1.evil.example` or `127.0.0.1@evil`.
    (rest.is_empty() || rest.starts_with(['/', '?'])).then_some((host, rest))
}

/// Scheme and rest, if the scheme is in lower case and the rest has only characters of RFC 3986 and no fragment.
fn split_plain(uri: &str) -> Option<(&str, &str)> {
    if uri.len() > MAX_URI {
        return None;
    }
    let (scheme, rest) = uri.split_once(':')?;
    let lower = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '+' | '-' | '.');
    let named = scheme.starts_with(|c: char| c.is_ascii_lowercase()) && scheme.chars().all(lower);
    (named && rest.bytes().all(is_uri_byte)).then_some((scheme, rest))
}

/// RFC 3986 §2.2, §2.3 and the percent sign, but no `#`. No space, no backslash, no control, nothing beyond ASCII.
fn is_uri_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~:/?[]@!$&'()*+,;=%".contains(&byte)
}

/// An `http(s)` URL whose text says what its parse says: `//`, a host that is written as it is understood.
fn web(uri: &str, rest: &str) -> Option<Url> {
    let hierarchical = rest.strip_prefix("//")?;
    let end = hierarchical.find(['/', '?']).unwrap_or(hierarchical.len());
    let (authority, path_and_query) = hierarchical.split_at_checked(end)?;
    let host_bytes = authority.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:[]".contains(&b));
    if !host_bytes || has_dot_segments(path_and_query) {
        return None;
    }
    let url = Url::parse(uri).ok()?;
    // The parser normalises hosts (`0x7f.1`, `①②⑦`): one that came out differently, but for its case, is refused, so
    // that what a person reads is where the browser goes.
    let host = url.host_str()?;
    let (written, port) = authority.split_at_checked(host.len())?;
    if !written.eq_ignore_ascii_case(host) {
        return None;
    }
    let plain = match port.strip_prefix(':') {
        None => port.is_empty(),
        Some(digits) => {
            !digits.starts_with('0')
                && digits.bytes().all(|b| b.is_ascii_digit())
                && digits.parse::<u16>().is_ok()
        }
    };
    (plain && !host.ends_with('.')).then_some(url)
}

fn has_user(rest: &str) -> bool {
    rest.strip_prefix("//")
        .and_then(|rest| rest.split(['/', '?']).next())
        .is_some_and(|host| host.contains('@'))
}

/// `.` and `..` segments, plain or encoded: browsers resolve them, so the registered text is not where they go.
fn has_dot_segments(path_and_query: &str) -> bool {
    let path = path_and_query.split('?').next().unwrap_or_default();
    path.split('/').any(|segment| {
        let plain = segment.to_ascii_lowercase().replace("%2e", ".");
        plain == "." || plain == ".."
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_redirect_uri_is_told_apart() {
        for (uri, kind) in [
            ("https://rp.example/cb", Redirect::Https),
            ("https://rp.example:8443/cb?a=b&c=%20d", Redirect::Https),
            ("https://127.0.0.1:8090/authz_cb/local", Redirect::Https),
            ("https://[2001:db8::1]/cb", Redirect::Https),
            ("https://xn--bcher-kva.example/cb", Redirect::Https),
            ("https://rp.example", Redirect::Https),
            ("https://RP.example/cb", Redirect::Https),
            ("http://127.0.0.1/cb", Redirect::Loopback),
            ("http://127.0.0.1:51004/cb", Redirect::Loopback),
            ("http://[::1]:51004/cb", Redirect::Loopback),
            ("http://localhost:3000/cb", Redirect::Loopback),
            ("http://rp.example/cb", Redirect::Http),
            ("http://localhost.evil.example/cb", Redirect::Http),
            ("http://127.0.0.2/cb", Redirect::Http),
            ("com.example.app:/oauth2redirect", Redirect::PrivateUse),
            ("com.example.app://callback", Redirect::PrivateUse),
        ] {
            assert_eq!(redirect(uri), Some(kind), "{uri}");
        }
    }

    #[test]
    fn hostile_redirect_uris_cannot_be_registered() {
        for uri in [
            "",
            "rp.example/cb",
            "/cb",
            "//rp.example/cb",
            "https:rp.example/cb",
            "https:/rp.example/cb",
            "https:///cb",
            "https://",
            "https://rp.example/cb#",
            "https://rp.example/cb#frag",
            "https://rp.example@evil.example/cb",
            "https://user:pw@rp.example/cb",
            "https://rp.example\\@evil.example/cb",
            "https://rp.example\\.evil.example/cb",
            "https://rp.example/\tcb",
            "https://rp.example/\ncb",
            " https://rp.example/cb",
            "https://rp.example/cb ",
            "https://rp.example/c b",
            "https://rp.example/a/../cb",
            "https://rp.example/./cb",
            "https://rp.example/..",
            "https://rp.example/%2e%2e/cb",
            "https://rp.example/%2E./cb",
            "https://rp.example/.%2e",
            "https://rp%2eexample/cb",
            "https://bücher.example/cb",
            "https://rp。example/cb",
            "HTTPS://rp.example/cb",
            "https://rp.example./cb",
            "https://rp.example:/cb",
            "https://rp.example:099/cb",
            "https://rp.example:65536/cb",
            "https://rp.example:80a/cb",
            "https://0x7f.1/cb",
            "https://2130706433/cb",
            "https://127.1/cb",
            "https://[::ffff:127.0.0.1]/cb",
            "https://rp.example/\u{202e}cb",
            "https://rp.example/\0",
            "javascript:alert(1)",
            "javascript://rp.example/%0aalert(1)",
            "JaVaScRiPt:alert(1)",
            "data:text/html,x",
            "vbscript:x",
            "file:///etc/passwd",
            "blob:https://rp.example/x",
            "about:blank",
            "mailto:a@b.example",
            "myapp:/cb",
            "com.example.app:",
            "com.example.app://",
            "com.example.app://user@host/cb",
            "1com.example:/cb",
            "*",
            "https://*",
            "https://*.rp.example/cb",
        ] {
            assert_eq!(redirect(uri), None, "{uri:?}");
        }
        assert_eq!(redirect(&format!("https://rp.example/{}", "a".repeat(MAX_URI))), None);
    }

    #[test]
    fn a_redirect_uri_is_compared_text_for_text() {
        let registered = "https://rp.example/cb?a=1";
        assert!(same_redirect(registered, registered, false));
        for asked in [
            "https://rp.example/cb",
            "https://rp.example/cb?a=1&b=2",
            "https://rp.example/cb?a=1#",
            "https://rp.example/cb/?a=1",
            "https://rp.example:443/cb?a=1",
            "https://RP.example/cb?a=1",
            "https://rp.example/CB?a=1",
            "https://rp.example/%63b?a=1",
            "https://rp.example/x/../cb?a=1",
            "https://rp.example.evil.example/cb?a=1",
            "https://rp.example@evil.example/cb?a=1",
            "http://rp.example/cb?a=1",
            "https://rp.example/cb?a=1 ",
            "",
        ] {
            for free_ports in [false, true] {
                assert!(!same_redirect(registered, asked, free_ports), "{asked:?}");
            }
        }
    }

    #[test]
    fn only_the_port_of_a_native_clients_loopback_uri_is_free() {
        for (registered, asked) in [
            ("http://127.0.0.1/cb", "http://127.0.0.1:51004/cb"),
            ("http://127.0.0.1:1234/cb", "http://127.0.0.1:51004/cb"),
            ("http://127.0.0.1:1234/cb", "http://127.0.0.1/cb"),
            ("http://[::1]/cb?x=1", "http://[::1]:9/cb?x=1"),
            ("http://localhost/cb", "http://localhost:65535/cb"),
            ("http://127.0.0.1", "http://127.0.0.1:80"),
        ] {
            assert!(same_redirect(registered, asked, true), "{asked}");
            assert!(!same_redirect(registered, asked, false), "{asked}");
        }
        let registered = "http://127.0.0.1/cb";
        for asked in [
            "http://127.0.0.1:/cb",
            "http://127.0.0.1:0/cb",
            "http://127.0.0.1:080/cb",
            "http://127.0.0.1:65536/cb",
            "http://127.0.0.1:99999999999999999999/cb",
            "http://127.0.0.1:-1/cb",
            "http://127.0.0.1:+80/cb",
            "http://127.0.0.1:80@evil.example/cb",
            "http://127.0.0.1@evil.example/cb",
            "http://127.0.0.1.evil.example/cb",
            "http://127.0.0.1:80.evil.example/cb",
            "http://127.0.0.1:80\\@evil.example/cb",
            "http://127.0.0.1:80/cb/",
            "http://127.0.0.1:80/cb?x",
            "http://127.0.0.1:80/cb#",
            "https://127.0.0.1:80/cb",
            "http://localhost:80/cb",
            "http://[::1]:80/cb",
            "http://127.0.0.2:80/cb",
            "http://127.1:80/cb",
        ] {
            assert!(!same_redirect(registered, asked, true), "{asked}");
        }
        assert!(!same_redirect("https://127.0.0.1/cb", "https://127.0.0.1:8090/cb", true));
    }

    #[test]
    fn origins_are_those_a_browser_would_send() {
        for (uri, expected) in [
            ("https://RP.example/cb", Some("https://rp.example")),
            ("https://rp.example:443/", Some("https://rp.example")),
            ("https://rp.example:8443/x?y#z", Some("https://rp.example:8443")),
            ("http://[::1]:80/", Some("http://[::1]")),
            ("com.example.app:/cb", None),
            ("javascript:alert(1)", None),
            ("null", None),
            ("https://rp.example\\@evil.example", None),
            ("file:///x", None),
        ] {
            assert_eq!(origin(uri).as_deref(), expected, "{uri}");
        }
        assert_eq!(host("https://rp.example:8443/cb").as_deref(), Some("rp.example"));
        assert_eq!(host("http://rp.example/cb"), None);
    }

    #[test]
    fn loopback_hosts_are_recognised_however_they_are_written() {
        for host in ["127.0.0.1", "127.9.9.9", "[::1]", "localhost", "LOCALHOST", "0x7f.1", "2130706433"] {
            assert!(is_loopback_host(host), "{host}");
        }
        for host in [
            "128.0.0.1",
            "[::2]",
            "localhost.evil.example",
            "evil.localhost.example",
            "",
            "127.0.0.1.example",
        ] {
            assert!(!is_loopback_host(host), "{host}");
        }
    }
}
