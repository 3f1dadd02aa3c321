//! What an operator may say of forward-auth endpoints.

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A path at which another proxy (nginx, Traefik, Caddy, Envoy) asks whether a request may pass. It is judged as if it had
/// come to the edge: by the route of its own host, path and method.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ForwardAuth {
    /// Where it is asked. No route can be there.
    #[serde(default = "path")]
    pub path: String,
    /// Hosts it is asked at; they are answered for. Left out: every host.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// Networks of the proxies that may ask; everybody else gets 403. Their `X-Forwarded-For` says who calls.
    #[schemars(with = "Vec<String>")]
    pub trusted: Vec<IpNet>,
    /// Where the original request stands. It must be said: what the asking proxy does not set itself, its clients could.
    pub original: Dialect,
}

/// Where the original request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// In `X-Original-Method` and `X-Original-URL` (or `X-Original-URI`, with the request's own host): nginx. Answers are
    /// 200, 401 or 403, and where a browser would be sent stands in `X-Auth-Redirect`.
    Nginx,
    /// In `X-Forwarded-Method`, `X-Forwarded-Host` and `X-Forwarded-Uri`: Traefik, Caddy.
    Forwarded,
    /// In the request itself, behind `path`: Envoy.
    Envoy,
}

fn path() -> String {
    "/.oidcop/auth".into()
}
