//! Secrets and what is made of them: digests, MACs, sealed values. Comparisons take the same time whatever differs.

use crate::base::random::{NoRandomness, Random};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::{digest, hmac, pbkdf2};
use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use zeroize::Zeroizing;

/// A text that must never be printed. Cleared from memory when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(Zeroizing::new(text.into()))
    }

    /// The text itself. Whoever calls this must not log or store it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    pub fn matches(&self, presented: &str) -> bool {
        equal(self.0.as_bytes(), presented.as_bytes())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The SHA-256 under which a bearer value is known at rest and in caches.
pub type Digest = [u8; 32];

pub fn sha256(bytes: &[u8]) -> Digest {
    let digest = digest::digest(&digest::SHA256, bytes);
    let mut out = [0; 32];
    for (to, from) in out.iter_mut().zip(digest.as_ref()) {
        *to = *from;
    }
    out
}

/// In time that depends on the lengths only.
pub fn equal(left: &[u8], right: &[u8]) -> bool {
    subtle::ConstantTimeEq::ct_eq(left, right).into()
}

/// PBKDF2 with HMAC-SHA-256 (RFC 8018 §5.2), 32 bytes: blocks for as long as so many iterations take.
pub fn pbkdf2_sha256(iterations: NonZeroU32, salt: &[u8], password: &[u8]) -> Digest {
    let mut out = [0; 32];
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, salt, password, &mut out);
    out
}

/// HMAC-SHA-256 over parts that cannot be confused: each is preceded by its length (a MAC over a plain
/// concatenation would accept bytes moved from one part to the next).
pub fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> Digest {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    let mut context = hmac::Context::with_key(&key);
    for part in parts {
        context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        context.update(part);
    }
    let mut out = [0; 32];
    for (to, from) in out.iter_mut().zip(context.sign().as_ref()) {
        *to = *from;
    }
    out
}

/// The key under which reusable secrets are sealed at rest, and the root of the other server keys.
#[derive(Clone)]
pub struct AtRestKey(Arc<Zeroizing<[u8; 32]>>);

/// A sealed value that does not open: another key, another record, or changed bytes.
#[derive(Debug, thiserror::Error)]
#[error("a sealed value does not open: wrong at-rest key, or the value was changed")]
pub struct Unopened;

impl AtRestKey {
    pub fn new(bytes: [u8; 32]) -> AtRestKey {
        AtRestKey(Arc::new(Zeroizing::new(bytes)))
    }

    /// A key for one purpose, from which neither this key nor another purpose's can be found.
    pub fn derive(&self, purpose: &str) -> [u8; 32] {
        hmac_sha256(&self.0[..], &[b"derive", purpose.as_bytes()])
    }

    /// AES-256-GCM, nonce in front. `context` is the record's identity: a value moved to another record does not open.
    pub fn seal(&self, random: &Random, context: &[u8], plain: &[u8]) -> Result<Vec<u8>, NoRandomness> {
        let nonce = random.bytes::<NONCE_LEN>()?;
        let mut out = nonce.to_vec();
        let mut body = plain.to_vec();
        let sealed = self.aead().and_then(|key| {
            key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(context), &mut body)
                .ok()
        });
        sealed.ok_or(NoRandomness)?;
        out.append(&mut body);
        Ok(out)
    }

    pub fn open(&self, context: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Unopened> {
        let (nonce, body) = sealed.split_at_checked(NONCE_LEN).ok_or(Unopened)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Unopened)?;
        let mut body = Zeroizing::new(body.to_vec());
        let key = self.aead().ok_or(Unopened)?;
        let length = key.open_in_place(nonce, Aad::from(context), &mut body).map_err(|_| Unopened)?.len();
        body.truncate(length);
        Ok(body)
    }

    fn aead(&self) -> Option<LessSafeKey> {
        UnboundKey::new(&AES_256_GCM, &self.0[..]).ok().map(LessSafeKey::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_value_opens_only_under_its_key_and_its_record() {
        let (key, random) = (AtRestKey::new([7; 32]), Random::scripted(1));
        let sealed = key.seal(&random, b"client/1", b"secret").unwrap();
        assert_eq!(&key.open(b"client/1", &sealed).unwrap()[..], b"secret");
        assert!(key.open(b"client/2", &sealed).is_err());
        assert!(AtRestKey::new([8; 32]).open(b"client/1", &sealed).is_err());
        for at in 0..sealed.len() {
            let mut bent = sealed.clone();
            bent[at] ^= 1;
            assert!(key.open(b"client/1", &bent).is_err(), "byte {at}");
        }
        assert!(key.open(b"client/1", b"short").is_err());
    }

    #[test]
    fn a_mac_tells_where_one_part_ends_and_the_next_begins() {
        assert_ne!(hmac_sha256(b"k", &[b"ab", b"c"]), hmac_sha256(b"k", &[b"a", b"bc"]));
    }
}
