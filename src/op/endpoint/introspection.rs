//! Token introspection (RFC 7662): for the client a token was issued to, and for those its resource names. To
//! everybody else every token is inactive, and inactive says nothing more. As JSON, or as a signed token (RFC 9701).

use super::{Call, Cors, Endpoint, ErrorForm};
use crate::base::clock::Timestamp;
use crate::op::claims::{Disclosure, Place, Wishes};
use crate::op::client_auth::authenticate;
use crate::op::error::{Error, Result, invalid_client, unavailable};
use crate::op::record::family::Family;
use crate::op::record::session::Session;
use crate::op::request::authorization_details;
use crate::op::request::params::Params;
use crate::op::seal::Seal;
use crate::op::token::audience;
use crate::op::token::introspect::{Facts, Presented, Verdict, introspect};
use crate::op::token::parents::Marked;
use crate::op::token::refresh::RefreshToken;
use crate::op::{Op, serve};
use crate::store::record::{self, Stored};
use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Method, Response, StatusCode, header};
use serde_json::{Map, Value, json};

pub struct Introspection;

/// RFC 9701 §5: the type of a token that is never taken for another kind.
const TYP: &str = "token-introspection+jwt";
const MEDIA_TYPE: &str = "application/token-introspection+jwt";
/// Members about the token that a claim might be named like; those of every kind of token are reserved.
const OWN: [&str; 6] = ["active", "scope", "client_id", "username", "token_type", "authorization_details"];
/// Media ranges that are looked at.
const MAX_RANGES: usize = 20;

#[async_trait]
impl Endpoint for Introspection {
    fn name(&self) -> &'static str {
        "introspection"
    }
    fn spec(&self) -> &'static str {
        "https://www.rfc-editor.org/rfc/rfc7662#section-2"
    }
    fn methods(&self) -> &'static [Method] {
        &[Method::POST]
    }
    fn error_form(&self) -> ErrorForm {
        ErrorForm::Json
    }
    fn cors(&self) -> Cors {
        Cors::Never
    }

    fn describe(&self, op: &Op, metadata: &mut Map<String, Value>) {
        metadata.insert("introspection_endpoint".into(), json!(serve::address(op, self)));
    }

    async fn answer(&self, op: &Op, call: Call<'_>) -> Result<Response<Bytes>> {
        let params = Params::from_body(call.request, &op.settings.limits)?;
        let client = authenticate(op, &call, &params).await?;
        // §2.1: or anybody could go fishing for tokens.
        if client.client().is_public() {
            return Err(invalid_client("A client that cannot authenticate may not introspect"));
        }
        let token = params.required("token")?;
        let asker = &client.client().client_id;
        // The hint is not needed: the forms of our tokens differ.
        let found = match RefreshToken::read(op, token) {
            Some(refresh) => refresh_token(op, &refresh, asker, call.now).await?,
            None => access_token(op, token, asker, call.now).await?,
        };
        let body = found.map_or_else(|| json!({ "active": false }), Value::Object);
        if !wants_token(call.request.headers()) {
            return Ok(serve::json(StatusCode::OK, &body));
        }
        let claims = json!({
            "iss": op.settings.issuer,
            "aud": asker,
            "iat": call.now,
            "token_introspection": body,
        });
        let seal = Seal::of_introspection(&client.client().metadata);
        let token = op.sealed(client.client(), seal, TYP, claims.to_string().as_bytes()).await?;
        let mut response = Response::new(Bytes::from(token));
        serve::set(&mut response, header::CONTENT_TYPE, MEDIA_TYPE);
        Ok(response)
    }
}

/// RFC 9701 §4: the asker prefers a token to JSON. One that accepts anything gets JSON.
fn wants_token(headers: &HeaderMap) -> bool {
    let ranges = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    ranges.flat_map(|value| value.split(',')).take(MAX_RANGES).any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(MEDIA_TYPE));
        let refused = |part: &str| {
            let weight = part.strip_prefix("q=").or_else(|| part.strip_prefix("Q="));
            weight.and_then(|weight| weight.parse::<f32>().ok()).is_some_and(|weight| weight <= 0.0)
        };
        named && !parts.any(refused)
    })
}

async fn access_token(
    op: &Op,
    token: &str,
    asker: &str,
    now: Timestamp,
) -> Result<Option<Map<String, Value>>> {
    let verdict = introspect(op, Presented { token }).await.map_err(Error::from)?;
    let Verdict::Active(facts) = verdict else { return Ok(None) };
    let named = facts.audience.iter().filter_map(|uri| audience::find(&op.settings, uri));
    let listed = named.filter(|resource| resource.introspectors.iter().any(|known| known == asker));
    let theirs: Vec<String> = listed.map(|resource| resource.uri.clone()).collect();
    let mut members = if facts.client_id == asker {
        members(op, &facts, &facts.authorization_details)
    } else if theirs.is_empty() {
        return Ok(None);
    } else {
        // RFC 9396 §9.2: what is meant for another resource is none of this one's business.
        let details =
            authorization_details::of_resources(&op.settings, &facts.authorization_details, &theirs);
        members(op, &facts, &details)
    };
    let mut told = told(op, &facts, now).await?;
    told.retain(|name, _| !OWN.contains(&name.as_str()));
    members.append(&mut told);
    Ok(Some(members))
}

/// RFC 7662 §2.2: what an operator adds about the person. Never instead of what is said of the token.
async fn told(op: &Op, facts: &Facts, now: Timestamp) -> Result<Map<String, Value>> {
    let rules = op.settings.told_to(&facts.client_id);
    let Some(account) = &facts.account else { return Ok(Map::new()) };
    if rules.introspection.is_empty() && !rules.introspection_by_scope {
        return Ok(Map::new());
    }
    let disclosure = Disclosure {
        place: Place::Introspection,
        client_id: &facts.client_id,
        scope: &facts.scope,
        wishes: &Wishes::new(),
        locales: &[],
    };
    op.tell(account, disclosure, now).await
}

/// RFC 7662 §2.2, RFC 9068 §2.2.
fn members(op: &Op, facts: &Facts, details: &[Value]) -> Map<String, Value> {
    let mut members = Map::new();
    let mut add = |name: &str, value: Value| {
        if !value.is_null() {
            members.insert(name.to_owned(), value);
        }
    };
    add("active", true.into());
    add("scope", facts.scope.join(" ").into());
    add("client_id", facts.client_id.clone().into());
    add("username", json!(facts.username));
    add("token_type", facts.confirmation.token_type().into());
    add("exp", facts.expires.0.into());
    add("iat", facts.issued.0.into());
    add("nbf", facts.issued.0.into());
    add("sub", facts.subject.clone().into());
    add("aud", one_or_many(&facts.audience));
    add("iss", op.settings.issuer.clone().into());
    add("jti", facts.jti.clone().into());
    add("sid", json!(facts.sid));
    add("auth_time", json!(facts.auth_time));
    add("acr", json!(facts.acr));
    // RFC 8705 §3.2, RFC 9449 §6.2; RFC 9396 §9.2; RFC 8693 §4.1.
    add("cnf", Some(&facts.confirmation).filter(|cnf| !cnf.is_empty()).map_or(Value::Null, |cnf| json!(cnf)));
    let details = Some(details).filter(|details| !details.is_empty());
    add("authorization_details", json!(details));
    add("act", json!(facts.act));
    members
}

fn one_or_many(list: &[String]) -> Value {
    match list {
        [one] => json!(one),
        many => json!(many),
    }
}

/// A refresh token is its own client's business alone.
async fn refresh_token(
    op: &Op,
    token: &RefreshToken,
    asker: &str,
    now: Timestamp,
) -> Result<Option<Map<String, Value>>> {
    let found = record::get::<Family>(op.store(), token.family.clone(), now).await?;
    let Some(Stored { record: family, dead: false, .. }) = found else { return Ok(None) };
    let authorization = &family.authorization;
    let Some(lineage) = &family.refresh else { return Ok(None) };
    let current = lineage.current == token.digest() && lineage.expires > now;
    if !current || authorization.client_id != asker || !lives(op, &family, now).await? {
        return Ok(None);
    }
    let members = json!({
        "active": true,
        "scope": authorization.scope.join(" "),
        "client_id": authorization.client_id,
        "username": authorization.account,
        "token_type": "refresh_token",
        "exp": lineage.expires,
        "iat": family.created,
        "sub": authorization.subject,
        "iss": op.settings.issuer,
    });
    match members {
        Value::Object(members) => Ok(Some(members)),
        _ => Err(unavailable("members are no object")),
    }
}

/// Whether a refresh would be granted.
async fn lives(op: &Op, family: &Family, now: Timestamp) -> Result<bool> {
    let authorization = &family.authorization;
    let client = Marked::client(op, &authorization.client_id, now).await?;
    let account = Marked::account(op, &authorization.account, now).await?;
    if !client.spares(family.created) || !account.spares(family.created) {
        return Ok(false);
    }
    let Some(sid) = authorization.sid.as_ref().filter(|_| !authorization.offline) else { return Ok(true) };
    let session = record::get::<Session>(op.store(), sid.clone(), now).await?;
    Ok(session.is_some_and(|session| !session.dead))
}
