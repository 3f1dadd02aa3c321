//! What signing out ends, and how hard relying parties are told.

use crate::base::scalar::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Signing out.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Logout {
    /// What becomes of refresh tokens with `offline_access`. All other tokens of the session end with it in any case.
    pub offline: Offline,
    /// How long a client that does not take its logout token (OpenID Connect Back-Channel Logout) is tried again; 0 =
    /// it is told once.
    pub retry_for: Span,
}

impl Default for Logout {
    fn default() -> Logout {
        Logout { offline: Offline::Keep, retry_for: Span::secs(86_400) }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Offline {
    /// They go on (OpenID Connect Back-Channel Logout §2.7); access tokens from before the logout end.
    #[default]
    Keep,
    /// They end too.
    Revoke,
}
