//! `max_age`, else the client's `default_max_age` (OpenID Connect Core §3.1.2.1, Registration §2). Seconds.

use super::Params;
use crate::op::error::{Result, invalid_request};
use crate::op::record::client::Client;

pub(super) fn check(client: &Client, params: &Params) -> Result<Option<u64>> {
    let Some(asked) = params.one("max_age") else { return Ok(client.metadata.default_max_age) };
    let digits = asked.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = digits.then(|| asked.parse().ok()).flatten();
    seconds.map(Some).ok_or_else(|| invalid_request("The max_age is not a number of seconds"))
}
