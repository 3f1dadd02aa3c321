//! `self_signed_tls_client_auth`: the client's certificate of this very connection has a key that the client registered
//! (RFC 8705 §2.2). Who signed it, what it says and when it ends does not matter.

use super::{ClientAuth, Credentials, refused};
use crate::base::certificate;
use crate::jose::remote::KeysOf;
use crate::jose::{Fault, Jwk, JwkSet};
use crate::op::Op;
use crate::op::error::Result;
use crate::op::record::client::Client;
use crate::op::settings::Settings;
use async_trait::async_trait;

pub struct SelfSignedTlsClientAuth;

#[async_trait]
impl ClientAuth for SelfSignedTlsClientAuth {
    fn name(&self) -> &'static str {
        "self_signed_tls_client_auth"
    }
    fn spec(&self) -> &'static str {
        "https://www.rfc-editor.org/rfc/rfc8705#section-2.2"
    }
    fn is_offered(&self, settings: &Settings) -> bool {
        settings.mtls.is_some()
    }
    fn is_bare(&self) -> bool {
        true
    }

    /// §2: the request has a `client_id` and nothing else, as that of a public client.
    fn claims(&self, _presented: &Credentials<'_>) -> Result<Option<String>> {
        Ok(None)
    }

    async fn prove(&self, op: &Op, client: &Client, presented: &Credentials<'_>) -> Result<()> {
        let shown = presented.peer.certificate.as_deref();
        let shown = shown.ok_or_else(|| refused().because("no certificate"))?;
        let key = certificate::holder(shown).and_then(|holder| holder.key);
        let key = key.ok_or_else(|| refused().because("a certificate whose key is of no known kind"))?;
        let key = Jwk::parse(&key).map_err(|fault| refused().because(fault))?;
        let metadata = &client.metadata;
        let keys = match (&metadata.jwks, &metadata.jwks_uri) {
            (Some(jwks), _) => KeysOf::Inline(jwks),
            (None, Some(uri)) => KeysOf::Uri(uri),
            (None, None) => return Err(refused().because("the client has registered no keys")),
        };
        let failed = |fault: Fault| refused().because(fault);
        let known = op.shared.remote.key_set(keys).await.map_err(failed)?;
        // A key that was published since is asked for, as seldom as for signatures.
        if holds(&known, &key) || holds(&*op.shared.remote.newer_key_set(keys).await.map_err(failed)?, &key) {
            return Ok(());
        }
        Err(refused().because("the key of the certificate is not registered"))
    }
}

fn holds(set: &JwkSet, key: &Jwk) -> bool {
    set.keys().iter().any(|known| known.thumbprint() == key.thumbprint())
}
