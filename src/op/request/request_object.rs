//! Request objects and their kin: not supported, and said so (OpenID Connect Core §3.1.2.6).

use super::Params;
use crate::op::error::{Code, Error, Result};

pub(super) fn check(params: &Params) -> Result<()> {
    let refused = [
        ("request", Code::RequestNotSupported, "Request objects are not supported"),
        ("request_uri", Code::RequestUriNotSupported, "Request objects by reference are not supported"),
        ("registration", Code::RegistrationNotSupported, "Self-issued registration is not supported"),
    ];
    match refused.into_iter().find(|(name, ..)| params.one(name).is_some()) {
        Some((_, code, says)) => Err(Error::new(code, says)),
        None => Ok(()),
    }
}
