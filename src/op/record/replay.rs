//! What may be used once only and was used: the `jti` of a client's assertion (RFC 7523 §3). Losing the last moments
//! of this memory in a crash is acceptable.

use crate::base::clock::Timestamp;
use crate::base::encode::base64url;
use crate::base::secret::hmac_sha256;
use crate::store::record::Record;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Replay {
    pub id: String,
    /// From here on it would be refused by its age.
    pub expires: Timestamp,
}

impl Replay {
    /// `kind` and `who` keep one party's identifiers from standing in another's way.
    pub fn new(kind: &str, who: &str, jti: &str, expires: Timestamp) -> Replay {
        // A digest, so that the length of a stranger's `jti` does not matter; its parts cannot be confused.
        let id = hmac_sha256(b"replay", &[kind.as_bytes(), who.as_bytes(), jti.as_bytes()]);
        Replay { id: base64url(&id), expires }
    }
}

impl Record for Replay {
    const SHELF: &'static str = "replay";

    fn id(&self) -> Bytes {
        self.id.clone().into()
    }
    fn expires(&self) -> Timestamp {
        self.expires
    }
}
