//! What every client assertion must be, however it is signed (RFC 7521 §4.2, RFC 7523 §3, OpenID Connect Core §9).

use super::{Credentials, refused};
use crate::base::clock::Timestamp;
use crate::jose::jws::Audience;
use crate::jose::{Algorithm, Expiry, Rules, Typ};
use crate::op::Op;
use crate::op::binding;
use crate::op::endpoint::ENDPOINTS;
use crate::op::error::{Result, invalid_request};
use crate::op::record::client::Client;
use crate::op::record::replay::Replay;
use crate::op::serve;
use crate::store::record::put;
use crate::store::{Durability, Expect};
use serde_json::{Map, Value};
use std::time::Duration;

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// An assertion must expire within this time: its `jti` is remembered until then.
const MAX_LIFETIME: Duration = Duration::from_secs(3_600);

/// Clocks differ.
const LEEWAY: Duration = Duration::from_secs(30);

/// The assertion of the request, if it has one.
pub(super) fn presented<'a>(presented: &Credentials<'a>) -> Result<Option<&'a str>> {
    let params = presented.params;
    let Some(assertion) = params.one("client_assertion") else { return Ok(None) };
    if params.one("client_assertion_type") != Some(ASSERTION_TYPE) {
        return Err(invalid_request("The client_assertion_type is not supported"));
    }
    Ok(Some(assertion))
}

/// RFC 7523 §3: `iss` and `sub` both name the client. Which keys to ask follows from it; nothing is proven yet.
pub(super) fn client_id(claims: &Map<String, Value>) -> Result<String> {
    match (claims.get("iss"), claims.get("sub")) {
        (Some(Value::String(iss)), Some(Value::String(sub))) if iss == sub => Ok(sub.clone()),
        _ => Err(refused().because("iss and sub of the assertion are not the client")),
    }
}

/// What an assertion may call us: the issuer, the token endpoint, or the URL called, under any of its paths.
pub(super) fn audience(op: &Op, path: &str) -> Vec<String> {
    let mut names = vec![op.settings.issuer.clone()];
    for endpoint in ENDPOINTS {
        let paths = serve::paths(op, *endpoint);
        if endpoint.name() == "token" || paths.iter().any(|known| known == path) {
            names.extend(paths.iter().map(|path| format!("{}{path}", op.origin())));
            // RFC 8705 §5: the same endpoint where clients show certificates.
            if let Some(mtls) = op.settings.mtls.as_ref().filter(|_| binding::is_aliased(*endpoint)) {
                names.extend(paths.iter().map(|path| format!("{}{path}", mtls.origin)));
            }
        }
    }
    names
}

pub(super) fn rules<'a>(
    client: &'a Client,
    audience: &'a [&'a str],
    algorithms: &'a [Algorithm],
    now: Timestamp,
) -> Rules<'a> {
    Rules {
        // RFC 9101 §10.8, RFC 8725 §3.11: a request object travels through browsers and is no assertion.
        typ: Typ::Optional(&["JWT", "client-authentication+jwt"]),
        issuer: Some(&client.client_id),
        audience: Audience::Includes(audience),
        required: &["sub", "jti"],
        expiry: Expiry::Required,
        leeway: LEEWAY,
        ..Rules::new(algorithms, now)
    }
}

/// RFC 7523 §3: the assertion expires soon, and its `jti` counts once until then. To be called once it is verified.
pub(super) async fn once(
    op: &Op,
    client: &Client,
    claims: &Map<String, Value>,
    now: Timestamp,
) -> Result<()> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or("");
    let seconds = |value: &Value| value.as_u64().or_else(|| format!("{:.0}", value.as_f64()?).parse().ok());
    let expires = claims.get("exp").and_then(seconds).map_or(Timestamp::NEVER, Timestamp);
    if expires > now.plus(MAX_LIFETIME).plus(LEEWAY) {
        return Err(refused().because("the assertion expires too late"));
    }
    if text("sub") != client.client_id || text("jti").is_empty() {
        return Err(refused().because("sub or jti of the assertion"));
    }
    // A second longer, since a fraction of `exp` may have been rounded away.
    let forget = expires.plus(LEEWAY).plus(Duration::from_secs(1));
    let replay = Replay::new("client_assertion", &client.client_id, text("jti"), forget);
    match op.store().commit(vec![put(&replay, Expect::Absent)?], Durability::Soon, now).await {
        Ok(_) => Ok(()),
        Err(fault) if fault.is_conflict() => Err(refused().because("the assertion was used before")),
        Err(fault) => Err(fault.into()),
    }
}
