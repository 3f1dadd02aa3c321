//! The request a proof was made for (RFC 9449 §4.3, checks 8 and 9): its method, and its URL as the client sees it.
//! What stands in a query or a fragment is not looked at.

use http::Method;
use std::net::Ipv6Addr;

/// A request, as a proof has to name it. Its scheme is https: nothing else is served.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    pub method: &'a Method,
    /// Host, and port if it is not 443, in lower case.
    pub authority: &'a str,
    /// Without query.
    pub path: &'a str,
}

impl Target<'_> {
    /// Whether `htm` and `htu` name it. RFC 9110 §9.1: methods are case-sensitive.
    pub(super) fn is(&self, htm: &str, htu: &str) -> bool {
        htm == self.method.as_str() && self.is_at(htu).unwrap_or(false)
    }

    /// RFC 3986 §6.2.2, §6.2.3: scheme and host whatever their case, the default port as none, an escaped unreserved
    /// character as itself, no path as `/`. A path with dot segments is no request's here.
    fn is_at(&self, htu: &str) -> Option<bool> {
        let plain = htu.split(['?', '#']).next()?;
        let (scheme, rest) = plain.split_once("://")?;
        let (authority, path) = rest.split_at_checked(rest.find('/').unwrap_or(rest.len()))?;
        let path = if path.is_empty() { "/" } else { path };
        let own = if self.path.is_empty() { "/" } else { self.path };
        let same = scheme.eq_ignore_ascii_case("https") && same_authority(authority, self.authority)?;
        Some(same && pieces(path).eq(pieces(own)))
    }
}

fn same_authority(written: &str, own: &str) -> Option<bool> {
    let (host, port) = split(written)?;
    let (own_host, own_port) = split(own)?;
    if port != own_port {
        return Some(false);
    }
    let address = |host: &str| host.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok();
    Some(match (address(host), address(own_host)) {
        (Some(one), Some(other)) => one == other,
        (None, None) => host.eq_ignore_ascii_case(own_host),
        _ => false,
    })
}

/// Host (an IPv6 address in brackets) and port.
fn split(authority: &str) -> Option<(&str, u16)> {
    let start = authority.rfind(']').map_or(0, |at| at + 1);
    let colon = authority.get(start..)?.find(':').map(|at| start + at);
    let (host, port) = match colon {
        Some(at) => (authority.get(..at)?, authority.get(at + 1..)?),
        None => (authority, ""),
    };
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    let port = if port.is_empty() { 443 } else { port.parse().ok().filter(|_| digits)? };
    Some((host.strip_suffix('.').unwrap_or(host), port))
}

#[derive(PartialEq)]
enum Piece {
    Plain(u8),
    Escaped(u8),
}

/// The characters of a path, an unreserved one the same whether it is escaped or not (RFC 3986 §2.3), other escapes
/// whatever the case of their digits.
fn pieces(path: &str) -> impl Iterator<Item = Piece> + '_ {
    let mut bytes = path.bytes();
    let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
    std::iter::from_fn(move || {
        let byte = bytes.next()?;
        if byte != b'%' {
            return Some(Piece::Plain(byte));
        }
        let mut ahead = bytes.clone();
        let Some((high, low)) = digit(ahead.next()).zip(digit(ahead.next())) else {
            return Some(Piece::Plain(byte));
        };
        bytes = ahead;
        let byte = u8::try_from(high * 16 + low).ok()?;
        let unreserved = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        Some(if unreserved { Piece::Plain(byte) } else { Piece::Escaped(byte) })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is(authority: &str, path: &str, htm: &str, htu: &str) -> bool {
        Target { method: &Method::GET, authority, path }.is(htm, htu)
    }

    /// RFC 9449 §4.3.
    #[test]
    fn a_url_is_the_same_however_it_is_written() {
        for htu in [
            "https://api.example/a/b%20c",
            "HTTPS://API.example:443/a/b%20c",
            "https://api.example./a/b%20c?x=1&y",
            "https://api.example/a/b%20c#part",
            "https://api.example/%61/b%20c",
        ] {
            assert!(is("api.example", "/a/b%20c", "GET", htu), "{htu}");
        }
        assert!(is("api.example", "/", "GET", "https://api.example"));
        assert!(is("api.example", "/", "GET", "https://api.example?x"));
        assert!(is("api.example:8443", "/a%2Fb", "GET", "https://api.example:8443/a%2fb"));
        assert!(is("[::1]:8443", "/", "GET", "https://[0:0::1]:8443/"));
    }

    #[test]
    fn another_url_or_method_is_another() {
        for htu in [
            "https://api.example/a/",
            "https://api.example/A",
            "https://api.example/a%2Fb",
            "https://api.example/b/../a",
            "https://api.example/./a",
            "https://api.example//a",
            "https://api.example:8443/a",
            "https://api.example.evil.example/a",
            "https://evil.example/a",
            "https://evil@api.example/a",
            "https://api.example@evil.example/a",
            "https://api.example:/a:443",
            "https://api.example:+443/a",
            "https://api.example:0x1bb/a",
            "https://api.example:443443/a",
            "http://api.example/a",
            "https:/api.example/a",
            "api.example/a",
            "/a",
            "",
            "https://api.example\\a",
            " https://api.example/a",
        ] {
            assert!(!is("api.example", "/a", "GET", htu), "{htu}");
        }
        for htm in ["get", "POST", "", "GET "] {
            assert!(!is("api.example", "/a", htm, "https://api.example/a"), "{htm}");
        }
    }
}
