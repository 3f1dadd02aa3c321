//! `display` (OpenID Connect Core §3.1.2.1): a class of the page, which fits every size anyway.

use super::Params;
use crate::op::error::Result;

/// As the metadata says it.
pub const SUPPORTED: &[&str] = &["page", "popup", "touch", "wap"];

pub(super) fn check(params: &Params) -> Result<Option<String>> {
    let asked = params.one("display").filter(|asked| SUPPORTED.contains(asked));
    Ok(asked.map(str::to_owned))
}
