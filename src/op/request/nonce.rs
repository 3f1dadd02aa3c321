//! `nonce` (OpenID Connect Core §3.1.2.1): opaque, copied into the ID token. Required where that leaves through the front
//! channel (§3.2.2.1, §3.3.2.11).

use super::Params;
use crate::op::error::{Result, invalid_request};
use crate::op::response_type::ResponseType;

const MAX: usize = 1_024;

pub(super) fn check(kind: &ResponseType, params: &Params) -> Result<Option<String>> {
    match super::short(params, "nonce", MAX)? {
        None if kind.id_token => Err(invalid_request("This response_type needs a nonce")),
        nonce => Ok(nonce),
    }
}
