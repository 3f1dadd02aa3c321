//! An initial access token (RFC 7591 §1.2): what lets somebody register clients where registration is not open.

use crate::base::clock::Timestamp;
use crate::store::record::Record;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct InitialAccess {
    /// base64url of the token's SHA-256; also what an operator calls it by.
    pub digest: String,
    pub created: Timestamp,
    pub expires: Timestamp,
    /// Clients that may still be registered with it; `None` = any number. With the last one it is gone.
    pub uses: Option<u64>,
    /// Clients that were registered with it.
    pub used: u64,
    /// The hosts their redirect URIs may have; empty = any.
    pub redirect_hosts: Vec<String>,
    /// The scopes they may register; empty = any.
    pub scopes: Vec<String>,
}

impl Record for InitialAccess {
    const SHELF: &'static str = "initial_access";

    fn id(&self) -> Bytes {
        self.digest.clone().into()
    }
    fn expires(&self) -> Timestamp {
        self.expires
    }
}
