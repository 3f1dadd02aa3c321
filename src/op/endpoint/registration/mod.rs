//! Client registration (RFC 7591, OpenID Connect Registration 1.0) and its management (RFC 7592), at
//! `…/registration` and `…/registration/CLIENT`.

mod bound;
mod gate;
mod logout;
pub(crate) mod metadata;
mod protection;
mod request_object;
pub(crate) mod sector;
mod statement;

#[cfg(test)]
mod tests;

use super::{Call, Cors, Endpoint, ErrorForm};
use crate::base::clock::Timestamp;
use crate::base::encode::base64url;
use crate::base::secret::{Secret, equal, sha256};
use crate::op::error::{Code, Error, Result, invalid_request, unavailable};
use crate::op::record::client::{Client, Metadata};
use crate::op::serve::{address, json, set};
use crate::op::settings::Registration as Mode;
use crate::op::throttle::Counter;
use crate::op::token::revoke;
use crate::op::{Op, serve};
use crate::store::record::{Stored, delete, get, put};
use crate::store::{Durability, Expect};
use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, Response, StatusCode, header};
use serde_json::{Map, Value, json};

pub struct Registration;

#[async_trait]
impl Endpoint for Registration {
    fn name(&self) -> &'static str {
        "registration"
    }
    fn spec(&self) -> &'static str {
        "RFC 7591 §3, RFC 7592 §2, OpenID Connect Registration §3"
    }
    fn methods(&self) -> &'static [Method] {
        &[Method::POST, Method::GET, Method::PUT, Method::DELETE]
    }
    fn error_form(&self) -> ErrorForm {
        ErrorForm::Json
    }
    fn cors(&self) -> Cors {
        Cors::AnyOrigin
    }
    fn takes_rest(&self) -> bool {
        true
    }
    fn describe(&self, op: &Op, metadata: &mut Map<String, Value>) {
        if op.settings.registration != Mode::Closed {
            metadata.insert("registration_endpoint".into(), address(op, self).into());
        }
    }

    async fn answer(&self, op: &Op, call: Call<'_>) -> Result<Response<Bytes>> {
        match (call.request.method(), call.rest.strip_prefix('/')) {
            (&Method::POST, None) => match create(op, &call).await {
                Err(error) if error.code == Code::InvalidToken => Ok(unauthorized(op, &error)),
                other => other,
            },
            (_, None) => Err(Error::new(Code::MethodNotAllowed, "Register with POST")),
            (&Method::POST, Some(_)) => Err(Error::new(Code::MethodNotAllowed, "Use GET, PUT or DELETE")),
            (method, Some(client_id)) => match presented(op, &call, client_id).await? {
                None => {
                    let says = "The registration access token is not valid here";
                    Ok(unauthorized(op, &Error::new(Code::InvalidToken, says)))
                }
                Some((stored, token)) => match *method {
                    Method::PUT => update(op, &call, stored, &token).await,
                    Method::DELETE => remove(op, &stored.record, call.now).await,
                    _ => Ok(json(StatusCode::OK, &description(op, &stored.record, None, Some(&token)))),
                },
            },
        }
    }
}

/// The largest metadata that is read, in bytes: a key set by value included.
const MAX_METADATA: usize = 64 << 10;

/// A client as it was made, with what is shown once.
pub(crate) struct Made {
    pub client: Client,
    pub secret: Option<String>,
    pub registration_token: Option<String>,
}

/// How often a registration is tried again because others use the same initial access token.
const ATTEMPTS: usize = 64;

async fn create(op: &Op, call: &Call<'_>) -> Result<Response<Bytes>> {
    let counter = Counter::registrations(&op.settings.throttle, call.peer.address);
    op.shared.throttle.spend(&counter, call.now)?;
    let mut pass = gate::admit(op, call).await?;
    let mut sent = members(op, call)?;
    let software_statement = statement::apply(op, &mut sent, None, call.now).await?;
    let metadata = metadata::validate(&op.settings, &sent).map_err(|refusal| refusal.error)?;
    let limits = pass.limits();
    gate::allow(limits.as_ref(), &metadata)?;
    sector::check(op, &metadata).await?;
    let mut made = complete(op, Metadata { software_statement, ..metadata }, "registration", call.now)?;
    made.client.limits = limits;
    for _ in 0..ATTEMPTS {
        let mut changes = pass.spend()?;
        changes.push(put(&made.client, Expect::Absent)?);
        match op.store().commit(changes, Durability::Durable, call.now).await {
            Ok(_) => {
                let (secret, token) = (made.secret.as_deref(), made.registration_token.as_deref());
                return Ok(json(StatusCode::CREATED, &description(op, &made.client, secret, token)));
            }
            Err(fault) if fault.is_conflict() => {
                // The same token, one use less: its limits never change.
                pass = gate::admit(op, call).await?;
            }
            Err(fault) => return Err(fault.into()),
        }
    }
    Err(unavailable("the initial access token keeps changing"))
}

/// Validates, completes and stores a new client of the operator's.
pub(crate) async fn make(op: &Op, sent: &Map<String, Value>, origin: &str, now: Timestamp) -> Result<Made> {
    let metadata = metadata::validate(&op.settings, sent).map_err(|refusal| refusal.error)?;
    sector::check(op, &metadata).await?;
    let made = complete(op, metadata, origin, now)?;
    op.store().commit(vec![put(&made.client, Expect::Absent)?], Durability::Durable, now).await?;
    Ok(made)
}

/// A client with this metadata, and what proves that it is the client.
fn complete(op: &Op, metadata: Metadata, origin: &str, now: Timestamp) -> Result<Made> {
    let (random, client_id) = (op.random(), op.random().id()?);
    let (secret, secret_sealed) = match metadata::needs_secret(&metadata.token_endpoint_auth_method) {
        true => {
            let secret = op.new_secret(&metadata)?;
            let sealed = op.sealed_secret(&client_id, &metadata, &secret)?;
            (Some(secret), sealed)
        }
        false => (None, None),
    };
    let registration_token = match origin {
        "registration" => Some(random.token()?),
        _ => None,
    };
    let client = Client {
        client_id,
        created: now,
        origin: origin.into(),
        secret_digest: secret.as_deref().map(digest),
        secret_sealed,
        secret: None,
        secret_expires: secret.as_ref().and(secret_expiry(op, now)),
        registration_token_digest: registration_token.as_deref().map(digest),
        limits: None,
        metadata,
    };
    Ok(Made { client, secret, registration_token })
}

pub(crate) fn secret_expiry(op: &Op, now: Timestamp) -> Option<Timestamp> {
    let lifetime = op.settings.lifetimes.client_secret.0;
    (!lifetime.is_zero()).then(|| now.plus(lifetime))
}

/// The form in which a generated secret is stored: it has full entropy, so a fast digest is enough.
pub(crate) fn digest(secret: &str) -> String {
    base64url(&sha256(secret.as_bytes()))
}

fn members(op: &Op, call: &Call<'_>) -> Result<Map<String, Value>> {
    let body = call.request.body();
    if body.len() > op.settings.limits.body.bytes().min(MAX_METADATA) {
        return Err(Error::new(Code::TooLarge, "The request is too large"));
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(members)) => Ok(members),
        _ => Err(Error::new(Code::InvalidClientMetadata, "The body must be one JSON object")),
    }
}

/// The client whose registration access token was presented, with that token. What is wrong with the token and
/// whether there is such a client looks the same (RFC 7592 §2).
async fn presented(op: &Op, call: &Call<'_>, client_id: &str) -> Result<Option<(Stored<Client>, String)>> {
    let Some(token) = gate::bearer(call).filter(|_| client_id.len() <= 200) else { return Ok(None) };
    let stored = get::<Client>(op.store(), client_id.to_owned(), call.now).await?;
    let fits = |stored: &Stored<Client>| {
        let known = stored.record.registration_token_digest.as_deref().unwrap_or("");
        equal(known.as_bytes(), digest(token).as_bytes())
    };
    Ok(stored.filter(fits).map(|stored| (stored, token.to_owned())))
}

/// RFC 6750 §3.
fn unauthorized(op: &Op, error: &Error) -> Response<Bytes> {
    let body = json!({ "error": error.code.wire(), "error_description": error.description() });
    let mut response = json(StatusCode::UNAUTHORIZED, &body);
    let challenge = format!("Bearer realm=\"{}\", error=\"invalid_token\"", op.settings.issuer);
    set(&mut response, header::WWW_AUTHENTICATE, &challenge);
    response
}

/// RFC 7592 §2.2: the whole of the metadata is replaced; a member left out is reset.
async fn update(op: &Op, call: &Call<'_>, stored: Stored<Client>, token: &str) -> Result<Response<Bytes>> {
    let mut sent = members(op, call)?;
    for member in [
        "registration_access_token",
        "registration_client_uri",
        "client_secret_expires_at",
        "client_id_issued_at",
    ] {
        if sent.contains_key(member) {
            return Err(invalid_request(format!("The request must not contain {member}")));
        }
    }
    let old = stored.record;
    if sent.get("client_id").and_then(Value::as_str) != Some(old.client_id.as_str()) {
        return Err(invalid_request("client_id must be the client's own"));
    }
    if let Some(secret) = sent.get("client_secret") {
        // RFC 7592 §2.2: a client must not choose its own secret.
        let known = old.secret_digest.as_deref().unwrap_or("");
        if !secret.as_str().is_some_and(|secret| equal(known.as_bytes(), digest(secret).as_bytes())) {
            return Err(invalid_request("client_secret must be the client's own"));
        }
    }
    let known = old.metadata.software_statement.as_deref();
    let software_statement = statement::apply(op, &mut sent, known, call.now).await?;
    let metadata = metadata::validate(&op.settings, &sent).map_err(|refusal| refusal.error)?;
    gate::allow(old.limits.as_ref(), &metadata)?;
    sector::check(op, &metadata).await?;
    let metadata = Metadata { software_statement, ..metadata };
    let needs = metadata::needs_secret(&metadata.token_endpoint_auth_method);
    // A client that turns to a secret gets one, and one whose secret expires a new one (RFC 7592 §2.2: the answer may
    // hold another). One that keeps its secret is told nothing new.
    // So does one that turns to MACs, unless it has shown a secret that is long enough for them.
    let known = match sent.get("client_secret").and_then(Value::as_str) {
        Some(shown) => Some(Secret::new(shown)),
        None => op.client_secret(&old)?,
    };
    let least = metadata.least_secret();
    let short = least.is_some_and(|least| known.as_ref().is_none_or(|known| known.expose().len() < least));
    let renews = needs && (old.secret_digest.is_none() || old.secret_expires.is_some() || short);
    let secret = if renews { Some(op.new_secret(&metadata)?) } else { None };
    let secret_sealed = match secret.as_deref().or(known.as_ref().map(Secret::expose)) {
        Some(secret) if needs => op.sealed_secret(&old.client_id, &metadata, secret)?,
        _ => None,
    };
    let secret_digest = secret.as_deref().map(digest).or(old.secret_digest.clone()).filter(|_| needs);
    let secret_expires = secret.as_ref().and(secret_expiry(op, call.now));
    let client = Client { secret_digest, secret_sealed, secret_expires, metadata, ..old };
    let change = put(&client, Expect::Version(stored.version))?;
    op.store().commit(vec![change], Durability::Durable, call.now).await?;
    Ok(json(StatusCode::OK, &description(op, &client, secret.as_deref(), Some(token))))
}

/// RFC 7592 §2.3. Everything that was issued to the client ends in the same call.
async fn remove(op: &Op, client: &Client, now: Timestamp) -> Result<Response<Bytes>> {
    // First the mark: whatever breaks in between, the client is dead and can be removed again.
    revoke::client(op, &client.client_id, true).await?;
    let change = delete::<Client>(client.client_id.clone(), Expect::Anything);
    op.store().commit(vec![change], Durability::Durable, now).await?;
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}

/// RFC 7591 §3.2.1, RFC 7592 §3. A secret is shown when it was made and never again: we do not have it.
pub(crate) fn description(op: &Op, client: &Client, secret: Option<&str>, token: Option<&str>) -> Value {
    let mut body = Map::new();
    body.insert("client_id".into(), client.client_id.clone().into());
    if let Some(secret) = secret {
        body.insert("client_secret".into(), secret.into());
    }
    if client.secret_digest.is_some() {
        body.insert("client_secret_expires_at".into(), client.secret_expires.map_or(0, |at| at.0).into());
    }
    body.insert("client_id_issued_at".into(), client.created.0.into());
    if let Some(token) = token {
        let uri = format!("{}/{}", serve::address(op, &Registration), client.client_id);
        body.insert("registration_access_token".into(), token.into());
        body.insert("registration_client_uri".into(), uri.into());
    }
    if let Ok(Value::Object(mut metadata)) = serde_json::to_value(&client.metadata) {
        if let Some(Value::Object(localized)) = metadata.shift_remove("localized") {
            body.extend(localized);
        }
        body.append(&mut metadata);
    }
    Value::Object(body)
}
