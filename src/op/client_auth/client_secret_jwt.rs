//! `client_secret_jwt`: an assertion under a MAC with the client's secret (OpenID Connect Core §9, RFC 7523 §3).

use super::{ClientAuth, Credentials, assertion, refused};
use crate::jose::{MacAlgorithm, MacJws, MacKey};
use crate::op::Op;
use crate::op::error::Result;
use crate::op::record::client::Client;
use async_trait::async_trait;

pub struct ClientSecretJwt;

#[async_trait]
impl ClientAuth for ClientSecretJwt {
    fn name(&self) -> &'static str {
        "client_secret_jwt"
    }
    fn spec(&self) -> &'static str {
        "https://openid.net/specs/openid-connect-core-1_0.html#ClientAuthentication"
    }

    fn claims(&self, presented: &Credentials<'_>) -> Result<Option<String>> {
        let Some(text) = assertion::presented(presented)? else { return Ok(None) };
        // What is signed by other means is another method's.
        let Ok(jws) = MacJws::parse(text) else { return Ok(None) };
        assertion::client_id(jws.unverified_claims()).map(Some)
    }

    async fn prove(&self, op: &Op, client: &Client, presented: &Credentials<'_>) -> Result<()> {
        let text = presented.params.one("client_assertion").unwrap_or("");
        let jws = MacJws::parse(text).map_err(|fault| refused().because(fault))?;
        let secret = op.client_secret(client)?;
        let secret =
            secret.ok_or_else(|| refused().because("the client has no secret, or it has expired"))?;
        // What was registered, or anything that could have been.
        let registered = client.metadata.token_endpoint_auth_signing_alg.as_deref();
        let allowed: Vec<_> = MacAlgorithm::ALL
            .into_iter()
            .filter(|alg| registered.is_none_or(|registered| registered == alg.name()))
            .collect();
        let audience = assertion::audience(op, presented.path);
        let audience: Vec<&str> = audience.iter().map(String::as_str).collect();
        let rules = assertion::rules(client, &audience, &[], presented.now);
        let claims = jws
            .verify(&MacKey::new(secret.expose().as_bytes()), &allowed, &rules)
            .map_err(|fault| refused().because(fault))?;
        assertion::once(op, client, &claims, presented.now).await
    }
}
