//! Passwords: hashed with argon2id (RFC 9106), on the pool for work that blocks. Hashes as Django writes them are
//! checked, never made.

use super::Person;
use super::django::Pbkdf2;
use crate::base::random::Random;
use crate::base::secret::{Secret, pbkdf2_sha256};
use crate::base::work::Work;
use crate::op::Op;
use crate::op::error::{Code, Error, Result, server_error, unavailable};
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use std::num::NonZeroU32;

/// The longest password that is hashed, in bytes.
pub const MAX_PASSWORD: usize = 1_024;

/// KiB, passes and lanes of hashes we make (OWASP's first choice for argon2id with little memory).
const MEMORY: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// What a hash in a file or the store may cost: more would stop the pool.
const MAX_MEMORY: u32 = 1 << 20;
const MAX_PASSES: u32 = 64;

/// The hash of something nobody knows: an unknown user costs what a known one does.
pub(super) const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$y6y95W4GYBZu/uKWkjXSDw$XRkLxm7egcklp+sFdGXiyyH2Cg3nMsxtrlbj82xNCrM";

/// Whether `password` is the person's. Nobody, the disabled and those without a password cost the same and are never
/// right. `iterations` are the most that anybody's PBKDF2 hash takes: everybody takes as many, so that time does not
/// tell whose hash is of which kind.
pub async fn verify(work: &Work, person: Option<&Person>, password: Secret, iterations: u32) -> Result<bool> {
    let known = person.and_then(|person| person.password.clone());
    let real = known.is_some() && person.is_some_and(|person| !person.disabled);
    let hash = known.unwrap_or_else(|| Secret::new(NOBODY));
    let right = work.run(move || matches(&password, &hash, iterations)).await.map_err(unavailable)?;
    Ok(right && real)
}

/// Whether a new password may be `password`.
pub fn is_long_enough(op: &Op, password: &str) -> bool {
    password.len() <= MAX_PASSWORD && password.chars().count() >= op.settings.passwords.min_length.max(1)
}

/// A new hash as a PHC string. For the command line and `user passwd`.
pub async fn hash(work: &Work, random: &Random, password: Secret) -> Result<String> {
    if password.expose().is_empty() || password.expose().len() > MAX_PASSWORD {
        return Err(Error::new(Code::InvalidRequest, "A password has 1 to 1024 bytes"));
    }
    let salt = random.bytes::<16>()?;
    let hashed = work.run(move || hash_with(&password, &salt)).await.map_err(unavailable)?;
    hashed.ok_or_else(|| server_error("argon2 refused its parameters"))
}

/// Computes: blocks for tens of milliseconds.
pub fn hash_with(password: &Secret, salt: &[u8; 16]) -> Option<String> {
    let params = Params::new(MEMORY, PASSES, LANES, None).ok()?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let hash = argon2.hash_password_with_salt(password.expose().as_bytes(), salt).ok()?;
    Some(hash.to_string())
}

fn matches(password: &Secret, hash: &Secret, iterations: u32) -> bool {
    if password.expose().len() > MAX_PASSWORD {
        return false;
    }
    let django = Pbkdf2::parse(hash.expose());
    let by_argon2 = matches_phc(password, if django.is_some() { NOBODY } else { hash.expose() });
    let by_django = django.as_ref().is_some_and(|hash| hash.matches(password));
    let left = iterations.saturating_sub(django.as_ref().map_or(0, |hash| hash.iterations.get()));
    if let Some(left) = NonZeroU32::new(left) {
        std::hint::black_box(pbkdf2_sha256(left, b"nobody", password.expose().as_bytes()));
    }
    if django.is_some() { by_django } else { by_argon2 }
}

fn matches_phc(password: &Secret, hash: &str) -> bool {
    let Ok(hash) = PasswordHash::new(hash) else { return false };
    Argon2::default().verify_password(password.expose().as_bytes(), &hash).is_ok()
}

/// What is wrong with a hash that an operator wrote, if anything.
pub fn fault(hash: &str) -> Option<&'static str> {
    if hash.starts_with("pbkdf2_") {
        return Pbkdf2::fault(hash);
    }
    let Ok(parsed) = PasswordHash::new(hash) else {
        return Some("is not a PHC string; `oidcop-proxy hash-password` makes one");
    };
    if parsed.algorithm.as_str() != "argon2id" || parsed.hash.is_none() || parsed.salt.is_none() {
        return Some("must be an argon2id hash; `oidcop-proxy hash-password` makes one");
    }
    match Params::try_from(&parsed) {
        Ok(params) if params.m_cost() <= MAX_MEMORY && params.t_cost() <= MAX_PASSES => None,
        _ => Some("asks for more than 1 GiB of memory or 64 passes"),
    }
}

/// A hash that takes no time to check.
#[cfg(test)]
pub(crate) fn hash_cheaply(password: &str) -> String {
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(8, 1, 1, None).unwrap());
    argon2.hash_password_with_salt(password.as_bytes(), b"0123456789abcdef").unwrap().to_string()
}
