//! An authorization request (or a logout) that waits for a person. Bound to the browser that began it.

use crate::base::clock::Timestamp;
use crate::op::request::AuthorizationRequest;
use crate::store::record::Record;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Interaction {
    /// base64url of the SHA-256 of the handle in the page's address.
    pub digest: String,
    /// base64url of the SHA-256 of the browser cookie's value.
    pub browser: String,
    pub request: AuthorizationRequest,
    pub created: Timestamp,
    pub expires: Timestamp,
    /// Prompts that were answered in this interaction, by name.
    pub answered: Vec<String>,
}

impl Record for Interaction {
    const SHELF: &'static str = "interaction";

    fn id(&self) -> Bytes {
        self.digest.clone().into()
    }
    fn expires(&self) -> Timestamp {
        self.expires
    }
}
