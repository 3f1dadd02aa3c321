//! A family: every token descended from one authorization. Its mark is what revokes them all.

use super::confirmation::Confirmation;
use crate::base::clock::Timestamp;
use crate::op::claims::ClaimsRequest;
use crate::store::IndexKey;
use crate::store::record::{Record, index};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a person authorized, and how sure we are of the person.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Authorization {
    pub client_id: String,
    /// The account's identifier at home; never shown to a client.
    pub account: String,
    /// The `sub` this client knows the account by.
    pub subject: String,
    /// Granted scopes, in the order requested.
    pub scope: Vec<String>,
    /// Granted resources (RFC 8707), by `uri`.
    pub resources: Vec<String>,
    /// The browser session it was authorized in.
    pub sid: Option<String>,
    pub auth_time: Timestamp,
    pub acr: Option<String>,
    /// RFC 8176.
    pub amr: Vec<String>,
    /// `offline_access` was granted: refresh tokens outlive the session.
    pub offline: bool,
    /// The request asked for `auth_time` in the ID token (`max_age`, `require_auth_time`).
    pub wants_auth_time: bool,
    /// Claims the person allowed by name (OpenID Connect Core §5.5), for as long as it lasts.
    pub claims: ClaimsRequest,
    /// The languages the client wants claims in (OpenID Connect Core §5.2).
    pub claims_locales: Vec<String>,
    /// Granted authorization details (RFC 9396 §7), each an object with a `type`.
    pub authorization_details: Vec<Value>,
    /// What its refresh tokens are bound to (RFC 9449 §5, RFC 8705 §4).
    pub confirmation: Confirmation,
    /// Who acts for the subject (RFC 8693 §4.1).
    pub act: Option<Value>,
    /// What was exchanged for it (RFC 8693), the latest last: it ends with any of them.
    pub origins: Vec<Origin>,
}

/// An authorization whose token was exchanged.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Origin {
    /// Its family; `None` for an ID token, which hangs on its session alone.
    pub family: Option<String>,
    /// The client it was issued to.
    pub client_id: String,
    /// When it was authorized.
    pub created: Timestamp,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Family {
    /// 16 random bytes as base64url; part of every `jti` and refresh token of the family.
    pub id: String,
    pub authorization: Authorization,
    pub created: Timestamp,
    /// When the last of it ends.
    pub expires: Timestamp,
    pub revoked: bool,
    pub refresh: Option<Lineage>,
}

/// The family's refresh token: the current one, and what is needed to answer a retry with the same successor.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Lineage {
    /// Counts rotations.
    pub generation: u64,
    /// base64url of the SHA-256 of the current handle.
    pub current: String,
    /// The same of the one before it, and when it was used: within the grace its use gives `current` again.
    pub previous: Option<(String, Timestamp)>,
    /// The current handle expires then if it is not used.
    pub expires: Timestamp,
}

/// Families by what may end them.
pub const BY_CLIENT: &str = "family.client";
pub const BY_ACCOUNT: &str = "family.account";
pub const BY_SESSION: &str = "family.session";

impl Record for Family {
    const SHELF: &'static str = "family";

    fn id(&self) -> Bytes {
        self.id.clone().into()
    }
    fn expires(&self) -> Timestamp {
        self.expires
    }
    fn dead(&self) -> bool {
        self.revoked
    }
    fn index(&self) -> Vec<IndexKey> {
        let a = &self.authorization;
        let mut rows = vec![index(BY_CLIENT, &a.client_id), index(BY_ACCOUNT, &a.account)];
        rows.extend(a.sid.iter().map(|sid| index(BY_SESSION, sid)));
        rows
    }
}
