//! Our keys as they are right now: an immutable snapshot, swapped whole. Which key comes into which state when is
//! decided in `rotation.rs`; storing and sealing them is the provider's.

use super::Fault;
use super::alg::Algorithm;
use super::jwk::Jwk;
use super::key::SigningKey;
use super::rotation::{Note, State};
use crate::base::clock::Timestamp;
use crate::base::encode::base64url;
use crate::base::secret::sha256;
use bytes::Bytes;
use serde_json::{Value, json};
use std::collections::HashMap;

/// A key and its place in life.
#[derive(Clone, Debug)]
pub struct RingKey {
    pub key: SigningKey,
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
            alg: self.key.alg(),
            state: self.state,
            created: self.created,
            since: self.since,
        }
    }
}

/// Signs with the current keys, verifies with all of them, publishes those that may sign or may have signed something
/// that still lives.
#[derive(Clone, Debug)]
pub struct KeyRing {
    keys: Vec<RingKey>,
    signers: Vec<SigningKey>,
    by_kid: HashMap<String, Jwk>,
    jwks: Bytes,
    jwks_tag: String,
}

impl KeyRing {
    /// Refused: two keys with one `kid`, two current keys for one algorithm.
    pub fn new(mut keys: Vec<RingKey>) -> Result<KeyRing, Fault> {
        // The same order however they were loaded: what signs first, then by algorithm.
        keys.sort_by(|one, other| {
            let place =
                |key: &RingKey| (key.state, Algorithm::ALL.iter().position(|alg| *alg == key.key.alg()));
            place(one).cmp(&place(other)).then_with(|| one.key.kid().cmp(other.key.kid()))
        });
        let mut by_kid = HashMap::new();
        let mut signers: Vec<SigningKey> = Vec::new();
        for ring_key in &keys {
            let public = ring_key.key.public().clone();
            if by_kid.insert(ring_key.key.kid().to_owned(), public).is_some() {
                return Err(Fault::Key("its kid stands twice in the ring"));
            }
            if ring_key.state == State::Current {
                if signers.iter().any(|signer| signer.alg().is(ring_key.key.alg())) {
                    return Err(Fault::Key("its algorithm has a current key already"));
                }
                signers.push(ring_key.key.clone());
            }
        }
        // RFC 9864: a client that registered `Ed25519` gets that name in the header, from the same key.
        let twins: Vec<_> = signers.iter().filter_map(SigningKey::under_other_name).collect();
        signers.extend(twins);
        let jwks = render(&keys);
        let jwks_tag = format!("\"{}\"", base64url(&sha256(&jwks)));
        Ok(KeyRing { keys, signers, by_kid, jwks, jwks_tag })
    }

    /// The current key for `alg`, under exactly that name.
    pub fn signer(&self, alg: Algorithm) -> Option<&SigningKey> {
        self.signers.iter().find(|signer| signer.alg() == alg)
    }

    /// The algorithms there is a current key for.
    pub fn algorithms(&self) -> impl Iterator<Item = Algorithm> + '_ {
        self.signers.iter().map(SigningKey::alg)
    }

    /// A key of any state.
    pub fn verify_key(&self, kid: &str) -> Option<&Jwk> {
        self.by_kid.get(kid)
    }

    /// The published key set, rendered once: next, current and retiring keys, public members only.
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
    let published: Vec<Value> = keys
        .iter()
        .filter(|ring_key| ring_key.state.is_published())
        .map(|ring_key| Value::Object(ring_key.key.public().to_json()))
        .collect();
    Bytes::from(json!({ "keys": published }).to_string())
}

#[cfg(test)]
mod tests;
