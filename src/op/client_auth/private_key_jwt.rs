//! `private_key_jwt`: an assertion signed with the client's key (OpenID Connect Core §9, RFC 7523 §3).

use super::{ClientAuth, Credentials, refused};
use crate::base::clock::Timestamp;
use crate::jose::jws::Audience;
use crate::jose::remote::KeysOf;
use crate::jose::{Algorithm, Expiry, Jws, Rules, Verified};
use crate::op::Op;
use crate::op::endpoint::ENDPOINTS;
use crate::op::endpoint::registration::metadata::ASSERTION_ALGS;
use crate::op::error::{Result, invalid_request};
use crate::op::record::client::Client;
use crate::op::record::replay::Replay;
use crate::op::serve;
use crate::store::record::put;
use crate::store::{Durability, Expect};
use async_trait::async_trait;
use serde_json::Value;
use std::time::Duration;

pub struct PrivateKeyJwt;

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// An assertion must expire within this time: its `jti` is remembered until then.
const MAX_LIFETIME: Duration = Duration::from_secs(3_600);

/// Clocks differ.
const LEEWAY: Duration = Duration::from_secs(30);

#[async_trait]
impl ClientAuth for PrivateKeyJwt {
    fn name(&self) -> &'static str {
        "private_key_jwt"
    }
    fn spec(&self) -> &'static str {
        "https://openid.net/specs/openid-connect-core-1_0.html#ClientAuthentication"
    }

    fn claims(&self, presented: &Credentials<'_>) -> Result<Option<String>> {
        let params = presented.params;
        let Some(assertion) = params.one("client_assertion") else { return Ok(None) };
        if params.one("client_assertion_type") != Some(ASSERTION_TYPE) {
            return Err(invalid_request("The client_assertion_type is not supported"));
        }
        let jws = Jws::parse(assertion).map_err(|fault| refused().because(fault))?;
        // RFC 7523 §3: both name the client. Which keys to ask follows from it; nothing is proven yet.
        let claims = jws.unverified_claims();
        match (claims.get("iss"), claims.get("sub")) {
            (Some(Value::String(iss)), Some(Value::String(sub))) if iss == sub => Ok(Some(sub.clone())),
            _ => Err(refused().because("iss and sub of the assertion are not the client")),
        }
    }

    async fn prove(&self, op: &Op, client: &Client, presented: &Credentials<'_>) -> Result<()> {
        let assertion = presented.params.one("client_assertion").unwrap_or("");
        let verified = verify(op, client, assertion, presented).await?;
        once(op, client, &verified, presented.now).await
    }
}

async fn verify(op: &Op, client: &Client, assertion: &str, presented: &Credentials<'_>) -> Result<Verified> {
    let metadata = &client.metadata;
    let keys = match (&metadata.jwks, &metadata.jwks_uri) {
        (Some(jwks), _) => KeysOf::Inline(jwks),
        (None, Some(uri)) => KeysOf::Uri(uri),
        (None, None) => return Err(refused().because("the client has registered no keys")),
    };
    // What was registered, or anything that could have been.
    let registered = metadata.token_endpoint_auth_signing_alg.as_deref();
    let algorithms: Vec<_> = ASSERTION_ALGS
        .iter()
        .filter(|name| registered.is_none_or(|registered| registered == **name))
        .filter_map(|name| Algorithm::parse(name))
        .collect();
    let audience = audience(op, presented.path);
    let audience: Vec<&str> = audience.iter().map(String::as_str).collect();
    let rules = Rules {
        issuer: Some(&client.client_id),
        audience: Audience::Includes(&audience),
        required: &["sub", "jti"],
        expiry: Expiry::Required,
        leeway: LEEWAY,
        ..Rules::new(&algorithms, presented.now)
    };
    op.shared.remote.verify(assertion, keys, &rules).await.map_err(|fault| refused().because(fault))
}

/// What an assertion may call us: the issuer, the token endpoint, or the URL called, under any of its paths.
fn audience(op: &Op, path: &str) -> Vec<String> {
    let mut names = vec![op.settings.issuer.clone()];
    for endpoint in ENDPOINTS {
        let paths = serve::paths(op, *endpoint);
        if endpoint.name() == "token" || paths.iter().any(|known| known == path) {
            names.extend(paths.iter().map(|path| format!("{}{path}", op.origin())));
        }
    }
    names
}

/// RFC 7523 §3: the assertion expires soon, and its `jti` counts once until then.
async fn once(op: &Op, client: &Client, verified: &Verified, now: Timestamp) -> Result<()> {
    let text = |name: &str| verified.claims.get(name).and_then(Value::as_str).unwrap_or("");
    let seconds = |value: &Value| value.as_u64().or_else(|| format!("{:.0}", value.as_f64()?).parse().ok());
    let expires = verified.claims.get("exp").and_then(seconds).map_or(Timestamp::NEVER, Timestamp);
    if expires > now.plus(MAX_LIFETIME).plus(LEEWAY) {
        return Err(refused().because("the assertion expires too late"));
    }
    if text("sub") != client.client_id || text("jti").is_empty() {
        return Err(refused().because("sub or jti of the assertion"));
    }
    // A second longer, since a fraction of `exp` may have been rounded away.
    let forget = expires.plus(LEEWAY).plus(Duration::from_secs(1));
    let replay = Replay::new("client_assertion", &client.client_id, text("jti"), forget);
    match op.store().commit(vec![put(&replay, Expect::Absent)?], Durability::Soon, now).await {
        Ok(_) => Ok(()),
        Err(fault) if fault.is_conflict() => Err(refused().because("the assertion was used before")),
        Err(fault) => Err(fault.into()),
    }
}
