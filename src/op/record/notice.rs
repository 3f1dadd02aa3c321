//! A logout that a client has not been told of yet (OpenID Connect Back-Channel Logout §2.5): written together with the
//! session's end, gone once the client took it.

use crate::base::clock::Timestamp;
use crate::base::encode::base64url;
use crate::base::secret::hmac_sha256;
use crate::store::record::Record;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Notice {
    pub client_id: String,
    /// The session that ended.
    pub sid: String,
    /// The `sub` the client knew the person by.
    pub subject: String,
    pub ended: Timestamp,
    /// How often it was tried.
    pub attempts: u32,
    /// Not tried before. Whoever tries it moves this on first, so that nobody else does at the same time.
    pub due: Timestamp,
    /// Given up from then on.
    pub expires: Timestamp,
}

impl Notice {
    /// A digest, since a client's id may be as long as an identifier.
    pub fn id_of(sid: &str, client_id: &str) -> String {
        base64url(&hmac_sha256(b"notice", &[sid.as_bytes(), client_id.as_bytes()]))
    }
}

impl Record for Notice {
    const SHELF: &'static str = "logout notice";

    fn id(&self) -> Bytes {
        Notice::id_of(&self.sid, &self.client_id).into()
    }
    fn expires(&self) -> Timestamp {
        self.expires
    }
}
