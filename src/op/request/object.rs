//! Request objects (OpenID Connect Core §6, RFC 9101): a JWT whose claims are the parameters. Signed with the client's
//! keys, perhaps encrypted to ours; unsigned only where the operator allows it.

mod members;
pub mod reference;
mod unsigned;

use super::Params;
use crate::base::clock::Timestamp;
use crate::jose::jwe;
use crate::jose::jws::MAX_TOKEN;
use crate::jose::remote::KeysOf;
use crate::jose::{Algorithm, Expiry, JweAlg, JweEnc, MacAlgorithm, MacJws, MacKey, Rules, Typ};
use crate::op::Op;
use crate::op::error::{Code, Error, Result};
use crate::op::record::client::Client;
use crate::op::settings::Settings;
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::time::Duration;

/// RFC 9101 §10.8: what a request object may say it is.
const TYP: &str = "oauth-authz-req+jwt";

/// Clocks differ.
const LEEWAY: Duration = Duration::from_secs(30);

/// A request object whose origin is proved, as far as it was to be.
pub(super) struct Opened {
    pub params: Params,
    /// It says that it is one of RFC 9101.
    pub jar: bool,
}

/// The algorithms a client may sign its request objects with.
pub fn signing_algs(settings: &Settings) -> Vec<&'static str> {
    let unsigned = settings.request_object.unsigned.then_some("none");
    let keys = Algorithm::ALL.iter().map(|alg| alg.name());
    keys.chain(MacAlgorithm::ALL.map(MacAlgorithm::name)).chain(unsigned).collect()
}

/// What the metadata says of request objects (OpenID Connect Discovery §3, RFC 9101 §10.5).
pub fn describe(op: &Op, metadata: &mut Map<String, Value>) {
    let settings = &op.settings.request_object;
    for (name, value) in [
        ("request_parameter_supported", json!(true)),
        // The default of an omitted one is true, so silence would be a lie.
        ("request_uri_parameter_supported", json!(settings.by_reference)),
        ("require_request_uri_registration", json!(true)),
        ("require_signed_request_object", json!(settings.required)),
        ("request_object_signing_alg_values_supported", json!(signing_algs(&op.settings))),
        ("request_object_encryption_alg_values_supported", json!(JweAlg::ALL.map(JweAlg::name))),
        ("request_object_encryption_enc_values_supported", json!(JweEnc::ALL.map(JweEnc::name))),
    ] {
        metadata.insert(name.to_owned(), value);
    }
}

/// Whether every request of `client` must be a signed request object (RFC 9101 §10.5).
pub(super) fn must_be_signed(op: &Op, client: &Client) -> bool {
    op.settings.request_object.required || client.metadata.require_signed_request_object
}

/// Opens the request object `text` of `client`.
///
/// # Errors
/// `invalid_request_object`, whatever is wrong with it.
pub(super) async fn open(op: &Op, client: &Client, text: &str, now: Timestamp) -> Result<Opened> {
    if text.len() > MAX_TOKEN {
        return Err(invalid("The request object is too large"));
    }
    let text = match jwe::is_encrypted(text) {
        true => Cow::Owned(decrypted(op, text).await?),
        false => Cow::Borrowed(text),
    };
    let (claims, typ) = match unsigned::read(&text)? {
        Some(claims) if may_be_unsigned(op, client) => (claims, None),
        Some(_) => return Err(invalid("The request object must be signed")),
        None => signed(op, client, &text, now).await?,
    };
    check(op, client, &claims, now)?;
    let jar = typ.is_some_and(|typ| is_jar(&typ));
    Ok(Opened { params: members::params(&claims, &op.settings.limits)?, jar })
}

/// What is in an encrypted one (RFC 9101 §6.1). It must be signed all the same: anybody can encrypt to a public key.
async fn decrypted(op: &Op, text: &str) -> Result<String> {
    let opened = op.decrypt(text).await?;
    opened.map_err(|fault| invalid("The request object cannot be decrypted").because(fault))
}

/// RFC 9101 §4: `none` is for whoever did not say how it signs.
fn may_be_unsigned(op: &Op, client: &Client) -> bool {
    let registered = client.metadata.request_object_signing_alg.as_deref();
    op.settings.request_object.unsigned
        && !must_be_signed(op, client)
        && registered.is_none_or(|alg| alg == "none")
}

/// What is inside, and the `typ`.
type Claims = (Map<String, Value>, Option<String>);

/// One that a key of the client signed, or its secret.
async fn signed(op: &Op, client: &Client, text: &str, now: Timestamp) -> Result<Claims> {
    let metadata = &client.metadata;
    // OpenID Connect Registration §2: what was registered and no other; or anything that a key of the client signs.
    let registered = metadata.request_object_signing_alg.as_deref();
    let algorithms: Vec<Algorithm> = match registered {
        None => Algorithm::ALL.to_vec(),
        Some(name) => Algorithm::parse(name).into_iter().collect(),
    };
    let rules = Rules {
        // Another kind of token is none (RFC 8725 §3.11).
        typ: Typ::Optional(&[TYP, "JWT"]),
        expiry: Expiry::IfPresent,
        leeway: LEEWAY,
        ..Rules::new(&algorithms, now)
    };
    if let Some(mac) = registered.and_then(MacAlgorithm::parse) {
        return under_secret(op, client, text, mac, &rules);
    }
    let keys = match (&metadata.jwks, &metadata.jwks_uri) {
        (Some(jwks), _) => KeysOf::Inline(jwks),
        (None, Some(uri)) => KeysOf::Uri(uri),
        (None, None) => return Err(invalid("The client has registered no keys")),
    };
    let verified = op.shared.remote.verify(text, keys, &rules).await;
    let verified = verified.map_err(unproved)?;
    Ok((verified.claims, verified.header.typ))
}

/// The same under the client's secret (OpenID Connect Core §10.1), for who registered that.
fn under_secret(
    op: &Op,
    client: &Client,
    text: &str,
    alg: MacAlgorithm,
    rules: &Rules<'_>,
) -> Result<Claims> {
    let secret = op.client_secret(client)?;
    let secret = secret.ok_or_else(|| unproved("the client has no secret, or it has expired"))?;
    let jws = MacJws::parse(text).map_err(unproved)?;
    let typ = jws.typ().map(str::to_owned);
    let claims = jws.verify(&MacKey::new(secret.expose().as_bytes()), &[alg], rules).map_err(unproved)?;
    Ok((claims, typ))
}

fn unproved(why: impl ToString) -> Error {
    invalid("The request object's signature is not valid").because(why)
}

fn is_jar(typ: &str) -> bool {
    let typ = typ.to_ascii_lowercase();
    typ.strip_prefix("application/").unwrap_or(&typ) == TYP
}

/// What both kinds must say, or must not.
fn check(op: &Op, client: &Client, claims: &Map<String, Value>, now: Timestamp) -> Result<()> {
    let issuer = op.settings.issuer.as_str();
    match claims.get("iss") {
        None => {}
        Some(Value::String(iss)) if *iss == client.client_id => {}
        Some(_) => return Err(invalid("The request object's iss is not the client")),
    }
    let ours = match claims.get("aud") {
        None => true,
        Some(Value::String(aud)) => aud == issuer,
        Some(Value::Array(all)) => all.iter().any(|aud| aud.as_str() == Some(issuer)),
        Some(_) => false,
    };
    if !ours {
        return Err(invalid("The request object's aud is not this issuer"));
    }
    // RFC 9101 §10.8: or a client's assertion would be one, and the other way round.
    if claims.get("sub").is_some_and(|sub| sub.as_str() == Some(&client.client_id)) {
        return Err(invalid("The request object's sub must not be the client"));
    }
    let time = |name: &str| match claims.get(name) {
        None => Ok(None),
        Some(value) => match value.as_f64() {
            Some(seconds) => Ok(Some(seconds)),
            None => Err(invalid("A time in the request object is not a number")),
        },
    };
    let at = |moment: Timestamp| -> f64 { moment.0.to_string().parse().unwrap_or(f64::MAX) };
    if time("exp")?.is_some_and(|exp| exp.max(0.0) + LEEWAY.as_secs_f64() <= at(now)) {
        return Err(invalid("The request object has expired"));
    }
    if time("nbf")?.is_some_and(|nbf| nbf > at(now.plus(LEEWAY))) {
        return Err(invalid("The request object is not valid yet"));
    }
    // OpenID Connect Core §6.1, RFC 9101 §4.
    if ["request", "request_uri"].iter().any(|name| claims.contains_key(*name)) {
        return Err(invalid("A request object must not hold another"));
    }
    Ok(())
}

pub(super) fn invalid(says: &'static str) -> Error {
    Error::new(Code::InvalidRequestObject, says)
}
