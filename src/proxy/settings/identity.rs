//! How an upstream learns who calls: headers and signed tokens.

use crate::base::scalar::Span;
use crate::jose::Algorithm;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The names of the headers that carry who calls. What a caller sends under these names, in any spelling, never
/// reaches an upstream, not even from a trusted proxy. An empty name = not sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Identity {
    /// The token's `sub`, if it is a person's: a client that acts for itself has none here.
    pub subject: String,
    /// The token's `client_id`.
    pub client: String,
    /// The token's scopes, separated by spaces.
    pub scope: String,
    /// What the person types to sign in; absent if a client acts for itself.
    pub username: String,
    /// More headers, by template: text with placeholders such as `{username}` or `{acr:-none}`. Known are subject,
    /// client, scope, username, sid, acr, auth_time and expires (seconds since 1970), request_id and address. Where a
    /// value is absent there is no header, unless a default is written after `:-`. `{{` is a brace.
    pub headers: BTreeMap<String, String>,
    /// The `iss` of identity tokens. Left out: `/.well-known/oidcop-edge` on the issuer's host.
    pub issuer: Option<String>,
    /// The keys that sign identity tokens.
    pub keys: IdentityKeys,
}

impl Default for Identity {
    fn default() -> Identity {
        Identity {
            subject: "X-Auth-Subject".into(),
            client: "X-Auth-Client".into(),
            scope: "X-Auth-Scope".into(),
            username: "X-Auth-Username".into(),
            headers: BTreeMap::new(),
            issuer: None,
            keys: IdentityKeys::default(),
        }
    }
}

impl Identity {
    pub(in crate::proxy) fn names(&self) -> [(&'static str, &str); 4] {
        [
            ("subject", &self.subject),
            ("client", &self.client),
            ("scope", &self.scope),
            ("username", &self.username),
        ]
    }
}

/// The timetable of the keys that sign identity tokens.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct IdentityKeys {
    /// How long a key signs.
    pub rotate_every: Span,
    /// How long a key is published before it signs.
    pub publish_ahead: Span,
}

impl Default for IdentityKeys {
    fn default() -> IdentityKeys {
        IdentityKeys { rotate_every: Span::secs(90 * 86_400), publish_ahead: Span::secs(86_400) }
    }
}

/// A signed token that tells an upstream who calls (RFC 7519). Its keys are at `/.well-known/oidcop-edge-jwks.json`, its
/// `typ` is `oidcop-identity+jwt`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IdentityToken {
    /// The header it stands in. In `Authorization` it is a bearer token, in any other it stands alone.
    #[serde(default = "header")]
    pub header: String,
    /// Its `aud`: the upstream it is for.
    pub audience: String,
    /// How long it is good; never longer than what the caller showed.
    #[serde(default = "lifetime")]
    pub lifetime: Span,
    #[serde(default = "algorithm")]
    pub algorithm: Algorithm,
}

fn header() -> String {
    "X-Auth-Token".into()
}

fn lifetime() -> Span {
    Span::secs(60)
}

fn algorithm() -> Algorithm {
    Algorithm::ES256
}
