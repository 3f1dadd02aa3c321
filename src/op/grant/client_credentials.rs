//! `client_credentials` (RFC 6749 §4.4): a client acts for itself. No family, no refresh token, no ID token; nothing a
//! person would have to agree to.

use super::{Asked, Grant, asked_scope};
use crate::op::error::{Code, Error, Result};
use crate::op::record::client::Client;
use crate::op::record::family::Authorization;
use crate::op::request::authorization_details;
use crate::op::request::params::Params;
use crate::op::token::audience;
use crate::op::token::mint::Issue;
use crate::op::{Op, subject};
use async_trait::async_trait;

pub struct ClientCredentials;

/// What only a person can grant.
const PERSONAL: [&str; 6] = ["openid", "offline_access", "profile", "email", "address", "phone"];

#[async_trait]
impl Grant for ClientCredentials {
    fn name(&self) -> &'static str {
        "client_credentials"
    }
    fn spec(&self) -> &'static str {
        "https://www.rfc-editor.org/rfc/rfc6749#section-4.4"
    }
    /// Confidential clients only.
    fn allows(&self, client: &Client) -> bool {
        client.may_use_grant(self.name()) && !client.is_public()
    }

    async fn prove(&self, op: &Op, asked: &Asked<'_>) -> Result<Issue> {
        let Asked { client, params, now, .. } = *asked;
        let client = client.client();
        let scope = scope(op, client, params)?;
        let mut resources = audience::select(&op.settings, params.all("resource"), &scope)?;
        let details = authorization_details::without_person(op, client, params)?;
        if params.one("resource").is_none() {
            authorization_details::add_resources(&op.settings, &details, &mut resources);
        }
        let authorization_details = authorization_details::of_resources(&op.settings, &details, &resources);
        Ok(Issue {
            authorization: Authorization {
                client_id: client.client_id.clone(),
                subject: subject::of_client(&client.client_id),
                ..Authorization::default()
            },
            family: None,
            sid: None,
            since: now,
            refresh: None,
            nonce: None,
            scope,
            resources,
            authorization_details,
            confirmation: asked.confirmation.clone(),
            changes: Vec::new(),
        })
    }
}

/// What was asked for, or else everything the client registered; less what is unknown, not registered, or personal.
fn scope(op: &Op, client: &Client, params: &Params) -> Result<Vec<String>> {
    let registered: Option<Vec<_>> =
        client.metadata.scope.as_deref().map(|scope| scope.split(' ').map(str::to_owned).collect());
    let asked = asked_scope(params);
    let named = asked.is_some();
    let mut scope = asked.or_else(|| registered.clone()).unwrap_or_default();
    scope.retain(|scope| op.may_ask(client, scope) && !PERSONAL.contains(&scope.as_str()));
    if named && scope.is_empty() {
        return Err(Error::new(Code::InvalidScope, "The client may have none of the requested scopes"));
    }
    Ok(scope)
}
