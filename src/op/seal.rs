//! What is said to one client, protected as it registered: signed with a key of ours, encrypted to a key of its own, or
//! first the one and then the other (RFC 7519 §11.2). A client that asked for encryption is told nothing in clear: where
//! it has no key, there is no answer.

use super::Op;
use super::error::{Code, Error, Result, invalid_request, server_error};
use super::record::client::{Client, Metadata};
use crate::jose::jwe::{self, Content};
use crate::jose::remote::KeysOf;
use crate::jose::{
    Algorithm, Encryption, EncryptionKey, Fault, JweAlg, JweEnc, MacAlgorithm, MacKey, Signer,
};
use serde_json::{Value, json};

/// Seconds after which a key set that could not be fetched may be asked for again.
const AGAIN: u64 = 10;

/// Registered algorithm names, for one kind of answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seal<'a> {
    /// `None`: not signed.
    pub signed: Option<&'a str>,
    /// `None`: not encrypted.
    pub alg: Option<&'a str>,
    pub enc: Option<&'a str>,
}

impl<'a> Seal<'a> {
    /// Of ID tokens, and of the logout tokens that are protected like them (Back-Channel Logout §2.4).
    pub fn of_id_tokens(metadata: &'a Metadata) -> Seal<'a> {
        let registered = metadata.id_token_signed_response_alg.as_str();
        Seal {
            // OpenID Connect Registration §2: the default.
            signed: Some(if registered.is_empty() { Algorithm::RS256.name() } else { registered }),
            alg: metadata.id_token_encrypted_response_alg.as_deref(),
            enc: metadata.id_token_encrypted_response_enc.as_deref(),
        }
    }

    pub fn of_userinfo(metadata: &'a Metadata) -> Seal<'a> {
        Seal {
            signed: metadata.userinfo_signed_response_alg.as_deref(),
            alg: metadata.userinfo_encrypted_response_alg.as_deref(),
            enc: metadata.userinfo_encrypted_response_enc.as_deref(),
        }
    }

    /// RFC 9701 §6: signed with RS256 unless another was registered.
    pub fn of_introspection(metadata: &'a Metadata) -> Seal<'a> {
        let registered = metadata.introspection_signed_response_alg.as_deref();
        Seal {
            signed: registered.or(Some(Algorithm::RS256.name())),
            alg: metadata.introspection_encrypted_response_alg.as_deref(),
            enc: metadata.introspection_encrypted_response_enc.as_deref(),
        }
    }

    /// JARM §3: signed with RS256 unless another was registered.
    pub fn of_authorization(metadata: &'a Metadata) -> Seal<'a> {
        let registered = metadata.authorization_signed_response_alg.as_deref();
        Seal {
            signed: registered.or(Some(Algorithm::RS256.name())),
            alg: metadata.authorization_encrypted_response_alg.as_deref(),
            enc: metadata.authorization_encrypted_response_enc.as_deref(),
        }
    }

    pub fn is_clear(&self) -> bool {
        self.signed.is_none() && self.alg.is_none()
    }
}

impl Op {
    /// `claims`, a JSON object, as a compact token of type `typ` for `client`.
    ///
    /// # Errors
    /// `invalid_request` if the client has no key to encrypt to, `temporarily_unavailable` if its keys cannot be had.
    pub(super) async fn sealed(
        &self,
        client: &Client,
        seal: Seal<'_>,
        typ: &str,
        claims: &[u8],
    ) -> Result<String> {
        let Some(name) = seal.signed else {
            return self.encrypted(client, seal, claims, Content::default()).await;
        };
        let signed = self.signer_of(client, name)?.sign(typ, claims).map_err(server_error)?;
        self.nested(client, seal, signed).await
    }

    /// `signed`, encrypted if `seal` says so (RFC 7519 §5.2: a nested token).
    pub(super) async fn nested(&self, client: &Client, seal: Seal<'_>, signed: String) -> Result<String> {
        match seal.alg {
            None => Ok(signed),
            Some(_) => self.encrypted(client, seal, signed.as_bytes(), Content::NESTED).await,
        }
    }

    /// What signs for `client` with the algorithm registered as `name`: our current key, or the client's secret
    /// (OpenID Connect Core §10.1).
    pub(super) fn signer_of(&self, client: &Client, name: &str) -> Result<Signer> {
        if let Some(alg) = MacAlgorithm::parse(name) {
            let secret = self.client_secret(client)?;
            let secret =
                secret.ok_or_else(|| server_error(format!("the client has no secret for {name}")))?;
            return Ok(Signer::Mac(MacKey::new(secret.expose().as_bytes()), alg));
        }
        let key = Algorithm::parse(name).and_then(|alg| self.ring().signer(alg).cloned());
        key.map(Signer::Key).ok_or_else(|| server_error(format!("there is no key for {name}")))
    }

    async fn encrypted(
        &self,
        client: &Client,
        seal: Seal<'_>,
        payload: &[u8],
        content: Content<'_>,
    ) -> Result<String> {
        let how = Encryption::parse(seal.alg.unwrap_or_default(), seal.enc);
        let how = how.ok_or_else(|| server_error("the registered encryption is not known"))?;
        let key = self.recipient(client, how.alg).await?;
        jwe::encrypt(payload, &key, how, content, self.random()).map_err(server_error)
    }

    async fn recipient(&self, client: &Client, alg: JweAlg) -> Result<EncryptionKey> {
        let none = || invalid_request(format!("The client has no key to encrypt to with {alg}"));
        let keys = match (&client.metadata.jwks, &client.metadata.jwks_uri) {
            (Some(jwks), _) => KeysOf::Inline(jwks),
            (None, Some(uri)) => KeysOf::Uri(uri),
            (None, None) => return Err(none()),
        };
        self.shared.remote.encryption_key(keys, alg).await.map_err(|fault| match fault {
            Fault::UnknownKey => none(),
            fault => {
                let says =
                    "The key set of the client cannot be had, and what is said to it must be encrypted";
                Error::new(Code::TemporarilyUnavailable, says).because(fault).retry_after(AGAIN)
            }
        })
    }
}

/// What the metadata says of all this (OpenID Connect Discovery §3, RFC 9701 §7, JARM §4).
pub(super) fn described(signing: &[&str]) -> Vec<(String, Value)> {
    let algs = json!(JweAlg::ALL.map(JweAlg::name));
    let encs = json!(JweEnc::ALL.map(JweEnc::name));
    let mut members = vec![
        ("userinfo_signing_alg_values_supported".to_owned(), json!(signing)),
        ("introspection_signing_alg_values_supported".to_owned(), json!(signing)),
        ("authorization_signing_alg_values_supported".to_owned(), json!(signing)),
    ];
    for answer in ["id_token", "userinfo", "introspection", "authorization"] {
        members.push((format!("{answer}_encryption_alg_values_supported"), algs.clone()));
        members.push((format!("{answer}_encryption_enc_values_supported"), encs.clone()));
    }
    members
}

#[cfg(test)]
mod tests;
