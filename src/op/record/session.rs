//! A browser's session at the provider. The cookie is `sid.handle`; the store knows the handle's digest only.

use crate::base::clock::Timestamp;
use crate::store::IndexKey;
use crate::store::record::{Record, index};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Session {
    /// The `sid` of ID tokens: not secret, not guessable.
    pub sid: String,
    /// base64url of the SHA-256 of the cookie's handle; a new handle at each sign-in.
    pub handle_digest: String,
    pub account: String,
    pub created: Timestamp,
    pub auth_time: Timestamp,
    pub acr: Option<String>,
    /// RFC 8176.
    pub amr: Vec<String>,
    /// Written at most once a minute.
    pub last_seen: Timestamp,
    pub expires: Timestamp,
    /// Clients that were signed in to from here.
    pub clients: Vec<String>,
    pub ended: bool,
}

pub const BY_ACCOUNT: &str = "session.account";

impl Record for Session {
    const SHELF: &'static str = "session";

    fn id(&self) -> Bytes {
        self.sid.clone().into()
    }
    fn expires(&self) -> Timestamp {
        self.expires
    }
    fn dead(&self) -> bool {
        self.ended
    }
    fn index(&self) -> Vec<IndexKey> {
        vec![index(BY_ACCOUNT, &self.account)]
    }
}
