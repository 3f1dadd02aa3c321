//! Signed tokens and key sets: the vectors of RFC 7520 §4, and inputs nobody would think of.

use super::jws::MAX_TOKEN;
use super::{Algorithm, Expiry, Fault, Jwk, JwkSet, Jws, KeySource, MacJws, Rules, SigningKey, verify};
use crate::base::clock::Timestamp;
use crate::base::encode::{base64url, from_base64url};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::LazyLock;

const NOW: Timestamp = Timestamp(1_800_000_000);
const CLAIMS: &[u8] = br#"{"iss":"https://op","aud":"rp","sub":"s","exp":1800000060}"#;

static KEYS: LazyLock<Vec<SigningKey>> = LazyLock::new(|| {
    let algs = [Algorithm::RS256, Algorithm::PS384, Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA];
    algs.map(|alg| SigningKey::generate(alg).unwrap()).into()
});

/// RFC 7520 §4.1, §4.2. Their payload is no claims, so only the signatures are looked at; §4.3 (ES512) is not spoken,
/// §4.4 (a MAC) stands in `mac.rs`, and the rest is in the JSON serialisation.
#[test]
fn the_signatures_of_rfc_7520_verify() {
    let key = json!({
        "kty": "RSA", "kid": "bilbo.baggins@hobbiton.example", "use": "sig", "e": "AQAB",
        "n": "n4EPtAOCc9AlkeQHPzHStgAbgs7bTZLwUBZdR8_KuKPEHLd4rHVTeT-O-XV2jRojdNhxJWTDvNd7nqQ0VEiZQHz_AJmSCpMaJMRBSFKrKb2wqVwGU_NsYOYL-QtiWN2lbzcEe6XC0dApr5ydQLrHqkHHig3RBordaZ6Aj-oBHqFEHYpPe7Tpe-OfVfHd1E6cS6M1FZcD1NNLYD5lFHpPI9bTwJlsde3uhGqC0ZCuEHg8lhzwOHrtIQbS0FVbb9k3-tVTU4fg_3L_vniUFAKwuCLqKnS2BYwdq_mzSnbLY7h_qixoR7jig3__kRhuaxwUkRz5iaiQkqgc5gHdrNP5zw",
    });
    let key = Jwk::parse(key.as_object().unwrap()).unwrap();
    let payload = "SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0aGUgcm9hZCwgYW5kIGlmIHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4";
    for (alg, head, signature) in [
        (
            Algorithm::RS256,
            "eyJhbGciOiJSUzI1NiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9",
            "MRjdkly7_-oTPTS3AXP41iQIGKa80A0ZmTuV5MEaHoxnW2e5CZ5NlKtainoFmKZopdHM1O2U4mwzJdQx996ivp83xuglII7PNDi84wnB-BDkoBwA78185hX-Es4JIwmDLJK3lfWRa-XtL0RnltuYv746iYTh_qHRD68BNt1uSNCrUCTJDt5aAE6x8wW1Kt9eRo4QPocSadnHXFxnt8Is9UzpERV0ePPQdLuW3IS_de3xyIrDaLGdjluPxUAhb6L2aXic1U12podGU0KLUQSE_oI-ZnmKJ3F4uOZDnd6QZWJushZ41Axf_fcIe8u9ipH84ogoree7vjbU5y18kDquDg",
        ),
        (
            Algorithm::PS384,
            "eyJhbGciOiJQUzM4NCIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9",
            "cu22eBqkYDKgIlTpzDXGvaFfz6WGoz7fUDcfT0kkOy42miAh2qyBzk1xEsnk2IpN6-tPid6VrklHkqsGqDqHCdP6O8TTB5dDDItllVo6_1OLPpcbUrhiUSMxbbXUvdvWXzg-UD8biiReQFlfz28zGWVsdiNAUf8ZnyPEgVFn442ZdNqiVJRmBqrYRXe8P_ijQ7p8Vdz0TTrxUeT3lm8d9shnr2lfJT8ImUjvAA2Xez2Mlp8cBE5awDzT0qI0n6uiP1aCN_2_jLAeQTlqRHtfa64QQSUmFAAjVKPbByi7xho0uTOcbH510a6GYmJUAfmWjwZ6oD4ifKo8DYM-X72Eaw",
        ),
    ] {
        let signed = format!("{head}.{payload}");
        assert!(key.verifies(alg, signed.as_bytes(), signature), "{alg}");
        let other = if alg == Algorithm::RS256 { Algorithm::PS384 } else { Algorithm::RS256 };
        assert!(!key.verifies(other, signed.as_bytes(), signature), "{alg} as {other}");
        // As a token it is refused: what it carries is no claims.
        let token = format!("{signed}.{signature}");
        assert!(matches!(Jws::parse(&token), Err(Fault::Malformed(_))), "{alg}");
    }
}

/// JSON of any shape, with the names that mean something.
fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[A-Za-z0-9_=.-]{0,50}".prop_map(Value::from),
        prop_oneof![
            Just("RSA"),
            Just("EC"),
            Just("OKP"),
            Just("oct"),
            Just("P-256"),
            Just("Ed25519"),
            Just("sig"),
            Just("enc"),
            Just("RS256"),
            Just("AQAB")
        ]
        .prop_map(Value::from),
    ];
    let name = prop_oneof![
        prop_oneof![
            Just("keys"),
            Just("kty"),
            Just("crv"),
            Just("n"),
            Just("e"),
            Just("x"),
            Just("y"),
            Just("d"),
            Just("k"),
            Just("kid"),
            Just("use"),
            Just("alg"),
            Just("key_ops"),
            Just("exp"),
            Just("aud")
        ]
        .prop_map(str::to_owned),
        "[a-z]{0,6}",
    ];
    leaf.prop_recursive(4, 40, 8, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::vec((name.clone(), inner), 0..8)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_is_presented_as_a_token_is_refused_and_nothing_breaks(
        raw in ".{0,300}",
        parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..80), 0..6),
        header in anything(),
        claims in anything(),
    ) {
        let parts: Vec<String> = parts.iter().map(|part| base64url(part)).collect();
        let part = |value: &Value| base64url(value.to_string().as_bytes());
        let made = format!("{}.{}.AAAA", part(&header), part(&claims));
        let rules = Rules { expiry: Expiry::Ignored, ..Rules::new(&Algorithm::ALL, NOW) };
        for text in [raw, parts.join("."), made] {
            for key in KEYS.iter() {
                prop_assert!(verify(&text, &KeySource::One(key.public()), &rules).is_err());
            }
            let _ = MacJws::parse(&text).is_ok();
        }
    }

    #[test]
    fn a_bit_flipped_anywhere_never_verifies(which in 0_usize..5, part in 0_usize..3, byte in any::<usize>(), bit in 0_u8..8) {
        let key = &KEYS[which];
        let token = key.sign("JWT", CLAIMS).unwrap();
        let rules = Rules { expiry: Expiry::Ignored, ..Rules::new(&Algorithm::ALL, NOW) };
        prop_assert!(verify(&token, &KeySource::One(key.public()), &rules).is_ok());
        let mut parts: Vec<Vec<u8>> = token.split('.').map(|part| from_base64url(part).unwrap()).collect();
        let at = byte % parts[part].len();
        parts[part][at] ^= 1 << bit;
        let bent: Vec<String> = parts.iter().map(|part| base64url(part)).collect();
        prop_assert!(verify(&bent.join("."), &KeySource::One(key.public()), &rules).is_err());
    }

    #[test]
    fn a_token_cut_anywhere_never_verifies(which in 0_usize..5, at in any::<usize>()) {
        let key = &KEYS[which];
        let token = key.sign("JWT", CLAIMS).unwrap();
        let rules = Rules { expiry: Expiry::Ignored, ..Rules::new(&Algorithm::ALL, NOW) };
        let cut = &token[..at % token.len()];
        prop_assert!(verify(cut, &KeySource::One(key.public()), &rules).is_err());
        prop_assert!(cut.len() < MAX_TOKEN);
    }

    #[test]
    fn whatever_stands_in_a_key_set_nothing_breaks_and_what_is_kept_is_public(value in anything(), keys in anything()) {
        let wrapped = json!({ "keys": keys });
        for set in [JwkSet::from_value(&value), JwkSet::from_value(&wrapped), JwkSet::parse(wrapped.to_string().as_bytes())] {
            let Ok(set) = set else { continue };
            for key in set.keys() {
                let json = key.to_json();
                for private in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
                    prop_assert!(!json.contains_key(private));
                }
                let back = Jwk::parse(&json).unwrap();
                prop_assert_eq!(back.thumbprint(), key.thumbprint());
            }
        }
    }

    #[test]
    fn bytes_that_are_no_key_set_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(set) = JwkSet::parse(&bytes) {
            prop_assert!(set.keys().len() <= super::jwk::MAX_KEYS);
        }
    }
}
