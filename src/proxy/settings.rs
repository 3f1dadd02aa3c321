//! What an operator may say of the edge: routes, policies, upstreams, limits. The doc comments are the manual
//! (conf/REFERENCE.md). What one value alone cannot show to be wrong is found by [`Settings::faults`].

mod faults;
mod forward_auth;
mod identity;
mod policy;

pub use forward_auth::{Dialect, ForwardAuth};
pub use identity::{Identity, IdentityKeys, IdentityToken};
pub use policy::{Bearer, Binding, Policy};

use crate::base::scalar::{Size, Span};
pub use crate::proxy::upstream::settings::Upstream;
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::PathBuf;

/// The edge: which requests go where, and what they must bring.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Where requests go. The route with the longest matching `path` wins; the provider's own paths go before all
    /// of them. A request that no route matches gets 404.
    pub routes: Vec<Route>,
    /// The servers behind the edge, by name.
    pub upstreams: BTreeMap<String, Upstream>,
    /// Hosts answered for besides the issuer's and those of the routes. A request for any other host gets 421.
    pub hosts: Vec<String>,
    /// Networks of proxies in front of this one whose `X-Forwarded-For` and `X-Request-Id` are believed. From
    /// everybody else these headers are removed.
    #[schemars(with = "Vec<String>")]
    pub trusted_proxies: Vec<IpNet>,
    /// The headers in which an upstream learns who calls.
    pub identity: Identity,
    /// Caps that hold for every request.
    pub limits: Limits,
    /// How long browsers remember to use https only (Strict-Transport-Security); 0 = not sent. Never sent for
    /// `localhost` and for hosts that are addresses.
    pub hsts: Hsts,
    /// Paths at which another proxy asks whether a request may pass.
    pub forward_auth: Vec<ForwardAuth>,
}

/// The `max-age` of Strict-Transport-Security.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Hsts(pub Span);

impl Default for Hsts {
    fn default() -> Hsts {
        Hsts(Span::secs(365 * 86_400))
    }
}

/// One way through the edge.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// What logs and metrics call it. Left out: its hosts and its path.
    #[serde(default)]
    pub name: Option<String>,
    /// Hosts it is for: `api.example.com`, `*.example.com` (one label), or with a port `api.example.com:8443`. Without
    /// a port any port will do. Left out: every host the edge answers for.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// A path and everything below it, segment by segment: `/api` is for `/api`, `/api/` and `/api/x`, not `/apix`.
    pub path: String,
    /// Methods it takes; others get 405. Left out: all but TRACE and CONNECT, which nothing takes.
    #[serde(default)]
    pub methods: Vec<String>,
    /// Who may pass: `public`, `deny`, or `bearer`. It must be said.
    pub policy: Policy,
    /// The name of the upstream it forwards to.
    #[serde(default)]
    pub upstream: Option<String>,
    /// Answer here instead of forwarding.
    #[serde(default)]
    pub respond: Option<Respond>,
    /// How `path` is compared. By default a path that differs from a protected route's only in case or encoding is
    /// refused, because an upstream might not see the difference.
    #[serde(default)]
    pub case: Case,
    /// Let `%2F` in the path pass.
    #[serde(default)]
    pub allow_encoded_slash: bool,
    /// Let `;` in the path pass.
    #[serde(default)]
    pub allow_semicolon: bool,
    /// Scripts of other origins that may call it.
    #[serde(default)]
    pub cors: Option<Cors>,
    /// The largest request body; beyond it 413.
    #[serde(default = "body_limit")]
    pub body_limit: Size,
    /// How long the upstream may be silent while it answers, if not its own `timeouts.read`. Give streams (server-sent
    /// events, long polls, gRPC) the longest silence that is still a sign of life.
    #[serde(default)]
    pub read_timeout: Option<Span>,
    /// Headers added to the forwarded request.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Let the caller's `Authorization` and `DPoP` headers through to the upstream. By default they are removed.
    #[serde(default)]
    pub pass_credentials: bool,
    /// Let WebSockets through.
    #[serde(default = "yes")]
    pub websocket: bool,
    /// How many requests a caller may make.
    #[serde(default)]
    pub rates: Vec<Rate>,
    /// Requests under way at once; one more gets 503.
    #[serde(default)]
    pub in_flight: Option<NonZeroU32>,
    /// More headers by template, as `identity.headers`, for this route; a name that stands there too is this one's, and
    /// an empty template leaves it out.
    #[serde(default)]
    pub identity_headers: BTreeMap<String, String>,
    /// A token of the edge's own that tells the upstream who calls.
    #[serde(default)]
    pub identity_token: Option<IdentityToken>,
    /// A file whose text is the upstream's `Authorization`, such as `Basic dXNlcjpwYXNz`. Read again at every reload.
    #[serde(default)]
    pub authorization_file: Option<PathBuf>,
}

fn yes() -> bool {
    true
}

fn body_limit() -> Size {
    Size::mib(10)
}

/// How a route's path is compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Case {
    /// `/API` is refused if `/api` is protected.
    #[default]
    Guarded,
    /// `/API` is another path.
    Exact,
}

/// An answer of the edge's own: a welcome or maintenance page. GET and HEAD only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Respond {
    #[serde(default = "ok")]
    pub status: u16,
    /// The text of the answer.
    #[serde(default)]
    pub body: Option<String>,
    /// A file that holds it, at most 1 MiB; read at start and at every reload.
    #[serde(default)]
    pub file: Option<PathBuf>,
    #[serde(default = "html")]
    pub content_type: String,
    /// Further headers of the answer.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
}

fn ok() -> u16 {
    200
}

fn html() -> String {
    "text/html; charset=utf-8".into()
}

/// Cross-origin resource sharing (Fetch §3.2). Preflights are answered here, before the policy: they carry no token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cors {
    /// Origins such as `https://app.example.com`, or `*` alone for any.
    pub origins: Vec<String>,
    /// Methods a script may use.
    #[serde(default = "cors_methods")]
    pub methods: Vec<String>,
    /// Request headers a script may set.
    #[serde(default = "cors_headers")]
    pub headers: Vec<String>,
    /// Response headers a script may read.
    #[serde(default = "cors_expose")]
    pub expose: Vec<String>,
    /// Let requests carry cookies; not with `*`.
    #[serde(default)]
    pub credentials: bool,
    /// How long a browser may remember the preflight's answer.
    #[serde(default = "cors_max_age")]
    pub max_age: Span,
    /// Forward preflights to the upstream instead of answering them. They pass without any policy.
    #[serde(default)]
    pub forward_preflight: bool,
}

fn cors_methods() -> Vec<String> {
    ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"].map(str::to_owned).to_vec()
}

fn cors_headers() -> Vec<String> {
    ["Authorization", "Content-Type", "DPoP"].map(str::to_owned).to_vec()
}

fn cors_expose() -> Vec<String> {
    ["WWW-Authenticate", "DPoP-Nonce", "X-Request-Id"].map(str::to_owned).to_vec()
}

fn cors_max_age() -> Span {
    Span::secs(600)
}

/// So many requests within a time; one more gets 429 with `Retry-After`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// Whose requests are counted together.
    pub per: Per,
    pub requests: NonZeroU32,
    pub within: Span,
}

/// What a rate is counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Per {
    /// The caller's IPv4 address or IPv6 /64; before the policy.
    Address,
    /// The token's subject.
    Subject,
    /// The token's client.
    Client,
    /// All requests of the route.
    Route,
}

/// Caps that hold for every request.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Request line and headers together; beyond it 431.
    pub head: Size,
    /// Requests under way at once; one more gets 503.
    pub in_flight: NonZeroU32,
    /// How long the body of a request to the provider may take altogether; beyond it 408.
    pub body_time: Span,
    /// How long a client may be silent within a request body.
    pub client_read: Span,
    /// How long a client may take to accept a piece of the answer.
    pub client_write: Span,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            head: Size::kib(32),
            in_flight: NonZeroU32::MIN.saturating_add(9_999),
            body_time: Span::secs(15),
            client_read: Span::secs(60),
            client_write: Span::secs(60),
        }
    }
}

#[cfg(test)]
mod tests;
