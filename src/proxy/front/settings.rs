//! The front door's settings: where it listens, its certificates, its limits. The doc comments are the manual.

use ipnet::IpNet;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::path::PathBuf;

use crate::base::scalar::Span;

/// The TLS listener.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Front")]
pub struct Settings {
    /// Addresses to listen on with TLS, such as `0.0.0.0:443` or `[::]:443`. Changing them needs a restart.
    pub listen: Vec<SocketAddr>,
    /// A second listener without TLS that sends browsers to https.
    pub redirect: Option<Redirect>,
    /// A further listener with TLS that asks clients for a certificate (RFC 8705; see `op.mtls`).
    pub mtls: Option<Mtls>,
    pub tls: Tls,
    pub limits: Limits,
    /// Load balancers in front that tell the client's address in a PROXY header.
    pub proxy_protocol: ProxyProtocol,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            listen: vec![SocketAddr::from(([127, 0, 0, 1], 8000))],
            redirect: None,
            mtls: None,
            tls: Tls::default(),
            limits: Limits::default(),
            proxy_protocol: ProxyProtocol::default(),
        }
    }
}

impl Settings {
    /// What one value alone cannot show to be wrong: the path of each fault below these settings, and what it is.
    /// Whether the certificates can be used is found by reading them ([`super::Certificates::load`]).
    pub fn faults(&self) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        let mut fault = |path: &str, says: &str| faults.push((path.to_owned(), says.to_owned()));
        if self.listen.is_empty() {
            fault("listen", "name at least one address, such as 0.0.0.0:443");
        }
        if self.tls.certificates.is_empty() {
            fault("tls.certificates", "name at least one certificate and its key");
        }
        let limits = &self.limits;
        for (path, span) in [
            ("limits.handshake", limits.handshake),
            ("limits.head", limits.head),
            ("limits.idle", limits.idle),
        ] {
            if span.0.is_zero() {
                fault(path, "no client could be in time; give it at least some milliseconds");
            }
        }
        let mut taken: Vec<_> = self.listen.iter().map(|address| ("listen", address)).collect();
        if let Some(redirect) = &self.redirect {
            if redirect.listen.is_empty() {
                fault("redirect.listen", "name at least one address, such as 0.0.0.0:80");
            }
            taken.extend(redirect.listen.iter().map(|address| ("redirect.listen", address)));
        }
        if let Some(mtls) = &self.mtls {
            if mtls.listen.is_empty() {
                fault("mtls.listen", "name at least one address, such as 0.0.0.0:8443");
            }
            taken.extend(mtls.listen.iter().map(|address| ("mtls.listen", address)));
        }
        for (index, (path, address)) in taken.iter().enumerate() {
            let twice = taken.iter().take(index).any(|(_, other)| other == address);
            // Port 0 is another port each time.
            if twice && address.port() != 0 {
                fault(path, &format!("{address} is listened on twice"));
            }
        }
        faults
    }
}

/// The listener without TLS: it answers every request for a known host with a redirect to https (308, or 301 for
/// GET and HEAD) and any other host with 421. Nothing else is ever served on it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Redirect {
    /// Addresses to listen on, such as `0.0.0.0:80`.
    pub listen: Vec<SocketAddr>,
    /// The port browsers are sent to.
    #[serde(default = "https")]
    pub port: u16,
}

fn https() -> u16 {
    443
}

/// The listener that asks for client certificates. It serves the same hosts and routes, with the same certificates; a
/// client that shows none is served as well. Any certificate is taken for what it is: proof of its key.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "MtlsListener")]
pub struct Mtls {
    /// Addresses to listen on, such as `0.0.0.0:8443`. Changing them needs a restart.
    pub listen: Vec<SocketAddr>,
}

/// Certificates and protocol versions.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Tls {
    /// The first certificate is also for clients that name no host, or one that no certificate is for. Files are
    /// read again at every reload; if one is faulty, those in use stay.
    pub certificates: Vec<Certificate>,
    /// The lowest TLS version accepted.
    pub min: Version,
}

/// One certificate and its key.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// PEM file: the certificate, then its intermediates.
    pub cert: PathBuf,
    /// PEM file: the private key (PKCS #8, SEC 1 or PKCS #1).
    pub key: PathBuf,
    /// Hosts to show it for, exact or with one leading `*.`. Left out: those the certificate names.
    #[serde(default)]
    pub hosts: Vec<String>,
}

/// A TLS version.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub enum Version {
    #[default]
    #[serde(rename = "1.2")]
    V12,
    #[serde(rename = "1.3")]
    V13,
}

/// What a connection may cost. All of them hold from the next connection on when changed by a reload.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "ConnectionLimits")]
pub struct Limits {
    /// Connections open at once; one more is closed at once. Plan 50 KiB of memory for each.
    pub connections: NonZeroU32,
    /// Connections open at once from one IPv4 address or one IPv6 /64.
    pub per_address: NonZeroU32,
    /// From the accepted connection to the end of the TLS handshake, the PROXY header included.
    pub handshake: Span,
    /// From the first byte of a request to the end of its head, and from the end of the handshake to the first
    /// request (HTTP/2: to the client's preface).
    pub head: Span,
    /// How long a connection may wait for its next request.
    pub idle: Span,
    /// When the server stops: how long an idle connection may still bring one more request.
    pub linger: Span,
    /// HTTP/2 streams open at once on a connection.
    pub streams: NonZeroU32,
    /// Malformed HTTP/2 requests after which a connection is closed.
    pub malformed_streams: NonZeroU32,
}

const fn at_least_one(number: u32) -> NonZeroU32 {
    match NonZeroU32::new(number) {
        Some(number) => number,
        None => NonZeroU32::MIN,
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections: at_least_one(8192),
            per_address: at_least_one(512),
            handshake: Span::secs(5),
            head: Span::secs(10),
            idle: Span::secs(75),
            linger: Span::millis(500),
            streams: at_least_one(100),
            malformed_streams: at_least_one(32),
        }
    }
}

/// The PROXY protocol, versions 1 and 2.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProxyProtocol {
    /// Addresses and networks whose connections begin with a PROXY header. From them it is required, since a
    /// receiver must not guess; from anybody else a PROXY header is no TLS and ends the connection.
    pub trusted: Vec<Network>,
}

impl ProxyProtocol {
    pub(super) fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.trusted.iter().any(|network| network.0.contains(&address))
    }
}

/// An address (`192.0.2.1`) or a network (`192.0.2.0/24`) as written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Network(pub IpNet);

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Written;
        impl Visitor<'_> for Written {
            type Value = Network;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an address such as 192.0.2.1 or a network such as 192.0.2.0/24")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Network, E> {
                let network = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
                network.map(Network).map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_str(Written)
    }
}

impl Serialize for Network {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl JsonSchema for Network {
    fn schema_name() -> Cow<'static, str> {
        "Network".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "description": "an address such as 192.0.2.1 or a network such as 192.0.2.0/24" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_refuse_what_they_do_not_know_and_fill_in_the_rest() {
        let settings: Settings = serde_json::from_str(
            r#"{ "listen": ["[::]:443"], "tls": { "min": "1.3" }, "limits": { "head": "2s" },
                 "redirect": { "listen": ["0.0.0.0:80"] }, "proxy_protocol": { "trusted": ["10.0.0.0/8", "192.0.2.1"] } }"#,
        )
        .unwrap();
        assert_eq!(settings.limits, Limits { head: Span::secs(2), ..Limits::default() });
        assert_eq!((settings.tls.min, settings.redirect.unwrap().port), (Version::V13, 443));
        let trusts = |address: &str| settings.proxy_protocol.trusts(address.parse().unwrap());
        assert!(trusts("10.9.9.9") && trusts("::ffff:192.0.2.1"));
        assert!(!trusts("192.0.2.2") && !trusts("::1"));
        for bad in [
            r#"{ "listn": [] }"#,
            r#"{ "tls": { "min": "1.1" } }"#,
            r#"{ "limits": { "connections": 0 } }"#,
            r#"{ "limits": { "streams": -1 } }"#,
            r#"{ "proxy_protocol": { "trusted": ["10.0.0.0/33"] } }"#,
            r#"{ "proxy_protocol": { "trusted": ["everybody"] } }"#,
        ] {
            assert!(serde_json::from_str::<Settings>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_could_not_serve_anybody_is_a_fault() {
        let sound = || -> Settings {
            serde_json::from_str(r#"{ "tls": { "certificates": [{ "cert": "a", "key": "b" }] } }"#).unwrap()
        };
        assert_eq!(sound().faults(), []);
        let mut faulty = Settings::default();
        let address = faulty.listen[0];
        faulty.redirect = Some(Redirect { listen: vec![address], port: 443 });
        faulty.limits.head = Span::millis(0);
        let paths: Vec<_> = faulty.faults().into_iter().map(|(path, _)| path).collect();
        assert_eq!(paths, ["tls.certificates", "limits.head", "redirect.listen"]);
        faulty = Settings { listen: Vec::new(), ..sound() };
        assert_eq!(faulty.faults()[0].0, "listen");
        faulty = sound();
        faulty.listen = vec![SocketAddr::from(([127, 0, 0, 1], 0)); 2];
        assert_eq!(faulty.faults(), []);
    }
}
