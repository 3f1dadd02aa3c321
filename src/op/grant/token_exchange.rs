//! Token exchange (RFC 8693): a client presents a token of a person's and gets one for another resource, which says who
//! acts (delegation) or, where the operator allows it, does not (impersonation). The new token has a family of its own
//! that ends with everything the presented one hangs on; it lives no longer, and cannot be refreshed.

use super::{Asked, Grant, asked_scope};
use crate::base::clock::Timestamp;
use crate::op::Op;
use crate::op::error::{Code, Error, Result, invalid_request};
use crate::op::record::client::Client;
use crate::op::record::confirmation::Confirmation;
use crate::op::record::family::{Authorization, Family, Origin};
use crate::op::record::session::Session;
use crate::op::request::authorization_details;
use crate::op::request::params::Params;
use crate::op::settings::{Exchanger, Settings};
use crate::op::token::introspect::{Facts, Presented, Verdict, introspect};
use crate::op::token::mint::{Descent, Issue};
use crate::store::Expect;
use crate::store::record::{self, Stored, put};
use async_trait::async_trait;
use serde_json::{Value, json};
use std::sync::Arc;

mod id_token;

pub struct TokenExchange;

/// RFC 8693 §3.
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";

/// Exchanges of exchanged tokens: each adds to what must be asked about on a judgement.
const MAX_DEPTH: usize = 8;
const MAX_TARGETS: usize = 16;

/// A token of a person's that may be exchanged.
struct Subject {
    /// What was authorized: account, session, authentication, and who acts already.
    authorization: Authorization,
    /// What ends it.
    origins: Vec<Origin>,
    scope: Vec<String>,
    audience: Vec<String>,
    expires: Timestamp,
}

#[async_trait]
impl Grant for TokenExchange {
    fn name(&self) -> &'static str {
        "urn:ietf:params:oauth:grant-type:token-exchange"
    }
    fn spec(&self) -> &'static str {
        "https://www.rfc-editor.org/rfc/rfc8693#section-2"
    }
    fn is_enabled(&self, settings: &Settings) -> bool {
        !settings.token_exchange.clients.is_empty()
    }
    /// Confidential clients only: the policy names them, so they must prove who they are.
    fn allows(&self, client: &Client) -> bool {
        client.may_use_grant(self.name()) && !client.is_public()
    }
    fn issued_token_type(&self) -> Option<&'static str> {
        Some(ACCESS_TOKEN)
    }

    async fn prove(&self, op: &Op, asked: &Asked<'_>) -> Result<Issue> {
        let Asked { client, params, now, .. } = *asked;
        let client = client.client();
        let policy = op
            .settings
            .token_exchange
            .clients
            .get(&client.client_id)
            .ok_or_else(|| Error::new(Code::UnauthorizedClient, "The client may not exchange tokens"))?;
        // RFC 8693 §2.1: what is not asked for is ours to choose, and it is always this.
        if params.one("requested_token_type").is_some_and(|kind| kind != ACCESS_TOKEN) {
            return Err(invalid_request("The requested_token_type is not offered: only access tokens are"));
        }
        let subject = subject(op, policy, asked).await?;
        let act = actor(op, policy, asked, &subject).await?;
        let resources = targets(policy, params, &subject)?;
        let scope = scope(op, client, policy, params, &subject, &resources)?;
        let details = &subject.authorization.authorization_details;
        let authorization_details = authorization_details::of_resources(&op.settings, details, &resources);
        let authorization = Authorization {
            client_id: client.client_id.clone(),
            subject: op.subject(client, &subject.authorization.account),
            scope: scope.clone(),
            resources: resources.clone(),
            offline: false,
            wants_auth_time: false,
            authorization_details: authorization_details.clone(),
            confirmation: Confirmation::default(),
            act,
            origins: subject.origins,
            ..subject.authorization
        };
        let (id, ends) = (op.random().id()?, subject.expires);
        let family = Family {
            id: id.clone(),
            authorization: authorization.clone(),
            created: now,
            expires: ends,
            revoked: false,
            refresh: None,
        };
        Ok(Issue {
            sid: authorization.sid.clone(),
            family: Some(Descent { id, ends }),
            since: now,
            refresh: None,
            nonce: None,
            scope,
            resources,
            authorization_details,
            confirmation: asked.confirmation.clone(),
            changes: vec![put(&family, Expect::Absent)?],
            authorization,
        })
    }
}

/// One text for everything that may be wrong with a token: who guesses learns nothing (RFC 8693 §2.2.2).
fn not_valid(which: &str) -> Error {
    invalid_request(format!("The {which} is not valid here"))
}

/// The token that is exchanged (RFC 8693 §2.1).
async fn subject(op: &Op, policy: &Exchanger, asked: &Asked<'_>) -> Result<Subject> {
    let Asked { params, now, .. } = *asked;
    let (token, kind) = (params.required("subject_token")?, params.required("subject_token_type")?);
    let subject = match kind {
        ACCESS_TOKEN => {
            of_access_token(op, facts(op, token, "subject_token", asked).await?.as_ref(), now).await?
        }
        ID_TOKEN if policy.id_tokens => id_token::subject(op, token, now).await?,
        _ => return Err(invalid_request("The subject_token_type is not supported")),
    };
    let from = subject.origins.last().map_or("", |origin| origin.client_id.as_str());
    if !policy.subjects.iter().any(|allowed| allowed == from) {
        return Err(not_valid("subject_token"));
    }
    if subject.origins.len() > MAX_DEPTH {
        return Err(invalid_request("The subject_token was exchanged too often"));
    }
    Ok(subject)
}

/// An access token of ours that is good, and that this sender may use.
async fn facts(op: &Op, token: &str, which: &str, asked: &Asked<'_>) -> Result<Arc<Facts>> {
    let verdict = introspect(op, Presented { token }).await.map_err(Error::from)?;
    let Verdict::Active(facts) = verdict else { return Err(not_valid(which)) };
    // RFC 9449 §7, RFC 8705 §3: a bound token is good in the hands of its holder only.
    let (bound, proven) = (&facts.confirmation, asked.confirmation);
    let jkt_fits = bound.jkt.is_none() || bound.jkt == proven.jkt;
    let certificate_fits = bound.x5t_s256.is_none() || bound.x5t_s256 == proven.x5t_s256;
    if jkt_fits && certificate_fits { Ok(facts) } else { Err(not_valid(which)) }
}

async fn of_access_token(op: &Op, facts: &Facts, now: Timestamp) -> Result<Subject> {
    // A client's own token is nobody's to act for.
    let Some(id) = &facts.family else { return Err(not_valid("subject_token")) };
    let found = record::get::<Family>(op.store(), id.clone(), now).await?;
    let Some(Stored { record: family, dead: false, .. }) = found else {
        return Err(not_valid("subject_token"));
    };
    let mut origins = family.authorization.origins.clone();
    origins.push(Origin {
        family: Some(family.id),
        client_id: facts.client_id.clone(),
        created: family.created,
    });
    Ok(Subject {
        authorization: Authorization {
            // Of the token, which may be narrower than what was authorized.
            sid: facts.sid.clone(),
            act: facts.act.clone(),
            authorization_details: facts.authorization_details.clone(),
            ..family.authorization
        },
        origins,
        scope: facts.scope.clone(),
        audience: facts.audience.clone(),
        expires: facts.expires,
    })
}

/// Who acts (RFC 8693 §4.1): the newest actor outermost, those before within.
async fn actor(op: &Op, policy: &Exchanger, asked: &Asked<'_>, subject: &Subject) -> Result<Option<Value>> {
    let before = subject.authorization.act.clone();
    let (token, kind) = (asked.params.one("actor_token"), asked.params.one("actor_token_type"));
    let sub = match (token, kind) {
        // RFC 8693 §2.1: the type only, and always, with a token.
        (Some(_), None) => return Err(invalid_request("The actor_token_type is missing")),
        (None, Some(_)) => return Err(invalid_request("There is no actor_token")),
        (Some(token), Some(ACCESS_TOKEN)) => {
            let facts = facts(op, token, "actor_token", asked).await?;
            // Whoever acts through this client has a token of this client's, and not one that was delegated to it.
            if facts.client_id != asked.client.client().client_id || facts.act.is_some() {
                return Err(not_valid("actor_token"));
            }
            facts.subject.clone()
        }
        (Some(_), Some(_)) => return Err(invalid_request("The actor_token_type is not supported")),
        (None, None) if policy.impersonate => return Ok(before),
        (None, None) => crate::op::subject::of_client(&asked.client.client().client_id),
    };
    let mut act = json!({ "sub": sub });
    if let (Some(members), Some(before)) = (act.as_object_mut(), before) {
        members.insert("act".into(), before);
    }
    Ok(Some(act))
}

/// The resources that `resource` and `audience` name (RFC 8693 §2.1), or else those of the subject token that the
/// policy allows.
fn targets(policy: &Exchanger, params: &Params, subject: &Subject) -> Result<Vec<String>> {
    let refused = || Error::new(Code::InvalidTarget, "The client may not have tokens for that target");
    let mut targets: Vec<String> = Vec::new();
    for uri in params.all("resource").chain(params.all("audience")) {
        if targets.len() >= MAX_TARGETS || !policy.audiences.iter().any(|allowed| allowed == uri) {
            return Err(refused());
        }
        if !targets.iter().any(|known| known == uri) {
            targets.push(uri.to_owned());
        }
    }
    if targets.is_empty() {
        targets = subject.audience.iter().filter(|uri| policy.audiences.contains(uri)).cloned().collect();
    }
    if targets.is_empty() { Err(refused()) } else { Ok(targets) }
}

/// What the subject token had and, if asked for, what the policy adds; nothing that only a person's own client has.
fn scope(
    op: &Op,
    client: &Client,
    policy: &Exchanger,
    params: &Params,
    subject: &Subject,
    resources: &[String],
) -> Result<Vec<String>> {
    let allowed =
        |scope: &String| !["openid", "offline_access"].contains(&scope.as_str()) && op.may_ask(client, scope);
    let Some(asked) = asked_scope(params) else {
        // Least of all what belongs to another resource.
        let elsewhere = |scope: &String| {
            let mut owners =
                op.settings.resources.iter().filter(|owner| owner.scopes.contains(scope)).peekable();
            owners.peek().is_some() && !owners.any(|owner| resources.contains(&owner.uri))
        };
        return Ok(subject
            .scope
            .iter()
            .filter(|scope| allowed(scope) && !elsewhere(scope))
            .cloned()
            .collect());
    };
    let known = |scope: &String| subject.scope.contains(scope) || policy.scopes.contains(scope);
    match asked.iter().all(|scope| known(scope) && allowed(scope)) {
        true => Ok(asked),
        false => Err(Error::new(Code::InvalidScope, "The scope is more than may be exchanged for")),
    }
}

/// The session, if it is alive.
async fn session(op: &Op, sid: &str, now: Timestamp) -> Result<Option<Session>> {
    let found = record::get::<Session>(op.store(), sid.to_owned(), now).await?;
    Ok(found.filter(|found| !found.dead).map(|found| found.record))
}

#[cfg(test)]
mod tests;
