//! JOSE as this house needs it: keys, signatures, one strict verifier, encryption. RFC 7515, 7516, 7517, 7518, 7519,
//! 7638, 8037, 9864.
//!
//! Deliberately absent: `alg: none` cannot be expressed, MACs are a type of their own and never meet public keys, and
//! nothing a token says about where its key lies (`jku`, `x5u`, `jwk`, `x5c`) is ever looked at, but in a DPoP proof.

pub mod alg;
pub mod dpop;
pub mod json;
pub mod jwe;
pub mod jwk;
pub mod jws;
pub mod key;
pub mod keyring;
pub mod mac;
mod private;
#[cfg(test)]
mod properties;
#[cfg(test)]
pub(crate) mod prover;
pub mod remote;
pub mod rotation;
mod signer;
pub mod thumbprint;

pub use alg::{Algorithm, Family, MacAlgorithm};
pub use dpop::{Proof, ProofRules, verify_proof};
pub use jwe::{DecryptionKey, Encryption, EncryptionKey, JweAlg, JweEnc, KeyKind};
pub use jwk::{Jwk, JwkSet};
pub use jws::{Audience, Expiry, Header, Jws, KeySource, Rules, Typ, Verified, verify};
pub use key::SigningKey;
pub use keyring::{KeyRing, OwnKey, RingKey};
pub use mac::{MacJws, MacKey};
pub use private::{PrivateKey, private_keys};
pub use remote::RemoteKeys;
pub use rotation::{Fate, Note, Purpose, RotationPolicy, State, Step};
pub use signer::Signer;

use crate::base::fetch;

/// Why a key or a token was refused. Logged with the request id, never shown.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Fault {
    /// Beyond a cap, before any work was done.
    #[error("{what} is larger than {most}")]
    TooLarge { what: &'static str, most: usize },
    /// Not the form the specification gives it.
    #[error("malformed: {0}")]
    Malformed(&'static str),
    /// A JSON member that stands twice (RFC 7515 §4, RFC 7519 §4).
    #[error("a JSON member stands twice")]
    Duplicate,
    /// An algorithm that is unknown or was not agreed on.
    #[error("the algorithm is not acceptable here")]
    Algorithm,
    /// A header parameter that must be understood and is not (RFC 7515 §4.1.11), or that changes what is signed.
    #[error("the header asks for {0}, which is not supported")]
    Extension(&'static str),
    /// Another kind of token (RFC 8725 §3.11).
    #[error("the token is of another type")]
    Typ,
    /// No key of the signer fits. Fetched sets may have a newer version.
    #[error("no key of the signer fits the token")]
    UnknownKey,
    #[error("the signature does not verify")]
    Signature,
    /// Whatever is wrong with an encrypted token beyond its outer form: one fault for all of it.
    #[error("the token does not decrypt")]
    Decryption,
    /// A claim that is missing, of the wrong JSON type, or not what it must be.
    #[error("the claim {name} {why}")]
    Claim { name: String, why: &'static str },
    #[error("the token has expired")]
    Expired,
    /// A key that must not be used: its size, its curve, its members.
    #[error("unusable key: {0}")]
    Key(&'static str),
    /// A key set that could not be had.
    #[error("the key set is not available: {0}")]
    Unavailable(String),
    /// The cryptographic library refused to generate or to sign.
    #[error("cryptographic failure: {0}")]
    Crypto(&'static str),
}

impl From<fetch::Fault> for Fault {
    fn from(fault: fetch::Fault) -> Fault {
        Fault::Unavailable(fault.to_string())
    }
}
