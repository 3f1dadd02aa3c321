//! Whose word about a client's software counts (RFC 7591 §2.3).

use super::faults::Found;
use super::trust;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Software statements at registration. Without issuers they are ignored.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SoftwareStatements {
    /// Who may sign them.
    pub issuers: Vec<StatementIssuer>,
    /// Whether a client must bring one to be registered.
    pub required: bool,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StatementIssuer {
    /// The `iss` of its statements.
    pub issuer: String,
    /// Its public keys, as a JWK set.
    #[serde(default)]
    pub jwks: Option<Value>,
    /// Or where it publishes them; fetched under `fetch`'s rules.
    #[serde(default)]
    pub jwks_uri: Option<String>,
}

impl SoftwareStatements {
    pub(super) fn faults(&self, found: &mut Found) {
        for (nth, issuer) in self.issuers.iter().enumerate() {
            let place = format!("software_statements.issuers[{nth}]");
            if issuer.issuer.is_empty() {
                found.push((format!("{place}.issuer"), "must not be empty".into()));
            }
            trust::faults(&place, issuer.jwks.as_ref(), issuer.jwks_uri.as_deref(), found);
        }
        if self.required && self.issuers.is_empty() {
            let says = "nobody could register: name the issuers whose statements count";
            found.push(("software_statements.required".into(), says.into()));
        }
    }
}
