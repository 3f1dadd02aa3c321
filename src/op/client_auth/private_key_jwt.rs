//! `private_key_jwt`: an assertion signed with the client's key (OpenID Connect Core §9, RFC 7523 §3).

use super::{ClientAuth, Credentials, assertion, refused};
use crate::jose::remote::KeysOf;
use crate::jose::{Algorithm, Fault, Jws, Verified};
use crate::op::Op;
use crate::op::endpoint::registration::metadata::ASSERTION_ALGS;
use crate::op::error::Result;
use crate::op::record::client::Client;
use async_trait::async_trait;

pub struct PrivateKeyJwt;

#[async_trait]
impl ClientAuth for PrivateKeyJwt {
    fn name(&self) -> &'static str {
        "private_key_jwt"
    }
    fn spec(&self) -> &'static str {
        "https://openid.net/specs/openid-connect-core-1_0.html#ClientAuthentication"
    }

    fn claims(&self, presented: &Credentials<'_>) -> Result<Option<String>> {
        let Some(text) = assertion::presented(presented)? else { return Ok(None) };
        match Jws::parse(text) {
            Ok(jws) => assertion::client_id(jws.unverified_claims()).map(Some),
            // A MAC is another method's.
            Err(Fault::Algorithm) => Ok(None),
            Err(fault) => Err(refused().because(fault)),
        }
    }

    async fn prove(&self, op: &Op, client: &Client, presented: &Credentials<'_>) -> Result<()> {
        let text = presented.params.one("client_assertion").unwrap_or("");
        let verified = verify(op, client, text, presented).await?;
        assertion::once(op, client, &verified.claims, presented.now).await
    }
}

async fn verify(op: &Op, client: &Client, text: &str, presented: &Credentials<'_>) -> Result<Verified> {
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
    let audience = assertion::audience(op, presented.path);
    let audience: Vec<&str> = audience.iter().map(String::as_str).collect();
    let rules = assertion::rules(client, &audience, &algorithms, presented.now);
    op.shared.remote.verify(text, keys, &rules).await.map_err(|fault| refused().because(fault))
}
