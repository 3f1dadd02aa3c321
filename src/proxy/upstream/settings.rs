//! An upstream as written.

use crate::base::scalar::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;

/// Servers that do the same work, asked in turn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    /// Where they listen: `10.0.0.7:8080`, `[fd00::7]:8080` or `app.internal:8080`. Names are resolved at start and
    /// every 30 s.
    pub addresses: Vec<String>,
    /// Speak TLS to them. The certificate is always verified.
    #[serde(default)]
    pub tls: Option<Tls>,
    /// The protocol spoken: `h1`, or `h2` (without TLS: by prior knowledge), or `auto` (by ALPN; needs TLS).
    #[serde(default)]
    pub http: Http,
    /// The `Host` they are sent. Left out: the one the client named.
    #[serde(default)]
    pub host: Option<String>,
    /// How long they may take.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// HTTP/2: requests at once on one connection.
    #[serde(default = "streams")]
    pub streams: NonZeroU32,
    /// An address that could not be connected to is left out for this long, as long as there is another.
    #[serde(default = "rest")]
    pub rest: Span,
}

impl Upstream {
    /// One server that speaks HTTP/1.1 without TLS, as the demo's does.
    pub fn plain(address: SocketAddr) -> Upstream {
        Upstream {
            addresses: vec![address.to_string()],
            tls: None,
            http: Http::default(),
            host: None,
            timeouts: Timeouts::default(),
            streams: streams(),
            rest: rest(),
        }
    }
}

fn streams() -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(99)
}

fn rest() -> Span {
    Span::secs(10)
}

/// TLS to an upstream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The name its certificate must be for.
    pub server_name: String,
    /// A PEM file of the authorities to trust instead of the system's.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

/// The protocol spoken to an upstream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Http {
    #[default]
    H1,
    H2,
    Auto,
}

/// How long an upstream may take. All of them hold, always.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    /// To accept a connection.
    pub connect: Span,
    /// To accept a connection and finish the TLS handshake.
    pub total_connect: Span,
    /// To say something while its answer is awaited or read.
    pub read: Span,
    /// To accept a piece of the request.
    pub write: Span,
    /// Unused connections are closed after this time.
    pub idle: Span,
    /// A WebSocket on which the upstream says nothing for this long is closed.
    pub websocket: Span,
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        Timeouts {
            connect: Span::secs(5),
            total_connect: Span::secs(10),
            read: Span::secs(60),
            write: Span::secs(60),
            idle: Span::secs(60),
            websocket: Span::secs(3_600),
        }
    }
}
