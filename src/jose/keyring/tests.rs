//! The ring: which key signs, which are published, which only verify.

use super::*;

const NOW: Timestamp = Timestamp(1_000);

fn ring_key(alg: Algorithm, state: State) -> RingKey {
    RingKey { key: SigningKey::generate(alg).unwrap().into(), state, created: NOW, since: NOW }
}

#[test]
fn a_ring_signs_with_the_current_key_and_publishes_what_may_still_matter() {
    let states = [State::Next, State::Current, State::Retiring, State::VerifyOnly];
    let keys: Vec<_> = states.into_iter().map(|state| ring_key(Algorithm::ES256, state)).collect();
    let kids: Vec<_> = keys.iter().map(|key| key.key.kid().to_owned()).collect();
    let ring = KeyRing::new(keys).unwrap();
    assert_eq!(ring.signer(Algorithm::ES256).unwrap().kid(), kids[1]);
    assert!(ring.signer(Algorithm::RS256).is_none());
    for kid in &kids {
        assert!(ring.verify_key(kid).is_some());
    }
    assert!(ring.verify_key("another").is_none());
    let published: Value = serde_json::from_slice(ring.jwks()).unwrap();
    let published = published["keys"].as_array().unwrap();
    let listed: Vec<_> = published.iter().map(|key| key["kid"].as_str().unwrap()).collect();
    // What signs comes first, in whatever order they were loaded.
    assert_eq!(listed, [&kids[1], &kids[0], &kids[2]]);
    for key in published {
        let mut members: Vec<_> = key.as_object().unwrap().keys().map(String::as_str).collect();
        members.sort_unstable();
        assert_eq!(members, ["alg", "crv", "kid", "kty", "use", "x", "y"], "nothing private");
    }
}

#[test]
fn one_ed25519_key_signs_under_both_its_names() {
    let ring = KeyRing::new(vec![ring_key(Algorithm::EdDSA, State::Current)]).unwrap();
    let names: Vec<_> = ring.algorithms().collect();
    assert_eq!(names, [Algorithm::EdDSA, Algorithm::Ed25519]);
    let (old, new) = (ring.signer(Algorithm::EdDSA).unwrap(), ring.signer(Algorithm::Ed25519).unwrap());
    assert_eq!(old.kid(), new.kid());
    let token = new.sign("JWT", b"{}").unwrap();
    let head = crate::base::encode::from_base64url(token.split('.').next().unwrap()).unwrap();
    let head: Value = serde_json::from_slice(&head).unwrap();
    assert_eq!(head, json!({ "alg": "Ed25519", "kid": old.kid(), "typ": "JWT" }));
}

#[test]
fn a_ring_with_one_kid_or_one_role_twice_is_refused() {
    let key = ring_key(Algorithm::ES256, State::Current);
    let again = RingKey { state: State::Retiring, ..key.clone() };
    assert!(KeyRing::new(vec![key.clone(), again]).is_err());
    assert!(KeyRing::new(vec![key, ring_key(Algorithm::ES256, State::Current)]).is_err());
    assert!(KeyRing::new(Vec::new()).unwrap().signer(Algorithm::ES256).is_none());
}

#[test]
fn a_signing_key_is_never_printed() {
    let key = ring_key(Algorithm::EdDSA, State::Current);
    let text = format!("{key:?}");
    assert!(text.contains(key.key.kid()));
    assert!(text.len() < 250, "{text}");
}

#[test]
fn a_typ_that_is_not_usual_is_encoded_as_well() {
    let key = SigningKey::generate(Algorithm::EdDSA).unwrap();
    for typ in ["JWT", "dpop+jwt", "quote\"d"] {
        let token = key.sign(typ, b"{}").unwrap();
        let head = crate::base::encode::from_base64url(token.split('.').next().unwrap()).unwrap();
        let head: Value = serde_json::from_slice(&head).unwrap();
        assert_eq!(head["typ"], typ);
    }
}

#[test]
fn a_key_of_another_kind_is_not_read() {
    let der = SigningKey::generate(Algorithm::ES256).unwrap().to_pkcs8().unwrap();
    for alg in [Algorithm::RS256, Algorithm::ES384, Algorithm::EdDSA] {
        assert!(SigningKey::from_pkcs8(alg, &der).is_err(), "{alg}");
    }
    assert!(SigningKey::from_pkcs8(Algorithm::ES256, &der[..der.len() - 1]).is_err());
    assert!(SigningKey::from_pkcs8(Algorithm::ES256, b"").is_err());
}

#[test]
fn keys_to_encrypt_to_are_published_while_current_and_decrypt_longer() {
    let key = |state| RingKey {
        key: DecryptionKey::generate(crate::jose::KeyKind::P256).unwrap().into(),
        state,
        created: NOW,
        since: NOW,
    };
    let keys = [key(State::Retiring), key(State::Current), ring_key(Algorithm::ES256, State::Current)];
    let kids: Vec<_> = keys.iter().map(|key| key.key.kid().to_owned()).collect();
    let ring = KeyRing::new(keys.to_vec()).unwrap();
    let decrypts: Vec<_> = ring.decryption_keys().iter().map(DecryptionKey::kid).collect();
    assert_eq!(decrypts, [&kids[1], &kids[0]]);
    let published: Value = serde_json::from_slice(ring.jwks()).unwrap();
    let published: Vec<_> = published["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| (key["kid"].as_str().unwrap(), key["use"].as_str().unwrap()))
        .collect();
    assert_eq!(published, [(kids[2].as_str(), "sig"), (&kids[1], "enc")]);
    assert!(ring.verify_key(&kids[1]).is_none(), "nothing is verified with it");
    assert_eq!(ring.algorithms().collect::<Vec<_>>(), [Algorithm::ES256]);
    for key in ring.keys() {
        let back = OwnKey::from_pkcs8(key.key.purpose(), key.key.kid(), &key.key.to_pkcs8().unwrap());
        assert_eq!(back.unwrap().kid(), key.key.kid());
    }
}
