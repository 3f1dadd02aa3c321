//! `urn:ietf:params:oauth:grant-type:jwt-bearer` (RFC 7523 §2.1): an issuer the operator trusts asserts one of our
//! people. Nobody signed in, so there is no session, no ID token and no refresh token.

use super::{Asked, Grant, asked_scope};
use crate::base::clock::Timestamp;
use crate::jose::jws::Audience;
use crate::jose::{Algorithm, Jws, Rules, Verified};
use crate::op::Op;
use crate::op::endpoint::ENDPOINTS;
use crate::op::endpoint::registration::metadata::ASSERTION_ALGS;
use crate::op::error::{Code, Error, Result, invalid_grant};
use crate::op::record::client::Client;
use crate::op::record::family::{Authorization, Family};
use crate::op::record::replay::Replay;
use crate::op::request::params::Params;
use crate::op::serve;
use crate::op::settings::{AssertionIssuer, Settings, trust};
use crate::op::token::audience;
use crate::op::token::mint::{Descent, Issue};
use crate::store::Expect;
use crate::store::record::{self, put};
use async_trait::async_trait;
use serde_json::Value;
use std::time::Duration;

pub struct JwtBearer;

/// An assertion must expire within this time: its `jti` is remembered until then.
const MAX_LIFETIME: Duration = Duration::from_secs(3_600);

/// Clocks differ.
const LEEWAY: Duration = Duration::from_secs(30);

#[async_trait]
impl Grant for JwtBearer {
    fn name(&self) -> &'static str {
        "urn:ietf:params:oauth:grant-type:jwt-bearer"
    }
    fn spec(&self) -> &'static str {
        "https://www.rfc-editor.org/rfc/rfc7523#section-2.1"
    }
    fn is_enabled(&self, settings: &Settings) -> bool {
        !settings.jwt_bearer.issuers.is_empty()
    }
    /// Confidential clients only: the issuers' lists name them, so they must prove who they are.
    fn allows(&self, client: &Client) -> bool {
        client.may_use_grant(self.name()) && !client.is_public()
    }

    async fn prove(&self, op: &Op, asked: &Asked<'_>) -> Result<Issue> {
        let Asked { client, params, now, .. } = *asked;
        let client = client.client();
        let assertion = params.required("assertion")?;
        let issuer = issuer(op, client, assertion)?;
        let verified = verify(op, issuer, assertion, now).await?;
        let text = |name: &str| verified.claims.get(name).and_then(Value::as_str).unwrap_or("");
        let replay = once(op, issuer, &verified, text("jti"), now).await?;
        let account = account(op, issuer, text("sub"), now).await?;
        let scope = scope(op, client, issuer, params)?;
        let resources = audience::select(&op.settings, params.all("resource"), &scope)?;
        let authorization = Authorization {
            client_id: client.client_id.clone(),
            subject: op.subject(client, &account),
            account,
            scope: scope.clone(),
            resources: resources.clone(),
            ..Authorization::default()
        };
        // RFC 7523 §4: the token may outlive the assertion; it ends with what it hangs on, and by its own expiry.
        let lifetime = audience::target(&op.settings, &resources, &scope).lifetime;
        let (id, ends) = (op.random().id()?, now.plus(lifetime));
        let family = Family {
            id: id.clone(),
            authorization: authorization.clone(),
            created: now,
            expires: ends,
            revoked: false,
            refresh: None,
        };
        Ok(Issue {
            family: Some(Descent { id, ends }),
            sid: None,
            since: now,
            refresh: None,
            nonce: None,
            scope,
            resources,
            authorization_details: Vec::new(),
            confirmation: asked.confirmation.clone(),
            changes: vec![put(&replay, Expect::Absent)?, put(&family, Expect::Absent)?],
            authorization,
        })
    }
}

/// One text for everything: who guesses learns nothing.
fn refused() -> Error {
    invalid_grant("The assertion is not valid here")
}

/// Whose assertion it claims to be, among those this client may present. Nothing is proven yet.
fn issuer<'a>(op: &'a Op, client: &Client, assertion: &str) -> Result<&'a AssertionIssuer> {
    let jws = Jws::parse(assertion).map_err(|fault| refused().because(fault))?;
    let claimed = jws.unverified_claims().get("iss").and_then(Value::as_str).unwrap_or("");
    let issuer = op
        .settings
        .jwt_bearer
        .issuers
        .iter()
        .find(|issuer| issuer.issuer == claimed && issuer.clients.contains(&client.client_id));
    issuer.ok_or_else(|| refused().because("the issuer is not trusted, or not through this client"))
}

/// RFC 7523 §3.
async fn verify(op: &Op, issuer: &AssertionIssuer, assertion: &str, now: Timestamp) -> Result<Verified> {
    let keys = trust::keys(issuer.jwks.as_ref(), issuer.jwks_uri.as_deref()).ok_or_else(refused)?;
    let algorithms: Vec<_> = ASSERTION_ALGS.iter().filter_map(|name| Algorithm::parse(name)).collect();
    let mut names = vec![op.settings.issuer.clone()];
    for endpoint in ENDPOINTS.iter().filter(|endpoint| endpoint.name() == "token") {
        names.extend(serve::paths(op, *endpoint).iter().map(|path| format!("{}{path}", op.origin())));
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let rules = Rules {
        issuer: Some(&issuer.issuer),
        audience: Audience::Includes(&names),
        required: &["sub", "jti", "exp"],
        leeway: LEEWAY,
        ..Rules::new(&algorithms, now)
    };
    op.shared.remote.verify(assertion, keys, &rules).await.map_err(|fault| refused().because(fault))
}

/// The note that the assertion was used, to be committed with what is issued for it (RFC 7523 §3: `jti`).
async fn once(
    op: &Op,
    issuer: &AssertionIssuer,
    verified: &Verified,
    jti: &str,
    now: Timestamp,
) -> Result<Replay> {
    let seconds = |value: &Value| value.as_u64().or_else(|| format!("{:.0}", value.as_f64()?).parse().ok());
    let expires = verified.claims.get("exp").and_then(seconds).map_or(Timestamp::NEVER, Timestamp);
    if expires > now.plus(MAX_LIFETIME).plus(LEEWAY) {
        return Err(refused().because("the assertion expires too late"));
    }
    if jti.is_empty() {
        return Err(refused().because("the jti is empty"));
    }
    // A second longer, since a fraction of `exp` may have been rounded away.
    let forget = expires.plus(LEEWAY).plus(Duration::from_secs(1));
    let replay = Replay::new("jwt_bearer", &issuer.issuer, jti, forget);
    match record::get::<Replay>(op.store(), replay.id.clone(), now).await? {
        None => Ok(replay),
        Some(_) => Err(refused().because("the assertion was used before")),
    }
}

/// The account the issuer means. That it is not disabled is checked where the token is minted.
async fn account(op: &Op, issuer: &AssertionIssuer, sub: &str, now: Timestamp) -> Result<String> {
    let account = match issuer.subjects.is_empty() {
        true => Some(sub),
        false => issuer.subjects.get(sub).map(String::as_str),
    };
    let account = account.ok_or_else(|| refused().because("the sub is not mapped to an account"))?;
    let person = op.person(account, now).await?;
    person.map(|person| person.account).ok_or_else(|| refused().because("there is no such account"))
}

/// What the issuer's assertions are good for, and the client registered.
fn scope(op: &Op, client: &Client, issuer: &AssertionIssuer, params: &Params) -> Result<Vec<String>> {
    let allowed = |scope: &String| {
        issuer.scopes.contains(scope)
            && !["openid", "offline_access"].contains(&scope.as_str())
            && op.may_ask(client, scope)
    };
    match asked_scope(params) {
        None => Ok(issuer.scopes.iter().filter(|scope| allowed(scope)).cloned().collect()),
        Some(asked) if asked.iter().all(allowed) => Ok(asked),
        Some(_) => Err(Error::new(Code::InvalidScope, "The scope is more than the assertion is good for")),
    }
}

#[cfg(test)]
mod tests;
