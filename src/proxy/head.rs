//! The request head before anything is decided by it: its size, its framing, its method, who sent it.

use super::denial::Denial;
use super::settings::Limits;
use http::header::{self, HeaderMap};
use http::{Method, Version};
use ipnet::IpNet;
use pingora::http::RequestHeader;
use std::net::IpAddr;

/// Refuses heads that are too large, framing that two readers would read differently, and methods nobody may use.
pub(super) fn check(head: &RequestHeader, limits: &Limits) -> Result<(), Denial> {
    if size(head) > limits.head.0 {
        return Err(Denial::HeadTooLarge);
    }
    if matches!(head.method, Method::TRACE | Method::CONNECT) {
        return Err(Denial::Method(String::new()));
    }
    framing(head)
}

/// RFC 9112 §6.1: `gzip, chunked` and the like are legal and nobody's need, but a smuggler's.
fn framing(head: &RequestHeader) -> Result<(), Denial> {
    // RFC 9112 §6.3: `5, 5` may be taken for 5, but is forwarded as written, and not every upstream would.
    let mut lengths = head.headers.get_all(header::CONTENT_LENGTH).iter();
    let length = lengths.next();
    let plain = length.is_none_or(|length| length.as_bytes().iter().all(u8::is_ascii_digit));
    if !plain || lengths.next().is_some() {
        return Err(Denial::Malformed("The Content-Length must be one number"));
    }
    let mut codings = head.headers.get_all(header::TRANSFER_ENCODING).iter();
    let Some(coding) = codings.next() else { return Ok(()) };
    let chunked = coding.as_bytes() == b"chunked" && codings.next().is_none();
    if !chunked || head.version != Version::HTTP_11 {
        return Err(Denial::Malformed("The only transfer coding taken here is chunked"));
    }
    Ok(())
}

/// What it took on the wire, about: HTTP/2 heads are counted as they would be in HTTP/1.
fn size(head: &RequestHeader) -> u64 {
    let fields: usize = head.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    let line = head.method.as_str().len() + head.raw_path().len() + 12;
    u64::try_from(fields + line).unwrap_or(u64::MAX)
}

/// Who sent it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Caller {
    /// After trusted forwarding.
    pub address: IpAddr,
    /// What a trusted proxy says of those before it, with that proxy added: the `X-Forwarded-For` to send on.
    pub chain: Option<String>,
    /// A trusted proxy's request id.
    pub request_id: Option<String>,
}

/// The caller behind `peer`, which is believed only if it is trusted.
pub(super) fn caller(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> Caller {
    let peer = peer.to_canonical();
    let trusts = |address: &IpAddr| trusted.iter().any(|network| network.contains(address));
    if !trusts(&peer) {
        return Caller { address: peer, chain: None, request_id: None };
    }
    let lines = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
    let hops: Vec<&str> = lines.flat_map(|line| line.split(',')).map(str::trim).collect();
    // From the nearest hop outwards: the first that is not trusted is the caller; what it claims of others is not heard.
    let mut address = peer;
    let mut believed = Vec::new();
    for hop in hops.iter().rev() {
        let Ok(hop) = hop.parse::<IpAddr>() else { break };
        address = hop.to_canonical();
        believed.push(address);
        if !trusts(&address) {
            break;
        }
    }
    let chain = believed.iter().rev().chain([&peer]).map(IpAddr::to_string).collect::<Vec<_>>().join(", ");
    let request_id = headers.get("x-request-id").and_then(|value| value.to_str().ok());
    let plain = |text: &&str| (1..=64).contains(&text.len()) && text.bytes().all(is_plain);
    Caller { address, chain: Some(chain), request_id: request_id.filter(plain).map(str::to_owned) }
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::scalar::Size;

    fn head(method: &str, path: &str, fields: &[(&str, &str)]) -> RequestHeader {
        let mut head = RequestHeader::build(method, path.as_bytes(), None).unwrap();
        for (name, value) in fields {
            head.append_header((*name).to_owned(), *value).unwrap();
        }
        head
    }

    #[test]
    fn heads_that_are_too_large_or_framed_oddly_are_refused() {
        let limits = Limits { head: Size(200), ..Limits::default() };
        assert_eq!(check(&head("GET", "/", &[("a", "b")]), &limits), Ok(()));
        let long = "x".repeat(180);
        assert_eq!(check(&head("GET", "/", &[("a", &long)]), &limits), Err(Denial::HeadTooLarge));
        assert_eq!(check(&head("GET", &format!("/{long}xxxxxxxx"), &[]), &limits), Err(Denial::HeadTooLarge));
        assert_eq!(check(&head("POST", "/", &[("transfer-encoding", "chunked")]), &limits), Ok(()));
        for coding in
            ["gzip, chunked", "Chunked", "identity", "chunked, chunked", "", "xchunked", "chunked;q=1"]
        {
            let odd = head("POST", "/", &[("transfer-encoding", coding)]);
            assert!(matches!(check(&odd, &limits), Err(Denial::Malformed(_))), "{coding}");
        }
        let twice = [("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")];
        assert!(check(&head("POST", "/", &twice), &limits).is_err());
        assert_eq!(check(&head("POST", "/", &[("content-length", "5")]), &limits), Ok(()));
        for length in ["5, 5", "5,5", "+5", "-5", "5 5", "0x5"] {
            let odd = head("POST", "/", &[("content-length", length)]);
            assert!(matches!(check(&odd, &limits), Err(Denial::Malformed(_))), "{length}");
        }
        let twice = [("content-length", "5"), ("content-length", "5")];
        assert!(check(&head("POST", "/", &twice), &limits).is_err());
        for method in ["TRACE", "CONNECT"] {
            assert!(matches!(check(&head(method, "/", &[]), &limits), Err(Denial::Method(_))), "{method}");
        }
    }

    #[test]
    fn forwarding_headers_are_believed_from_trusted_peers_only() {
        let trusted: Vec<IpNet> = vec!["10.0.0.0/8".parse().unwrap()];
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let mut headers = HeaderMap::new();
        headers.append("x-forwarded-for", "203.0.113.9, 198.51.100.1".parse().unwrap());
        headers.append("x-forwarded-for", "10.0.0.2".parse().unwrap());
        headers.append("x-request-id", "abc-1".parse().unwrap());
        let stranger = caller(address("192.0.2.1"), &headers, &trusted);
        assert_eq!(stranger, Caller { address: address("192.0.2.1"), chain: None, request_id: None });
        for peer in ["10.0.0.1", "::ffff:10.0.0.1"] {
            let friend = caller(address(peer), &headers, &trusted);
            assert_eq!(friend.address, address("198.51.100.1"));
            assert_eq!(friend.chain.as_deref(), Some("198.51.100.1, 10.0.0.2, 10.0.0.1"));
            assert_eq!(friend.request_id.as_deref(), Some("abc-1"));
        }
        headers.append("x-forwarded-for", "unknown".parse().unwrap());
        headers.insert("x-request-id", "a b".parse().unwrap());
        let odd = caller(address("10.0.0.1"), &headers, &trusted);
        assert_eq!((odd.address, odd.request_id), (address("10.0.0.1"), None));
    }
}
