//! ID tokens (OpenID Connect Core §2). The claims of scopes are userinfo's business wherever there is an access token
//! (§5.4); those asked for by name in the `claims` parameter are told here too (§5.5).

use super::mint::Issue;
use crate::base::clock::Timestamp;
use crate::op::Op;
use crate::op::claims::{Disclosure, Place};
use crate::op::error::{Result, server_error};
use crate::op::record::client::Client;
use crate::op::seal::Seal;
use serde::Serialize;
use serde_json::{Map, Value};

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    /// One audience, so no `azp` (OpenID Connect Core §2, errata 2).
    aud: &'a str,
    exp: Timestamp,
    iat: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_time: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    acr: Option<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    amr: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at_hash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    c_hash: Option<String>,
    /// About the person.
    #[serde(flatten)]
    told: Map<String, Value>,
}

/// What an ID token is given out beside.
#[derive(Clone, Copy, Debug, Default)]
pub struct Beside<'a> {
    /// A code from the authorization endpoint: `c_hash` (§3.3.2.11).
    pub code: Option<&'a str>,
    /// `at_hash` (§3.1.3.6, §3.2.2.10).
    pub access_token: Option<&'a str>,
    /// Nothing that could ask userinfo will follow, so the claims of the scopes are in the ID token (§5.4:
    /// `response_type=id_token`).
    pub claims: bool,
}

/// The ID token for what `issue` grants, given out beside other things.
pub async fn sign(
    op: &Op,
    client: &Client,
    issue: &Issue,
    beside: Beside<'_>,
    now: Timestamp,
) -> Result<String> {
    let seal = Seal::of_id_tokens(&client.metadata);
    let key = op.signer_of(client, seal.signed.unwrap_or_default())?;
    let a = &issue.authorization;
    // §3.1.3.7: required where the request or the registration asked for it.
    let wants_auth_time = a.wants_auth_time || client.metadata.require_auth_time;
    let disclosure = Disclosure {
        place: if beside.claims { Place::OnlyIdToken } else { Place::IdToken },
        client_id: &client.client_id,
        scope: &issue.scope,
        wishes: &a.claims.id_token,
        locales: &a.claims_locales,
    };
    let told = op.tell(&a.account, disclosure, now).await?;
    let claims = Claims {
        iss: &op.settings.issuer,
        sub: &a.subject,
        aud: &client.client_id,
        exp: now.plus(op.settings.lifetimes.id_token.0),
        iat: now,
        auth_time: wants_auth_time.then_some(a.auth_time),
        nonce: issue.nonce.as_deref(),
        acr: a.acr.as_deref(),
        amr: &a.amr,
        sid: issue.sid.as_deref(),
        at_hash: beside.access_token.map(|token| key.half_hash(token)),
        c_hash: beside.code.map(|code| key.half_hash(code)),
        told,
    };
    let claims = serde_json::to_vec(&claims).map_err(server_error)?;
    let signed = key.sign("JWT", &claims).map_err(server_error)?;
    op.nested(client, seal, signed).await
}

/// Any other token of ours for `client` that is protected as its ID tokens are, of type `typ`.
pub async fn protect(op: &Op, client: &Client, typ: &str, claims: &[u8]) -> Result<String> {
    op.sealed(client, Seal::of_id_tokens(&client.metadata), typ, claims).await
}
