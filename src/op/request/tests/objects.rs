//! Tests of request objects: by value and by reference, what counts inside and outside, and everything that is refused.

use crate::base::encode::base64url;
use crate::base::fetch::{Fault, Fetch, Fetched};
use crate::base::random::Random;
use crate::base::secret::sha256;
use crate::jose::jwe::{self, Content};
use crate::jose::{
    Algorithm, DecryptionKey, Encryption, EncryptionKey, JweAlg, JweEnc, KeyKind, MacAlgorithm, MacKey,
    SigningKey,
};
use crate::op::fixture::{self, body, send};
use crate::op::token::fixture as tokens;
use crate::op::walk::{self, ALICE, Answer, CLIENT, REDIRECT, Sight, Walk, request};
use http::StatusCode;
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use std::sync::Arc;

const ISSUER: &str = "https://op.example";
const OTHER: &str = "https://rp.example/other";
const URI: &str = "https://rp.example/request.jwt";

/// A client with keys, and what lies at [`URI`].
struct World {
    walk: Walk,
    key: SigningKey,
    lies: Arc<Mutex<Result<Fetched, Fault>>>,
}

async fn world(extra: &str, metadata: Value) -> World {
    let lies = Arc::new(Mutex::new(Err(Fault::Late)));
    let there = lies.clone();
    let mut kit = fixture::kit();
    kit.fetch = Fetch::scripted(move |asked| {
        assert_eq!((asked.url.as_str(), asked.max), (URI, 64 << 10));
        there.lock().clone()
    });
    let walk = Walk::at(walk::op_over(kit, extra).await);
    let key = SigningKey::generate(Algorithm::ES256).unwrap();
    let mut all = json!({"jwks": {"keys": [key.public().to_json()]}, "request_uris": [URI]});
    all.as_object_mut().unwrap().extend(metadata.as_object().unwrap().clone());
    walk::client(&walk.op, CLIENT, all).await;
    World { walk, key, lies }
}

impl World {
    /// A request object, changed by `changes` (null removes).
    fn object(&self, changes: &Value) -> String {
        let now = self.walk.op.now().0;
        let mut claims = json!({
            "iss": CLIENT, "aud": ISSUER, "exp": now + 60, "nbf": now - 1,
            "client_id": CLIENT, "response_type": "code", "redirect_uri": OTHER, "scope": "openid", "state": "inside",
            "nonce": "n-2",
        });
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        let claims: Map<String, Value> =
            claims.as_object().unwrap().clone().into_iter().filter(|(_, value)| !value.is_null()).collect();
        Value::Object(claims).to_string()
    }

    fn signed(&self, changes: &Value) -> String {
        self.key.sign("JWT", self.object(changes).as_bytes()).unwrap()
    }

    async fn bring(&mut self, object: &str, outside: &[(&str, &str)]) -> Sight {
        let mut all = vec![("request", object)];
        all.extend(outside);
        self.walk.open(&request(&all)).await
    }

    /// Whether it was taken, and by the redirect URI inside.
    async fn takes(&mut self, object: &str, outside: &[(&str, &str)]) -> Answer {
        let mut all = outside.to_vec();
        all.push(("prompt", "none"));
        self.bring(object, &all).await.answer()
    }
}

fn unsigned(claims: &str) -> String {
    format!("{}.{}.", base64url(b"{\"alg\":\"none\"}"), base64url(claims.as_bytes()))
}

/// OpenID Connect Core §6.1.
#[tokio::test]
async fn what_is_inside_goes_before_what_is_outside_and_is_completed_by_it() {
    let mut world = world("{}", json!({})).await;
    let object = world.signed(&json!({"scope": null, "max_age": 10, "claims": {"userinfo": {"name": null}}}));
    let login = world.bring(&object, &[("scope", "openid email")]).await;
    let consent = world.walk.sign_in(&login, ALICE).await;
    assert!(consent.html.contains("e-mail"), "the scope outside counts where there is none inside");
    let got = world.walk.allow(&consent).await.answer();
    assert!(got.has_code());
    assert_eq!((got.address.as_str(), got.get("state")), (OTHER, "inside"));
    // In the words of the authorization endpoint all the same.
    let got = world.takes(&world.signed(&json!({"response_mode": "fragment"})), &[("nonce", "n-3")]).await;
    assert!(got.has_code() && got.in_fragment, "{got:?}");
}

/// RFC 9101 §6.3.
#[tokio::test]
async fn under_jar_only_what_is_inside_counts() {
    let inside = json!({"prompt": "none"});
    for (metadata, typ, outside) in [
        (json!({"require_signed_request_object": true}), "JWT", &[][..]),
        (json!({}), "oauth-authz-req+jwt", &[][..]),
        (json!({}), "application/oauth-authz-req+jwt", &[][..]),
        (json!({}), "JWT", &[("response_type", ""), ("redirect_uri", ""), ("scope", "")][..]),
    ] {
        let mut world = world("{}", metadata).await;
        let object = world.key.sign(typ, world.object(&inside).as_bytes()).unwrap();
        let mut all = vec![("max_age", "not even a number")];
        all.extend(outside);
        let got = world.bring(&object, &all).await.answer();
        assert_eq!((got.error(), got.get("state")), ("login_required", "inside"), "{typ} {outside:?}");
        assert_eq!(got.address, OTHER);
        let lacking = world.object(&json!({"redirect_uri": null}));
        let lacking = world.key.sign(typ, lacking.as_bytes()).unwrap();
        assert!(world.bring(&lacking, &all).await.refuses("redirect_uri is missing"), "{typ}");
        // The client outside is the one whose keys count.
        walk::client(&world.walk.op, "another", json!({"jwks": {"keys": [world.key.public().to_json()]}}))
            .await;
        all.push(("client_id", "another"));
        assert!(!world.bring(&object, &all).await.has("sign-in"));
    }
}

#[tokio::test]
async fn a_client_bound_to_signed_objects_cannot_do_without() {
    for (extra, metadata) in [
        ("request_object: { required: true, unsigned: true }", json!({})),
        ("request_object: { unsigned: true }", json!({"require_signed_request_object": true})),
    ] {
        let mut world = world(extra, metadata).await;
        let got = world.walk.open(&request(&[])).await.answer();
        assert_eq!((got.error(), got.get("state")), ("invalid_request", "a b&c=\"<'>"));
        let got = world.takes(&unsigned(&world.object(&json!({}))), &[]).await;
        assert_eq!(got.error(), "invalid_request_object");
        let got = world.takes(&world.signed(&json!({"prompt": "none"})), &[]).await;
        assert_eq!(got.error(), "login_required");
    }
}

#[tokio::test]
async fn a_request_object_with_anything_wrong_is_refused_where_the_client_can_see_it() {
    let mut world = world("{}", json!({})).await;
    let now = world.walk.op.now().0;
    for (name, value) in [
        ("iss", json!("other")),
        ("iss", json!(1)),
        ("aud", json!("https://other.example")),
        ("aud", json!(["https://other.example"])),
        ("aud", json!({"a": 1})),
        ("sub", json!(CLIENT)),
        ("exp", json!(now - 31)),
        ("exp", json!("soon")),
        ("nbf", json!(now + 60)),
        ("nbf", json!(true)),
        ("client_id", json!("another")),
        ("client_id", json!([CLIENT])),
        ("response_type", json!("id_token")),
        ("response_type", json!("unheard-of")),
        ("redirect_uri", json!([REDIRECT])),
        ("scope", json!(["openid"])),
        ("state", json!({"a": 1})),
        ("state", json!("a\u{0}b")),
        ("request", json!("x.y.z")),
        ("request_uri", json!(URI)),
        ("request", json!({})),
    ] {
        let got = world.takes(&world.signed(&json!({name: value.clone()})), &[]).await;
        assert_eq!(got.error(), "invalid_request_object", "{name}: {value}");
        assert_eq!((got.address.as_str(), got.get("state")), ("https://rp.example/cb", "a b&c=\"<'>"));
    }
    let good = world.signed(&json!({}));
    for (name, value) in [
        ("aud", json!([ISSUER, "https://other.example"])),
        ("aud", json!(null)),
        ("iss", json!(null)),
        ("exp", json!(null)),
        ("nbf", json!(now + 20)),
        ("unknown", json!("member")),
    ] {
        let got = world.takes(&world.signed(&json!({name: value.clone()})), &[]).await;
        assert_eq!(got.error(), "login_required", "{name}: {value}");
    }
    let foreign = SigningKey::generate(Algorithm::ES256).unwrap();
    let claims = world.object(&json!({}));
    let parts: Vec<&str> = good.split('.').collect();
    for odd in [
        foreign.sign("JWT", claims.as_bytes()).unwrap(),
        world.walk.op.ring().signer(Algorithm::ES256).unwrap().sign("JWT", claims.as_bytes()).unwrap(),
        world.key.sign("at+jwt", claims.as_bytes()).unwrap(),
        world.key.sign("dpop+jwt", claims.as_bytes()).unwrap(),
        unsigned(&claims),
        format!("{}.{}.{}", base64url(b"{\"alg\":\"none\"}"), parts[1], parts[2]),
        format!("{}.{}.", parts[0], parts[1]),
        format!("{}.{}.{}", base64url(b"{\"alg\":\"HS256\"}"), parts[1], parts[2]),
        format!("{}.{}.{}", parts[0], base64url(b"{}"), parts[2]),
        format!("{}.{}", parts[0], parts[1]),
        format!("{good}.a.b"),
        "....".into(),
        "x".repeat(60_000),
    ] {
        let got = world.takes(&odd, &[]).await;
        assert_eq!(got.error(), "invalid_request_object", "{}", &odd[..odd.len().min(80)]);
    }
}

/// Before the return address is proved there is nobody to send an error to.
#[tokio::test]
async fn without_a_proven_return_address_a_wrong_object_ends_in_a_page() {
    let mut world = world("{}", json!({})).await;
    for outside in [[("redirect_uri", "")], [("redirect_uri", "https://evil.example/")]] {
        assert!(world.bring("x.y.z", &outside).await.refuses("request object"));
        let wrong = world.signed(&json!({"redirect_uri": "https://evil.example/cb"}));
        assert!(world.bring(&wrong, &outside).await.refuses("not registered for this client"));
    }
    let wrong = world.signed(&json!({"redirect_uri": "https://evil.example/cb"}));
    assert!(world.bring(&wrong, &[]).await.refuses("not registered for this client"), "inside wins");
    let got = world.bring(&world.signed(&json!({})), &[("redirect_uri", "https://evil.example/")]).await;
    assert!(got.has("sign-in"), "what is inside is signed, and registered");
}

#[tokio::test]
async fn only_the_registered_algorithm_signs() {
    for (registered, fine) in [("ES256", true), ("ES384", false), ("EdDSA", false), ("none", false)] {
        let metadata = json!({"request_object_signing_alg": registered});
        let mut world = world("request_object: { unsigned: true }", metadata).await;
        let got = world.takes(&world.signed(&json!({})), &[]).await;
        let expected = if fine { "login_required" } else { "invalid_request_object" };
        assert_eq!(got.error(), expected, "{registered}");
        let bare = world.takes(&unsigned(&world.object(&json!({}))), &[]).await;
        let expected = if registered == "none" { "login_required" } else { "invalid_request_object" };
        assert_eq!(bare.error(), expected, "unsigned under {registered}");
    }
}

/// OpenID Connect Core §10.1.
#[tokio::test]
async fn the_clients_secret_signs_for_who_registered_that() {
    let mut world = world("{}", json!({})).await;
    let secret = "a secret of full entropy, and long enough";
    let jwks = json!({"keys": [world.key.public().to_json()]});
    let key = MacKey::new(secret.as_bytes());
    for registered in ["HS256", "ES256", ""] {
        let op = &world.walk.op;
        tokens::client(op, CLIENT, |client| {
            client.metadata.redirect_uris = vec![REDIRECT.into(), OTHER.into()];
            client.metadata.response_types = vec!["code".into()];
            client.metadata.request_object_signing_alg =
                Some(registered.to_owned()).filter(|alg| !alg.is_empty());
            client.metadata.jwks = Some(jwks.clone());
            client.secret_sealed = op.sealed_secret(CLIENT, &client.metadata, secret).unwrap();
        })
        .await;
        let object = world.object(&json!({}));
        for alg in [MacAlgorithm::HS256, MacAlgorithm::HS384] {
            let Ok(mac) = key.sign(alg, "JWT", object.as_bytes()) else { continue };
            let fine = registered == alg.name();
            let expected = if fine { "login_required" } else { "invalid_request_object" };
            assert_eq!(world.takes(&mac, &[]).await.error(), expected, "{registered} {}", alg.name());
        }
        let signed = world.takes(&world.signed(&json!({})), &[]).await;
        let expected = if registered == "HS256" { "invalid_request_object" } else { "login_required" };
        assert_eq!(signed.error(), expected, "{registered}");
        let foreign = MacKey::new(b"another secret of full entropy, long enough");
        let foreign = foreign.sign(MacAlgorithm::HS256, "JWT", object.as_bytes()).unwrap();
        assert_eq!(world.takes(&foreign, &[]).await.error(), "invalid_request_object");
    }
}

/// RFC 9101 §6.1, and class 21 of the attacks.
#[tokio::test]
async fn an_encrypted_object_is_decrypted_and_must_be_signed_all_the_same() {
    let mut world = world("{}", json!({})).await;
    let ring = world.walk.op.ring();
    let seal = |how: Encryption, to: &EncryptionKey, text: &str| {
        jwe::encrypt(text.as_bytes(), to, how, Content::NESTED, &Random::scripted(7)).unwrap()
    };
    let signed = world.signed(&json!({}));
    let plain = world.object(&json!({}));
    for alg in JweAlg::ALL {
        let how = Encryption { alg, enc: JweEnc::ALL[0] };
        let key = ring.decryption_keys().iter().find(|key| key.public().is_for(alg)).unwrap().public();
        let within = seal(how, key, &signed);
        assert_eq!(world.takes(&within, &[]).await.error(), "login_required", "{alg}");
        for bare in [plain.clone(), unsigned(&plain), within.clone(), String::new(), "a.b.c".into()] {
            let got = world.takes(&seal(how, key, &bare), &[]).await;
            assert_eq!(got.error(), "invalid_request_object", "{alg}");
        }
        let kind = if alg.is_rsa() { KeyKind::Rsa } else { KeyKind::P256 };
        let foreign = DecryptionKey::generate(kind).unwrap();
        let got = world.takes(&seal(how, foreign.public(), &signed), &[]).await;
        assert_eq!(got.error(), "invalid_request_object", "{alg}: not to a key of ours");
    }
}

#[tokio::test]
async fn unsigned_objects_are_taken_only_where_the_operator_wants_them_and_say_so() {
    let mut off = world("{}", json!({})).await;
    let object = unsigned(&off.object(&json!({})));
    assert_eq!(off.takes(&object, &[]).await.error(), "invalid_request_object");
    let mut on =
        world("request_object: { unsigned: true, by_reference: false }", json!({"jwks": null})).await;
    assert_eq!(on.takes(&object, &[]).await.error(), "login_required");
    let expired = unsigned(&on.object(&json!({"exp": 1})));
    assert_eq!(on.takes(&expired, &[]).await.error(), "invalid_request_object");
    let by_reference = on.walk.open(&request(&[("request_uri", URI)])).await.answer();
    assert_eq!(by_reference.error(), "request_uri_not_supported");
    for (world, unsigned, by_reference) in [(&off, false, true), (&on, true, false)] {
        let metadata = body(&send(&world.walk.op, "GET", "/.well-known/openid-configuration", &[]).await);
        let algs = metadata["request_object_signing_alg_values_supported"].as_array().unwrap();
        assert_eq!(algs.contains(&json!("none")), unsigned);
        assert!(algs.contains(&json!("ES256")));
        assert_eq!(metadata["request_parameter_supported"], true);
        assert_eq!(metadata["request_uri_parameter_supported"], by_reference);
        assert_eq!(metadata["require_request_uri_registration"], true);
    }
}

/// OpenID Connect Core §6.2, and class 32 of the attacks: nothing is fetched that is not registered.
#[tokio::test]
async fn a_reference_is_fetched_from_where_it_is_registered_only() {
    let mut world = world("{}", json!({})).await;
    let object = world.signed(&json!({}));
    let right = base64url(&sha256(object.as_bytes()));
    let answer = async |world: &mut World, uri: &str| {
        world
            .walk
            .open(&request(&[("request_uri", uri), ("prompt", "none")]))
            .await
            .answer()
            .error()
            .to_owned()
    };
    assert_eq!(answer(&mut world, URI).await, "invalid_request_uri", "it does not answer");
    *world.lies.lock() = Ok(Fetched::ok("application/oauth-authz-req+jwt", format!("{object}\n")));
    assert_eq!(answer(&mut world, URI).await, "login_required");
    *world.lies.lock() = Ok(Fetched::ok("text/plain", object.clone()));
    for (uri, expected) in [
        (URI.to_owned(), "login_required"),
        (format!("{URI}#{right}"), "login_required"),
        (format!("{URI}#{}", base64url(&sha256(b"another"))), "invalid_request_uri"),
        (format!("{URI}#no-digest"), "login_required"),
        // The script panics if one of these is fetched.
        (format!("{URI}?a=b"), "invalid_request_uri"),
        (format!("{URI}/../x"), "invalid_request_uri"),
        ("https://RP.example/request.jwt".into(), "invalid_request_uri"),
        ("https://rp.example@evil.example/request.jwt".into(), "invalid_request_uri"),
        ("https://127.0.0.1/request.jwt".into(), "invalid_request_uri"),
        ("http://169.254.169.254/latest/meta-data".into(), "invalid_request_uri"),
        ("file:///etc/passwd".into(), "invalid_request_uri"),
        (format!("https://rp.example/{}", "x".repeat(2_048)), "invalid_request"),
    ] {
        assert_eq!(answer(&mut world, &uri).await, expected, "{uri}");
    }
    for (status, content) in
        [(302, object.clone()), (404, object.clone()), (200, "<html>".into()), (200, String::new())]
    {
        let mut fetched = Fetched::ok("text/html", content);
        fetched.status = StatusCode::from_u16(status).unwrap();
        *world.lies.lock() = Ok(fetched);
        let expected = if status == 200 { "invalid_request_object" } else { "invalid_request_uri" };
        assert_eq!(answer(&mut world, URI).await, expected, "{status}");
    }
    *world.lies.lock() = Ok(Fetched::ok("text/plain", vec![0xff, 0xfe]));
    assert_eq!(answer(&mut world, URI).await, "invalid_request_uri");
    // What was registered with a digest holds until another is announced.
    let old = base64url(&sha256(b"what it was"));
    let registered =
        json!({"request_uris": [format!("{URI}#{old}")], "jwks": {"keys": [world.key.public().to_json()]}});
    walk::client(&world.walk.op, CLIENT, registered).await;
    *world.lies.lock() = Ok(Fetched::ok("text/plain", object.clone()));
    assert_eq!(answer(&mut world, URI).await, "invalid_request_uri");
    assert_eq!(answer(&mut world, &format!("{URI}#{right}")).await, "login_required");
}

#[tokio::test]
async fn keys_behind_an_address_are_fetched_again_when_the_client_turns_them_over() {
    let mut kit = fixture::kit();
    let (old, new) =
        (SigningKey::generate(Algorithm::ES256).unwrap(), SigningKey::generate(Algorithm::ES256).unwrap());
    let set = Arc::new(Mutex::new(old.public().to_json()));
    let published = set.clone();
    kit.fetch = Fetch::scripted(move |_| {
        let keys = json!({"keys": [*published.lock()]});
        Ok(Fetched::ok("application/jwk-set+json", keys.to_string()))
    });
    let mut walk = Walk::at(walk::op_over(kit, "{}").await);
    walk::client(&walk.op, CLIENT, json!({"jwks_uri": "https://rp.example/jwks"})).await;
    let claims = json!({"client_id": CLIENT, "state": "inside"}).to_string();
    let first = request(&[("request", &old.sign("JWT", claims.as_bytes()).unwrap()), ("prompt", "none")]);
    assert_eq!(walk.open(&first).await.answer().error(), "login_required");
    *set.lock() = new.public().to_json();
    let second = request(&[("request", &new.sign("JWT", claims.as_bytes()).unwrap()), ("prompt", "none")]);
    let got = walk.open(&second).await.answer();
    assert_eq!((got.error(), got.get("state")), ("login_required", "inside"));
}
