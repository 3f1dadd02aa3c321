//! DPoP proofs: the examples of RFC 9449, and everything a proof may have wrong.

use super::*;
use crate::base::encode::{base64url, from_base64url};
use crate::base::secret::sha256;
use crate::jose::SigningKey;
use proptest::prelude::*;
use serde_json::json;
use std::sync::LazyLock;

const NOW: Timestamp = Timestamp(1_800_000_000);

static KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate(Algorithm::ES256).unwrap());

fn header() -> Value {
    let mut jwk = KEY.public().to_json();
    for name in ["use", "alg", "kid"] {
        jwk.remove(name);
    }
    json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": jwk })
}

fn claims() -> Value {
    json!({ "jti": "j", "htm": "POST", "htu": "https://op.example/oidcop/token", "iat": NOW.0 })
}

fn judge(header: &Value, claims: &Value) -> Result<Proof, Fault> {
    verify_proof(&KEY.forge(&header.to_string(), &claims.to_string()), &ProofRules::new(NOW))
}

/// RFC 9449 §4.1, §6.1, §7.1.
#[test]
fn the_examples_of_rfc_9449_verify() {
    let head = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19";
    let asked = format!(
        "{head}.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg"
    );
    let proof = verify_proof(&asked, &ProofRules::new(Timestamp(1_562_262_616))).unwrap();
    assert_eq!(proof.jkt, "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
    assert_eq!((proof.htm.as_str(), proof.htu.as_str()), ("POST", "https://server.example.com/token"));
    assert_eq!((proof.jti.as_str(), proof.iat.0, proof.ath), ("-BwC3ESc6acc2lTc", 1_562_262_616, None));
    let claims = r#"{"jti":"e1j3V_bKic8-LAEB","htm":"GET","htu":"https://resource.example.org/protectedresource","iat":1562262618,"ath":"fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"}"#;
    let used = format!(
        "{head}.{}.2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA",
        base64url(claims.as_bytes())
    );
    let proof = verify_proof(&used, &ProofRules::new(Timestamp(1_562_262_616))).unwrap();
    let token = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";
    assert_eq!(proof.ath, Some(base64url(&sha256(token.as_bytes()))));
}

#[test]
fn a_proof_is_good_for_a_minute_to_either_side_unless_told_otherwise() {
    let at = |iat: Value, rules: &ProofRules<'_>| {
        let mut claims = claims();
        claims["iat"] = iat;
        verify_proof(&KEY.forge(&header().to_string(), &claims.to_string()), rules).is_ok()
    };
    let usual = ProofRules::new(NOW);
    for (offset, good) in [(-61, false), (-60, true), (0, true), (60, true), (61, false)] {
        assert_eq!(at(json!(1_800_000_000_i64 + offset), &usual), good, "{offset}");
    }
    let tight = ProofRules { behind: Duration::from_secs(300), ahead: Duration::from_secs(8), ..usual };
    for (offset, good) in [(-301, false), (-300, true), (8, true), (9, false)] {
        assert_eq!(at(json!(1_800_000_000_i64 + offset), &tight), good, "{offset}");
    }
    for odd in [json!("1800000000"), json!(-1), json!(null), json!([NOW.0]), json!(1e300)] {
        assert!(!at(odd.clone(), &usual), "{odd}");
    }
}

#[test]
fn every_public_key_algorithm_proves_and_only_those_agreed_on() {
    for alg in Algorithm::ALL {
        let key = SigningKey::generate(alg).unwrap();
        let header = json!({ "typ": "dpop+jwt", "alg": alg.name(), "jwk": key.public().to_json() });
        let text = key.forge(&header.to_string(), &claims().to_string());
        assert_eq!(verify_proof(&text, &ProofRules::new(NOW)).unwrap().jkt, key.kid(), "{alg}");
        let others: Vec<_> = Algorithm::ALL.into_iter().filter(|other| !other.is(alg)).collect();
        let rules = ProofRules { algorithms: &others, ..ProofRules::new(NOW) };
        assert_eq!(verify_proof(&text, &rules), Err(Fault::Algorithm), "{alg}");
    }
}

#[test]
fn a_header_with_anything_wrong_is_refused() {
    assert!(judge(&header(), &claims()).is_ok());
    let stranger = Value::Object(SigningKey::generate(Algorithm::ES256).unwrap().public().to_json());
    for (name, value) in [
        ("typ", json!("JWT")),
        ("typ", json!("at+jwt")),
        ("typ", json!("")),
        ("typ", json!(1)),
        ("typ", Value::Null),
        ("alg", json!("none")),
        ("alg", json!("HS256")),
        ("alg", json!("ES384")),
        ("alg", json!("RS256")),
        ("alg", Value::Null),
        ("jwk", Value::Null),
        ("jwk", json!("key")),
        ("jwk", json!([])),
        ("jwk", json!({})),
        ("jwk", json!({ "kty": "oct", "k": "AAAA" })),
        ("jwk", stranger),
        ("crit", json!(["jwk"])),
        ("b64", json!(false)),
    ] {
        let mut header = header();
        header[name] = value.clone();
        assert!(judge(&header, &claims()).is_err(), "{name}: {value}");
    }
    for gone in ["typ", "alg", "jwk"] {
        let mut header = header();
        header.as_object_mut().unwrap().remove(gone);
        assert!(judge(&header, &claims()).is_err(), "{gone}");
    }
}

/// RFC 9449 §4.3, step 7: no private key.
#[test]
fn a_proof_that_gives_its_private_key_away_is_refused() {
    for name in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
        let mut header = header();
        header["jwk"][name] = json!("AAAA");
        assert_eq!(judge(&header, &claims()), Err(Fault::Key("it has private members")), "{name}");
    }
    let mut header = header();
    header["jwk"]["use"] = json!("enc");
    assert!(judge(&header, &claims()).is_err());
}

#[test]
fn claims_that_are_missing_of_another_type_empty_or_too_long_are_refused() {
    for name in ["jti", "htm", "htu", "iat"] {
        let mut claims = claims();
        claims.as_object_mut().unwrap().remove(name);
        assert!(matches!(judge(&header(), &claims), Err(Fault::Claim { .. })), "{name}");
    }
    for (name, most) in MOST {
        for odd in [json!(1), json!(null), json!(["x"]), json!({}), json!(""), json!("x".repeat(most + 1))] {
            let mut claims = claims();
            claims[name] = odd.clone();
            assert!(matches!(judge(&header(), &claims), Err(Fault::Claim { .. })), "{name}: {odd}");
        }
        let mut claims = claims();
        claims[name] = json!("x".repeat(most));
        assert!(judge(&header(), &claims).is_ok(), "{name}");
    }
    let mut late = claims();
    late["exp"] = json!(NOW.0 - 61);
    assert_eq!(judge(&header(), &late), Err(Fault::Expired));
}

#[test]
fn what_is_bent_twice_or_too_large_is_refused() {
    let proof = KEY.forge(&header().to_string(), &claims().to_string());
    let rules = ProofRules::new(NOW);
    for at in 0..proof.len() {
        let mut bent = proof.clone().into_bytes();
        bent[at] = if bent[at] == b'A' { b'B' } else { b'A' };
        assert!(verify_proof(&String::from_utf8(bent).unwrap(), &rules).is_err(), "{at}");
    }
    let twice = claims().to_string().replace("\"jti\"", "\"jti\":\"other\",\"jti\"");
    assert_eq!(verify_proof(&KEY.forge(&header().to_string(), &twice), &rules), Err(Fault::Duplicate));
    let large = "A".repeat(MAX_PROOF + 1);
    assert!(matches!(verify_proof(&large, &rules), Err(Fault::TooLarge { .. })));
    let two = format!("{proof},{proof}");
    assert!(verify_proof(&two, &rules).is_err());
}

proptest! {
    #[test]
    fn whatever_is_presented_is_refused_and_nothing_breaks(raw in ".{0,300}", parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 0..5)) {
        let rules = ProofRules::new(NOW);
        prop_assert!(verify_proof(&raw, &rules).is_err());
        let parts: Vec<String> = parts.iter().map(|part| base64url(part)).collect();
        prop_assert!(verify_proof(&parts.join("."), &rules).is_err());
    }

    #[test]
    fn a_bit_flipped_anywhere_never_proves(part in 0_usize..3, byte in any::<usize>(), bit in 0_u8..8) {
        let proof = KEY.forge(&header().to_string(), &claims().to_string());
        let mut parts: Vec<Vec<u8>> = proof.split('.').map(|part| from_base64url(part).unwrap()).collect();
        let at = byte % parts[part].len();
        parts[part][at] ^= 1 << bit;
        let bent: Vec<String> = parts.iter().map(|part| base64url(part)).collect();
        prop_assert!(verify_proof(&bent.join("."), &ProofRules::new(NOW)).is_err());
    }
}
