//! An account that was made by the command line, or what it changed about one of `users_file` (a new password).

use crate::base::clock::Timestamp;
use crate::store::record::Record;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Account {
    /// The account's identifier at home, which is also what people type as user name. Lower-case.
    pub id: String,
    /// A PHC string, argon2id.
    pub password: String,
    /// OpenID Connect Core §5.1; `None` = as in the file.
    pub claims: Option<Map<String, Value>>,
    pub created: Timestamp,
}

impl Record for Account {
    const SHELF: &'static str = "account";

    fn id(&self) -> Bytes {
        self.id.clone().into()
    }
    fn expires(&self) -> Timestamp {
        Timestamp::NEVER
    }
}
