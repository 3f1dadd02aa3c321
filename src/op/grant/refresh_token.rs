//! `refresh_token` (RFC 6749 §6, OpenID Connect Core §12): each use gives a successor. A retry within the grace gets
//! the same successor again, so that a lost answer or parallel requests leave one lineage; anything later is theft,
//! and ends the family (RFC 9700 §4.14.2).

use super::{Asked, Grant, asked_scope, lineage};
use crate::base::clock::Timestamp;
use crate::op::Op;
use crate::op::error::{Code, Error, Result, invalid_grant};
use crate::op::record::client::Client;
use crate::op::record::family::{Authorization, Family, Lineage};
use crate::op::record::session::Session;
use crate::op::request::authorization_details;
use crate::op::request::params::Params;
use crate::op::settings::Offline;
use crate::op::token::mint::{Descent, Issue};
use crate::op::token::refresh::RefreshToken;
use crate::op::token::{audience, revoke};
use crate::store::record::{self, Stored, check, put};
use crate::store::{Change, Expect};
use async_trait::async_trait;
use serde_json::Value;

pub struct RefreshTokenGrant;

#[async_trait]
impl Grant for RefreshTokenGrant {
    fn name(&self) -> &'static str {
        "refresh_token"
    }
    fn spec(&self) -> &'static str {
        "https://www.rfc-editor.org/rfc/rfc6749#section-6"
    }
    /// A client that registered only `authorization_code` may be granted `offline_access`; that it holds a refresh
    /// token of its own is what counts (SPEC.md, divergences).
    fn allows(&self, client: &Client) -> bool {
        client.may_use_grant(self.name()) || client.may_use_grant("authorization_code")
    }

    async fn prove(&self, op: &Op, asked: &Asked<'_>) -> Result<Issue> {
        let Asked { client, params, now, .. } = *asked;
        let presented = params.required("refresh_token")?;
        let token = RefreshToken::read(op, presented).ok_or_else(invalid)?;
        let found = record::get::<Family>(op.store(), token.family.clone(), now).await?;
        let Some(Stored { record: family, version, dead: false }) = found else { return Err(invalid()) };
        // §10.4: bound to the client. Whoever found it must not be able to spoil it.
        if family.authorization.client_id != client.client().client_id {
            return Err(invalid());
        }
        // RFC 9449 §5, RFC 8705 §4: nor must who found it without its key.
        if !family.authorization.confirmation.is_met_by(asked.confirmation) {
            return Err(invalid_grant("The refresh token is bound to another key"));
        }
        let scope = narrow_scope(op, &family.authorization, client.client(), params)?;
        let resources = audience::narrow(&family.authorization.resources, params.all("resource"))?;
        let details = &family.authorization.authorization_details;
        let details = authorization_details::narrow(op, client.client(), params, details)?;
        let authorization_details = authorization_details::of_resources(&op.settings, &details, &resources);
        let Some(use_of) = judge(op, &family, &token, now) else {
            revoke::family_of(op, &family.id, now).await?;
            return Err(invalid_grant("The refresh token was used before"));
        };
        let (next, change) = match use_of? {
            Use::Rotates(next, lineage) => {
                let rotated = Family { refresh: Some(lineage), ..family.clone() };
                (next, put(&rotated, Expect::Version(version))?)
            }
            Use::Repeats(next) => (next, check::<Family>(family.id.clone(), Expect::Alive)),
        };
        issue(
            op,
            family,
            asked,
            Given { scope, resources, authorization_details, refresh: next.write(op), change },
        )
        .await
    }
}

fn invalid() -> Error {
    invalid_grant("The refresh token is not valid")
}

/// What the use of a refresh token gives.
enum Use {
    Rotates(RefreshToken, Lineage),
    Repeats(RefreshToken),
}

/// `None`: reuse. A token whose seal is ours but that is neither the current one nor a retry was rotated away.
fn judge(op: &Op, family: &Family, token: &RefreshToken, now: Timestamp) -> Option<Result<Use>> {
    let Some(known) = &family.refresh else { return Some(Err(invalid())) };
    let digest = token.digest();
    if digest == known.current {
        if known.expires <= now {
            return Some(Err(invalid_grant("The refresh token has expired")));
        }
        let generation = known.generation + 1;
        let next = token.successor(op, generation);
        let lineage = lineage(op, &next, generation, Some((digest, now)), family.expires, now);
        return Some(Ok(Use::Rotates(next, lineage)));
    }
    let (previous, used) = known.previous.as_ref()?;
    let in_grace = *previous == digest && used.plus(op.settings.refresh.grace.0) > now;
    let next = token.successor(op, known.generation);
    (in_grace && next.digest() == known.current).then_some(Ok(Use::Repeats(next)))
}

/// RFC 6749 §6: not more than was granted.
fn narrow_scope(
    op: &Op,
    authorization: &Authorization,
    client: &Client,
    params: &Params,
) -> Result<Vec<String>> {
    // What the client's registration has lost since counts no more.
    let still = |scope: &&String| op.may_ask(client, scope);
    let granted: Vec<String> = authorization.scope.iter().filter(still).cloned().collect();
    let Some(asked) = asked_scope(params) else { return Ok(granted) };
    if asked.iter().any(|scope| !granted.contains(scope)) {
        return Err(Error::new(Code::InvalidScope, "The scope is more than was granted"));
    }
    Ok(asked)
}

/// What a use of the token gives.
struct Given {
    scope: Vec<String>,
    resources: Vec<String>,
    authorization_details: Vec<Value>,
    refresh: String,
    change: Change,
}

async fn issue(op: &Op, family: Family, asked: &Asked<'_>, given: Given) -> Result<Issue> {
    let now = asked.now;
    let sid = match &family.authorization.sid {
        Some(sid) => session_of(op, &family.authorization, sid, now).await?,
        None => None,
    };
    Ok(Issue {
        family: Some(Descent { id: family.id, ends: family.expires }),
        sid,
        since: family.created,
        refresh: Some(given.refresh),
        // OpenID Connect Core §12.2: an ID token of a refresh has no need of it.
        nonce: None,
        scope: given.scope,
        resources: given.resources,
        authorization_details: given.authorization_details,
        confirmation: asked.confirmation.clone(),
        changes: vec![given.change],
        authorization: family.authorization,
    })
}

/// The session that the next tokens are a part of, if they are of any.
async fn session_of(
    op: &Op,
    authorization: &Authorization,
    sid: &str,
    now: Timestamp,
) -> Result<Option<String>> {
    let session = record::get::<Session>(op.store(), sid.to_owned(), now).await?;
    let ended = session.as_ref().is_some_and(|session| session.dead);
    if session.is_some() && !ended {
        return Ok(Some(sid.to_owned()));
    }
    // Back-Channel Logout §2.7: with `offline_access` the family outlives the session, but is no part of it.
    match authorization.offline && !(ended && op.settings.logout.offline == Offline::Revoke) {
        true => Ok(None),
        false => Err(invalid_grant("The session has ended")),
    }
}
