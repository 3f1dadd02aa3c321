//! `response_mode` (OAuth 2.0 Multiple Response Type Encoding Practices §2.1): the response type's own unless asked
//! otherwise.

use super::Params;
use crate::op::error::{Result, invalid_request};
use crate::op::record::client::Client;
use crate::op::response_mode::{ResponseMode, default, find};
use crate::op::response_type::{ResponseType, asks_front_channel};

pub(super) fn check(client: &Client, kind: &ResponseType, params: &Params) -> Result<()> {
    let Some(asked) = params.one("response_mode") else { return Ok(()) };
    match find(asked) {
        None => Err(invalid_request("The response_mode is not supported")),
        Some(mode) if kind.is_front_channel() && !mode.hides_from_servers(client) => {
            Err(invalid_request("What this response_type yields must not travel in the query"))
        }
        Some(_) => Ok(()),
    }
}

/// How the answer travels, an error too: as asked, if that can be done; otherwise as the response type's answers do,
/// whether or not it is one that we know.
pub(super) fn of(client: &Client, params: &Params) -> &'static dyn ResponseMode {
    let front_channel = asks_front_channel(params.one("response_type").unwrap_or_default());
    let asked = params.one("response_mode").and_then(find);
    let mode = asked.filter(|mode| !front_channel || mode.hides_from_servers(client));
    let mode = mode.unwrap_or_else(|| default(front_channel));
    mode.expanded(front_channel).unwrap_or(mode)
}
