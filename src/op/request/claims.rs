//! `claims` (OpenID Connect Core §5.5): what is asked for by name. Malformed JSON is refused; anything that is not known,
//! or that the client may not ask for, is ignored: no request fails for a wish.

use super::Params;
use crate::jose::json;
use crate::op::Op;
use crate::op::claims::{ClaimsRequest, Wish, Wishes, plain};
use crate::op::error::{Code, Error, Result, invalid_request};
use crate::op::record::client::Client;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// It is stored with what it grants.
const MAX: usize = 8 << 10;
const MAX_CLAIMS: usize = 100;
const MAX_VALUES: usize = 20;

/// Not about the person, but may be asked for: which person, how sure, since when.
const OF_THE_SIGN_IN: [&str; 3] = ["sub", "acr", "auth_time"];

pub(super) fn check(op: &Op, client: &Client, scope: &[String], params: &Params) -> Result<ClaimsRequest> {
    let Some(text) = super::short(params, "claims", MAX)? else { return Ok(ClaimsRequest::default()) };
    let sent = json::object(text.as_bytes()).map_err(|fault| malformed().because(fault))?;
    let open = op.claims_open_to(client);
    let claims = ClaimsRequest {
        userinfo: wishes(&sent, "userinfo", &open)?,
        id_token: wishes(&sent, "id_token", &open)?,
    };
    // A parameter of OpenID Connect: it says nothing in a plain OAuth request.
    let openid = scope.iter().any(|scope| scope == "openid");
    Ok(if openid { claims } else { ClaimsRequest::default() })
}

fn malformed() -> Error {
    invalid_request("The claims parameter is not a JSON object of the form OpenID Connect Core gives it")
}

fn wishes(sent: &Map<String, Value>, place: &str, open: &BTreeSet<&str>) -> Result<Wishes> {
    let members = match sent.get(place) {
        None | Some(Value::Null) => return Ok(Wishes::new()),
        Some(Value::Object(members)) => members,
        Some(_) => return Err(malformed()),
    };
    if members.len() > MAX_CLAIMS {
        return Err(invalid_request("The claims parameter asks for too many claims"));
    }
    let mut wishes = Wishes::new();
    for (name, value) in members {
        let of_the_sign_in = OF_THE_SIGN_IN.contains(&name.as_str());
        let wish = wish(value, of_the_sign_in)?;
        if of_the_sign_in || open.contains(plain(name)) {
            wishes.insert(name.clone(), wish);
        }
    }
    Ok(wishes)
}

/// §5.5.1. Members it does not define are ignored; one of another JSON type is not, since a condition that is skipped
/// would be one that holds.
fn wish(value: &Value, of_the_sign_in: bool) -> Result<Wish> {
    let members = match value {
        Value::Null => return Ok(Wish::default()),
        Value::Object(members) => members,
        _ => return Err(malformed()),
    };
    let essential = match members.get("essential") {
        None => false,
        Some(Value::Bool(essential)) => *essential,
        Some(_) => return Err(malformed()),
    };
    let mut values = match members.get("values") {
        None => Vec::new(),
        Some(Value::Array(values)) if values.len() <= MAX_VALUES => values.clone(),
        Some(_) => return Err(malformed()),
    };
    values.extend(members.get("value").cloned());
    if of_the_sign_in && members.contains_key("value") | members.contains_key("values") {
        let fits = |value: &Value| value.is_string() || value.is_u64();
        if !values.iter().all(fits) {
            return Err(malformed());
        }
    }
    Ok(Wish { essential, values })
}

/// The essential `acr` values: one of them must be met (OpenID Connect Core §5.5.1.1).
///
/// # Errors
/// `unmet_authentication_requirements`: no sign-in here could meet any.
pub(super) fn essential_acr(op: &Op, claims: &ClaimsRequest) -> Result<Vec<String>> {
    let (values, essential) = claims.acr();
    if !essential || values.is_empty() {
        return Ok(Vec::new());
    }
    if !op.settings.acr.iter().any(|acr| values.contains(&acr.name)) {
        let says = "No sign-in here meets the essential acr that the request asks for";
        return Err(Error::new(Code::UnmetAuthenticationRequirements, says));
    }
    Ok(values)
}

/// The voluntary `acr` values of the `claims` parameter are wishes like those of `acr_values`; the essential ones come
/// first, so that the one that is met is the one that is said.
pub(super) fn acr_values(claims: &ClaimsRequest, acr_values: Vec<String>) -> Vec<String> {
    let (named, essential) = claims.acr();
    let (mut all, more) = if essential { (named, acr_values) } else { (acr_values, named) };
    for value in more {
        if !all.contains(&value) {
            all.push(value);
        }
    }
    all
}
