//! Encrypted tokens: the published vectors, every pair of algorithms, and what must not decrypt.

use super::*;
use crate::jose::jwk::JwkSet;
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeyPairComponents, PublicKeyComponents};
use proptest::prelude::*;
use std::sync::LazyLock;

const PLAIN: &[u8] = br#"{"iss":"https://op.example","sub":"f3b1"}"#;

static RSA: LazyLock<DecryptionKey> = LazyLock::new(|| DecryptionKey::generate(KeyKind::Rsa).unwrap());
static P256: LazyLock<DecryptionKey> = LazyLock::new(|| DecryptionKey::generate(KeyKind::P256).unwrap());

fn one(key: &DecryptionKey) -> &[DecryptionKey] {
    std::slice::from_ref(key)
}

fn random() -> Random {
    Random::scripted(1)
}

fn key_of(alg: JweAlg) -> &'static DecryptionKey {
    if alg.is_rsa() { &RSA } else { &P256 }
}

fn sealed(key: &DecryptionKey, how: Encryption) -> String {
    encrypt(PLAIN, key.public(), how, Content::NESTED, &random()).unwrap()
}

fn every() -> impl Iterator<Item = Encryption> {
    JweAlg::ALL.into_iter().flat_map(|alg| JweEnc::ALL.map(|enc| Encryption { alg, enc }))
}

/// A private key of the vectors.
fn private(key: &Value) -> DecryptionKey {
    let part = |name: &str| from_base64url(key[name].as_str().unwrap_or_default()).unwrap();
    if key["kty"] == "RSA" {
        let (n, e) = (part("n"), part("e"));
        let components = KeyPairComponents {
            public_key: PublicKeyComponents { n: n.as_slice(), e: e.as_slice() },
            d: part("d"),
            p: part("p"),
            q: part("q"),
            dP: part("dp"),
            dQ: part("dq"),
            qInv: part("qi"),
        };
        let pair = KeyPair::from_components(&components).unwrap();
        let der = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).unwrap();
        return DecryptionKey::from_pkcs8(KeyKind::Rsa, der.as_ref()).unwrap();
    }
    let kind = KeyKind::ALL.into_iter().find(|kind| key["crv"] == kind.name()).unwrap();
    let secret = PrivateKey::from_private_key(kind.agreement().unwrap(), &part("d")).unwrap();
    DecryptionKey::curve(kind, secret).unwrap()
}

#[test]
fn the_vectors_whose_algorithms_are_spoken_decrypt_and_the_others_are_refused() {
    let vectors: Value = serde_json::from_str(include_str!("vectors.json")).unwrap();
    let list = |name: &str| vectors[name].as_array().unwrap().clone();
    assert_eq!((list("speaks").len(), list("refuses").len()), (4, 3));
    for vector in list("speaks") {
        let (token, key) = (vector["token"].as_str().unwrap(), private(&vector["key"]));
        // Their key names are not thumbprints, so the key is chosen here.
        let opened = Jwe::parse(token).unwrap().open(&key).unwrap();
        assert_eq!(String::from_utf8(opened).unwrap(), vector["plain"], "{}", vector["where"]);
        let other = if key.kind() == KeyKind::Rsa { &*RSA } else { &*P256 };
        assert!(Jwe::parse(token).unwrap().open(other).is_none(), "{}", vector["where"]);
    }
    for vector in list("refuses") {
        let fault = decrypt(vector["token"].as_str().unwrap(), one(&RSA), Allowed::ALL).unwrap_err();
        assert!(matches!(fault, Fault::Algorithm | Fault::Extension(_)), "{}: {fault}", vector["where"]);
    }
}

/// RFC 7518 appendix C.
#[test]
fn the_key_derivation_is_that_of_the_specification() {
    let (alice, bob) =
        ("0_NxaRPUMQoAJt50Gz8YiTr8gRTwyEaCumd-MToTmIo", "VEmDZpDXXK8p8N0Cndsxs924q6nS1RXFASRl6BfUqdw");
    let secret = |d: &str| {
        PrivateKey::from_private_key(KeyKind::P256.agreement().unwrap(), &from_base64url(d).unwrap()).unwrap()
    };
    let Ok(Public::Curve { key, .. }) = Public::of(KeyKind::P256, &secret(bob)) else { panic!() };
    let how = Encryption { alg: JweAlg::EcdhEs, enc: JweEnc::A128Gcm };
    let agreed = agree(&secret(alice), &key, how, b"Alice", b"Bob").unwrap();
    assert_eq!(base64url(&agreed), "VqqN6vgjbSBcIijNcacQGg");
}

#[test]
fn every_pair_of_algorithms_decrypts_what_it_encrypted() {
    for how in every() {
        let (key, both) = (key_of(how.alg), [RSA.clone(), P256.clone()]);
        let token = sealed(key, how);
        assert!(is_encrypted(&token));
        let Decrypted { header, payload } = decrypt(&token, &both, Allowed::ALL).unwrap();
        assert_eq!(payload, PLAIN, "{how:?}");
        assert_eq!((header.alg, header.enc), (how.alg, how.enc));
        assert_eq!((header.kid.as_deref(), header.cty.as_deref()), (Some(key.kid()), Some("JWT")));
        let others: Vec<_> = JweAlg::ALL.into_iter().filter(|alg| *alg != how.alg).collect();
        let allowed = Allowed { algs: &others, encs: &JweEnc::ALL };
        assert_eq!(decrypt(&token, &both, allowed), Err(Fault::Algorithm));
        let others: Vec<_> = JweEnc::ALL.into_iter().filter(|enc| *enc != how.enc).collect();
        let allowed = Allowed { algs: &JweAlg::ALL, encs: &others };
        assert_eq!(decrypt(&token, &both, allowed), Err(Fault::Algorithm));
    }
}

#[test]
fn every_kind_of_key_serves_and_comes_back_from_its_stored_form() {
    for kind in KeyKind::ALL {
        let key = DecryptionKey::generate(kind).unwrap();
        let alg = JweAlg::ALL.into_iter().find(|alg| kind.is_for(*alg)).unwrap();
        let how = Encryption { alg, enc: JweEnc::A256Gcm };
        let json = key.public().to_json();
        assert_eq!((json["use"].as_str(), json["kid"].as_str()), (Some("enc"), Some(key.kid())));
        let published = EncryptionKey::parse(&json).unwrap();
        assert_eq!((published.thumbprint(), published.kind()), (key.kid(), kind));
        assert_eq!(published.to_json(), json);
        let token = encrypt(PLAIN, &published, how, Content::default(), &random()).unwrap();
        assert_eq!(decrypt(&token, one(&key), Allowed::ALL).unwrap().payload, PLAIN, "{kind:?}");
        match key.to_pkcs8() {
            Ok(der) => {
                let back = DecryptionKey::from_pkcs8(kind, &der).unwrap();
                assert_eq!(back.kid(), key.kid());
                assert_eq!(decrypt(&token, one(&back), Allowed::ALL).unwrap().payload, PLAIN);
            }
            Err(fault) => {
                assert_eq!((kind, fault), (KeyKind::X25519, Fault::Crypto("a key could not be exported")))
            }
        }
        assert_eq!(decrypt(&token, &[], Allowed::ALL), Err(Fault::Decryption));
        let stranger = DecryptionKey::generate(kind).unwrap();
        assert_eq!(decrypt(&token, one(&stranger), Allowed::ALL), Err(Fault::Decryption));
    }
}

#[test]
fn a_character_changed_anywhere_does_not_decrypt() {
    for how in [
        Encryption { alg: JweAlg::RsaOaep256, enc: JweEnc::A128CbcHs256 },
        Encryption { alg: JweAlg::EcdhEsA256Kw, enc: JweEnc::A256CbcHs512 },
        Encryption { alg: JweAlg::EcdhEs, enc: JweEnc::A128Gcm },
    ] {
        let key = key_of(how.alg);
        let token = sealed(key, how);
        for at in 0..token.len() {
            let mut bent = token.clone().into_bytes();
            bent[at] = if bent[at] == b'A' { b'B' } else { b'A' };
            let bent = String::from_utf8(bent).unwrap();
            assert!(decrypt(&bent, one(key), Allowed::ALL).is_err(), "{how:?}: {at}");
        }
    }
}

/// A header of the test's making before the other parts of a good token.
fn headed(change: impl FnOnce(&mut Map<String, Value>)) -> Result<Decrypted, Fault> {
    let token = sealed(&P256, Encryption { alg: JweAlg::EcdhEs, enc: JweEnc::A128CbcHs256 });
    let (head, rest) = token.split_once('.').unwrap();
    let mut members = json::object(&from_base64url(head).unwrap()).unwrap();
    change(&mut members);
    let head = base64url(Value::Object(members).to_string().as_bytes());
    decrypt(&format!("{head}.{rest}"), one(&P256), Allowed::ALL)
}

#[test]
fn headers_that_ask_for_what_is_not_done_are_refused_by_name() {
    let with = |name: &'static str, value: Value| {
        headed(move |members| {
            members.insert(name.to_owned(), value);
        })
        .unwrap_err()
    };
    assert_eq!(with("zip", json!("DEF")), Fault::Extension("zip"));
    assert_eq!(with("crit", json!(["exp"])), Fault::Extension("crit"));
    assert_eq!(with("crit", json!([])), Fault::Extension("crit"));
    assert_eq!(with("p2c", json!(2_000_000_000)), Fault::Extension("p2c"));
    for alg in ["RSA1_5", "dir", "A128KW", "A128GCMKW", "PBES2-HS256+A128KW", "none", "ECDH-ES+A192KW"] {
        assert_eq!(with("alg", json!(alg)), Fault::Algorithm, "{alg}");
    }
    for enc in ["A192GCM", "A192CBC-HS384", "A128CBC", ""] {
        assert_eq!(with("enc", json!(enc)), Fault::Algorithm, "{enc}");
    }
    for (name, value) in [("alg", json!(1)), ("enc", Value::Null), ("kid", json!(["a"])), ("cty", json!({}))]
    {
        assert!(matches!(with(name, value), Fault::Malformed(_)), "{name}");
    }
    assert!(matches!(headed(|members| drop(members.remove("enc"))), Err(Fault::Malformed(_))));
}

/// The invalid-curve attack, and everything else an ephemeral key may be.
#[test]
fn an_ephemeral_key_that_is_no_point_of_the_curve_is_refused_like_anything_else() {
    let other = DecryptionKey::generate(KeyKind::P384).unwrap();
    let good = P256.public().to_json();
    let zeros = base64url(&[0; 32]);
    for epk in [
        Value::Null,
        json!("epk"),
        json!({}),
        json!({ "kty": "EC", "crv": "P-256", "x": good["x"], "y": good["x"] }),
        json!({ "kty": "EC", "crv": "P-256", "x": zeros, "y": zeros }),
        json!({ "kty": "EC", "crv": "P-256", "x": good["x"] }),
        json!({ "kty": "EC", "crv": "P-384", "x": good["x"], "y": good["y"] }),
        json!({ "kty": "EC", "crv": "P-256", "x": good["x"], "y": good["y"], "d": zeros }),
        json!({ "kty": "OKP", "crv": "X25519", "x": zeros }),
        Value::Object(other.public().to_json()),
        Value::Object(RSA.public().to_json()),
    ] {
        let fault = headed(|members| drop(members.insert("epk".to_owned(), epk.clone())));
        assert_eq!(fault, Err(Fault::Decryption), "{epk}");
    }
    assert_eq!(headed(|members| drop(members.remove("epk"))), Err(Fault::Decryption));
    assert_eq!(headed(|members| drop(members.insert("apu".into(), json!("!")))), Err(Fault::Decryption));
}

#[test]
fn parts_of_the_wrong_size_do_not_decrypt_and_too_many_are_not_looked_at() {
    for how in every() {
        let key = [key_of(how.alg).clone()];
        let token = sealed(&key[0], how);
        let parts: Vec<Vec<u8>> = token.split('.').map(|part| from_base64url(part).unwrap()).collect();
        for at in 1..5 {
            for change in [-1_isize, 1] {
                let mut bent = parts.clone();
                match change {
                    1 => bent[at].push(0),
                    _ if bent[at].is_empty() => continue,
                    _ => drop(bent[at].pop()),
                }
                let bent: Vec<String> = bent.iter().map(|part| base64url(part)).collect();
                assert_eq!(
                    decrypt(&bent.join("."), &key, Allowed::ALL),
                    Err(Fault::Decryption),
                    "{how:?} {at}"
                );
            }
            let mut bent = parts.clone();
            bent[at].clear();
            let bent: Vec<String> = bent.iter().map(|part| base64url(part)).collect();
            if !parts[at].is_empty() {
                assert_eq!(
                    decrypt(&bent.join("."), &key, Allowed::ALL),
                    Err(Fault::Decryption),
                    "{how:?} {at}"
                );
            }
        }
    }
    let token = sealed(&P256, Encryption { alg: JweAlg::EcdhEs, enc: JweEnc::A128Gcm });
    for text in
        [format!("{token}."), format!("{token}.AA"), token.replace('.', ""), ".".repeat(4), String::new()]
    {
        assert!(matches!(decrypt(&text, one(&P256), Allowed::ALL), Err(Fault::Malformed(_))), "{text}");
    }
    let large = "A".repeat(MAX_TOKEN + 1);
    assert!(matches!(decrypt(&large, &[], Allowed::ALL), Err(Fault::TooLarge { .. })));
    let how = Encryption { alg: JweAlg::EcdhEs, enc: JweEnc::A128Gcm };
    let payload = vec![0; MAX_TOKEN + 1];
    assert!(encrypt(&payload, P256.public(), how, Content::default(), &random()).is_err());
    assert_eq!(
        encrypt(PLAIN, RSA.public(), how, Content::default(), &random()),
        Err(Fault::Algorithm),
        "an RSA key for ECDH-ES"
    );
}

#[test]
fn a_token_names_its_key_or_any_that_fits_is_tried() {
    let keys = [DecryptionKey::generate(KeyKind::P256).unwrap(), P256.clone()];
    let mut nameless = P256.public().to_json();
    nameless.remove("kid");
    let nameless = EncryptionKey::parse(&nameless).unwrap();
    let how = Encryption { alg: JweAlg::EcdhEsA128Kw, enc: JweEnc::A256Gcm };
    let token = encrypt(PLAIN, &nameless, how, Content::default(), &random()).unwrap();
    assert_eq!(decrypt(&token, &keys, Allowed::ALL).unwrap().header.kid, None);
    let mut foreign = P256.public().to_json();
    foreign.insert("kid".into(), json!("another"));
    let foreign = EncryptionKey::parse(&foreign).unwrap();
    let token = encrypt(PLAIN, &foreign, how, Content::default(), &random()).unwrap();
    assert_eq!(decrypt(&token, &keys, Allowed::ALL), Err(Fault::Decryption));
}

#[test]
fn the_key_that_says_most_plainly_what_it_is_for_is_chosen() {
    let key = |kid: &str, extra: Value| {
        let mut members = P256.public().to_json();
        members.remove("use");
        members.insert("kid".into(), json!(kid));
        members.extend(extra.as_object().unwrap().clone());
        Value::Object(members)
    };
    let chosen = |keys: Value, alg| {
        let set = JwkSet::from_value(&json!({ "keys": keys })).unwrap();
        set.encryption_key(alg).map(|key| key.kid().unwrap().to_owned())
    };
    let all = json!([
        key("signs", json!({ "use": "sig" })),
        key("signs too", json!({ "alg": "ES256" })),
        key("any", json!({})),
        key("encrypts", json!({ "use": "enc" })),
        key("encrypts so", json!({ "use": "enc", "alg": "ECDH-ES" })),
        key("again", json!({ "use": "enc", "alg": "ECDH-ES" })),
        key("verifies", json!({ "key_ops": ["verify"] })),
    ]);
    assert_eq!(chosen(all.clone(), JweAlg::EcdhEs).as_deref(), Some("encrypts so"));
    assert_eq!(chosen(all.clone(), JweAlg::EcdhEsA256Kw).as_deref(), Some("encrypts"));
    assert_eq!(chosen(all, JweAlg::RsaOaep), None);
    let some =
        json!([key("signs", json!({ "use": "sig" })), key("any", json!({ "key_ops": ["deriveBits"] }))]);
    assert_eq!(chosen(some, JweAlg::EcdhEs).as_deref(), Some("any"));
    let private = json!([key("leaked", json!({ "d": "AAAA" })), key("other", json!({ "alg": "dir" }))]);
    assert_eq!(chosen(private, JweAlg::EcdhEs), None);
    // Two of one use and kind: a key without a stated use verifies too.
    let set = JwkSet::from_value(&json!({ "keys": [key("any", json!({}))] })).unwrap();
    assert_eq!((set.keys().len(), set.encryption_key(JweAlg::EcdhEs).is_some()), (1, true));
}

proptest! {
    #[test]
    fn whatever_is_presented_is_refused_and_nothing_breaks(
        parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..80), 0..8),
        raw in ".{0,200}",
    ) {
        let text: Vec<String> = parts.iter().map(|part| base64url(part)).collect();
        prop_assert!(decrypt(&text.join("."), one(&P256), Allowed::ALL).is_err());
        prop_assert!(decrypt(&raw, one(&P256), Allowed::ALL).is_err());
    }

    /// Behind a header that is in order.
    #[test]
    fn whatever_is_behind_a_good_header_is_refused(
        parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..80), 4),
        which in 0_usize..20,
    ) {
        let how = every().nth(which).unwrap();
        let token = sealed(key_of(how.alg), how);
        let (head, _) = token.split_once('.').unwrap();
        let rest: Vec<String> = parts.iter().map(|part| base64url(part)).collect();
        let text = format!("{head}.{}", rest.join("."));
        prop_assert_eq!(decrypt(&text, one(key_of(how.alg)), Allowed::ALL), Err(Fault::Decryption));
    }

    #[test]
    fn a_bit_flipped_anywhere_never_decrypts(which in 0_usize..20, part in 0_usize..5, byte in any::<usize>(), bit in 0_u8..8) {
        let how = every().nth(which).unwrap();
        let key = key_of(how.alg).clone();
        let token = sealed(&key, how);
        let mut parts: Vec<Vec<u8>> = token.split('.').map(|part| from_base64url(part).unwrap()).collect();
        prop_assume!(!parts[part].is_empty());
        let at = byte % parts[part].len();
        parts[part][at] ^= 1 << bit;
        let bent: Vec<String> = parts.iter().map(|part| base64url(part)).collect();
        prop_assert!(decrypt(&bent.join("."), one(&key), Allowed::ALL).is_err());
    }
}
