//! One access token that was revoked by itself, by its `jti`. Kept until the token would have expired.

use crate::base::clock::Timestamp;
use crate::store::record::Record;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Denied {
    pub jti: String,
    pub expires: Timestamp,
}

impl Record for Denied {
    const SHELF: &'static str = "denied";

    fn id(&self) -> Bytes {
        self.jti.clone().into()
    }
    fn expires(&self) -> Timestamp {
        self.expires
    }
}
