//! `nonce` (OpenID Connect Core §3.1.2.1): opaque, copied into the ID token.

use super::Params;
use crate::op::error::Result;

const MAX: usize = 1_024;

pub(super) fn check(params: &Params) -> Result<Option<String>> {
    super::short(params, "nonce", MAX)
}
