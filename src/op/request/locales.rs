//! `ui_locales` and `claims_locales` (OpenID Connect Core §3.1.2.1): language tags by preference. What is not a tag
//! is ignored, as a language that is not spoken here is.

use super::Params;
use crate::op::error::Result;

const MAX: usize = 20;

pub(super) fn check(params: &Params, name: &'static str) -> Result<Vec<String>> {
    let mut tags = super::words(params, name, MAX)?;
    tags.retain(|tag| {
        tag.len() <= 35 && tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    });
    Ok(tags)
}
