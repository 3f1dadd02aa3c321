//! The one place that says which host a request is for: HTTP/1 `Host` or HTTP/2 `:authority`, in one form. RFC 9110
//! §7.2, RFC 9113 §8.3.1. It decides nothing by SNI: one connection may carry several hosts.

use http::header::HOST;
use http::{HeaderMap, Uri};
use std::net::{IpAddr, Ipv6Addr};

/// Host, and port if it is not 443: lower case, without trailing dot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Authority {
    text: String,
    /// Length of the host within `text`.
    host: usize,
}

impl Authority {
    /// Of a request. The error says what is wrong, in words for the client.
    pub fn of(uri: &Uri, headers: &HeaderMap) -> Result<Authority, &'static str> {
        let mut hosts = headers.get_all(HOST).iter();
        let header = hosts.next();
        if hosts.next().is_some() {
            return Err("The request names two hosts");
        }
        let header =
            header.map(|value| value.to_str().map_err(|_| "The Host header is not text")).transpose()?;
        match (uri.authority(), header) {
            (Some(authority), None) => Authority::parse(authority.as_str()),
            (None, Some(header)) => Authority::parse(header),
            (Some(authority), Some(header)) => {
                let authority = Authority::parse(authority.as_str())?;
                // RFC 9113 §8.3.1: they must not differ.
                if Authority::parse(header)? != authority {
                    return Err("The request names two hosts");
                }
                Ok(authority)
            }
            (None, None) => Err("The request names no host"),
        }
    }

    pub fn parse(text: &str) -> Result<Authority, &'static str> {
        const BAD: &str = "The host is malformed";
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (address, rest) = rest.split_once(']').ok_or(BAD)?;
                let address: Ipv6Addr = address.parse().map_err(|_| BAD)?;
                (format!("[{address}]"), rest.strip_prefix(':').or(rest.is_empty().then_some("")).ok_or(BAD)?)
            }
            None => {
                let (host, port) = text.split_once(':').unwrap_or((text, ""));
                (name(host).ok_or(BAD)?, port)
            }
        };
        let length = host.len();
        let text = match port {
            "" | "443" => host,
            _ if port.len() > 5 || !port.bytes().all(|byte| byte.is_ascii_digit()) => return Err(BAD),
            _ => {
                let number: u16 = port.parse().map_err(|_| BAD)?;
                if number == 443 { host } else { format!("{host}:{number}") }
            }
        };
        Ok(Authority { text, host: length })
    }

    /// Host and port, the default port left out.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Without port; an IPv6 address in brackets.
    pub fn host(&self) -> &str {
        self.text.get(..self.host).unwrap_or(&self.text)
    }

    pub fn has_port(&self) -> bool {
        self.text.len() > self.host
    }

    /// Whether it is this machine or an address rather than a name.
    pub fn is_bare(&self) -> bool {
        let host = self.host();
        host.starts_with('[')
            || host.parse::<IpAddr>().is_ok()
            || host == "localhost"
            || host.ends_with(".localhost")
    }
}

fn name(host: &str) -> Option<String> {
    let host = host.strip_suffix('.').unwrap_or(host);
    let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_' || byte == b'.';
    let labels = host.split('.').all(|label| !label.is_empty() && label.len() <= 63);
    (host.len() <= 253 && labels && host.bytes().all(good)).then(|| host.to_ascii_lowercase())
}

/// The hosts a route is for, as written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Pattern {
    /// With its port, or for any port.
    Exact { host: String, port: bool },
    /// `*.example.com`: one label more, any port. Holds `.example.com`.
    Below(String),
}

impl Pattern {
    pub fn parse(text: &str) -> Result<Pattern, &'static str> {
        if let Some(rest) = text.strip_prefix("*.") {
            let authority = Authority::parse(rest)?;
            if authority.has_port() || authority.is_bare() || !authority.host().contains('.') {
                return Err("`*.` must be followed by a domain of at least two labels");
            }
            return Ok(Pattern::Below(format!(".{}", authority.host())));
        }
        let authority = Authority::parse(text)?;
        let port = text.ends_with(":443") || authority.has_port();
        Ok(Pattern::Exact { host: authority.text, port })
    }

    /// For this authority and no other port of it.
    pub fn only(authority: &Authority) -> Pattern {
        Pattern::Exact { host: authority.text.clone(), port: true }
    }

    /// How well it matches: exact before wildcard; `None` = not at all.
    pub fn matches(&self, authority: &Authority) -> Option<u8> {
        match self {
            Pattern::Exact { host, port: true } => (host == authority.as_str()).then_some(2),
            Pattern::Exact { host, port: false } => (host == authority.host()).then_some(2),
            Pattern::Below(domain) => {
                let label = authority.host().strip_suffix(domain.as_str())?;
                (!label.is_empty() && !label.contains('.')).then_some(1)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(uri: &str, hosts: &[&str]) -> Result<String, &'static str> {
        let mut headers = HeaderMap::new();
        for host in hosts {
            headers.append(HOST, host.parse().unwrap());
        }
        Authority::of(&uri.parse().unwrap(), &headers).map(|authority| authority.as_str().to_owned())
    }

    #[test]
    fn one_host_has_one_form() {
        for (written, expected) in [
            ("example.com", "example.com"),
            ("EXAMPLE.com", "example.com"),
            ("example.com.", "example.com"),
            ("example.com:443", "example.com"),
            ("example.com.:443", "example.com"),
            ("example.com:", "example.com"),
            ("example.com:00443", "example.com"),
            ("example.com:8443", "example.com:8443"),
            ("127.0.0.1:8000", "127.0.0.1:8000"),
            ("[::1]:8000", "[::1]:8000"),
            ("[0:0:0:0:0:0:0:1]", "[::1]"),
            ("[FD00::A]:443", "[fd00::a]"),
            ("a_b.example", "a_b.example"),
        ] {
            assert_eq!(of("/", &[written]).as_deref(), Ok(expected), "{written}");
        }
        assert_eq!(of("https://Example.com./x", &[]).as_deref(), Ok("example.com"));
        assert_eq!(of("https://example.com/x", &["EXAMPLE.com:443"]).as_deref(), Ok("example.com"));
    }

    #[test]
    fn a_request_without_exactly_one_wellformed_host_is_refused() {
        assert!(of("/", &[]).is_err());
        assert!(of("/", &["a.example", "b.example"]).is_err());
        assert!(of("/", &["a.example", "a.example"]).is_err());
        assert!(of("https://a.example/", &["b.example"]).is_err());
        for host in [
            "",
            ".",
            "..",
            "a..b",
            ".a",
            "a.example..",
            "user@a.example",
            "a.example@b",
            "a.example:80:80",
            "a.example:x",
            "a.example:+1",
            "a.example:-1",
            "a.example:65536",
            "a.example:123456",
            "a.example/x",
            "a.example?x",
            "a.example#x",
            "a.example\\b",
            "a b",
            "a.example,b.example",
            "[::1",
            "[::1]x",
            "[::1]8",
            "[::g]",
            "::1",
            "[]",
            "a%2eexample",
            "*",
            "a,b",
        ] {
            assert!(Authority::parse(host).is_err(), "{host:?}");
        }
        assert!(Authority::parse(&"a".repeat(64)).is_err());
        assert!(Authority::parse(&"a.".repeat(127)).is_err_and(|_| true) || "a.".repeat(127).len() <= 254);
    }

    #[test]
    fn patterns_match_hosts_and_nothing_beside_them() {
        let matches = |pattern: &str, host: &str| {
            Pattern::parse(pattern).unwrap().matches(&Authority::parse(host).unwrap()).is_some()
        };
        assert!(matches("api.example.com", "API.example.com."));
        assert!(matches("api.example.com", "api.example.com:8443"));
        assert!(matches("api.example.com:8443", "api.example.com:8443"));
        assert!(!matches("api.example.com:8443", "api.example.com"));
        assert!(matches("api.example.com:443", "api.example.com"));
        assert!(!matches("api.example.com:443", "api.example.com:8443"));
        assert!(!matches("api.example.com", "xapi.example.com"));
        assert!(!matches("api.example.com", "api.example.com.evil.example"));
        assert!(matches("*.example.com", "a.example.com"));
        for host in ["example.com", "a.b.example.com", "aexample.com", "a.example.com.evil.example"] {
            assert!(!matches("*.example.com", host), "{host}");
        }
        for bad in ["*", "*.", "*.com", "*.127.0.0.1", "a.*.com", "*.example.com:8443", ""] {
            assert!(Pattern::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn addresses_and_localhost_are_told_from_names() {
        for (host, bare) in [
            ("localhost:8000", true),
            ("127.0.0.1", true),
            ("[::1]", true),
            ("x.localhost", true),
            ("a.example", false),
        ] {
            assert_eq!(Authority::parse(host).unwrap().is_bare(), bare, "{host}");
        }
    }
}
