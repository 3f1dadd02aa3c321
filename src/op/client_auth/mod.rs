//! Client authentication: one file per method, one row each (RFC 6749 §2.3, OpenID Connect Core §9).

mod assertion;
mod client_secret_basic;
mod client_secret_jwt;
mod client_secret_post;
mod none;
mod private_key_jwt;
mod self_signed_tls_client_auth;
mod tls_client_auth;

use super::endpoint::Call;
use super::error::{Code, Error, Result, invalid_client, invalid_request};
use super::record::client::Client;
use super::request::params::Params;
use super::throttle::Counter;
use super::{Op, Peer, Settings};
use crate::base::clock::Timestamp;
use crate::base::encode::base64url;
use crate::base::secret::{equal, sha256};
use async_trait::async_trait;
use http::HeaderMap;
use std::sync::Arc;

/// Proof that a request came from this client. Only this module makes one.
#[derive(Clone, Debug)]
pub struct Authenticated {
    client: Arc<Client>,
    method: &'static str,
}

impl Authenticated {
    pub fn client(&self) -> &Arc<Client> {
        &self.client
    }
    /// The wire name of the method that proved it.
    pub fn method(&self) -> &'static str {
        self.method
    }
}

/// What a client presented.
#[derive(Debug)]
pub struct Credentials<'a> {
    pub headers: &'a HeaderMap,
    pub params: &'a Params,
    /// Where it came from, with the certificate if it presented one.
    pub peer: &'a Peer,
    /// The path that was called.
    pub path: &'a str,
    pub now: Timestamp,
}

/// A row of [`METHODS`].
#[async_trait]
pub trait ClientAuth: Sync + Send {
    /// The `token_endpoint_auth_method`.
    fn name(&self) -> &'static str;
    /// The section that defines it.
    fn spec(&self) -> &'static str;
    /// Whether it can be used under these settings.
    fn is_offered(&self, _settings: &Settings) -> bool {
        true
    }
    /// Whether the request holds nothing of it but a `client_id`. Which of these methods it is, the registration says.
    fn is_bare(&self) -> bool {
        false
    }
    /// The client id these credentials claim, if they are of this method's form; nothing is proven yet.
    fn claims(&self, presented: &Credentials<'_>) -> Result<Option<String>>;
    /// Proves that they are the client's.
    async fn prove(&self, op: &Op, client: &Client, presented: &Credentials<'_>) -> Result<()>;
}

pub const METHODS: &[&dyn ClientAuth] = &[
    &client_secret_basic::ClientSecretBasic,
    &client_secret_post::ClientSecretPost,
    &client_secret_jwt::ClientSecretJwt,
    &private_key_jwt::PrivateKeyJwt,
    &tls_client_auth::TlsClientAuth,
    &self_signed_tls_client_auth::SelfSignedTlsClientAuth,
    &none::None,
];

/// The names of the methods that can be used under these settings.
pub fn offered(settings: &Settings) -> impl Iterator<Item = &'static str> + '_ {
    METHODS.iter().filter(|method| method.is_offered(settings)).map(|method| method.name())
}

/// The client that sent this request, proven by the one method it registered (RFC 6749 §2.3).
///
/// # Errors
/// `invalid_client`, without saying which part was wrong; `invalid_request` for more than one method;
/// `too_many_requests` after too many failures.
pub async fn authenticate(op: &Op, call: &Call<'_>, params: &Params) -> Result<Authenticated> {
    let presented = Credentials {
        headers: call.request.headers(),
        params,
        peer: call.peer,
        path: call.request.uri().path(),
        now: call.now,
    };
    let mut claimed: Option<(&'static dyn ClientAuth, String)> = None;
    for method in METHODS {
        let Some(client_id) = method.claims(&presented)? else { continue };
        // RFC 6749 §2.3: no more than one method in each request.
        if claimed.is_some() {
            return Err(invalid_request("The client authenticates by more than one method"));
        }
        claimed = Some((*method, client_id));
    }
    let Some((method, client_id)) = claimed else {
        return Err(invalid_client("The client did not authenticate"));
    };
    // A client_id beside the credentials must be the same (RFC 6749 §3.2.1).
    if params.one("client_id").is_some_and(|beside| beside != client_id) {
        return Err(invalid_request("The client_id is not that of the credentials"));
    }
    let client = op.client(&client_id, call.now).await?;
    let method = client.as_ref().map_or(method, |client| registered(op, method, client));
    let counted = client.as_ref().map_or("", |client| client.client_id.as_str());
    let counter = Counter::client(&op.settings.throttle, call.peer.address, counted);
    if let Some(seconds) = op.shared.throttle.used_up(&counter, call.now) {
        let says = "There were too many failed attempts";
        return Err(Error::new(Code::TooManyRequests, says).retry_after(seconds));
    }
    let proven = prove(op, client, method, &presented).await;
    if proven.as_ref().is_err_and(|error| error.code == Code::InvalidClient) {
        op.shared.throttle.failed(&counter, call.now);
    }
    proven
}

/// RFC 8705 §2: what a request with a `client_id` alone stands for, the client's registration says.
fn registered(op: &Op, claimed: &'static dyn ClientAuth, client: &Client) -> &'static dyn ClientAuth {
    let name = client.metadata.token_endpoint_auth_method.as_str();
    let fits = |method: &&&dyn ClientAuth| {
        method.is_bare() && method.is_offered(&op.settings) && method.name() == name
    };
    match claimed.is_bare() {
        true => METHODS.iter().find(fits).copied().unwrap_or(claimed),
        false => claimed,
    }
}

async fn prove(
    op: &Op,
    client: Option<Arc<Client>>,
    method: &'static dyn ClientAuth,
    presented: &Credentials<'_>,
) -> Result<Authenticated> {
    let client = client.ok_or_else(|| refused().because("unknown client"))?;
    if client.metadata.token_endpoint_auth_method != method.name() {
        return Err(refused().because(format!(
            "{} ({}) is not the registered method",
            method.name(),
            method.spec()
        )));
    }
    method.prove(op, &client, presented).await?;
    Ok(Authenticated { client, method: method.name() })
}

/// One text for everything: who guesses learns nothing.
fn refused() -> Error {
    invalid_client("The client is unknown or its authentication is not valid")
}

/// Compares a client secret with its digest.
fn check_secret(client: &Client, secret: &str, now: Timestamp) -> Result<()> {
    let digest = base64url(&sha256(secret.as_bytes()));
    let known = client.secret_digest.as_deref().unwrap_or("");
    if !equal(digest.as_bytes(), known.as_bytes()) {
        return Err(refused().because("wrong secret"));
    }
    // RFC 7591 §3.2.1: zero stands for never, and is stored as none.
    if client.secret_expires.is_some_and(|expires| expires <= now) {
        return Err(refused().because("the secret has expired"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
