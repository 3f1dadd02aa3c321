//! The grant types of the token endpoint: one file each, one row each (RFC 6749 §4).
//!
//! A grant proves its credential and returns an [`Issue`]: what may be minted. It mints nothing itself.

mod authorization_code;
mod client_credentials;
mod jwt_bearer;
mod refresh_token;
mod token_exchange;

use super::Op;
use super::client_auth::Authenticated;
use super::error::Result;
use super::record::client::Client;
use super::record::confirmation::Confirmation;
use super::record::family::Lineage;
use super::request::params::Params;
use super::settings::Settings;
use super::token::mint::Issue;
use super::token::refresh::RefreshToken;
use crate::base::clock::Timestamp;
use async_trait::async_trait;

/// A token request whose client was authenticated.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    pub client: &'a Authenticated,
    pub params: &'a Params,
    /// What the sender proved to hold: the access token is bound to it.
    pub confirmation: &'a Confirmation,
    pub now: Timestamp,
}

impl Asked<'_> {
    /// What the refresh tokens of a new family are bound to. Those of a client that authenticates are bound by that
    /// (RFC 9449 §5, RFC 8705 §4): it may change its key.
    fn for_refresh(&self) -> Confirmation {
        match self.client.client().is_public() {
            true => self.confirmation.clone(),
            false => Confirmation::default(),
        }
    }
}

/// A row of [`GRANTS`].
#[async_trait]
pub trait Grant: Sync + Send {
    /// The `grant_type`.
    fn name(&self) -> &'static str;
    /// The section that defines it.
    fn spec(&self) -> &'static str;
    /// Whether these settings offer it.
    fn is_enabled(&self, _settings: &Settings) -> bool {
        true
    }
    /// The answer's `issued_token_type` (RFC 8693 §2.2.1).
    fn issued_token_type(&self) -> Option<&'static str> {
        None
    }
    /// Whether the client may use it, by what it registered.
    fn allows(&self, client: &Client) -> bool {
        client.may_use_grant(self.name())
    }
    /// The client was authenticated by its registered method and may use this grant. Called again if something
    /// changed before the issue was committed.
    async fn prove(&self, op: &Op, asked: &Asked<'_>) -> Result<Issue>;
}

pub const GRANTS: &[&dyn Grant] = &[
    &authorization_code::AuthorizationCode,
    &refresh_token::RefreshTokenGrant,
    &client_credentials::ClientCredentials,
    &token_exchange::TokenExchange,
    &jwt_bearer::JwtBearer,
];

/// The scope that `params` ask for, if they do: each value once, in order.
fn asked_scope(params: &Params) -> Option<Vec<String>> {
    let mut asked: Vec<String> = Vec::new();
    for scope in params.one("scope")?.split(' ').filter(|scope| !scope.is_empty()) {
        if !asked.iter().any(|known| known == scope) {
            asked.push(scope.to_owned());
        }
    }
    Some(asked)
}

/// The lineage whose current token is `token`.
fn lineage(
    op: &Op,
    token: &RefreshToken,
    generation: u64,
    previous: Option<(String, Timestamp)>,
    family_ends: Timestamp,
    now: Timestamp,
) -> Lineage {
    let expires = now.plus(op.settings.lifetimes.refresh_token.0).min(family_ends);
    Lineage { generation, current: token.digest(), previous, expires }
}

#[cfg(test)]
mod tests;
