//! Other parties' keys, as an operator names them: a set by value, or where it is published.

use super::faults::Found;
use crate::base::uri;
use crate::jose::JwkSet;
use crate::jose::remote::KeysOf;
use serde_json::Value;

/// The keys, if one of the two is there.
pub(crate) fn keys<'a>(jwks: Option<&'a Value>, jwks_uri: Option<&'a str>) -> Option<KeysOf<'a>> {
    jwks.map(KeysOf::Inline).or_else(|| jwks_uri.map(KeysOf::Uri))
}

/// What is wrong with the two at `place`.
pub(super) fn faults(place: &str, jwks: Option<&Value>, jwks_uri: Option<&str>, found: &mut Found) {
    match (jwks, jwks_uri) {
        (None, None) => found.push((place.to_owned(), "needs jwks or jwks_uri".into())),
        (Some(_), Some(_)) => found.push((place.to_owned(), "takes jwks or jwks_uri, not both".into())),
        (None, Some(uri)) if !uri::is_https_url(uri) => {
            found.push((format!("{place}.jwks_uri"), "must be an https URL".into()));
        }
        (None, Some(_)) => {}
        (Some(jwks), None) => match JwkSet::from_value(jwks) {
            Ok(set) if set.has_private_members() => {
                found.push((format!("{place}.jwks"), "must hold public keys only".into()));
            }
            Ok(_) => {}
            Err(fault) => found.push((format!("{place}.jwks"), fault.to_string())),
        },
    }
}
