//! An account that was made by the command line, or what it changed about one of `users_file` (a new password).

use crate::base::clock::Timestamp;
use crate::store::record::Record;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Account {
    /// The account's identifier at home, which is also what people type as user name. Lower-case.
    pub id: String,
    /// A PHC string, argon2id.
    pub password: String,
    /// OpenID Connect Core §5.1; `None` = as in the file.
    pub claims: Option<Map<String, Value>>,
    pub created: Timestamp,
    /// The hash in the file that the password is the same as, as base64url of its SHA-256: where the file has another one,
    /// or none, that counts. `None` = it counts whatever is in the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instead_of: Option<String>,
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
