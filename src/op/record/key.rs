//! A key of the provider, sealed under the at-rest key, and the ring's version: one record that every change
//! of the ring writes, so that two processes never change it at once.

use crate::base::clock::Timestamp;
use crate::jose::{Purpose, State};
use crate::store::record::Record;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Key {
    /// The RFC 7638 thumbprint of its public half, or the name it had at another provider; also what the sealing is
    /// bound to.
    pub kid: String,
    /// The signature algorithm, or the kind of key that others encrypt to.
    #[serde(rename = "alg")]
    pub purpose: Purpose,
    pub state: State,
    pub created: Timestamp,
    /// When it came into its present state.
    pub since: Timestamp,
    /// base64url of its PKCS#8 form, sealed.
    pub sealed: String,
}

impl Record for Key {
    const SHELF: &'static str = "key";

    fn id(&self) -> Bytes {
        self.kid.clone().into()
    }
    fn expires(&self) -> Timestamp {
        Timestamp::NEVER
    }
}

/// There is exactly one.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct RingVersion {
    /// How often the ring has changed.
    pub changes: u64,
}

impl RingVersion {
    pub const ID: &str = "ring";
}

impl Record for RingVersion {
    const SHELF: &'static str = "key_ring";

    fn id(&self) -> Bytes {
        RingVersion::ID.into()
    }
    fn expires(&self) -> Timestamp {
        Timestamp::NEVER
    }
}
