//! What signs for one party, as it registered: a key of ours, or the secret it shares with us.

use super::Fault;
use super::alg::MacAlgorithm;
use super::key::SigningKey;
use super::mac::MacKey;

#[derive(Clone, Debug)]
pub enum Signer {
    Key(SigningKey),
    Mac(MacKey, MacAlgorithm),
}

impl Signer {
    /// The compact JWS over `claims` (JSON text), of type `typ`.
    pub fn sign(&self, typ: &str, claims: &[u8]) -> Result<String, Fault> {
        match self {
            Signer::Key(key) => key.sign(typ, claims),
            Signer::Mac(key, alg) => key.sign(*alg, typ, claims),
        }
    }

    /// `at_hash`, `c_hash`: [`super::Algorithm::half_hash`].
    pub fn half_hash(&self, value: &str) -> String {
        match self {
            Signer::Key(key) => key.alg().half_hash(value),
            Signer::Mac(_, alg) => alg.half_hash(value),
        }
    }
}
