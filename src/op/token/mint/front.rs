//! What the authorization endpoint gives out: codes, and the tokens of the front channel (OpenID Connect Core §3.2.2.5,
//! §3.3.2.5). An access token beside a code is of the code's family, so that reuse of the code ends it (RFC 9700 §4.5).

use super::{Descent, Failure, Issue, Newborn, access_token, over};
use crate::base::clock::Timestamp;
use crate::op::Op;
use crate::op::error::{Code as ErrorCode, Error, Result};
use crate::op::record::client::Client;
use crate::op::record::code::Code;
use crate::op::record::confirmation::Confirmation;
use crate::op::record::family::{Authorization, Family};
use crate::op::record::session::Session;
use crate::op::response_type::ResponseType;
use crate::op::token::id_token::{self, Beside};
use crate::op::token::introspect;
use crate::op::token::parents::Marked;
use crate::store::record::{self, Stored, check, put};
use crate::store::{Change, Durability, Expect, Fault};
use std::sync::Arc;

/// What the authorization endpoint grants: what it gives out will stand for exactly this.
#[derive(Debug)]
pub struct FrontGrant {
    pub authorization: Authorization,
    pub response_type: &'static ResponseType,
    /// As the request sent it: the token request must repeat it (RFC 6749 §4.1.3).
    pub redirect_uri: String,
    /// PKCE, method S256 (RFC 7636 §4.3).
    pub code_challenge: Option<String>,
    pub nonce: Option<String>,
    /// RFC 9449 §10.
    pub dpop_jkt: Option<String>,
    /// The endpoint's own changes (a consent, the session's clients), committed together with what is given out.
    pub changes: Vec<Change>,
}

/// What goes to the client, by the response type.
#[derive(Debug, Default)]
pub struct FrontAnswer {
    /// 43 characters of base64url.
    pub code: Option<String>,
    pub access: Option<FrontAccess>,
    pub id_token: Option<String>,
}

/// RFC 6749 §4.2.2.
#[derive(Debug)]
pub struct FrontAccess {
    pub token: String,
    /// In seconds.
    pub expires_in: u64,
    pub scope: String,
    pub token_type: &'static str,
}

/// Gives out what `grant` allows, all of it or nothing. The session must be alive and neither the client nor the account
/// disabled at the very moment it is stored.
///
/// # Errors
/// `access_denied` if one of them has ended meanwhile; otherwise the store's (`temporarily_unavailable` for a conflict
/// over `changes`).
pub async fn front(op: &Op, client: &Client, grant: FrontGrant, now: Timestamp) -> Result<FrontAnswer> {
    let (kind, theirs) = (grant.response_type, grant.changes.len());
    let (code_challenge, dpop_jkt) = (grant.code_challenge.clone(), grant.dpop_jkt.clone());
    let redirect_uri = grant.redirect_uri.clone();
    let mut issue = issue(op, grant, now).await?;
    let handle = if kind.code { Some(op.random().token()?) } else { None };
    if let (Some(handle), Some(family)) = (&handle, &issue.family) {
        let redeem_until = now.plus(op.settings.lifetimes.code.0);
        let code = Code {
            digest: Code::digest_of(handle),
            family: family.id.clone(),
            founded: kind.token,
            client_id: issue.authorization.client_id.clone(),
            redirect_uri,
            code_challenge,
            nonce: issue.nonce.clone(),
            dpop_jkt,
            authorization: issue.authorization.clone(),
            created: now,
            redeem_until,
            spent: false,
            forget: redeem_until,
        };
        issue.changes.push(put(&code, Expect::Absent)?);
    }
    let (born, checks) = parents(op, kind, &mut issue, now).await?;
    let access_token = born.as_ref().map(|born| born.token.as_str());
    let id_token = if kind.id_token {
        let claims = !kind.code && !kind.token;
        let beside = Beside { code: handle.as_deref(), access_token, claims };
        Some(id_token::sign(op, client, &issue, beside, now).await?)
    } else {
        None
    };
    let mut changes = issue.changes;
    // What only asks whether its parents live loses nothing in a crash.
    let durability = if changes.is_empty() { Durability::Soon } else { Durability::Durable };
    changes.extend(checks);
    match op.store().commit(changes, durability, now).await {
        Ok(_) => {}
        Err(Fault::Conflict { position }) if position >= theirs => return Err(meanwhile()),
        Err(fault) => return Err(fault.into()),
    }
    let access = born.map(|Newborn { token, facts, .. }| {
        let (expires_in, scope) = (now.until(facts.expires), facts.scope.join(" "));
        let token_type = facts.confirmation.token_type();
        introspect::remember(op, &token, Arc::new(facts));
        FrontAccess { token, expires_in, scope, token_type }
    });
    Ok(FrontAnswer { code: handle, access, id_token })
}

fn meanwhile() -> Error {
    Error::new(ErrorCode::AccessDenied, "The session, the account or the client has ended meanwhile")
}

/// The token endpoint's word for an authorization that has ended, in those of the authorization endpoint.
fn ended(error: Error) -> Error {
    if error.code == ErrorCode::InvalidGrant { meanwhile() } else { error }
}

async fn issue(op: &Op, grant: FrontGrant, now: Timestamp) -> Result<Issue> {
    let authorization = grant.authorization;
    let ends = family_ends(op, &authorization, now, now).await.map_err(ended)?;
    Ok(Issue {
        family: Some(Descent { id: op.random().id()?, ends }),
        sid: authorization.sid.clone(),
        since: now,
        refresh: None,
        nonce: grant.nonce,
        scope: authorization.scope.clone(),
        resources: authorization.resources.clone(),
        authorization_details: authorization.authorization_details.clone(),
        // Nobody proves a key in the front channel.
        confirmation: Confirmation::default(),
        changes: grant.changes,
        authorization,
    })
}

/// The access token, if the response type has one, with its family; and what the commit is held to.
async fn parents(
    op: &Op,
    kind: &ResponseType,
    issue: &mut Issue,
    now: Timestamp,
) -> Result<(Option<Newborn>, Vec<Change>)> {
    let a = &issue.authorization;
    let client = Marked::client(op, &a.client_id, now).await?;
    let account = Marked::account(op, &a.account, now).await?;
    // A sign-in from before the account's mark counts no more.
    if client.disabled() || !account.spares(a.auth_time) {
        return Err(meanwhile());
    }
    if !kind.token {
        let mut checks = vec![client.check(), account.check()];
        checks.extend(a.sid.clone().map(|sid| check::<Session>(sid, Expect::Alive)));
        return Ok((None, checks));
    }
    let mut born = match access_token(op, issue, now).await {
        Ok(born) => born,
        Err(Failure::Again) => return Err(meanwhile()),
        Err(Failure::Refused(error)) => return Err(ended(error)),
    };
    if let Some(descent) = &issue.family {
        let family = Family {
            id: descent.id.clone(),
            authorization: issue.authorization.clone(),
            created: now,
            // Without a code nothing follows the access token.
            expires: if kind.code { descent.ends } else { born.facts.expires },
            revoked: false,
            refresh: None,
        };
        issue.changes.push(put(&family, Expect::Absent)?);
    }
    issue.changes.extend(born.stored.take());
    let checks = std::mem::take(&mut born.checks);
    Ok((Some(born), checks))
}

/// When a family that was authorized at `created` ends by itself: without `offline_access` with its session.
///
/// # Errors
/// `invalid_grant`: the session has ended.
pub async fn family_ends(
    op: &Op,
    authorization: &Authorization,
    created: Timestamp,
    now: Timestamp,
) -> Result<Timestamp> {
    let total = created.plus(op.settings.lifetimes.refresh_token_total.0);
    let Some(sid) = authorization.sid.as_ref().filter(|_| !authorization.offline) else { return Ok(total) };
    let session = record::get::<Session>(op.store(), sid.clone(), now).await?;
    match session {
        Some(Stored { record, dead: false, .. }) => Ok(record.expires.min(total)),
        _ => Err(over()),
    }
}
