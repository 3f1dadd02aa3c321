//! From the members of a request object to parameters: a text is one, a number is its digits, `claims` and its kin are
//! JSON (OpenID Connect Core §6.1, RFC 9101 §4). A member of another type refuses the object; none is skipped.

use super::invalid;
use crate::op::error::Result;
use crate::op::request::params::Params;
use crate::op::settings::Limits;
use serde_json::{Map, Value};

/// What the JWT says of itself (RFC 7519 §4.1).
const JWT: [&str; 7] = ["iss", "sub", "aud", "exp", "nbf", "iat", "jti"];
/// Parameters whose value is JSON (OpenID Connect Core §5.5, §7.2.1, RFC 9396 §2).
const JSON: [&str; 3] = ["claims", "registration", "authorization_details"];
/// Parameters that may be lists (RFC 8707 §2, RFC 8693 §2.1).
const LISTS: [&str; 2] = ["resource", "audience"];

pub(super) fn params(claims: &Map<String, Value>, limits: &Limits) -> Result<Params> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for (name, value) in claims.iter().filter(|(name, _)| !JWT.contains(&name.as_str())) {
        match value {
            Value::Null => {}
            Value::String(text) => pairs.push((name.clone(), text.clone())),
            Value::Number(_) | Value::Bool(_) => pairs.push((name.clone(), value.to_string())),
            Value::Object(_) | Value::Array(_) if JSON.contains(&name.as_str()) => {
                pairs.push((name.clone(), value.to_string()));
            }
            Value::Array(list) if LISTS.contains(&name.as_str()) => {
                for item in list {
                    let text = item.as_str().ok_or_else(wrong)?;
                    pairs.push((name.clone(), text.to_owned()));
                }
            }
            Value::Object(_) | Value::Array(_) => return Err(wrong()),
        }
    }
    let pairs = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    Params::collect(pairs, limits)
        .map_err(|error| invalid("The request object is not acceptable").because(error.says))
}

fn wrong() -> crate::op::error::Error {
    invalid("A member of the request object is of the wrong type")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn members_are_parameters_by_their_type() {
        let read = |value: Value| params(value.as_object().unwrap(), &Limits::default());
        let got = read(json!({
            "iss": "x", "aud": ["y"], "exp": 1, "scope": "openid", "max_age": 10, "nonce": null, "state": "",
            "claims": {"userinfo": {"name": null}}, "resource": ["https://a/", "https://b/"],
        }))
        .unwrap();
        assert_eq!(got.names().collect::<Vec<_>>(), ["scope", "max_age", "claims", "resource", "resource"]);
        assert_eq!(
            (got.one("max_age"), got.one("claims")),
            (Some("10"), Some("{\"userinfo\":{\"name\":null}}"))
        );
        for odd in [
            json!({"scope": ["openid"]}),
            json!({"redirect_uri": {"a": 1}}),
            json!({"resource": [1]}),
            json!({"state": "a\u{0}"}),
            json!({"state": "x".repeat(70_000)}),
        ] {
            assert_eq!(read(odd.clone()).unwrap_err().code.wire(), "invalid_request_object", "{odd}");
        }
    }
}
