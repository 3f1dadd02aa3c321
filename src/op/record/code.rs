//! An authorization code (RFC 6749 §4.1.2). It outlives its use as a tombstone, so that a second use is seen as
//! reuse and kills the family.

use crate::base::clock::Timestamp;
use crate::base::encode::base64url;
use crate::base::secret::sha256;
use crate::store::record::Record;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Code {
    /// base64url of the SHA-256 of the code.
    pub digest: String,
    pub family: String,
    /// The family is there already: an access token was given out beside the code.
    #[serde(default)]
    pub founded: bool,
    pub client_id: String,
    pub redirect_uri: String,
    /// PKCE (RFC 7636 §4.3), method S256.
    pub code_challenge: Option<String>,
    pub nonce: Option<String>,
    /// The thumbprint of the key the token request must prove (RFC 9449 §10).
    #[serde(default)]
    pub dpop_jkt: Option<String>,
    /// What the person authorized: the family's, which its redemption founds or goes on with.
    pub authorization: super::family::Authorization,
    /// When the person authorized; a mark on a parent from then on or later is deadly.
    pub created: Timestamp,
    /// From here on it cannot be redeemed.
    pub redeem_until: Timestamp,
    /// It was redeemed.
    pub spent: bool,
    /// When the tombstone may be swept.
    pub forget: Timestamp,
}

impl Code {
    /// The identifier under which the code `handle` is stored.
    pub fn digest_of(handle: &str) -> String {
        base64url(&sha256(handle.as_bytes()))
    }
}

impl Record for Code {
    const SHELF: &'static str = "code";

    fn id(&self) -> Bytes {
        self.digest.clone().into()
    }
    fn expires(&self) -> Timestamp {
        self.forget
    }
}
