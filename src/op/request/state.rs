//! `state` (RFC 6749 §4.1.1): opaque, and returned as it came. One that is too long to return is refused by a page,
//! since an answer without it would be worse.

use super::Params;
use crate::op::error::Result;

/// What still fits a redirect's header with everything else.
const MAX: usize = 4_096;

pub(super) fn check(params: &Params) -> Result<Option<String>> {
    super::short(params, "state", MAX)
}
