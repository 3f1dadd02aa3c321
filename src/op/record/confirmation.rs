//! What a token is bound to (RFC 7800 §3.1): the key whose holder alone may use it. Empty: a bearer token.

use serde::{Deserialize, Serialize};

#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Confirmation {
    /// The RFC 7638 SHA-256 thumbprint of the key that DPoP proofs are signed with (RFC 9449 §6.1), as base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jkt: Option<String>,
    /// The SHA-256 of the client's certificate in DER (RFC 8705 §3.1), as base64url.
    #[serde(default, rename = "x5t#S256", skip_serializing_if = "Option::is_none")]
    pub x5t_s256: Option<String>,
}

impl Confirmation {
    /// Whoever holds the token may use it.
    pub fn is_empty(&self) -> bool {
        self.jkt.is_none() && self.x5t_s256.is_none()
    }

    /// Whether whoever proved to hold `shown` holds everything this asks for.
    pub fn is_met_by(&self, shown: &Confirmation) -> bool {
        (self.jkt.is_none() || self.jkt == shown.jkt)
            && (self.x5t_s256.is_none() || self.x5t_s256 == shown.x5t_s256)
    }

    /// How the token must be presented (RFC 6750 §6.1.1, RFC 9449 §5).
    pub fn token_type(&self) -> &'static str {
        if self.jkt.is_some() { "DPoP" } else { "Bearer" }
    }
}
