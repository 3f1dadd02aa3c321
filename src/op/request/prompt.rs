//! `prompt` (OpenID Connect Core §3.1.2.1): the values are the rows of the prompts that may be asked for.

use super::Params;
use crate::op::Op;
use crate::op::error::{Result, invalid_request};
use crate::op::prompt::values;

pub(super) fn check(op: &Op, params: &Params) -> Result<Vec<String>> {
    let known = values(op);
    let asked = super::words(params, "prompt", known.len())?;
    if asked.iter().any(|prompt| !known.contains(&prompt.as_str())) {
        return Err(invalid_request(format!("The prompt is not one of {}", known.join(", "))));
    }
    if asked.len() > 1 && asked.iter().any(|prompt| prompt == "none") {
        return Err(invalid_request("The prompt none stands alone"));
    }
    Ok(asked)
}
