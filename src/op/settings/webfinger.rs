//! Who may be looked up with WebFinger (RFC 7033), and found here.

use crate::op::settings::faults::Found;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Finding the provider from what a person types (OpenID Connect Discovery §2).
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WebFinger {
    /// Domains besides the issuer's host whose accounts (`ann@example.com`, `https://example.com/ann`) sign in here:
    /// host names in lower case, with a port if it is not 443. Their own web servers must redirect
    /// `/.well-known/webfinger` to ours.
    pub domains: Vec<String>,
}

impl WebFinger {
    pub(super) fn faults(&self, found: &mut Found) {
        for (nth, domain) in self.domains.iter().enumerate() {
            let url = format!("https://{domain}");
            if crate::base::uri::origin(&url).is_none_or(|origin| origin != url) {
                let says = format!("`{domain}` is not a host name in lower case, with or without a port");
                found.push((format!("webfinger.domains[{nth}]"), says));
            }
        }
    }
}
