//! A person's second factor: the secret of their authenticator app (RFC 6238), and the recovery codes left to them. There
//! is one only once a first code has confirmed it.

use crate::base::clock::Timestamp;
use crate::store::record::Record;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct SecondFactor {
    pub account: String,
    /// The secret under the at-rest key, as base64url.
    pub sealed: String,
    /// The last time step whose code was accepted: it and those before it are used up.
    pub last_step: u64,
    /// Of the recovery codes not used yet: the SHA-256 as base64url. They are generated with full entropy.
    pub recovery: Vec<String>,
    pub created: Timestamp,
}

impl Record for SecondFactor {
    const SHELF: &'static str = "second_factor";

    fn id(&self) -> Bytes {
        self.account.clone().into()
    }
    fn expires(&self) -> Timestamp {
        Timestamp::NEVER
    }
}
