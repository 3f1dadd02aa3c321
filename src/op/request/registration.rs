//! `registration` (OpenID Connect Core §7.2.1): of self-issued providers only, so it is refused, as §3.1.2.6 says.

use super::Params;
use crate::op::error::{Code, Error, Result};

pub(super) fn check(params: &Params) -> Result<()> {
    match params.one("registration") {
        Some(_) => {
            let says = "Self-issued registration is not supported";
            Err(Error::new(Code::RegistrationNotSupported, says))
        }
        None => Ok(()),
    }
}
