//! `dpop_jkt` (RFC 9449 §10): the thumbprint of the key that the code will be bound to.

use super::Params;
use crate::base::encode::from_base64url_exact;
use crate::op::error::{Result, invalid_request};

pub(super) fn check(params: &Params) -> Result<Option<String>> {
    match params.one("dpop_jkt") {
        Some(thumbprint) if from_base64url_exact::<32>(thumbprint).is_none() => {
            Err(invalid_request("The dpop_jkt is not a SHA-256 thumbprint as base64url"))
        }
        thumbprint => Ok(thumbprint.map(str::to_owned)),
    }
}
