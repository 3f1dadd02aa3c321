//! Whose assertions are taken as authorization grants (RFC 7523 §2.1).

use super::faults::Found;
use super::trust;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// Tokens for assertions of others: off unless issuers are named.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct JwtBearer {
    /// Who may assert whom.
    pub issuers: Vec<AssertionIssuer>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AssertionIssuer {
    /// The `iss` of its assertions.
    pub issuer: String,
    /// Its public keys, as a JWK set.
    #[serde(default)]
    pub jwks: Option<Value>,
    /// Or where it publishes them; fetched under `fetch`'s rules.
    #[serde(default)]
    pub jwks_uri: Option<String>,
    /// Which account a `sub` is. Empty: the `sub` is the user name here. Otherwise only those named are known.
    #[serde(default)]
    pub subjects: BTreeMap<String, String>,
    /// The scopes its assertions are good for; all of them are granted to a request that asks for none.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// The clients that may present them, by client id. They must have registered the grant type
    /// `urn:ietf:params:oauth:grant-type:jwt-bearer`, too.
    pub clients: Vec<String>,
}

impl JwtBearer {
    pub(super) fn faults(&self, own: &str, found: &mut Found) {
        for (nth, issuer) in self.issuers.iter().enumerate() {
            let place = format!("jwt_bearer.issuers[{nth}]");
            if issuer.issuer.is_empty() || issuer.issuer == own {
                found.push((format!("{place}.issuer"), "must be the name of another issuer".into()));
            }
            if issuer.clients.is_empty() {
                found.push((format!("{place}.clients"), "must name at least one client".into()));
            }
            trust::faults(&place, issuer.jwks.as_ref(), issuer.jwks_uri.as_deref(), found);
        }
    }
}
