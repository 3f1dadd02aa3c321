//! `response_mode` (OAuth 2.0 Multiple Response Type Encoding Practices §2.1): `query` unless asked otherwise.

use super::Params;
use crate::op::error::{Result, invalid_request};
use crate::op::response_mode::{DEFAULT, ResponseMode, find};

pub(super) fn check(params: &Params) -> Result<()> {
    match params.one("response_mode") {
        Some(asked) if find(asked).is_none() => {
            Err(invalid_request("The response_mode is not one of query and form_post"))
        }
        _ => Ok(()),
    }
}

/// How errors travel: as asked, if that can be done.
pub(super) fn of_errors(params: &Params) -> &'static dyn ResponseMode {
    params.one("response_mode").and_then(find).unwrap_or(DEFAULT)
}
