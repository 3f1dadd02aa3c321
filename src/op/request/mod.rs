//! An authorization request, from parameters to typed values (OpenID Connect Core §3.1.2, RFC 6749 §4.1.1): the matrix.
//!
//! [`authorize`] is a door; each line of it is one check, in the order they run, and calls one file that returns a
//! typed value. Parameters no check knows are ignored (RFC 6749 §3.1).

mod acr;
pub(super) mod authorization_details;
mod claims;
mod client;
mod display;
mod dpop_jkt;
mod hint;
mod locales;
mod max_age;
mod nonce;
pub mod object;
pub mod params;
mod pkce;
mod prompt;
mod redirect_uri;
mod registration;
mod resource;
mod response_mode;
mod response_type;
mod scope;
mod source;
mod state;
#[cfg(test)]
mod tests;

pub(super) use display::SUPPORTED as DISPLAYS;
pub(super) use hint::{Hint, id_token as id_token_hint};
pub(super) use source::used_up;

use super::Op;
use super::claims::ClaimsRequest;
use super::error::{Error, Result};
use super::record::client::Client;
use super::response_mode::ResponseMode;
use super::response_type::{ResponseType, by_name};
use crate::base::clock::Timestamp;
use params::Params;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Proof that a redirect URI is registered for the client that asked: only [`ReturnAddress`]es are redirected to.
/// An error before one exists can only be a page.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ReturnAddress {
    uri: String,
    /// The wire name of the response mode.
    mode: String,
    state: Option<String>,
}

impl ReturnAddress {
    pub fn uri(&self) -> &str {
        &self.uri
    }
    pub fn state(&self) -> Option<&str> {
        self.state.as_deref()
    }
    pub fn mode(&self) -> Option<&'static dyn ResponseMode> {
        super::response_mode::find(&self.mode)
    }
}

/// A request that passed every check.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct AuthorizationRequest {
    pub client_id: String,
    pub return_to: ReturnAddress,
    #[serde(with = "by_name")]
    pub response_type: &'static ResponseType,
    /// Known scopes only, in the order requested.
    pub scope: Vec<String>,
    /// Selected resources, by `uri`.
    pub resources: Vec<String>,
    pub nonce: Option<String>,
    pub code_challenge: Option<String>,
    /// The key the code will be bound to (RFC 9449 §10).
    #[serde(default)]
    pub dpop_jkt: Option<String>,
    /// The pushed request it was, by its digest: used up with the answer.
    #[serde(default)]
    pub pushed: Option<String>,
    /// Values of the prompts this provider has.
    pub prompt: Vec<String>,
    /// Seconds; the client's `default_max_age` if the request has none.
    pub max_age: Option<u64>,
    pub login_hint: Option<String>,
    /// The `sub` of an `id_token_hint`, as this client knows it.
    pub hinted_subject: Option<String>,
    pub ui_locales: Vec<String>,
    /// Those of the `claims` parameter included, its essential ones first.
    pub acr_values: Vec<String>,
    /// One of these must be met; empty: none has to be (OpenID Connect Core §5.5.1.1).
    #[serde(default)]
    pub essential_acr: Vec<String>,
    /// What is asked for by name, as far as the client may.
    #[serde(default)]
    pub claims: ClaimsRequest,
    #[serde(default)]
    pub claims_locales: Vec<String>,
    pub display: Option<String>,
    /// RFC 9396 §2.
    #[serde(default)]
    pub authorization_details: Vec<serde_json::Value>,
}

impl AuthorizationRequest {
    pub fn asks(&self, prompt: &str) -> bool {
        self.prompt.iter().any(|asked| asked == prompt)
    }
    pub fn asks_scope(&self, scope: &str) -> bool {
        self.scope.iter().any(|asked| asked == scope)
    }
    /// Whether the person that the client knows as `subject` may be the one: no `id_token_hint` and no `sub` of the
    /// `claims` parameter names another.
    pub fn accepts_subject(&self, subject: &str) -> bool {
        let hinted = self.hinted_subject.as_ref().is_none_or(|hinted| hinted == subject);
        hinted && self.claims.accepts_subject(subject)
    }
}

/// Why a request was not taken, and how its sender learns of it.
#[derive(Debug)]
pub enum Refusal {
    /// Nothing proves that the redirect URI is the client's: a page.
    Page(Error),
    /// RFC 6749 §4.1.2.1: to the redirect URI.
    Return(Arc<Client>, ReturnAddress, Error),
}

/// The authorization endpoint's door.
pub(super) async fn authorize(
    op: &Op,
    params: &Params,
    now: Timestamp,
) -> std::result::Result<(AuthorizationRequest, Arc<Client>), Refusal> {
    let client = client::check(op, params, now).await.map_err(Refusal::Page)?;
    let source = match source::of_browser(op, &client, params, now).await {
        Ok(source) => source,
        // What stands around it may say where the client is to learn of it.
        Err(error) => match return_address(&client, params) {
            Ok(return_to) => return Err(Refusal::Return(client, return_to, error)),
            Err(_) => return Err(Refusal::Page(error)),
        },
    };
    let return_to = return_address(&client, &source.params).map_err(Refusal::Page)?;
    match rest(op, &client, &return_to, &source.params, now).await {
        Ok(request) => Ok((AuthorizationRequest { pushed: source.pushed, ..request }, client)),
        Err(error) => Err(Refusal::Return(client, return_to, error)),
    }
}

/// The pushed authorization request endpoint's door (RFC 9126 §2.1): the parameters that count, which the same checks
/// have passed. They pass them again when the browser comes.
pub(super) async fn push(op: &Op, client: &Arc<Client>, params: &Params, now: Timestamp) -> Result<Params> {
    let params = source::of_client(op, client, params, now).await?;
    client::check(op, &params, now).await?;
    let return_to = return_address(client, &params)?;
    rest(op, client, &return_to, &params, now).await?;
    Ok(params)
}

/// The checks before which no redirect may happen.
fn return_address(client: &Client, params: &Params) -> Result<ReturnAddress> {
    let uri = redirect_uri::check(client, params)?;
    let state = state::check(params)?;
    let mode = response_mode::of(client, params);
    Ok(ReturnAddress { uri, mode: mode.name().to_owned(), state })
}

/// The checks whose errors travel to the client.
async fn rest(
    op: &Op,
    client: &Client,
    return_to: &ReturnAddress,
    params: &Params,
    now: Timestamp,
) -> Result<AuthorizationRequest> {
    registration::check(params)?;
    let response_type = response_type::check(op, client, params)?;
    response_mode::check(client, response_type, params)?;
    let prompt = prompt::check(op, params)?;
    let scope = scope::check(op, client, response_type, params, &prompt)?;
    let mut resources = resource::check(op, &scope, params)?;
    let authorization_details = authorization_details::check(op, client, params, &mut resources)?;
    let code_challenge = pkce::check(client, response_type, params)?;
    let dpop_jkt = dpop_jkt::check(params)?;
    let nonce = nonce::check(response_type, params)?;
    let max_age = max_age::check(client, params)?;
    let hint = hint::check(op, client, params, now).await?;
    let login_hint = hint::login(params)?;
    let ui_locales = self::ui_locales(params)?;
    let claims = claims::check(op, client, &scope, params)?;
    let claims_locales = locales::check(params, "claims_locales")?;
    let essential_acr = claims::essential_acr(op, &claims)?;
    let acr_values = claims::acr_values(&claims, acr::check(client, params)?);
    let display = display::check(params)?;
    Ok(AuthorizationRequest {
        client_id: client.client_id.clone(),
        return_to: return_to.clone(),
        response_type,
        scope,
        resources,
        nonce,
        code_challenge,
        dpop_jkt,
        pushed: None,
        prompt,
        max_age,
        login_hint,
        hinted_subject: hint.map(|hint| hint.subject),
        ui_locales,
        acr_values,
        essential_acr,
        claims,
        claims_locales,
        display,
        authorization_details,
    })
}

/// The languages a person is to be spoken to in; for the logout endpoint too.
pub(super) fn ui_locales(params: &Params) -> Result<Vec<String>> {
    locales::check(params, "ui_locales")
}

/// The words of a space-separated parameter (RFC 6749 §3.3), each once, at most `most`.
fn words(params: &Params, name: &'static str, most: usize) -> Result<Vec<String>> {
    let mut words: Vec<String> = Vec::new();
    for word in params.one(name).unwrap_or_default().split(' ').filter(|word| !word.is_empty()) {
        if words.len() >= most {
            return Err(super::error::invalid_request(format!("The parameter {name} has too many values")));
        }
        if !words.iter().any(|known| known == word) {
            words.push(word.to_owned());
        }
    }
    Ok(words)
}

/// A parameter of at most `most` bytes.
fn short(params: &Params, name: &'static str, most: usize) -> Result<Option<String>> {
    match params.one(name) {
        Some(value) if value.len() > most => {
            Err(super::error::invalid_request(format!("The parameter {name} is too long")))
        }
        value => Ok(value.map(str::to_owned)),
    }
}
