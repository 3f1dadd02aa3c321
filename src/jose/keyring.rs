//! Our keys as they are right now: an immutable snapshot, swapped whole. Which key comes into which state when is
//! decided in `rotation.rs`; storing and sealing them is the provider's.

use super::Fault;
use super::alg::Algorithm;
use super::jwe::DecryptionKey;
use super::jwk::Jwk;
use super::key::SigningKey;
use super::rotation::{Note, Purpose, State};
use crate::base::clock::Timestamp;
use crate::base::encode::base64url;
use crate::base::secret::sha256;
use bytes::Bytes;
use serde_json::{Map, Value, json};
use std::collections::{HashMap, HashSet};
use zeroize::Zeroizing;

/// A key of ours, whatever it is for.
#[derive(Clone, Debug)]
pub enum OwnKey {
    Signs(SigningKey),
    Decrypts(DecryptionKey),
}

impl OwnKey {
    pub fn kid(&self) -> &str {
        match self {
            OwnKey::Signs(key) => key.kid(),
            OwnKey::Decrypts(key) => key.kid(),
        }
    }

    pub fn purpose(&self) -> Purpose {
        match self {
            OwnKey::Signs(key) => Purpose::Sign(key.alg()),
            OwnKey::Decrypts(key) => Purpose::Decrypt(key.kind()),
        }
    }

    /// A new one. RSA takes some hundred milliseconds.
    pub fn generate(purpose: Purpose) -> Result<OwnKey, Fault> {
        match purpose {
            Purpose::Sign(alg) => SigningKey::generate(alg).map(OwnKey::Signs),
            Purpose::Decrypt(kind) => DecryptionKey::generate(kind).map(OwnKey::Decrypts),
        }
    }

    /// From its stored form, under the name it was stored by.
    pub fn from_pkcs8(purpose: Purpose, kid: &str, der: &[u8]) -> Result<OwnKey, Fault> {
        match purpose {
            Purpose::Sign(alg) => SigningKey::from_pkcs8(alg, der)?.named(kid).map(OwnKey::Signs),
            Purpose::Decrypt(kind) => DecryptionKey::from_pkcs8(kind, der).map(OwnKey::Decrypts),
        }
    }

    /// PKCS#8 DER. Whoever stores it seals it.
    pub fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, Fault> {
        match self {
            OwnKey::Signs(key) => key.to_pkcs8(),
            OwnKey::Decrypts(key) => key.to_pkcs8(),
        }
    }
}

impl From<SigningKey> for OwnKey {
    fn from(key: SigningKey) -> OwnKey {
        OwnKey::Signs(key)
    }
}

impl From<DecryptionKey> for OwnKey {
    fn from(key: DecryptionKey) -> OwnKey {
        OwnKey::Decrypts(key)
    }
}

/// A key and its place in life.
#[derive(Clone, Debug)]
pub struct RingKey {
    pub key: OwnKey,
    pub state: State,
    pub created: Timestamp,
    /// When it came into its present state.
    pub since: Timestamp,
}

impl RingKey {
    /// What the rotation rules need to know of it.
    pub fn note(&self) -> Note {
        Note {
            kid: self.key.kid().to_owned(),
            purpose: self.key.purpose(),
            state: self.state,
            created: self.created,
            since: self.since,
        }
    }
}

/// Signs with the current keys, verifies and decrypts with all of them, publishes those that may sign or may have signed
/// something that still lives, and those that others shall encrypt to.
#[derive(Clone, Debug)]
pub struct KeyRing {
    keys: Vec<RingKey>,
    signers: Vec<SigningKey>,
    /// Of every state.
    decryption: Vec<DecryptionKey>,
    by_kid: HashMap<String, Jwk>,
    jwks: Bytes,
    jwks_tag: String,
}

impl KeyRing {
    /// Refused: two keys with one `kid`, two current keys for one algorithm.
    pub fn new(mut keys: Vec<RingKey>) -> Result<KeyRing, Fault> {
        // The same order however they were loaded: what signs first, then by algorithm.
        keys.sort_by(|one, other| {
            let place = |key: &RingKey| {
                // Keys that others encrypt to come after those that sign.
                let position = match key.key.purpose() {
                    Purpose::Sign(alg) => Algorithm::ALL.iter().position(|known| *known == alg),
                    Purpose::Decrypt(_) => Some(Algorithm::ALL.len()),
                };
                (key.state, position)
            };
            let by_name = || one.key.purpose().name().cmp(other.key.purpose().name());
            let by_kid = || one.key.kid().cmp(other.key.kid());
            place(one).cmp(&place(other)).then_with(by_name).then_with(by_kid)
        });
        let (mut kids, mut by_kid) = (HashSet::new(), HashMap::new());
        let mut signers: Vec<SigningKey> = Vec::new();
        let mut decryption: Vec<DecryptionKey> = Vec::new();
        for ring_key in &keys {
            if !kids.insert(ring_key.key.kid()) {
                return Err(Fault::Key("its kid stands twice in the ring"));
            }
            match &ring_key.key {
                OwnKey::Signs(key) => {
                    by_kid.insert(key.kid().to_owned(), key.public().clone());
                    if ring_key.state == State::Current {
                        if signers.iter().any(|signer| signer.alg().is(key.alg())) {
                            return Err(Fault::Key("its algorithm has a current key already"));
                        }
                        signers.push(key.clone());
                    }
                }
                OwnKey::Decrypts(key) => decryption.push(key.clone()),
            }
        }
        // RFC 9864: a client that registered `Ed25519` gets that name in the header, from the same key.
        let twins: Vec<_> = signers.iter().filter_map(SigningKey::under_other_name).collect();
        signers.extend(twins);
        let jwks = render(&keys);
        let jwks_tag = format!("\"{}\"", base64url(&sha256(&jwks)));
        Ok(KeyRing { keys, signers, decryption, by_kid, jwks, jwks_tag })
    }

    /// The current key for `alg`, under exactly that name.
    pub fn signer(&self, alg: Algorithm) -> Option<&SigningKey> {
        self.signers.iter().find(|signer| signer.alg() == alg)
    }

    /// The algorithms there is a current key for.
    pub fn algorithms(&self) -> impl Iterator<Item = Algorithm> + '_ {
        self.signers.iter().map(SigningKey::alg)
    }

    /// What others may have encrypted to: keys of any state, those they should use first.
    pub fn decryption_keys(&self) -> &[DecryptionKey] {
        &self.decryption
    }

    /// A signing key of any state.
    pub fn verify_key(&self, kid: &str) -> Option<&Jwk> {
        self.by_kid.get(kid)
    }

    /// The published key set, rendered once: next, current and retiring signing keys, current keys to encrypt to, public
    /// members only.
    pub fn jwks(&self) -> &Bytes {
        &self.jwks
    }

    /// Its entity tag (RFC 9110 §8.8.3), in quotes.
    pub fn jwks_tag(&self) -> &str {
        &self.jwks_tag
    }

    pub fn keys(&self) -> &[RingKey] {
        &self.keys
    }

    pub fn notes(&self) -> Vec<Note> {
        self.keys.iter().map(RingKey::note).collect()
    }
}

fn render(keys: &[RingKey]) -> Bytes {
    let published: Vec<Value> = keys.iter().filter_map(published).map(Value::Object).collect();
    Bytes::from(json!({ "keys": published }).to_string())
}

fn published(ring_key: &RingKey) -> Option<Map<String, Value>> {
    match &ring_key.key {
        OwnKey::Signs(key) => ring_key.state.is_published().then(|| key.public().to_json()),
        // What was replaced is not to be encrypted to any more (OpenID Connect Core §10.2.1).
        OwnKey::Decrypts(key) => (ring_key.state == State::Current).then(|| key.public().to_json()),
    }
}

#[cfg(test)]
mod tests;
