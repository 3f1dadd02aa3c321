//! An opaque access token. JWT access tokens are not stored: their liveness is their parents'.

use crate::base::clock::Timestamp;
use crate::store::record::Record;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Access {
    /// base64url of the SHA-256 of the handle.
    pub digest: String,
    /// What the JWT would have said.
    pub claims: Map<String, Value>,
    pub expires: Timestamp,
}

impl Record for Access {
    const SHELF: &'static str = "access";

    fn id(&self) -> Bytes {
        self.digest.clone().into()
    }
    fn expires(&self) -> Timestamp {
        self.expires
    }
}
