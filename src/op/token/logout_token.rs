//! Logout tokens (OpenID Connect Back-Channel Logout §2.4).

use super::id_token;
use crate::base::clock::Timestamp;
use crate::op::Op;
use crate::op::error::{Result, server_error};
use crate::op::record::client::Client;
use crate::op::record::notice::Notice;
use serde::Serialize;
use serde_json::{Value, json};
use std::time::Duration;

const TYP: &str = "logout+jwt";
/// The member of `events` that makes it one.
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
/// §4: at most two minutes, so that a captured one is soon worth nothing.
const LIFETIME: Duration = Duration::from_secs(120);

/// No `nonce`: §2.4 prohibits it, so that none can pass for an ID token.
#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    iat: Timestamp,
    exp: Timestamp,
    jti: String,
    events: Value,
    /// Both, whether `backchannel_logout_session_required` or not: the session, and whose it was.
    sub: &'a str,
    sid: &'a str,
}

/// A fresh one about `notice`, protected as the client's ID tokens are.
pub async fn sign(op: &Op, client: &Client, notice: &Notice, now: Timestamp) -> Result<String> {
    let claims = Claims {
        iss: &op.settings.issuer,
        aud: &client.client_id,
        iat: now,
        exp: now.plus(LIFETIME),
        jti: op.random().token()?,
        events: json!({ EVENT: {} }),
        sub: &notice.subject,
        sid: &notice.sid,
    };
    let claims = serde_json::to_vec(&claims).map_err(server_error)?;
    id_token::protect(op, client, TYP, &claims).await
}
