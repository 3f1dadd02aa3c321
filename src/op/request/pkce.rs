//! `code_challenge` and its method (RFC 7636 §4.3): S256 only, required of public clients (RFC 9700 §2.1.1).

use super::Params;
use crate::base::encode::from_base64url_exact;
use crate::op::error::{Result, invalid_request};
use crate::op::record::client::Client;
use crate::op::response_type::ResponseType;

pub(super) fn check(client: &Client, kind: &ResponseType, params: &Params) -> Result<Option<String>> {
    if !kind.code {
        // A challenge is for a code.
        return Ok(None);
    }
    let method = params.one("code_challenge_method");
    let Some(challenge) = params.one("code_challenge") else {
        if method.is_some() {
            return Err(invalid_request("There is a code_challenge_method but no code_challenge"));
        }
        if client.is_public() {
            return Err(invalid_request("A public client must send a code_challenge"));
        }
        return Ok(None);
    };
    // RFC 7636 §4.3: without a method the challenge is plain, which is off.
    if method != Some("S256") {
        return Err(invalid_request("The code_challenge_method must be S256"));
    }
    if from_base64url_exact::<32>(challenge).is_none() {
        return Err(invalid_request("The code_challenge is not a SHA-256 digest as base64url"));
    }
    Ok(Some(challenge.to_owned()))
}
