//! DPoP (RFC 9449).

use crate::base::scalar::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Tokens that only the holder of a key can use (RFC 9449). A client that sends a DPoP proof with its token request
/// gets one; a client that registered `dpop_bound_access_tokens` gets no other.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Dpop {
    /// Whether proofs carry a nonce of the provider's.
    pub nonce: Nonces,
    /// How long a nonce may be used; at least 1m.
    pub nonce_lifetime: Span,
}

impl Default for Dpop {
    fn default() -> Dpop {
        Dpop { nonce: Nonces::default(), nonce_lifetime: Span::secs(300) }
    }
}

/// Nonces in DPoP proofs (RFC 9449 §8).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Nonces {
    /// A proof without one is refused with `use_dpop_nonce`, so that none can be made long before its use.
    Required,
    /// Answers give one; a proof may do without. Only in the first seconds after a start, and from clients whose
    /// clock is fast, userinfo and routes ask for it.
    #[default]
    Offered,
    /// None are given or looked at.
    Off,
}
