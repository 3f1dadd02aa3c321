//! An authorization request that waits for a person. Bound to the browser that began it; gone once it is completed.

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
    /// What was answered so far. Each answer names what it was given for, so that it counts for nothing else.
    pub answers: Answers,
}

/// The answers of one interaction.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Answers {
    /// The session (by `sid`) that a sign-in of this interaction made or renewed.
    pub signed_in: Option<String>,
    /// The session (by `sid`) the person chose to go on with.
    pub chosen: Option<String>,
    /// The person wants to use another account than the session's.
    pub another: bool,
    /// The person wants to make an account, or has one after all; `None` = as the request asks.
    pub creating: Option<bool>,
    /// The account that allowed the request.
    pub allowed_by: Option<String>,
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
