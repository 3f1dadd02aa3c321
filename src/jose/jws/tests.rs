//! The strict verifier: good tokens pass, every known way of cheating does not.

use super::*;
use crate::base::encode::base64url;
use crate::jose::key::SigningKey;
use crate::jose::keyring::RingKey;
use crate::jose::rotation::State;
use ring::hmac;
use serde_json::json;

const NOW: Timestamp = Timestamp(1_800_000_000);
const ES: &[Algorithm] = &[Algorithm::ES256];
const CLAIMS: &str = r#"{"iss":"https://op","aud":"rp","sub":"s","exp":1800000060,"iat":1800000000}"#;

fn key() -> SigningKey {
    SigningKey::generate(Algorithm::ES256).unwrap()
}

fn rules<'a>() -> Rules<'a> {
    Rules { issuer: Some("https://op"), audience: Audience::Includes(&["rp"]), ..Rules::new(ES, NOW) }
}

fn judge(key: &SigningKey, header: &str, claims: &str, rules: &Rules<'_>) -> Result<Verified, Fault> {
    verify(&key.forge(header, claims), &KeySource::One(key.public()), rules)
}

/// Under the plain header, with the plain rules.
fn judge_claims(claims: &str) -> Result<Verified, Fault> {
    judge(&key(), r#"{"alg":"ES256"}"#, claims, &rules())
}

fn set(keys: &[serde_json::Map<String, Value>]) -> JwkSet {
    JwkSet::from_value(&json!({ "keys": keys })).unwrap()
}

#[test]
fn the_examples_of_rfc_7515_verify() {
    let keys = json!({ "keys": [
        // §A.2.1
        { "kty": "RSA", "e": "AQAB", "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ" },
        // §A.3.1
        { "kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0" },
    ]});
    let keys = JwkSet::from_value(&keys).unwrap();
    let payload =
        "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let rsa = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
    let ec = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    let both = [Algorithm::RS256, Algorithm::ES256];
    let rules = Rules { issuer: Some("joe"), ..Rules::new(&both, Timestamp(1_300_819_379)) };
    for (header, signature) in [("eyJhbGciOiJSUzI1NiJ9", rsa), ("eyJhbGciOiJFUzI1NiJ9", ec)] {
        let token = format!("{header}.{payload}.{signature}");
        let verified = verify(&token, &KeySource::Set(&keys), &rules).unwrap();
        assert_eq!(verified.claims["http://example.com/is_root"], true);
        let late = Rules { now: Timestamp(1_300_819_380), ..rules };
        assert_eq!(verify(&token, &KeySource::Set(&keys), &late), Err(Fault::Expired));
    }
}

#[test]
fn every_algorithm_signs_what_it_verifies_and_nothing_bent() {
    for alg in Algorithm::ALL {
        let key = SigningKey::generate(alg).unwrap();
        let token = key.sign("at+jwt", CLAIMS.as_bytes()).unwrap();
        let allowed = [alg];
        let rules = Rules { typ: Typ::Required(&["at+jwt"]), ..Rules::new(&allowed, NOW) };
        let verified = verify(&token, &KeySource::One(key.public()), &rules).unwrap();
        assert_eq!(verified.header.alg, alg);
        assert_eq!(verified.header.kid.as_deref(), Some(key.kid()));
        assert_eq!(verified.claims["sub"], "s");
        let at = token.rfind('.').unwrap() + 3;
        let mut bent = token.clone().into_bytes();
        bent[at] = if bent[at] == b'A' { b'B' } else { b'A' };
        let bent = String::from_utf8(bent).unwrap();
        assert_eq!(verify(&bent, &KeySource::One(key.public()), &rules), Err(Fault::Signature), "{alg}");
        let again = SigningKey::from_pkcs8(alg, &key.to_pkcs8().unwrap()).unwrap();
        assert_eq!(again.kid(), key.kid());
        let token = again.sign("JWT", CLAIMS.as_bytes()).unwrap();
        assert!(verify(&token, &KeySource::One(key.public()), &Rules::new(&allowed, NOW)).is_ok());
    }
}

#[test]
fn a_token_without_issuer_or_audience_is_refused() {
    assert!(judge_claims(CLAIMS).is_ok());
    for (claims, name) in [
        (r#"{"aud":"rp","exp":1800000060}"#, "iss"),
        (r#"{"iss":"https://evil","aud":"rp","exp":1800000060}"#, "iss"),
        (r#"{"iss":"https://op/","aud":"rp","exp":1800000060}"#, "iss"),
        (r#"{"iss":"https://op","exp":1800000060}"#, "aud"),
        (r#"{"iss":"https://op","aud":"other","exp":1800000060}"#, "aud"),
        (r#"{"iss":"https://op","aud":["other","others"],"exp":1800000060}"#, "aud"),
        (r#"{"iss":"https://op","aud":"rp"}"#, "exp"),
    ] {
        let fault = judge_claims(claims).unwrap_err();
        assert!(matches!(&fault, Fault::Claim { name: n, .. } if n == name), "{claims}: {fault}");
    }
    assert!(judge_claims(r#"{"iss":"https://op","aud":["x","rp"],"exp":1800000060}"#).is_ok());
}

#[test]
fn a_single_audience_is_no_list() {
    let exactly = Rules { audience: Audience::Exactly("rp"), ..rules() };
    let header = r#"{"alg":"ES256"}"#;
    assert!(judge(&key(), header, CLAIMS, &exactly).is_ok());
    for aud in [r#"["rp"]"#, r#"["rp","evil"]"#, r#""rp2""#, r#""""#] {
        let claims = format!(r#"{{"iss":"https://op","aud":{aud},"exp":1800000060}}"#);
        assert!(judge(&key(), header, &claims, &exactly).is_err(), "{aud}");
    }
}

#[test]
fn a_claim_of_the_wrong_type_refuses_whatever_the_rules() {
    let lax = Rules { expiry: Expiry::Ignored, ..Rules::new(ES, NOW) };
    let key = key();
    assert!(judge(&key, r#"{"alg":"ES256"}"#, "{}", &lax).is_ok());
    for claims in [
        r#"{"iss":1}"#,
        r#"{"iss":["https://op"]}"#,
        r#"{"iss":null}"#,
        r#"{"sub":1}"#,
        r#"{"sub":{}}"#,
        r#"{"jti":1}"#,
        r#"{"aud":1}"#,
        r#"{"aud":null}"#,
        r#"{"aud":[]}"#,
        r#"{"aud":["rp",1]}"#,
        r#"{"aud":{"rp":true}}"#,
        r#"{"exp":"1800000060"}"#,
        r#"{"exp":null}"#,
        r#"{"exp":-1}"#,
        r#"{"exp":true}"#,
        r#"{"exp":1e300}"#,
        r#"{"nbf":"0"}"#,
        r#"{"iat":[1]}"#,
    ] {
        let fault = judge(&key, r#"{"alg":"ES256"}"#, claims, &lax).unwrap_err();
        assert!(matches!(fault, Fault::Claim { .. }), "{claims}: {fault}");
    }
}

#[test]
fn times_are_checked_with_leeway_at_their_edges() {
    let key = key();
    let with = |claims: String, leeway: u64, max_age: Option<u64>| {
        let rules = Rules {
            leeway: Duration::from_secs(leeway),
            max_age: max_age.map(Duration::from_secs),
            expiry: Expiry::IfPresent,
            ..Rules::new(ES, NOW)
        };
        judge(&key, r#"{"alg":"ES256"}"#, &claims, &rules).map(|_| ())
    };
    let at = |name: &str, offset: i64| format!(r#"{{"{name}":{}}}"#, 1_800_000_000 + offset);
    assert_eq!(with(at("exp", 1), 0, None), Ok(()));
    assert_eq!(with(at("exp", 0), 0, None), Err(Fault::Expired));
    assert_eq!(with(at("exp", -9), 10, None), Ok(()));
    assert_eq!(with(at("exp", -10), 10, None), Err(Fault::Expired));
    assert_eq!(with(r#"{"exp":1800000000.9}"#.to_owned(), 0, None), Err(Fault::Expired));
    assert_eq!(with(r#"{"exp":1800000001.5}"#.to_owned(), 0, None), Ok(()));
    for name in ["nbf", "iat"] {
        assert_eq!(with(at(name, 0), 0, None), Ok(()));
        assert!(with(at(name, 1), 0, None).is_err(), "{name} ahead");
        assert_eq!(with(at(name, 10), 10, None), Ok(()));
        assert!(with(at(name, 11), 10, None).is_err(), "{name} ahead");
    }
    assert_eq!(with(at("iat", -60), 0, Some(60)), Ok(()));
    assert!(with(at("iat", -61), 0, Some(60)).is_err());
    assert!(with("{}".to_owned(), 0, Some(60)).is_err(), "max_age needs iat");
    assert_eq!(with(format!(r#"{{"exp":{}}}"#, u64::MAX), 5, None), Ok(()), "no overflow");
}

#[test]
fn an_expired_token_still_serves_as_a_hint() {
    let claims = r#"{"iss":"https://op","aud":"rp","exp":1}"#;
    assert_eq!(judge_claims(claims), Err(Fault::Expired));
    let hint = Rules { expiry: Expiry::Ignored, ..rules() };
    assert!(judge(&key(), r#"{"alg":"ES256"}"#, claims, &hint).is_ok());
}

#[test]
fn required_claims_are_there_and_not_null() {
    let sharp = Rules { required: &["jti"], ..rules() };
    let header = r#"{"alg":"ES256"}"#;
    assert!(judge(&key(), header, CLAIMS, &sharp).is_err());
    let with = CLAIMS.replace("\"sub\"", "\"jti\":\"j\",\"sub\"");
    assert!(judge(&key(), header, &with, &sharp).is_ok());
    let odd = Rules { required: &["events"], ..rules() };
    let null = CLAIMS.replace("\"sub\"", "\"events\":null,\"sub\"");
    assert!(judge(&key(), header, &null, &odd).is_err());
}

#[test]
fn extensions_that_are_not_understood_refuse() {
    let key = key();
    for header in [
        r#"{"alg":"ES256","crit":["exp"]}"#,
        r#"{"alg":"ES256","crit":[]}"#,
        r#"{"alg":"ES256","crit":["b64"],"b64":false}"#,
        r#"{"alg":"ES256","b64":true}"#,
        r#"{"alg":"ES256","zip":"DEF"}"#,
    ] {
        let fault = judge(&key, header, CLAIMS, &rules()).unwrap_err();
        assert!(matches!(fault, Fault::Extension(_)), "{header}: {fault}");
    }
}

#[test]
fn the_header_never_says_where_the_key_is() {
    let (ours, evil) = (key(), key());
    let jwk = Value::Object(evil.public().to_json());
    let header = json!({ "alg": "ES256", "jwk": jwk, "jku": "https://evil/jwks", "x5u": "https://evil/x5u" });
    let token = evil.forge(&header.to_string(), CLAIMS);
    assert_eq!(verify(&token, &KeySource::One(ours.public()), &rules()), Err(Fault::Signature));
    let token = ours.forge(&header.to_string(), CLAIMS);
    assert!(verify(&token, &KeySource::One(ours.public()), &rules()).is_ok(), "ignored, not refused");
}

#[test]
fn none_and_macs_are_no_algorithms() {
    let rsa = SigningKey::generate(Algorithm::RS256).unwrap();
    let allowed = [Algorithm::RS256];
    let rules = Rules { algorithms: &allowed, ..rules() };
    for alg in ["none", "None", "NONE", "nOnE", ""] {
        let head = base64url(format!(r#"{{"alg":"{alg}"}}"#).as_bytes());
        let unsigned = format!("{head}.{}.", base64url(CLAIMS.as_bytes()));
        assert_eq!(verify(&unsigned, &KeySource::One(rsa.public()), &rules), Err(Fault::Algorithm), "{alg}");
    }
    // Algorithm confusion: a MAC under the public key's own text.
    let public = Value::Object(rsa.public().to_json()).to_string();
    for secret in [public.as_bytes(), b"", rsa.kid().as_bytes()] {
        let signed = format!("{}.{}", base64url(br#"{"alg":"HS256"}"#), base64url(CLAIMS.as_bytes()));
        let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), signed.as_bytes());
        let token = format!("{signed}.{}", base64url(mac.as_ref()));
        assert_eq!(verify(&token, &KeySource::One(rsa.public()), &rules), Err(Fault::Algorithm));
    }
    let bare = format!("{}.{}.", base64url(br#"{"alg":"RS256"}"#), base64url(CLAIMS.as_bytes()));
    assert_eq!(
        verify(&bare, &KeySource::One(rsa.public()), &rules),
        Err(Fault::Signature),
        "empty signature"
    );
}

#[test]
fn only_agreed_algorithms_verify_and_each_with_its_own_kind_of_key() {
    let (ec, rsa) = (key(), SigningKey::generate(Algorithm::RS256).unwrap());
    let token = ec.forge(r#"{"alg":"ES256"}"#, CLAIMS);
    let rs_only = [Algorithm::RS256];
    let other = Rules { algorithms: &rs_only, ..rules() };
    assert_eq!(verify(&token, &KeySource::One(ec.public()), &other), Err(Fault::Algorithm));
    let none = Rules { algorithms: &[], ..rules() };
    assert_eq!(verify(&token, &KeySource::One(ec.public()), &none), Err(Fault::Algorithm));
    assert_eq!(verify(&token, &KeySource::One(rsa.public()), &rules()), Err(Fault::UnknownKey));
    // The same RSA key, for RS256 only, does not verify PS256.
    let both = [Algorithm::RS256, Algorithm::PS256];
    let pss = SigningKey::from_pkcs8(Algorithm::PS256, &rsa.to_pkcs8().unwrap()).unwrap();
    let token = pss.forge(r#"{"alg":"PS256"}"#, CLAIMS);
    let rules = Rules { algorithms: &both, ..rules() };
    assert_eq!(verify(&token, &KeySource::One(rsa.public()), &rules), Err(Fault::UnknownKey));
}

#[test]
fn both_names_of_ed25519_are_accepted_for_each_other() {
    let key = SigningKey::generate(Algorithm::EdDSA).unwrap();
    for (written, allowed) in [("EdDSA", Algorithm::Ed25519), ("Ed25519", Algorithm::EdDSA)] {
        let token = key.forge(&format!(r#"{{"alg":"{written}"}}"#), CLAIMS);
        let allowed = [allowed];
        let rules = Rules { algorithms: &allowed, ..rules() };
        assert_eq!(verify(&token, &KeySource::One(key.public()), &rules).unwrap().header.alg.name(), written);
    }
}

#[test]
fn a_kid_is_opaque_and_decides_which_key_is_asked() {
    let (a, b) = (key(), key());
    let keys = set(&[a.public().to_json(), b.public().to_json()]);
    let with_kid = |kid: &str| b.forge(&json!({ "alg": "ES256", "kid": kid }).to_string(), CLAIMS);
    assert!(verify(&with_kid(b.kid()), &KeySource::Set(&keys), &rules()).is_ok());
    assert_eq!(verify(&with_kid(a.kid()), &KeySource::Set(&keys), &rules()), Err(Fault::Signature));
    for kid in ["", "../../etc/passwd", "' OR 1=1", "x\u{0}"] {
        assert_eq!(
            verify(&with_kid(kid), &KeySource::Set(&keys), &rules()),
            Err(Fault::UnknownKey),
            "{kid:?}"
        );
    }
    let nameless = b.forge(r#"{"alg":"ES256"}"#, CLAIMS);
    assert!(verify(&nameless, &KeySource::Set(&keys), &rules()).is_ok(), "every key is tried");
    for header in [r#"{"alg":"ES256","kid":1}"#, r#"{"alg":"ES256","kid":null}"#, r#"{"alg":1}"#, "{}"] {
        assert!(matches!(judge(&b, header, CLAIMS, &rules()), Err(Fault::Malformed(_))), "{header}");
    }
}

#[test]
fn our_own_ring_wants_a_kid() {
    let key = key();
    let ring_key = RingKey { key: key.clone().into(), state: State::VerifyOnly, created: NOW, since: NOW };
    let ring = KeyRing::new(vec![ring_key]).unwrap();
    let token = key.sign("JWT", CLAIMS.as_bytes()).unwrap();
    assert!(verify(&token, &KeySource::Ring(&ring), &rules()).is_ok());
    let nameless = key.forge(r#"{"alg":"ES256"}"#, CLAIMS);
    assert_eq!(verify(&nameless, &KeySource::Ring(&ring), &rules()), Err(Fault::UnknownKey));
}

#[test]
fn a_token_of_another_type_is_refused() {
    let key = key();
    let judge = |typ: Option<&str>, rule: Typ<'_>| {
        let header = match typ {
            Some(typ) => json!({ "alg": "ES256", "typ": typ }),
            None => json!({ "alg": "ES256" }),
        };
        judge(&key, &header.to_string(), CLAIMS, &Rules { typ: rule, ..rules() }).map(|_| ())
    };
    for typ in ["at+jwt", "AT+JWT", "application/at+jwt", "Application/AT+jwt"] {
        assert_eq!(judge(Some(typ), Typ::Required(&["at+jwt"])), Ok(()), "{typ}");
    }
    for typ in [Some("JWT"), Some(""), Some("at+jwt "), Some("xapplication/at+jwt"), None] {
        assert_eq!(judge(typ, Typ::Required(&["at+jwt"])), Err(Fault::Typ), "{typ:?}");
    }
    assert_eq!(judge(None, Typ::Optional(&["JWT"])), Ok(()));
    assert_eq!(judge(Some("jwt"), Typ::Optional(&["JWT"])), Ok(()));
    assert_eq!(judge(Some("at+jwt"), Typ::Optional(&["JWT"])), Err(Fault::Typ));
    assert_eq!(judge(Some("anything"), Typ::Any), Ok(()));
}

#[test]
fn a_member_that_stands_twice_is_refused_in_header_and_claims() {
    let key = key();
    let twice = CLAIMS.replace("\"sub\":\"s\"", "\"sub\":\"s\",\"sub\":\"admin\"");
    assert_eq!(judge(&key, r#"{"alg":"ES256"}"#, &twice, &rules()), Err(Fault::Duplicate));
    let header = r#"{"alg":"ES256","alg":"ES256"}"#;
    assert_eq!(judge(&key, header, CLAIMS, &rules()), Err(Fault::Duplicate));
}

#[test]
fn what_is_not_three_parts_of_base64url_json_is_refused() {
    let key = key();
    let good = key.forge(r#"{"alg":"ES256"}"#, CLAIMS);
    let source = KeySource::One(key.public());
    assert!(verify(&good, &source, &rules()).is_ok());
    let (head, rest) = good.split_once('.').unwrap();
    for bad in [
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        "...".to_owned(),
        head.to_owned(),
        format!("{head}.{head}"),
        format!("{good}."),
        format!(".{good}"),
        format!("{good}.x.y"),
        format!("{good}="),
        format!("{good} "),
        format!(" {good}"),
        format!("{head}=.{rest}"),
        format!("{head}\n.{rest}"),
        good.replace(head, "e30"),
        good.replace(head, "W10"),
        good.replace('.', ".\u{e9}"),
    ] {
        assert!(verify(&bad, &source, &rules()).is_err(), "{bad}");
    }
    let huge = format!("{good}{}", "A".repeat(MAX_TOKEN));
    assert!(matches!(verify(&huge, &source, &rules()), Err(Fault::TooLarge { .. })));
    assert!(judge(&key, r#"{"alg":"ES256"}"#, "[]", &rules()).is_err());
    assert!(judge(&key, r#"{"alg":"ES256"}"#, "\"x\"", &rules()).is_err());
}

#[test]
fn an_ecdsa_signature_in_der_or_of_zeros_is_refused() {
    let key = key();
    let signed = format!("{}.{}", base64url(br#"{"alg":"ES256"}"#), base64url(CLAIMS.as_bytes()));
    for signature in [vec![0; 64], vec![0; 63], vec![0xff; 64], vec![0x30, 6, 2, 1, 1, 2, 1, 1], Vec::new()] {
        let token = format!("{signed}.{}", base64url(&signature));
        assert_eq!(verify(&token, &KeySource::One(key.public()), &rules()), Err(Fault::Signature));
    }
}
