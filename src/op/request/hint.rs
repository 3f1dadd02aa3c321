//! `id_token_hint` and `login_hint` (OpenID Connect Core §3.1.2.1). An ID token of ours may have expired and still
//! says whom the client means; anybody else's is refused.

use super::Params;
use crate::base::clock::Timestamp;
use crate::jose::{Algorithm, Expiry, KeySource, MacAlgorithm, MacJws, MacKey, Rules, Typ, jwe, verify};
use crate::op::Op;
use crate::op::error::{Result, invalid_request};
use crate::op::record::client::Client;
use serde_json::{Map, Value};
use std::borrow::Cow;

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

/// Reads an ID token of ours, expired or not, signed by a key of ours in any state or, for a client that registered for
/// that, by its secret.
pub async fn id_token(op: &Op, token: &str, now: Timestamp) -> Result<Hint> {
    let foreign = || invalid_request("The id_token_hint is not an ID token of this provider");
    // OpenID Connect Core §3.1.2.1: a client whose ID tokens are encrypted decrypts them first, and may encrypt the hint
    // to us.
    let token = match jwe::is_encrypted(token) {
        true => Cow::Owned(op.decrypt(token).await?.map_err(|fault| foreign().because(fault))?),
        false => Cow::Borrowed(token),
    };
    let rules = Rules {
        // An access token of ours is no ID token (RFC 9068 §2.1: at+jwt).
        typ: Typ::Optional(&["JWT"]),
        issuer: Some(&op.settings.issuer),
        required: &["sub", "aud", "iat"],
        // OpenID Connect Core §3.1.2.1: it may have expired.
        expiry: Expiry::Ignored,
        // A key of the ring is for one algorithm only, perhaps one that is not signed with any more.
        ..Rules::new(&Algorithm::ALL, now)
    };
    let claims = match MacJws::parse(&token) {
        Ok(jws) => shared(op, jws, &rules, now).await?.ok_or_else(foreign)?,
        Err(_) => {
            let ring = op.ring();
            verify(&token, &KeySource::Ring(&ring), &rules).map_err(|fault| foreign().because(fault))?.claims
        }
    };
    let client_id = audience(&claims).ok_or_else(foreign)?.to_owned();
    let text = |name: &str| claims.get(name).and_then(Value::as_str).map(str::to_owned);
    Ok(Hint { subject: text("sub").ok_or_else(foreign)?, sid: text("sid"), client_id })
}

/// The client an ID token was issued to. OpenID Connect Core §2: `azp` where there is more than one audience.
fn audience(claims: &Map<String, Value>) -> Option<&str> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let first = || match claims.get("aud") {
        Some(Value::Array(all)) => all.first().and_then(Value::as_str),
        _ => text("aud"),
    };
    text("azp").or_else(first)
}

/// The claims of an ID token under the secret of the client it was issued to, by the algorithm it registered.
async fn shared(
    op: &Op,
    jws: MacJws<'_>,
    rules: &Rules<'_>,
    now: Timestamp,
) -> Result<Option<Map<String, Value>>> {
    let Some(client_id) = audience(jws.unverified_claims()).map(str::to_owned) else { return Ok(None) };
    let Some(client) = op.client(&client_id, now).await? else { return Ok(None) };
    if client.metadata.id_token_signed_response_alg != jws.alg().name() {
        return Ok(None);
    }
    let Some(secret) = op.client_secret(&client)? else { return Ok(None) };
    let key = MacKey::new(secret.expose().as_bytes());
    Ok(jws.verify(&key, &MacAlgorithm::ALL, rules).ok())
}

/// What to write into the user name field. Never trusted, always escaped.
pub(super) fn login(params: &Params) -> Result<Option<String>> {
    let hint = super::short(params, "login_hint", MAX_LOGIN_HINT)?;
    Ok(hint.filter(|hint| !hint.chars().any(char::is_control)))
}
