//! What a relying party's page may learn of the session here without asking the server (OpenID Connect Session
//! Management 1.0): the browser state, a cookie that scripts of ours read, and the `session_state` that hashes it with
//! the client and its origin.

use super::error::Result;
use super::request::AuthorizationRequest;
use super::{Op, cookie};
use crate::base::encode::{base64url, hex};
use crate::base::secret::{hmac_sha256, sha256};
use crate::base::uri;
use http::{HeaderMap, Response};

/// The browser state of a browser in which somebody was signed out. A cookie, not its absence: where third-party
/// cookies are blocked, the iframe sees none and must not take that for a logout.
const SIGNED_OUT: &str = "-";

/// The browser state while the session `sid` lasts, or while nobody is signed in. Another session has another one;
/// it says nothing about the person, and nothing can be done with it.
pub fn of(op: &Op, sid: Option<&str>) -> String {
    let Some(sid) = sid else { return SIGNED_OUT.to_owned() };
    base64url(&hmac_sha256(&op.shared.kit.at_rest.derive("browser state"), &[sid.as_bytes()]))
}

/// OpenID Connect Session Management §2: the `session_state` of a successful answer to an OpenID request. `None`
/// for plain OAuth, and for redirect URIs that have no origin.
pub fn for_answer(op: &Op, request: &AuthorizationRequest, sid: &str) -> Result<Option<String>> {
    let origin = uri::origin(request.return_to.uri()).filter(|_| request.asks_scope("openid"));
    let Some(origin) = origin else { return Ok(None) };
    let salt = op.random().id()?;
    let digest = sha256(format!("{} {origin} {} {salt}", request.client_id, of(op, Some(sid))).as_bytes());
    Ok(Some(format!("{}.{salt}", hex(&digest))))
}

/// Brings the browser's state up to date: a session may have ended, or begun, where no page of ours was open.
pub fn keep<T>(op: &Op, headers: &HeaderMap, sid: Option<&str>, response: &mut Response<T>) {
    let (known, right) = (cookie::read(headers, cookie::STATE), of(op, sid));
    // A browser in which nobody ever signed in needs no cookie for that.
    if known != Some(right.as_str()) && (known.is_some() || sid.is_some()) {
        cookie::set_state(response, &right);
    }
}
