//! What a request object may be.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Request objects: authorization requests as JWTs (OpenID Connect Core §6, RFC 9101).
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RequestObjects {
    /// Unsigned ones (`alg: none`) are taken from clients that registered no algorithm for theirs. They prove nothing:
    /// for certification, and for clients that cannot sign.
    pub unsigned: bool,
    /// They are also fetched, by `request_uri`, from addresses that the client registered.
    pub by_reference: bool,
    /// Every request must be a signed one, of every client. A client can register that for itself.
    pub required: bool,
}

impl Default for RequestObjects {
    fn default() -> RequestObjects {
        RequestObjects { unsigned: false, by_reference: true, required: false }
    }
}
