//! `response_type` (RFC 6749 §3.1.1): the code flow only.

use super::Params;
use crate::op::endpoint::registration::metadata::RESPONSE_TYPES;
use crate::op::error::{Code, Error, Result};
use crate::op::record::client::Client;

pub(super) fn check(client: &Client, params: &Params) -> Result<String> {
    let asked = params.required("response_type")?;
    if !RESPONSE_TYPES.contains(&asked) {
        return Err(Error::new(Code::UnsupportedResponseType, "The only response_type here is code"));
    }
    if !client.metadata.response_types.iter().any(|registered| registered == asked) {
        let says = "The client did not register this response_type";
        return Err(Error::new(Code::UnauthorizedClient, says));
    }
    Ok(asked.to_owned())
}
