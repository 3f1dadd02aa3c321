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
mod tests;
