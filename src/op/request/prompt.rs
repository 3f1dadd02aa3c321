//! `prompt` (OpenID Connect Core §3.1.2.1).

use super::Params;
use crate::op::error::{Result, invalid_request};

/// What may be asked for.
const SUPPORTED: &[&str] = &["none", "login", "consent", "select_account"];

pub(super) fn check(params: &Params) -> Result<Vec<String>> {
    let asked = super::words(params, "prompt", SUPPORTED.len())?;
    if asked.iter().any(|prompt| !SUPPORTED.contains(&prompt.as_str())) {
        return Err(invalid_request("The prompt is not one of none, login, consent and select_account"));
    }
    if asked.len() > 1 && asked.iter().any(|prompt| prompt == "none") {
        return Err(invalid_request("The prompt none stands alone"));
    }
    Ok(asked)
}
