//! The only place where an OAuth token is born: access tokens, ID tokens; refresh tokens are handed out here. What the
//! authorization endpoint gives out is in `front`.

mod front;

pub use front::{FrontAnswer, FrontGrant, family_ends, front};

use super::access::{self, AccessClaims};
use super::audience::{self, Target};
use super::id_token::{self, Beside};
use super::introspect::{self, Facts};
use super::life::{Life, Parent};
use super::parents::{Bonds, Marked};
use crate::base::clock::Timestamp;
use crate::base::encode::base64url;
use crate::base::secret::sha256;
use crate::jose::{Algorithm, SigningKey};
use crate::op::Op;
use crate::op::client_auth::Authenticated;
use crate::op::error::{Error, Result, invalid_client, invalid_grant, server_error, unavailable};
use crate::op::record::access::Access;
use crate::op::record::confirmation::Confirmation;
use crate::op::record::family::{Authorization, Family};
use crate::op::record::session::Session;
use crate::op::settings::Format;
use crate::store::record::{self, check, put};
use crate::store::{Change, Durability, Expect};
use serde_json::Value;
use std::sync::Arc;

/// What a grant proved: everything that may be minted, and the changes that must be committed with it.
#[derive(Debug)]
pub struct Issue {
    /// Who and what for. For client_credentials `account` is empty.
    pub authorization: Authorization,
    /// The family to mint in, and when it ends; `None` for client_credentials.
    pub family: Option<Descent>,
    /// The session to bind the tokens to: it must be alive.
    pub sid: Option<String>,
    /// When the person authorized; for client_credentials, now. A parent that was marked since is deadly.
    pub since: Timestamp,
    /// The refresh token to hand out, if any (its lineage is part of `changes`).
    pub refresh: Option<String>,
    pub nonce: Option<String>,
    /// The scope and resources of this answer (may be narrower than the authorization's).
    pub scope: Vec<String>,
    pub resources: Vec<String>,
    /// The authorization details of this answer (RFC 9396 §7).
    pub authorization_details: Vec<Value>,
    /// What the access token is bound to.
    pub confirmation: Confirmation,
    /// The grant's own changes (code spent, family written), committed together with the parents' checks.
    pub changes: Vec<Change>,
}

/// The family of an [`Issue`].
#[derive(Debug)]
pub struct Descent {
    pub id: String,
    pub ends: Timestamp,
}

/// What the token endpoint answers with (RFC 6749 §5.1, OpenID Connect Core §3.1.3.3).
#[derive(Debug)]
pub struct TokenAnswer {
    pub access_token: String,
    /// In seconds.
    pub expires_in: u64,
    pub scope: String,
    pub refresh_token: Option<String>,
    pub id_token: Option<String>,
    /// `Bearer` or `DPoP`.
    pub token_type: &'static str,
    pub authorization_details: Vec<Value>,
}

/// Why nothing was minted.
#[derive(Debug)]
pub enum Failure {
    /// Something changed between proof and commit: prove again.
    Again,
    Refused(Error),
}

impl<E: Into<Error>> From<E> for Failure {
    fn from(error: E) -> Failure {
        Failure::Refused(error.into())
    }
}

/// Mints what `issue` allows and commits its changes together with the checks that every parent is alive: all or
/// nothing. The access token is known to [`Op::seen`] when this returns.
pub async fn mint(
    op: &Op,
    client: &Authenticated,
    issue: Issue,
    now: Timestamp,
) -> std::result::Result<TokenAnswer, Failure> {
    let Newborn { token: access_token, facts, stored, checks } = access_token(op, &issue, now).await?;
    let openid = issue.family.is_some() && issue.scope.iter().any(|scope| scope == "openid");
    let id_token = match openid {
        true => {
            let beside = Beside { access_token: Some(&access_token), ..Beside::default() };
            Some(id_token::sign(op, client.client(), &issue, beside, now).await?)
        }
        false => None,
    };

    let Issue { mut changes, refresh, scope, authorization_details, .. } = issue;
    changes.extend(stored);
    // What writes nothing needs no commit: a parent that ends after it was looked at ends the life, and its mark is
    // not older than the token.
    if !changes.is_empty() {
        changes.extend(checks);
        match op.store().commit(changes, Durability::Durable, now).await {
            Ok(_) => {}
            Err(fault) if fault.is_conflict() => return Err(Failure::Again),
            Err(fault) => return Err(fault.into()),
        }
    }
    let token_type = facts.confirmation.token_type();
    let expires_in = now.until(facts.expires);
    introspect::remember(op, &access_token, Arc::new(facts));
    Ok(TokenAnswer {
        access_token,
        expires_in,
        scope: scope.join(" "),
        refresh_token: refresh,
        id_token,
        token_type,
        authorization_details,
    })
}

/// An access token that is not committed yet.
struct Newborn {
    token: String,
    facts: Facts,
    /// What must be stored with it.
    stored: Option<Change>,
    /// That its parents are alive: what the commit is held to.
    checks: Vec<Change>,
}

async fn access_token(op: &Op, issue: &Issue, now: Timestamp) -> std::result::Result<Newborn, Failure> {
    let Target { audience, format, lifetime } =
        audience::target(&op.settings, &issue.resources, &issue.scope);
    let jti = access::jti(op.random(), issue.family.as_ref().map(|family| family.id.as_str()))?;
    let mut bonds = Bonds::new(op);
    let form = Form::begin(op, format, &jti, &mut bonds)?;
    tie(issue, &mut bonds);
    // Every life is held: a parent that ends from here on takes the token along.
    let Parents { ends, checks } = Parents::look(op, issue, now).await?;
    let expires = now.plus(lifetime).min(ends);
    let Ok(life) = bonds.life() else { return Err(Failure::Again) };
    let facts = facts(issue, audience, jti, life, now, expires);
    let (token, stored) = form.write(op, &facts)?;
    Ok(Newborn { token, facts, stored, checks })
}

/// What an access token is made of.
enum Form {
    Jwt(SigningKey),
    Opaque(String),
}

impl Form {
    /// Ties `bonds` to what stands for the token itself.
    fn begin(op: &Op, format: Format, jti: &str, bonds: &mut Bonds<'_>) -> Result<Form> {
        if format == Format::Opaque {
            let handle = op.random().token()?;
            bonds.tie(Parent::Token(base64url(&sha256(handle.as_bytes()))));
            return Ok(Form::Opaque(handle));
        }
        let no_key = || server_error("there is no key for access tokens");
        let key = op.ring().signer(Algorithm::ES256).cloned().ok_or_else(no_key)?;
        bonds.tie(Parent::Token(jti.to_owned()));
        bonds.tie(Parent::Key(key.kid().to_owned()));
        // Revoking a key takes it out of the ring before it ends its life: this look comes after the tie.
        if op.ring().verify_key(key.kid()).is_none() {
            return Err(unavailable("the signing key was revoked this moment"));
        }
        Ok(Form::Jwt(key))
    }

    /// The token's text, and what must be stored with it.
    fn write(self, op: &Op, facts: &Facts) -> Result<(String, Option<Change>)> {
        let claims = AccessClaims::of(facts, &op.settings.issuer);
        match self {
            Form::Jwt(key) => {
                let claims = serde_json::to_vec(&claims).map_err(server_error)?;
                Ok((key.sign(access::TYP, &claims).map_err(server_error)?, None))
            }
            Form::Opaque(handle) => {
                let digest = base64url(&sha256(handle.as_bytes()));
                let claims = match serde_json::to_value(&claims).map_err(server_error)? {
                    Value::Object(claims) => claims,
                    _ => return Err(server_error("claims are no object")),
                };
                let stored = put(&Access { digest, claims, expires: facts.expires }, Expect::Absent)?;
                Ok((handle, Some(stored)))
            }
        }
    }
}

fn tie(issue: &Issue, bonds: &mut Bonds<'_>) {
    let a = &issue.authorization;
    bonds.tie(Parent::Client(a.client_id.clone()));
    if let Some(family) = &issue.family {
        bonds.tie(Parent::Family(family.id.clone()));
        bonds.tie(Parent::Account(a.account.clone()));
    }
    if let Some(sid) = &issue.sid {
        bonds.tie(Parent::Session(sid.clone()));
    }
    bonds.tie_origins(&a.origins);
}

/// The parents as the store has them.
struct Parents {
    /// When the first of them ends by itself.
    ends: Timestamp,
    /// What a commit is held to.
    checks: Vec<Change>,
}

impl Parents {
    async fn look(op: &Op, issue: &Issue, now: Timestamp) -> Result<Parents> {
        let a = &issue.authorization;
        let client = Marked::client(op, &a.client_id, now).await?;
        let mut checks = vec![client.check()];
        let Some(family) = &issue.family else {
            return match client.spares(now) {
                true => Ok(Parents { ends: Timestamp::NEVER, checks }),
                false if client.disabled() => Err(invalid_client("The client is disabled")),
                // Its tokens were ended in this very second; in the next one new ones can be told from them.
                false => Err(unavailable("the client's tokens were ended this second")),
            };
        };
        let account = Marked::account(op, &a.account, now).await?;
        checks.push(account.check());
        let mut ends = family.ends;
        if let Some(sid) = &issue.sid {
            let session = record::get::<Session>(op.store(), sid.clone(), now).await?;
            let session = session.filter(|session| !session.dead).ok_or_else(over)?;
            ends = ends.min(session.record.expires);
            checks.push(check::<Session>(sid.clone(), Expect::Alive));
        }
        for origin in &a.origins {
            let client = Marked::client(op, &origin.client_id, now).await?;
            if !client.spares(origin.created) || !account.spares(origin.created) {
                return Err(over());
            }
            checks.push(client.check());
            checks.extend(origin.family.clone().map(|family| check::<Family>(family, Expect::Alive)));
        }
        if !client.spares(issue.since) || !account.spares(issue.since) || ends <= now {
            return Err(over());
        }
        Ok(Parents { ends, checks })
    }
}

fn over() -> Error {
    invalid_grant("The authorization is no longer valid")
}

fn facts(
    issue: &Issue,
    audience: Vec<String>,
    jti: String,
    life: Arc<Life>,
    now: Timestamp,
    expires: Timestamp,
) -> Facts {
    let a = &issue.authorization;
    let account = issue.family.is_some().then(|| a.account.clone());
    Facts {
        client_id: a.client_id.clone(),
        subject: a.subject.clone(),
        username: account.clone(),
        // A client that acts for itself, or for somebody who is asserted, has not authenticated as a person does.
        auth_time: account.is_some().then_some(a.auth_time).filter(|time| *time > Timestamp::default()),
        acr: a.acr.clone(),
        confirmation: issue.confirmation.clone(),
        authorization_details: issue.authorization_details.clone(),
        act: a.act.clone(),
        account,
        scope: issue.scope.clone(),
        audience,
        jti,
        family: issue.family.as_ref().map(|family| family.id.clone()),
        sid: issue.sid.clone(),
        issued: now,
        expires,
        life,
    }
}
