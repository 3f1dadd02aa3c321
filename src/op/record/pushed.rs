//! An authorization request that its client pushed (RFC 9126 §2). Gone once it was completed; a page of it that is loaded
//! again finds it still there.

use crate::base::clock::Timestamp;
use crate::base::encode::{base64url, from_base64url_exact};
use crate::base::secret::sha256;
use crate::op::request::params::Params;
use crate::store::record::Record;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// RFC 9126 §2.2: what a handle is behind in a `request_uri`.
const PREFIX: &str = "urn:ietf:params:oauth:request_uri:";

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Pushed {
    /// base64url of the SHA-256 of the handle.
    pub digest: String,
    pub client_id: String,
    /// Those that count, every check passed.
    pub params: Params,
    /// From here on nothing new is begun with it.
    pub usable_until: Timestamp,
    /// When the last that was begun with it has ended.
    pub forget: Timestamp,
}

impl Pushed {
    pub fn uri_of(handle: &str) -> String {
        format!("{PREFIX}{handle}")
    }

    /// The handle in `request_uri`, if it is one of ours.
    pub fn handle_of(request_uri: &str) -> Option<&str> {
        request_uri.strip_prefix(PREFIX)
    }

    /// The identifier under which the request of `handle` is stored.
    pub fn digest_of(handle: &str) -> String {
        // What cannot be a handle is not worth a digest of its length.
        let handle = if from_base64url_exact::<32>(handle).is_some() { handle } else { "" };
        base64url(&sha256(handle.as_bytes()))
    }
}

impl Record for Pushed {
    const SHELF: &'static str = "pushed";

    fn id(&self) -> Bytes {
        self.digest.clone().into()
    }
    fn expires(&self) -> Timestamp {
        self.forget
    }
}
