//! Authorization requests that clients push.

use super::faults::Found;
use crate::base::scalar::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Pushed authorization requests (RFC 9126).
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PushedRequests {
    /// A pushed request must be begun within this time; at most 10m.
    pub lifetime: Span,
    /// Every client must push its requests. A client can register that for itself.
    pub required: bool,
}

impl Default for PushedRequests {
    fn default() -> PushedRequests {
        PushedRequests { lifetime: Span::secs(90), required: false }
    }
}

impl PushedRequests {
    /// RFC 9126 §2.2: between 5 and 600 seconds are usual; longer is not needed.
    pub(super) fn faults(&self, found: &mut Found) {
        if self.lifetime.0 < Duration::from_secs(5) || self.lifetime.0 > Duration::from_secs(600) {
            found.push(("par.lifetime".into(), "must be between 5s and 10m".into()));
        }
    }
}
