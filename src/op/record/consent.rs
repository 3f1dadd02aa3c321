//! What a person allowed a client, remembered.

use crate::base::clock::Timestamp;
use crate::store::IndexKey;
use crate::store::record::{Record, index};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Consent {
    pub account: String,
    pub client_id: String,
    pub scope: Vec<String>,
    pub resources: Vec<String>,
    /// The authorization details that were allowed last (RFC 9396); others are asked for anew.
    #[serde(default)]
    pub authorization_details: Vec<Value>,
    /// Claims allowed by name, beyond those of the scopes.
    #[serde(default)]
    pub claims: Vec<String>,
    pub given: Timestamp,
    pub expires: Timestamp,
}

pub const BY_ACCOUNT: &str = "consent.account";

impl Consent {
    /// Its identifier: unambiguous, whatever the parts contain.
    pub fn id_of(account: &str, client_id: &str) -> String {
        format!("{}:{account}:{client_id}", account.len())
    }
}

impl Record for Consent {
    const SHELF: &'static str = "consent";

    fn id(&self) -> Bytes {
        Consent::id_of(&self.account, &self.client_id).into()
    }
    fn expires(&self) -> Timestamp {
        self.expires
    }
    fn index(&self) -> Vec<IndexKey> {
        vec![index(BY_ACCOUNT, &self.account)]
    }
}
