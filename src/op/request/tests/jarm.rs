//! Tests of answers that are JWTs (JARM).

use crate::jose::jwe::{self, Allowed};
use crate::jose::{Algorithm, DecryptionKey, Jws, KeyKind};
use crate::op::fixture::{body, send};
use crate::op::token::fixture::claims;
use crate::op::walk::{self, ALICE, Answer, CLIENT, Walk, request};
use serde_json::{Value, json};

const ALL: &str = "response_types: [code, id_token, code id_token, code id_token token, none]";

async fn world(metadata: Value) -> Walk {
    let walk = Walk::at(walk::op(ALL).await);
    let mut all =
        json!({"response_types": ["code", "id_token", "code id_token", "code id_token token", "none"]});
    all.as_object_mut().unwrap().extend(metadata.as_object().unwrap().clone());
    walk::client(&walk.op, CLIENT, all).await;
    walk
}

/// What came to the client, taken out of the one parameter it came in.
fn opened(walk: &Walk, got: &Answer) -> Value {
    let names: Vec<&str> = got.params.keys().map(String::as_str).collect();
    assert_eq!(names, ["kept", "response"], "RFC 9207 §2.4: no iss outside either");
    let claims = claims(&walk.op, got.get("response"));
    assert_eq!((&claims["iss"], &claims["aud"]), (&json!("https://op.example"), &json!(CLIENT)));
    let (now, exp) = (walk.op.now().0, claims["exp"].as_u64().unwrap());
    assert!(exp > now && exp <= now + 600);
    Value::Object(claims)
}

#[tokio::test]
async fn every_jwt_mode_carries_answers_and_errors_alike() {
    let mut walk = world(json!({})).await;
    walk.through(&request(&[]), ALICE).await;
    for (mode, kind, in_fragment) in [
        ("jwt", "code", false),
        ("jwt", "code id_token", true),
        ("jwt", "code id_token token", true),
        ("jwt", "none", false),
        ("query.jwt", "code", false),
        ("fragment.jwt", "code", true),
        ("fragment.jwt", "id_token", true),
    ] {
        let asked = [("response_mode", mode), ("response_type", kind)];
        let got = walk.open(&request(&asked)).await.answer();
        assert_eq!(got.in_fragment, in_fragment, "{mode} {kind}");
        let said = opened(&walk, &got);
        assert_eq!(said["state"], "a b&c=\"<'>");
        assert_eq!(said["code"].is_string(), kind.contains("code"), "{mode} {kind}");
        assert_eq!(said["id_token"].is_string(), kind.contains("id_token"), "{mode} {kind}");
        let asked = [("response_mode", mode), ("response_type", kind), ("max_age", "never")];
        let got = walk.open(&request(&asked)).await.answer();
        assert_eq!(got.in_fragment, in_fragment, "{mode} {kind}");
        assert_eq!(opened(&walk, &got)["error"], "invalid_request", "{mode} {kind}");
    }
    let page = walk.open(&request(&[("response_mode", "form_post.jwt")])).await;
    let fields = page.hidden();
    assert_eq!(fields.len(), 1);
    assert_eq!(fields[0].0, "response");
    assert_eq!(claims(&walk.op, &fields[0].1)["code"].as_str().map(str::len), Some(43));
}

/// JARM §2.3.1.
#[tokio::test]
async fn tokens_travel_in_the_query_only_if_they_are_encrypted() {
    let mut walk = world(json!({})).await;
    let asked = [("response_mode", "query.jwt"), ("response_type", "id_token")];
    let got = walk.open(&request(&asked)).await.answer();
    assert_eq!((got.error(), got.in_fragment), ("invalid_request", true));
    let key = DecryptionKey::generate(KeyKind::P256).unwrap();
    let encrypted = json!({
        "jwks": {"keys": [key.public().to_json()]},
        "authorization_signed_response_alg": "ES256",
        "authorization_encrypted_response_alg": "ECDH-ES",
        "authorization_encrypted_response_enc": "A128GCM",
    });
    let mut walk = world(encrypted).await;
    walk.through(&request(&[]), ALICE).await;
    let mut got = walk.open(&request(&asked)).await.answer();
    assert!(!got.in_fragment);
    let decrypted = jwe::decrypt(got.get("response"), &[key], Allowed::ALL).unwrap();
    assert_eq!(decrypted.header.cty.as_deref(), Some("JWT"));
    let signed = String::from_utf8(decrypted.payload).unwrap();
    assert_eq!(Jws::parse(&signed).unwrap().header().alg, Algorithm::ES256);
    got.params.insert("response".into(), signed);
    assert!(opened(&walk, &got)["id_token"].is_string());
}

/// Told in clear it would not be what the client asked for.
#[tokio::test]
async fn a_client_whose_key_cannot_be_had_is_told_nothing() {
    let mut walk = world(json!({"authorization_encrypted_response_alg": "RSA-OAEP"})).await;
    let sight = walk.open(&request(&[("response_mode", "jwt"), ("prompt", "none")])).await;
    assert!(sight.refuses("no key to encrypt to"), "{sight:?}");
    assert!(walk.open(&request(&[("prompt", "none")])).await.answer().error() == "login_required");
}

#[tokio::test]
async fn the_metadata_says_how_answers_can_be_secured() {
    let op = walk::op("{}").await;
    let metadata = body(&send(&op, "GET", "/.well-known/openid-configuration", &[]).await);
    for mode in ["jwt", "query.jwt", "fragment.jwt", "form_post.jwt"] {
        assert!(metadata["response_modes_supported"].as_array().unwrap().contains(&json!(mode)), "{mode}");
    }
    for (member, value) in [
        ("authorization_signing_alg_values_supported", "RS256"),
        ("authorization_encryption_alg_values_supported", "RSA-OAEP"),
        ("authorization_encryption_enc_values_supported", "A256GCM"),
    ] {
        assert!(metadata[member].as_array().unwrap().contains(&json!(value)), "{member}");
    }
}
