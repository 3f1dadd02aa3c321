//! Where a fetch goes: the address behind a URL, and whether it may be spoken to. The tables are IANA's special-purpose
//! registries (RFC 6890) read strictly: what is not plainly global is refused.

use super::Fault;
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use url::{Host, Url};

/// Addresses of one name that are tried, in the resolver's order.
const MAX_ADDRESSES: usize = 4;

pub(super) struct Place {
    /// Without brackets: the name in the server's certificate.
    pub host: String,
    /// The `Host` header.
    pub authority: String,
    pub port: u16,
    /// Path and query.
    pub target: String,
    literal: Option<IpAddr>,
}

impl Place {
    pub fn of(url: &str) -> Option<Place> {
        let url = Url::parse(url).ok()?;
        let port = url.port_or_known_default()?;
        let (host, literal) = match url.host()? {
            Host::Domain(name) => (name.to_owned(), None),
            Host::Ipv4(address) => (address.to_string(), Some(IpAddr::V4(address))),
            Host::Ipv6(address) => (address.to_string(), Some(IpAddr::V6(address))),
        };
        let mut authority = url.host_str()?.to_owned();
        if let Some(port) = url.port() {
            authority.push_str(&format!(":{port}"));
        }
        let target = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        Some(Place { host, authority, port, target, literal })
    }
}

/// Resolves once. At most [`MAX_ADDRESSES`].
pub(super) async fn addresses(place: &Place) -> Result<Vec<SocketAddr>, Fault> {
    if let Some(literal) = place.literal {
        return Ok(vec![SocketAddr::new(literal, place.port)]);
    }
    let found = tokio::net::lookup_host((place.host.as_str(), place.port)).await;
    let found: Vec<_> = found.map_err(|_| Fault::Unresolved)?.take(MAX_ADDRESSES).collect();
    if found.is_empty() { Err(Fault::Unresolved) } else { Ok(found) }
}

pub(super) fn is_allowed(address: IpAddr, allow: &[IpNet]) -> bool {
    allow.iter().any(|net| net.contains(&address)) || is_global(address)
}

fn is_global(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_global_v4(address),
        IpAddr::V6(address) => is_global_v6(address),
    }
}

fn is_global_v4(address: Ipv4Addr) -> bool {
    !matches!(
        address.octets(),
        [0 | 10 | 127 | 224..=255, ..]          // this network, private, loopback, multicast, reserved, broadcast
            | [100, 64..=127, ..]               // RFC 6598: carrier-grade NAT
            | [169, 254, ..]                    // link-local, and with it the clouds' metadata
            | [172, 16..=31, ..]
            | [192, 168, ..]
            | [192, 0, 0 | 2, _]                // RFC 6890: protocol assignments; RFC 5737: documentation
            | [192, 88, 99, _]                  // RFC 7526: 6to4 relays
            | [198, 18 | 19, ..]                // RFC 2544: benchmarks
            | [198, 51, 100, _]                 // RFC 5737
            | [203, 0, 113, _] // RFC 5737
    )
}

fn is_global_v6(address: Ipv6Addr) -> bool {
    match address.segments() {
        // RFC 2928 §2, RFC 6890: protocol assignments: Teredo, benchmarks, ORCHID …
        [0x2001, 0..=0x1ff, ..] => false,
        // RFC 3849 and RFC 9637: documentation.
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => false,
        // RFC 3056: 6to4 carries an IPv4 address of anybody's choice.
        [0x2002, ..] => false,
        // RFC 4291 §2.4: everything else that is global unicast today. Out of it by nature: unspecified, loopback,
        // v4-mapped and v4-compatible, NAT64 (64:ff9b::/96, 64:ff9b:1::/48), unique local, link-local, multicast.
        [0x2000..=0x3fff, ..] => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_are_not_global_are_refused() {
        for text in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.0.170",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.7",
            "224.0.0.1",
            "239.1.1.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::808:808",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:2::1",
            "2001:10::1",
            "2001:1ff::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
            "3fff:fff::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "4000::1",
            "5f00::1",
        ] {
            let address: IpAddr = text.parse().unwrap();
            assert!(!is_allowed(address, &[]), "{text}");
        }
    }

    #[test]
    fn public_addresses_pass_and_an_allowed_network_passes_alone() {
        for text in [
            "8.8.8.8",
            "100.128.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.20.0.1",
            "2606:4700::1111",
            "2a00::1",
            "2001:200::1",
        ] {
            assert!(is_allowed(text.parse().unwrap(), &[]), "{text}");
        }
        let allow: [IpNet; 1] = ["127.0.0.0/8".parse().unwrap()];
        assert!(is_allowed("127.0.0.1".parse().unwrap(), &allow));
        for text in ["10.0.0.1", "::1", "::ffff:127.0.0.1", "128.0.0.1.".trim_end_matches('.')] {
            let address: IpAddr = text.parse().unwrap();
            assert_eq!(is_allowed(address, &allow), text.starts_with("128"), "{text}");
        }
    }
}
