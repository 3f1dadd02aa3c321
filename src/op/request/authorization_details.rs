//! `authorization_details` (RFC 9396 §2): what is asked for beyond scopes. Types and members are the operator's; what
//! was granted is only ever narrowed afterwards.

use super::Params;
use crate::op::Op;
use crate::op::error::{Code, Error, Result};
use crate::op::record::client::Client;
use crate::op::settings::{DetailType, Field, Kind, Settings};
use serde_json::{Map, Value};

/// The longest parameter, the most details, and how deep they may be nested.
const MAX_BYTES: usize = 16 << 10;
const MAX_DETAILS: usize = 20;
const MAX_DEPTH: usize = 6;

/// The details an authorization request asks for; the resources they are for are added to `resources`.
pub(super) fn check(
    op: &Op,
    client: &Client,
    params: &Params,
    resources: &mut Vec<String>,
) -> Result<Vec<Value>> {
    let details = asked(&op.settings, client, params)?.unwrap_or_default();
    add_resources(&op.settings, &details, resources);
    Ok(details)
}

/// Adds the resources that `details` are for.
pub(in crate::op) fn add_resources(settings: &Settings, details: &[Value], resources: &mut Vec<String>) {
    let kinds = details.iter().filter_map(|detail| kind_of(settings, detail));
    for uri in kinds.filter_map(|kind| kind.resource.as_ref()) {
        if !resources.contains(uri) {
            resources.push(uri.clone());
        }
    }
}

/// What a client may have for itself (RFC 9396 §6): types that need no person.
pub(in crate::op) fn without_person(op: &Op, client: &Client, params: &Params) -> Result<Vec<Value>> {
    let details = asked(&op.settings, client, params)?.unwrap_or_default();
    let personal = |detail: &Value| kind_of(&op.settings, detail).is_none_or(|kind| !kind.without_person);
    if details.iter().any(personal) {
        return Err(invalid("A type of authorization_details needs a person who allows it"));
    }
    Ok(details)
}

/// The part of `granted` that the token request asks for (RFC 9396 §6.1); all of it if it asks for nothing.
pub(in crate::op) fn narrow(
    op: &Op,
    client: &Client,
    params: &Params,
    granted: &[Value],
) -> Result<Vec<Value>> {
    let Some(asked) = asked(&op.settings, client, params)? else { return Ok(granted.to_vec()) };
    match asked.iter().all(|asked| granted.iter().any(|granted| is_within(asked, granted))) {
        true => Ok(asked),
        false => Err(invalid("The authorization_details are more than was granted")),
    }
}

/// The details that concern one of `resources`: those whose type is for no resource in particular, too.
pub(in crate::op) fn of_resources(
    settings: &Settings,
    details: &[Value],
    resources: &[String],
) -> Vec<Value> {
    let concerns = |detail: &&Value| {
        let resource = kind_of(settings, detail).and_then(|kind| kind.resource.as_ref());
        resource.is_none_or(|uri| resources.contains(uri))
    };
    details.iter().filter(concerns).cloned().collect()
}

pub(in crate::op) fn kind_of<'a>(settings: &'a Settings, detail: &Value) -> Option<&'a DetailType> {
    settings.authorization_details.types.get(detail.get("type")?.as_str()?)
}

/// The parameter, read and checked; `None` if it was not sent.
fn asked(settings: &Settings, client: &Client, params: &Params) -> Result<Option<Vec<Value>>> {
    let Some(text) = params.one("authorization_details") else { return Ok(None) };
    if text.len() > MAX_BYTES {
        return Err(invalid("The authorization_details are too long"));
    }
    let list = match serde_json::from_str(text) {
        Ok(Value::Array(list)) if list.len() <= MAX_DETAILS => list,
        Ok(Value::Array(_)) => return Err(invalid("There are too many authorization_details")),
        _ => return Err(invalid("The authorization_details must be a JSON list of objects")),
    };
    let mut details: Vec<Value> = Vec::new();
    for detail in list {
        check_detail(settings, client, &detail)?;
        if !details.contains(&detail) {
            details.push(detail);
        }
    }
    Ok(Some(details))
}

/// RFC 9396 §5.
fn check_detail(settings: &Settings, client: &Client, detail: &Value) -> Result<()> {
    let Some(members) = detail.as_object() else {
        return Err(invalid("The authorization_details must be a JSON list of objects"));
    };
    let Some(kind) = kind_of(settings, detail) else {
        return Err(invalid("The type of the authorization_details is missing or unknown"));
    };
    let name = members.get("type").and_then(Value::as_str).unwrap_or("");
    // RFC 9396 §10.
    if !client.metadata.authorization_details_types.iter().any(|registered| registered == name) {
        return Err(invalid("The client has not registered this type of authorization_details"));
    }
    if !is_shallow(detail, MAX_DEPTH) {
        return Err(invalid("The authorization_details are nested too deeply"));
    }
    if let (Some(uri), Some(locations)) = (&kind.resource, members.get("locations")) {
        // RFC 9396 §2.2: where the details are to be used; nowhere but at the type's resource.
        let all = locations.as_array().is_some_and(|all| all.iter().all(|at| at.as_str() == Some(uri)));
        if !all {
            return Err(invalid(
                "The locations of the authorization_details are not the resource of their type",
            ));
        }
    }
    fields(kind, members)
}

fn fields(kind: &DetailType, members: &Map<String, Value>) -> Result<()> {
    if kind.fields.is_empty() {
        return Ok(());
    }
    let declared = |name: &String| name == "type" || name == "locations" || kind.fields.contains_key(name);
    if !members.keys().all(declared) {
        return Err(invalid("The authorization_details have a member their type does not know"));
    }
    for (name, field) in &kind.fields {
        match members.get(name) {
            None if field.required => {
                return Err(invalid(format!("The authorization_details lack the member {name}")));
            }
            Some(value) if !fits(field, value) => {
                return Err(invalid(format!(
                    "The member {name} of the authorization_details is not what it must be"
                )));
            }
            _ => {}
        }
    }
    Ok(())
}

fn fits(field: &Field, value: &Value) -> bool {
    let listed = |value: &Value| {
        let text = value.as_str();
        field.values.is_empty() || text.is_some_and(|text| field.values.iter().any(|known| known == text))
    };
    match field.kind {
        Kind::Any => field.values.is_empty() || listed(value),
        Kind::Text => value.is_string() && listed(value),
        Kind::Number => value.is_number(),
        Kind::Flag => value.is_boolean(),
        Kind::Texts => {
            value.as_array().is_some_and(|all| all.iter().all(|one| one.is_string() && listed(one)))
        }
        Kind::List => value.is_array(),
        Kind::Object => value.is_object(),
    }
}

/// Whether `asked` is `granted` or less of it: the lists of RFC 9396 §2.2 may be shorter, the rest must be the same.
fn is_within(asked: &Value, granted: &Value) -> bool {
    let (Some(asked), Some(granted)) = (asked.as_object(), granted.as_object()) else { return false };
    let shorter = |name: &str, asked: &Value, granted: &Value| {
        let listing = ["locations", "actions", "datatypes", "privileges"].contains(&name);
        let (Some(asked), Some(granted)) = (asked.as_array(), granted.as_array()) else { return false };
        // Nor is an empty list, which may be read as "any" as well.
        listing && !asked.is_empty() && asked.iter().all(|one| granted.contains(one))
    };
    // A member left out would mean "any": it is not less.
    asked.len() == granted.len()
        && asked.iter().all(|(name, value)| {
            granted.get(name).is_some_and(|granted| value == granted || shorter(name, value, granted))
        })
}

fn is_shallow(value: &Value, depth: usize) -> bool {
    let Some(depth) = depth.checked_sub(1) else { return false };
    match value {
        Value::Array(list) => list.iter().all(|value| is_shallow(value, depth)),
        Value::Object(members) => members.values().all(|value| is_shallow(value, depth)),
        _ => true,
    }
}

fn invalid(says: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(Code::InvalidAuthorizationDetails, says)
}

#[cfg(test)]
mod tests;
