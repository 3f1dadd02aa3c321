//! Published keys: what is taken and what is refused, on the vectors of RFC 7517, 7638 and 8037.

use super::*;
use crate::jose::key::SigningKey;

/// RFC 7638 §3.1.
const RSA_N: &str = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
/// RFC 8037 §A.2.
const ED_X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
/// RFC 7515 §A.3.1.
const EC_X: &str = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
const EC_Y: &str = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";

fn parse(value: Value) -> Result<Jwk, Fault> {
    Jwk::parse(value.as_object().unwrap())
}

fn ec(extra: Value) -> Value {
    let mut key = json!({ "kty": "EC", "crv": "P-256", "x": EC_X, "y": EC_Y });
    key.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    key
}

#[test]
fn thumbprints_are_those_of_the_specifications() {
    // RFC 7638 §3.1.
    let rsa = json!({ "kty": "RSA", "n": RSA_N, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29" });
    assert_eq!(parse(rsa).unwrap().thumbprint(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    // RFC 8037 §A.3.
    let ed = json!({ "kty": "OKP", "crv": "Ed25519", "x": ED_X });
    assert_eq!(parse(ed).unwrap().thumbprint(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}

#[test]
fn ed25519_verifies_the_example_of_rfc_8037() {
    let key = parse(json!({ "kty": "OKP", "crv": "Ed25519", "x": ED_X })).unwrap();
    // RFC 8037 §A.4, §A.5.
    let signed = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    let signature = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    assert!(key.verifies(Algorithm::EdDSA, signed, signature));
    assert!(key.verifies(Algorithm::Ed25519, signed, signature));
    assert!(!key.verifies(Algorithm::ES256, signed, signature));
    assert!(!key.verifies(Algorithm::EdDSA, b"another text", signature));
}

#[test]
fn a_key_is_used_only_for_what_it_says() {
    assert!(parse(ec(json!({}))).unwrap().is_for(Algorithm::ES256));
    assert!(!parse(ec(json!({}))).unwrap().is_for(Algorithm::ES384));
    assert!(!parse(ec(json!({}))).unwrap().is_for(Algorithm::RS256));
    let rsa = |alg: &str| parse(json!({ "kty": "RSA", "n": RSA_N, "e": "AQAB", "alg": alg }));
    assert!(rsa("PS256").unwrap().is_for(Algorithm::PS256));
    assert!(!rsa("PS256").unwrap().is_for(Algorithm::RS256), "RS256 with a key for PS256");
    assert!(parse(ec(json!({ "use": "sig", "key_ops": ["verify"], "alg": "ES256" }))).is_ok());
    for refused in [
        json!({ "use": "enc" }),
        json!({ "use": "" }),
        json!({ "use": ["sig"] }),
        json!({ "key_ops": [] }),
        json!({ "key_ops": ["sign", "encrypt"] }),
        json!({ "key_ops": "verify" }),
        json!({ "alg": "RS256" }),
        json!({ "alg": "ES384" }),
        json!({ "alg": "HS256" }),
        json!({ "alg": "none" }),
        json!({ "alg": "ECDH-ES" }),
        json!({ "alg": 1 }),
        json!({ "kid": 7 }),
        json!({ "kid": "k".repeat(513) }),
    ] {
        assert!(parse(ec(refused.clone())).is_err(), "{refused}");
    }
}

#[test]
fn numbers_that_make_no_sound_key_are_refused() {
    let modulus = |bits: usize| base64url(&vec![0xff; bits / 8]);
    let rsa = |n: String, e: &str| parse(json!({ "kty": "RSA", "n": n, "e": e }));
    assert!(rsa(modulus(2_048), "AQAB").is_ok());
    assert!(rsa(modulus(8_192), "AQAB").is_ok());
    assert!(rsa(modulus(2_040), "AQAB").is_err(), "short");
    assert!(rsa(modulus(1_024), "AQAB").is_err());
    assert!(rsa(modulus(8_200), "AQAB").is_err(), "long");
    assert!(
        rsa(base64url(&[&[0; 128][..], &[0xff; 128]].concat()), "AQAB").is_err(),
        "short, padded with zeros"
    );
    for e in ["", "AA", "AQ", "Ag", "AQABAQABAQABAQAB"] {
        assert!(rsa(modulus(2_048), e).is_err(), "exponent {e:?}");
    }
    let zeros = base64url(&[0; 32]);
    for (what, key) in [
        ("off the curve", json!({ "kty": "EC", "crv": "P-256", "x": EC_X, "y": EC_X })),
        ("infinity", json!({ "kty": "EC", "crv": "P-256", "x": zeros, "y": zeros })),
        ("another curve's", json!({ "kty": "EC", "crv": "P-384", "x": EC_X, "y": EC_Y })),
        ("short coordinate", json!({ "kty": "EC", "crv": "P-256", "x": &EC_X[..42], "y": EC_Y })),
        ("padded", json!({ "kty": "EC", "crv": "P-256", "x": format!("{EC_X}="), "y": EC_Y })),
        ("no y", json!({ "kty": "EC", "crv": "P-256", "x": EC_X })),
        ("P-521", json!({ "kty": "EC", "crv": "P-521", "x": EC_X, "y": EC_Y })),
        ("secp256k1", json!({ "kty": "EC", "crv": "secp256k1", "x": EC_X, "y": EC_Y })),
        ("X25519", json!({ "kty": "OKP", "crv": "X25519", "x": ED_X })),
        ("no curve", json!({ "kty": "OKP", "x": ED_X })),
        ("long", json!({ "kty": "OKP", "crv": "Ed25519", "x": base64url(&[1; 33]) })),
        ("symmetric", json!({ "kty": "oct", "k": ED_X })),
        ("no kind", json!({ "x": ED_X })),
        ("kind of another type", json!({ "kty": 1 })),
    ] {
        assert!(parse(key).is_err(), "{what}");
    }
}

#[test]
fn a_set_keeps_what_is_usable_and_tells_of_private_members() {
    let text = json!({ "keys": [
        ec(json!({ "kid": "good" })),
        ec(json!({ "kid": "leaked", "d": "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI" })),
        ec(json!({ "kid": "encryption", "use": "enc" })),
        { "kty": "future" },
        "no object",
    ]});
    let set = JwkSet::parse(text.to_string().as_bytes()).unwrap();
    assert_eq!(set.keys().iter().map(Jwk::kid).collect::<Vec<_>>(), [Some("good")]);
    assert!(set.has_private_members());
    let symmetric = json!({ "keys": [{ "kty": "oct", "k": "AAAA" }] });
    let set = JwkSet::from_value(&symmetric).unwrap();
    assert!(set.keys().is_empty() && set.has_private_members());
    assert!(!JwkSet::from_value(&json!({ "keys": [ec(json!({}))] })).unwrap().has_private_members());
}

#[test]
fn a_set_beyond_its_caps_is_refused_whole() {
    let many = json!({ "keys": vec![ec(json!({})); MAX_KEYS + 1] });
    assert!(matches!(JwkSet::parse(many.to_string().as_bytes()), Err(Fault::TooLarge { .. })));
    let large = json!({ "keys": [], "x": "x".repeat(MAX_SET) });
    assert!(matches!(JwkSet::parse(large.to_string().as_bytes()), Err(Fault::TooLarge { .. })));
    for malformed in ["", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":[],"keys":[]}"#] {
        assert!(JwkSet::parse(malformed.as_bytes()).is_err(), "{malformed}");
    }
}

#[test]
fn what_is_published_parses_back_and_has_no_private_member() {
    for alg in [Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA, Algorithm::PS256] {
        let key = SigningKey::generate(alg).unwrap();
        let json = key.public().to_json();
        assert!(!has_private_members(&json));
        let back = Jwk::parse(&json).unwrap();
        assert_eq!(back.kid(), Some(key.kid()));
        assert_eq!(back.thumbprint(), key.kid());
        assert_eq!(back.alg(), Some(alg));
        assert_eq!(back.to_json(), json);
    }
}
