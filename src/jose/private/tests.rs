//! Tests of taken-over keys. The set is one as cryptojwt writes it: an RSA key without the numbers that may be left out.

use super::*;
use crate::base::encode::base64url;
use crate::jose::{Jwk, JwkSet};
use serde_json::json;

const SET: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/import/flask_op/private/jwks.json"));

fn written() -> Vec<Map<String, Value>> {
    let set: Value = serde_json::from_str(SET).unwrap();
    set["keys"].as_array().unwrap().iter().map(|key| key.as_object().unwrap().clone()).collect()
}

fn one(members: &Map<String, Value>) -> PrivateKey {
    private_keys(json!({ "keys": [members] }).to_string().as_bytes()).unwrap().remove(0)
}

/// The set as it was published.
fn public() -> JwkSet {
    let mut keys = written();
    for key in &mut keys {
        for private in ["d", "p", "q"] {
            key.remove(private);
        }
    }
    JwkSet::from_value(&json!({ "keys": keys })).unwrap()
}

#[test]
fn a_taken_over_key_signs_under_its_old_kid_what_the_old_key_set_verifies() {
    let set = private_keys(SET.as_bytes()).unwrap();
    let algorithms: Vec<_> = set.iter().map(|entry| entry.key.as_ref().unwrap().alg()).collect();
    assert_eq!(algorithms, [Algorithm::RS256, Algorithm::ES256]);
    for entry in set {
        let key = entry.key.unwrap();
        assert_eq!((key.kid(), entry.inactive), (entry.kid.as_str(), false));
        let token = key.sign("JWT", b"{}").unwrap();
        let header = from_base64url(token.split('.').next().unwrap()).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&header).unwrap()["kid"], entry.kid);
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let published = public();
        let old: &Jwk = published.keys().iter().find(|jwk| jwk.kid() == Some(key.kid())).unwrap();
        assert!(old.verifies(key.alg(), signed.as_bytes(), signature));
        // Stored as any other key, it is the same.
        let again = SigningKey::from_pkcs8(key.alg(), &key.to_pkcs8().unwrap()).unwrap();
        assert_eq!(again.named(key.kid()).unwrap().public().to_json(), key.public().to_json());
    }
}

#[test]
fn what_cannot_sign_says_why_and_the_rest_is_taken() {
    let [rsa, ec] = written().try_into().unwrap();
    let changed = |members: &Map<String, Value>, name: &str, value: Value| {
        let mut members = members.clone();
        members.insert(name.into(), value);
        one(&members).key
    };
    let d = rsa["d"].clone();
    for (refused, why) in [
        (changed(&rsa, "use", json!("enc")), "it is not for signatures"),
        (changed(&rsa, "kty", json!("oct")), "it is symmetric"),
        (changed(&rsa, "p", rsa["q"].clone()), "its primes are not different"),
        (changed(&rsa, "d", ec["d"].clone()), "its numbers do not belong together"),
        (changed(&ec, "crv", json!("P-521")), "its kind or curve is not supported"),
        (changed(&ec, "d", d), "a coordinate is not of its curve's size"),
        (changed(&ec, "d", json!(base64url(&[7; 32]))), "its numbers do not belong together"),
        (changed(&ec, "alg", json!("RS256")), "its alg needs another kind of key"),
        (changed(&ec, "d", json!(7)), "a private member is missing"),
    ] {
        assert_eq!(refused.unwrap_err(), Fault::Key(why));
    }
    assert!(changed(&rsa, "alg", json!("PS256")).unwrap().alg().is(Algorithm::PS256));
    let mut inactive = ec;
    inactive.insert("inactive_since".into(), json!(1_600_000_000));
    inactive.remove("kid");
    let entry = one(&inactive);
    assert!(entry.inactive && entry.kid.is_empty());
    let key = entry.key.unwrap();
    assert_eq!(key.kid(), key.public().thumbprint(), "a key without a name gets its thumbprint");
    for set in ["", "[]", "{}", r#"{"keys":{}}"#] {
        assert!(private_keys(set.as_bytes()).is_err(), "{set}");
    }
}
