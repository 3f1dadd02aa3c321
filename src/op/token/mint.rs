//! The only place an OAuth token is born.

use crate::base::clock::Timestamp;
use crate::op::Op;
use crate::op::error::{Code as ErrorCode, Error, Result};
use crate::op::record::code::Code;
use crate::op::record::family::{Authorization, Family, Lineage};
use crate::op::record::mark::Mark;
use crate::op::record::session::Session;
use crate::store::record::{check, put};
use crate::store::{Change, Durability, Expect};

/// What the authorization endpoint grants: the code will stand for exactly this.
#[derive(Debug)]
pub struct CodeGrant {
    pub authorization: Authorization,
    /// As the request sent it: the token request must repeat it (RFC 6749 §4.1.3).
    pub redirect_uri: String,
    /// PKCE, method S256 (RFC 7636 §4.3).
    pub code_challenge: Option<String>,
    pub nonce: Option<String>,
    /// The endpoint's own changes (a consent, the session's clients), committed together with the code.
    pub changes: Vec<Change>,
}

/// Stores a fresh code for `grant` and returns its handle: 43 characters of base64url. The session must be alive and
/// neither the client nor the account disabled at the very moment it is stored.
///
/// # Errors
/// `access_denied` if one of them has ended meanwhile; otherwise the store's.
pub async fn code(op: &Op, grant: CodeGrant, now: Timestamp) -> Result<String> {
    let handle = op.random().token()?;
    let redeem_until = now.plus(op.settings.lifetimes.code.0);
    let code = Code {
        digest: Code::digest_of(&handle),
        family: op.random().id()?,
        client_id: grant.authorization.client_id.clone(),
        redirect_uri: grant.redirect_uri,
        code_challenge: grant.code_challenge,
        nonce: grant.nonce,
        authorization: grant.authorization,
        created: now,
        redeem_until,
        spent: false,
        forget: redeem_until,
    };
    let mut changes = grant.changes;
    changes.push(put(&code, Expect::Absent)?);
    let a = &code.authorization;
    changes.push(check::<Mark>(Mark::of_client(&a.client_id), Expect::NotDead));
    changes.push(check::<Mark>(Mark::of_account(&a.account), Expect::NotDead));
    changes.extend(a.sid.clone().map(|sid| check::<Session>(sid, Expect::Alive)));
    match op.store().commit(changes, Durability::Durable, now).await {
        Ok(_) => Ok(handle),
        Err(fault) if fault.is_conflict() => Err(Error::new(
            ErrorCode::AccessDenied,
            "The session, the account or the client has ended meanwhile",
        )
        .because(fault)),
        Err(fault) => Err(fault.into()),
    }
}

/// What a grant proved: everything that may be minted, and the changes that must be committed with it.
#[derive(Debug)]
pub struct Issue {
    /// Who and what for. For client_credentials `account` is empty.
    pub authorization: Authorization,
    /// The family to mint in; `None` for client_credentials.
    pub family: Option<Family>,
    /// A refresh token to hand out, if any, with the lineage it belongs to (already part of `family`).
    pub refresh: Option<(String, Lineage)>,
    pub nonce: Option<String>,
    /// An ID token is due (`openid` was granted).
    pub id_token: bool,
    /// The scope and resources of this answer (may be narrower than the authorization's).
    pub scope: Vec<String>,
    pub resources: Vec<String>,
    /// The grant's own changes (code spent, family written), committed together with the parents' checks.
    pub changes: Vec<Change>,
}
