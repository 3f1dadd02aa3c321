//! The only source of randomness. Tests script it.

use crate::base::encode::base64url;
use ring::rand::{SecureRandom, SystemRandom};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Unpredictable bytes, or a reproducible row of them in tests.
#[derive(Clone)]
pub struct Random(Source);

#[derive(Clone)]
enum Source {
    System(SystemRandom),
    Scripted(Arc<AtomicU64>),
}

/// The operating system has no randomness to give. Nothing may be issued then.
#[derive(Debug, thiserror::Error)]
#[error("the system's random source failed")]
pub struct NoRandomness;

impl Random {
    pub fn system() -> Random {
        Random(Source::System(SystemRandom::new()))
    }

    /// The n-th call gives the SHA-256 chain of `seed + n`: reproducible, never repeating. For tests only.
    pub fn scripted(seed: u64) -> Random {
        Random(Source::Scripted(Arc::new(AtomicU64::new(seed))))
    }

    pub fn fill(&self, bytes: &mut [u8]) -> Result<(), NoRandomness> {
        match &self.0 {
            Source::System(system) => system.fill(bytes).map_err(|_| NoRandomness),
            Source::Scripted(next) => {
                let turn = next.fetch_add(1, Ordering::SeqCst);
                for (block, chunk) in bytes.chunks_mut(32).enumerate() {
                    let digest = crate::base::secret::sha256(format!("{turn}/{block}").as_bytes());
                    for (to, from) in chunk.iter_mut().zip(digest) {
                        *to = from;
                    }
                }
                Ok(())
            }
        }
    }

    pub fn bytes<const N: usize>(&self) -> Result<[u8; N], NoRandomness> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    /// 32 bytes as 43 characters of base64url: a handle, a nonce, an identifier nobody can guess.
    pub fn token(&self) -> Result<String, NoRandomness> {
        Ok(base64url(&self.bytes::<32>()?))
    }

    /// 16 bytes as 22 characters of base64url: an identifier that only has to be unique.
    pub fn id(&self) -> Result<String, NoRandomness> {
        Ok(base64url(&self.bytes::<16>()?))
    }
}
