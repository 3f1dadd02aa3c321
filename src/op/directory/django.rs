//! Password hashes as Django writes them: `pbkdf2_sha256$iterations$salt$hash` (RFC 8018 §5.2, the hash as base64).
//! They are checked until their owner signs in, and then replaced; Django's other forms are not known here.

use crate::base::encode::from_base64_lenient;
use crate::base::secret::{Secret, equal, pbkdf2_sha256};
use std::num::NonZeroU32;

/// What a hash may cost: more would stop the pool. Django 6 takes 1.2 million.
const MAX_ITERATIONS: u32 = 10_000_000;
const MAX_SALT: usize = 256;

#[derive(Debug)]
pub struct Pbkdf2<'a> {
    pub iterations: NonZeroU32,
    salt: &'a str,
    hash: Vec<u8>,
}

impl<'a> Pbkdf2<'a> {
    /// `None` if it is of another form.
    pub fn parse(text: &'a str) -> Option<Pbkdf2<'a>> {
        let mut parts = text.strip_prefix("pbkdf2_sha256$")?.splitn(3, '$');
        let iterations = parts.next()?.parse().ok()?;
        let salt = parts.next().filter(|salt| !salt.is_empty() && salt.len() <= MAX_SALT)?;
        let hash = parts.next().and_then(from_base64_lenient).filter(|hash| hash.len() == 32)?;
        Some(Pbkdf2 { iterations, salt, hash })
    }

    /// Computes: blocks for some hundred milliseconds.
    pub fn matches(&self, password: &Secret) -> bool {
        let made = pbkdf2_sha256(self.iterations, self.salt.as_bytes(), password.expose().as_bytes());
        equal(&made, &self.hash)
    }

    /// What is wrong with one that stands in a file, if anything.
    pub fn fault(text: &str) -> Option<&'static str> {
        match Pbkdf2::parse(text) {
            None => Some("must be pbkdf2_sha256$iterations$salt$hash, as Django writes it"),
            Some(hash) if hash.iterations.get() > MAX_ITERATIONS => {
                Some("asks for more than 10 million iterations")
            }
            Some(_) => None,
        }
    }
}
