//! The mark on a client or an account: everything issued before it is dead. Clients and accounts may live in files,
//! so their marks are records of their own.

use crate::base::clock::Timestamp;
use crate::store::record::Record;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Mark {
    /// `client:ID` or `account:ID`.
    pub of: String,
    /// Tokens and sessions issued at or before this moment are dead.
    pub dead_since: Timestamp,
    /// Nothing new may be issued either: disabled, or removed.
    pub disabled: bool,
}

impl Mark {
    pub fn of_client(client_id: &str) -> String {
        format!("client:{client_id}")
    }
    pub fn of_account(account: &str) -> String {
        format!("account:{account}")
    }
}

impl Record for Mark {
    const SHELF: &'static str = "mark";

    fn id(&self) -> Bytes {
        self.of.clone().into()
    }
    fn expires(&self) -> Timestamp {
        Timestamp::NEVER
    }
    fn dead(&self) -> bool {
        self.disabled
    }
}
