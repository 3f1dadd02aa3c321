//! The form of a refresh token: base64url of its family's id (16 bytes), a handle (32 bytes) and a seal (16 bytes)
//! over both. The seal tells a token of ours that was rotated away, however long ago, from one that somebody made up
//! around a family's id: only the former is reuse (RFC 9700 §4.14.2). The store knows the handle's digest only.

use crate::base::encode::{base64url, from_base64url_exact};
use crate::base::random::NoRandomness;
use crate::base::secret::{equal, hmac_sha256, sha256};
use crate::op::Op;

/// The server keys of refresh tokens; derived from the at-rest key, so that every node has the same.
pub struct RefreshKeys {
    successor: [u8; 32],
    seal: [u8; 32],
}

impl RefreshKeys {
    pub fn new(at_rest: &crate::base::secret::AtRestKey) -> RefreshKeys {
        RefreshKeys {
            successor: at_rest.derive("refresh token successors"),
            seal: at_rest.derive("refresh token seals"),
        }
    }
}

const FAMILY: usize = 16;
const HANDLE: usize = 32;
const SEAL: usize = 16;
const WHOLE: usize = FAMILY + HANDLE + SEAL;

/// A refresh token whose seal is ours.
#[derive(Clone, PartialEq, Eq)]
pub struct RefreshToken {
    /// base64url, as the family is stored under.
    pub family: String,
    family_bytes: [u8; FAMILY],
    handle: [u8; HANDLE],
}

impl RefreshToken {
    /// The first of the family `family` (base64url of 16 bytes).
    pub fn first(op: &Op, family: &str) -> Result<RefreshToken, NoRandomness> {
        let family_bytes = from_base64url_exact(family).ok_or(NoRandomness)?;
        Ok(RefreshToken { family: family.to_owned(), family_bytes, handle: op.random().bytes()? })
    }

    /// `None`: not one of ours.
    pub fn read(op: &Op, token: &str) -> Option<RefreshToken> {
        let bytes: [u8; WHOLE] = from_base64url_exact(token)?;
        let (family, rest) = bytes.split_first_chunk::<FAMILY>()?;
        let (handle, seal) = rest.split_first_chunk::<HANDLE>()?;
        let token = RefreshToken { family: base64url(family), family_bytes: *family, handle: *handle };
        equal(&token.seal(op), seal).then_some(token)
    }

    pub fn write(&self, op: &Op) -> String {
        base64url(&[&self.family_bytes[..], &self.handle, &self.seal(op)].concat())
    }

    /// base64url of the SHA-256 of the handle.
    pub fn digest(&self) -> String {
        base64url(&sha256(&self.handle))
    }

    /// The one that follows it as number `generation`: always the same.
    pub fn successor(&self, op: &Op, generation: u64) -> RefreshToken {
        let key = &op.shared.refresh_keys.successor;
        let handle = hmac_sha256(key, &[&self.handle, &generation.to_be_bytes()]);
        RefreshToken { handle, ..self.clone() }
    }

    fn seal(&self, op: &Op) -> [u8; SEAL] {
        let mac = hmac_sha256(&op.shared.refresh_keys.seal, &[&self.family_bytes, &self.handle]);
        let (seal, _) = mac.split_first_chunk::<SEAL>().unwrap_or((&[0; SEAL], &[]));
        *seal
    }
}
