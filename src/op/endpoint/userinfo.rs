//! Userinfo (OpenID Connect Core §5.3): who the person behind an access token is, as far as its scopes allow; as JSON, or
//! signed and encrypted as the client registered.

use super::{Call, Cors, Endpoint, ErrorForm};
use crate::base::clock::Timestamp;
use crate::op::binding::dpop::ALGS_IN_CHALLENGE;
use crate::op::binding::{DPOP_NONCE, Scheme, Shown};
use crate::op::claims::{Disclosure, Place};
use crate::op::error::{Code, Error, Result, invalid_request};
use crate::op::record::family::{Authorization, Family};
use crate::op::request::params::Params;
use crate::op::seal::Seal;
use crate::op::token::introspect::{Facts, Presented, Verdict, introspect};
use crate::op::{Op, serve};
use crate::store::record;
use async_trait::async_trait;
use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use serde_json::{Map, Value, json};
use std::sync::Arc;

pub struct Userinfo;

#[async_trait]
impl Endpoint for Userinfo {
    fn name(&self) -> &'static str {
        "userinfo"
    }
    fn spec(&self) -> &'static str {
        "https://openid.net/specs/openid-connect-core-1_0.html#UserInfo"
    }
    fn methods(&self) -> &'static [Method] {
        &[Method::GET, Method::POST]
    }
    fn error_form(&self) -> ErrorForm {
        ErrorForm::Bearer
    }
    fn cors(&self) -> Cors {
        Cors::AnyOrigin
    }

    fn describe(&self, op: &Op, metadata: &mut Map<String, Value>) {
        metadata.insert("userinfo_endpoint".into(), json!(serve::address(op, self)));
    }

    async fn answer(&self, op: &Op, call: Call<'_>) -> Result<Response<Bytes>> {
        let Some((scheme, token)) = presented(op, call.request)? else { return Ok(challenge(op)) };
        let (facts, nonce) = permitted(op, &call, scheme, &token).await?;
        let account = facts.account.as_deref().ok_or_else(invalid)?;
        let authorization = authorization(op, &facts, call.now).await?;
        let disclosure = Disclosure {
            place: Place::Userinfo,
            client_id: &facts.client_id,
            scope: &facts.scope,
            wishes: &authorization.claims.userinfo,
            locales: &authorization.claims_locales,
        };
        let mut body = Map::new();
        // §5.3.2: always there, and the same as in the ID token.
        body.insert("sub".into(), json!(facts.subject));
        body.append(&mut op.tell(account, disclosure, call.now).await?);
        let mut response = answered(op, &facts, body, call.now).await?;
        if let Some(nonce) = nonce {
            serve::set(&mut response, DPOP_NONCE, &nonce);
        }
        Ok(response)
    }
}

/// The token of the request: in the header (RFC 6750 §2.1, RFC 9449 §7.1), or in the form of a POST (RFC 6750 §2.2);
/// never in the query.
fn presented(op: &Op, request: &Request<Bytes>) -> Result<Option<(Scheme, String)>> {
    let mut headers = request.headers().get_all(header::AUTHORIZATION).iter();
    let in_header = match headers.next() {
        None => None,
        Some(value) => {
            let text =
                value.to_str().map_err(|_| invalid_request("The Authorization header is malformed"))?;
            let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
            match Scheme::parse(scheme) {
                Some(_) if token.trim().is_empty() => {
                    return Err(invalid_request("The Authorization header has no token"));
                }
                Some(scheme) => Some((scheme, token.trim().to_owned())),
                None => None,
            }
        }
    };
    let is_form = request.method() == Method::POST && !request.body().is_empty();
    let in_body = match is_form {
        // Whatever else is posted beside a header is not ours to judge.
        true => Params::from_body(request, &op.settings.limits)
            .map(|params| params.one("access_token").map(|token| (Scheme::Bearer, token.to_owned())))
            .or_else(|error| if in_header.is_some() { Ok(None) } else { Err(error) })?,
        false => None,
    };
    // RFC 6750 §2: no more than one method in each request.
    if headers.next().is_some() || (in_header.is_some() && in_body.is_some()) {
        return Err(invalid_request("The access token is given twice"));
    }
    Ok(in_header.or(in_body))
}

/// RFC 6750 §3.1: without any credentials, no error code.
fn challenge(op: &Op) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::UNAUTHORIZED;
    let bare = format!("Bearer realm=\"{}\"", op.settings.issuer);
    serve::set(&mut response, header::WWW_AUTHENTICATE, &bare);
    // RFC 9449 §7.2: this is taken as well.
    let dpop = format!("DPoP realm=\"{}\", algs=\"{ALGS_IN_CHALLENGE}\"", op.settings.issuer);
    if let Ok(dpop) = HeaderValue::from_str(&dpop) {
        response.headers_mut().append(header::WWW_AUTHENTICATE, dpop);
    }
    response
}

/// What the token vouches for, if it is meant for userinfo and its sender's; and a nonce for the sender's next proof.
async fn permitted(
    op: &Op,
    call: &Call<'_>,
    scheme: Scheme,
    token: &str,
) -> Result<(Arc<Facts>, Option<String>)> {
    let refused = |error: Error| if scheme == Scheme::Dpop { error.of_dpop() } else { error };
    let Verdict::Active(facts) = introspect(op, Presented { token }).await? else {
        return Err(refused(invalid()));
    };
    let shown = Shown {
        token,
        scheme,
        headers: call.request.headers(),
        method: call.request.method(),
        authority: &call.peer.host,
        path: call.request.uri().path(),
        certificate: call.peer.certificate.as_deref(),
    };
    let nonce = op.proves(&facts, &shown).map_err(|unproven| {
        let bound = facts.confirmation.jkt.is_some();
        let error = Error::from(unproven);
        if bound { error.of_dpop() } else { refused(error) }
    })?;
    let holds = |list: &[String], wanted: &str| list.iter().any(|own| own == wanted);
    if !holds(&facts.scope, "openid") {
        let says = "The access token lacks the scope openid";
        return Err(refused(Error::new(Code::InsufficientScope, says)));
    }
    if !holds(&facts.audience, &op.settings.issuer) {
        return Err(refused(invalid()));
    }
    Ok((facts, nonce))
}

/// §5.3.2: as JSON; signed, with issuer and audience; encrypted. Without `iat` and `exp` it can never be an ID token.
async fn answered(
    op: &Op,
    facts: &Facts,
    mut body: Map<String, Value>,
    now: Timestamp,
) -> Result<Response<Bytes>> {
    let client = op.client(&facts.client_id, now).await?.ok_or_else(invalid)?;
    let seal = Seal::of_userinfo(&client.metadata);
    if seal.is_clear() {
        return Ok(serve::json(StatusCode::OK, &Value::Object(body)));
    }
    if seal.signed.is_some() {
        body.insert("iss".into(), json!(op.settings.issuer));
        body.insert("aud".into(), json!(client.client_id));
    }
    let body = Value::Object(body).to_string();
    let token = op.sealed(&client, seal, "JWT", body.as_bytes()).await?;
    let mut response = Response::new(Bytes::from(token));
    serve::set(&mut response, header::CONTENT_TYPE, "application/jwt");
    Ok(response)
}

/// What the person allowed: the claims asked for by name, and their languages.
async fn authorization(op: &Op, facts: &Facts, now: Timestamp) -> Result<Authorization> {
    let family = facts.family.clone().ok_or_else(invalid)?;
    let family = record::get::<Family>(op.store(), family, now).await?;
    family.map(|family| family.record.authorization).ok_or_else(invalid)
}

fn invalid() -> Error {
    Error::new(Code::InvalidToken, "The access token is not valid")
}

#[cfg(test)]
mod tests;
