//! Request objects that nobody signed (RFC 7519 §6, `alg: none`). The only place that reads such a token; whether it
//! counts is for the caller to say.

use super::invalid;
use crate::base::encode::from_base64url;
use crate::jose::json;
use crate::op::error::Result;
use serde_json::{Map, Value};

/// The claims of `text` if it says that it is not signed; `None` if it does not say so.
///
/// # Errors
/// It has no signature and says that it had one, or it is malformed.
pub(super) fn read(text: &str) -> Result<Option<Map<String, Value>>> {
    let malformed = || invalid("The request object is malformed");
    // RFC 7519 §6.1: the signature is the empty text, so its last dot is the last character.
    let Some(signed) = text.strip_suffix('.') else { return Ok(None) };
    let (head, payload) = signed.split_once('.').ok_or_else(malformed)?;
    let object = |part: &str| {
        let bytes = from_base64url(part).ok_or_else(malformed)?;
        json::object(&bytes).map_err(|fault| malformed().because(fault))
    };
    let head = object(head)?;
    if head.get("alg") != Some(&Value::from("none")) {
        return Err(invalid("The request object has no signature"));
    }
    // RFC 7515 §4.1.11, RFC 7797: nothing that must be understood is.
    if ["crit", "b64", "zip"].iter().any(|name| head.contains_key(*name)) {
        return Err(malformed());
    }
    object(payload).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::encode::base64url;

    fn token(head: &str, payload: &str, signature: &str) -> String {
        format!("{}.{}.{signature}", base64url(head.as_bytes()), base64url(payload.as_bytes()))
    }

    #[test]
    fn only_what_says_that_it_is_unsigned_and_is_counts_as_unsigned() {
        let read_as = |head: &str, payload: &str, signature: &str| read(&token(head, payload, signature));
        assert_eq!(read_as("{\"alg\":\"none\"}", "{\"a\":1}", "").unwrap().unwrap()["a"], 1);
        // Signed, whatever it says: that is judged elsewhere, where none is no algorithm.
        assert_eq!(read_as("{\"alg\":\"none\"}", "{}", "c2ln").unwrap(), None);
        for (head, payload) in [
            ("{\"alg\":\"RS256\"}", "{}"),
            ("{\"alg\":\"NONE\"}", "{}"),
            ("{\"alg\":[\"none\"]}", "{}"),
            ("{}", "{}"),
            ("[]", "{}"),
            ("{\"alg\":\"none\",\"alg\":\"RS256\"}", "{}"),
            ("{\"alg\":\"none\",\"crit\":[\"exp\"]}", "{}"),
            ("{\"alg\":\"none\",\"zip\":\"DEF\"}", "{}"),
            ("{\"alg\":\"none\"}", "{\"a\":1,\"a\":2}"),
            ("{\"alg\":\"none\"}", "[]"),
            ("{\"alg\":\"none\"}", ""),
        ] {
            assert!(read_as(head, payload, "").is_err(), "{head} {payload}");
        }
        for odd in [".", "..", "a.", "....", "e30.e30..", "é.é."] {
            assert!(read(odd).is_err(), "{odd}");
        }
    }
}
