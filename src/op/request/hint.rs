//! `id_token_hint` and `login_hint` (OpenID Connect Core §3.1.2.1). An ID token of ours may have expired and still
//! says whom the client means; anybody else's is refused.

use super::Params;
use crate::base::clock::Timestamp;
use crate::jose::{Algorithm, Expiry, KeySource, Rules, Typ, verify};
use crate::op::Op;
use crate::op::error::{Result, invalid_request};
use crate::op::keys::ALGORITHMS;
use crate::op::record::client::Client;
use serde_json::Value;

const MAX_LOGIN_HINT: usize = 256;

/// What an ID token of ours says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hint {
    /// The `sub`, as the audience knows it.
    pub subject: String,
    /// The session it was issued in.
    pub sid: Option<String>,
    /// The client it was issued to.
    pub client_id: String,
}

pub(super) async fn check(op: &Op, client: &Client, params: &Params, now: Timestamp) -> Result<Option<Hint>> {
    let Some(token) = params.one("id_token_hint") else { return Ok(None) };
    let hint = id_token(op, token, now).await?;
    if hint.client_id != client.client_id {
        return Err(invalid_request("The id_token_hint was issued to another client"));
    }
    Ok(Some(hint))
}

/// Reads an ID token of ours, expired or not, signed by a key of ours in any state.
pub async fn id_token(op: &Op, token: &str, now: Timestamp) -> Result<Hint> {
    let foreign = || invalid_request("The id_token_hint is not an ID token of this provider");
    let ring = op.ring();
    let algorithms: Vec<_> = ALGORITHMS.iter().copied().chain([Algorithm::Ed25519]).collect();
    let rules = Rules {
        // An access token of ours is no ID token (RFC 9068 §2.1: at+jwt).
        typ: Typ::Optional(&["JWT"]),
        issuer: Some(&op.settings.issuer),
        required: &["sub", "aud", "iat"],
        // OpenID Connect Core §3.1.2.1: it may have expired.
        expiry: Expiry::Ignored,
        ..Rules::new(&algorithms, now)
    };
    let verified =
        verify(token, &KeySource::Ring(&ring), &rules).map_err(|fault| foreign().because(fault))?;
    let text = |name: &str| verified.claims.get(name).and_then(Value::as_str).map(str::to_owned);
    let audience = match verified.claims.get("aud") {
        Some(Value::Array(all)) => all.first().and_then(Value::as_str).map(str::to_owned),
        _ => text("aud"),
    };
    // OpenID Connect Core §2: `azp` is the client where there is more than one audience.
    let client_id = text("azp").or(audience).ok_or_else(foreign)?;
    Ok(Hint { subject: text("sub").ok_or_else(foreign)?, sid: text("sid"), client_id })
}

/// What to write into the user name field. Never trusted, always escaped.
pub(super) fn login(params: &Params) -> Result<Option<String>> {
    let hint = super::short(params, "login_hint", MAX_LOGIN_HINT)?;
    Ok(hint.filter(|hint| !hint.chars().any(char::is_control)))
}
