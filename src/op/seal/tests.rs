//! Tests of what is signed and encrypted for a client, through `Op::handle`.

use crate::base::fetch::{self, Fetch, Fetched};
use crate::jose::jwe::{self, Allowed};
use crate::jose::{
    Algorithm, DecryptionKey, Expiry, JweAlg, JweEnc, KeyKind, KeySource, Rules, Typ, Verified, verify,
};
use crate::op::fixture::{self, body, form, header, post_json, send};
use crate::op::record::client::{Client, Metadata};
use crate::op::request::id_token_hint;
use crate::op::token::fixture::{
    SECRET, advance, claims, client, code, error, post, redeem, refresh, session, text, tokens,
};
use crate::op::walk;
use crate::op::{Kit, Op};
use bytes::Bytes;
use http::{Response, StatusCode};
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use std::sync::Arc;

const URI: &str = "https://rp.example/jwks";

/// What `URI` answers; `None`: it cannot be reached.
type Published = Arc<Mutex<Option<Value>>>;

async fn world(published: Published) -> Op {
    let fetch = Fetch::scripted(move |asked| {
        assert_eq!(asked.url, URI);
        match &*published.lock() {
            Some(set) => Ok(Fetched::ok("application/json", set.to_string())),
            None => Err(fetch::Fault::Unreachable("scripted".into())),
        }
    });
    let op = Op::open(Kit { fetch, ..fixture::kit() }, fixture::settings("{}")).await.unwrap();
    walk::person(&op, ("diana", "secret"), json!({"name": "Diana", "email": "diana@example.org"})).await;
    op
}

fn set(keys: &[&DecryptionKey]) -> Value {
    let public = |key: &&DecryptionKey| {
        let mut members = key.public().to_json();
        members.insert("use".into(), json!("enc"));
        Value::Object(members)
    };
    json!({ "keys": keys.iter().map(public).collect::<Vec<_>>() })
}

fn key(kind: KeyKind) -> DecryptionKey {
    DecryptionKey::generate(kind).unwrap()
}

/// Registers `rp` with `change`d metadata.
async fn rp(op: &Op, change: impl FnOnce(&mut Metadata)) {
    client(op, "rp", |client: &mut Client| change(&mut client.metadata)).await;
}

/// What is inside an encrypted token, checked to be a signed one.
fn opened(token: &str, key: &DecryptionKey) -> (jwe::Header, String) {
    let decrypted = jwe::decrypt(token, std::slice::from_ref(key), Allowed::ALL).unwrap();
    (decrypted.header, String::from_utf8(decrypted.payload).unwrap())
}

/// A token of ours without an expiry.
fn signed(op: &Op, token: &str, typ: &str) -> Verified {
    let rules = Rules {
        expiry: Expiry::IfPresent,
        typ: Typ::Required(&[typ]),
        ..Rules::new(&Algorithm::ALL, op.now())
    };
    verify(token, &KeySource::Ring(&op.ring()), &rules).unwrap()
}

async fn userinfo(op: &Op, tokens: &Value) -> Response<Bytes> {
    let bearer = format!("Bearer {}", text(tokens, "access_token"));
    send(op, "GET", "/oidcop/userinfo", &[("authorization", &bearer)]).await
}

fn said(response: &Response<Bytes>) -> String {
    assert_eq!(response.status(), StatusCode::OK, "{response:?}");
    assert_eq!(header(response, "content-type"), "application/jwt");
    String::from_utf8(response.body().to_vec()).unwrap()
}

/// OpenID Connect Core §10.2, RFC 7519 §5.2: signed, then encrypted, `cty` says so.
#[tokio::test]
async fn id_tokens_are_encrypted_with_every_algorithm_that_is_offered() {
    let op = world(Published::default()).await;
    let sid = session(&op, "diana").await;
    let (rsa, curve) = (key(KeyKind::Rsa), key(KeyKind::P256));
    for (nth, alg) in JweAlg::ALL.into_iter().enumerate() {
        let enc = JweEnc::ALL[nth % JweEnc::ALL.len()];
        let ours = if alg.is_rsa() { &rsa } else { &curve };
        rp(&op, |metadata| {
            metadata.jwks = Some(set(&[&rsa, &curve]));
            metadata.id_token_encrypted_response_alg = Some(alg.name().into());
            metadata.id_token_encrypted_response_enc = Some(enc.name().into());
            metadata.id_token_signed_response_alg = ["ES256", "PS256"][nth % 2].into();
        })
        .await;
        let answer = tokens(&op, "rp", &sid, "openid offline_access").await;
        let again = body(&refresh(&op, "rp", text(&answer, "refresh_token")).await);
        for answer in [answer, again] {
            let token = text(&answer, "id_token");
            let (header, inner) = opened(token, ours);
            assert_eq!((header.alg, header.enc, header.cty.as_deref()), (alg, enc, Some("JWT")));
            assert_eq!(header.kid.as_deref(), Some(ours.kid()));
            assert_eq!(claims(&op, &inner)["sub"], "subject-of-diana");
            // The client takes the outer part off before it sends a hint.
            assert!(id_token_hint(&op, token, op.now()).await.is_err());
            assert!(id_token_hint(&op, &inner, op.now()).await.is_ok());
        }
    }
}

#[tokio::test]
async fn a_client_without_a_key_gets_nothing_and_its_code_is_not_spent() {
    let published = Published::default();
    let op = world(published.clone()).await;
    rp(&op, |metadata| {
        metadata.jwks_uri = Some(URI.into());
        metadata.id_token_encrypted_response_alg = Some("ECDH-ES".into());
        metadata.userinfo_encrypted_response_alg = Some("ECDH-ES".into());
    })
    .await;
    let sid = session(&op, "diana").await;
    let code = code(&op, "rp", &sid, "openid").await;
    let unreachable = redeem(&op, "rp", &code).await;
    assert_eq!(unreachable.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(error(&unreachable), "temporarily_unavailable");
    assert_eq!(header(&unreachable, "retry-after"), "10");
    advance(&op, 11);
    *published.lock() = Some(set(&[]));
    let none = redeem(&op, "rp", &code).await;
    assert_eq!((none.status(), error(&none).as_str()), (StatusCode::BAD_REQUEST, "invalid_request"));
    // The client publishes a key: it is looked for again, as seldom as that is allowed.
    advance(&op, 31);
    let ours = key(KeyKind::X25519);
    *published.lock() = Some(set(&[&ours]));
    let answer = body(&redeem(&op, "rp", &code).await);
    let (header, inner) = opened(text(&answer, "id_token"), &ours);
    assert_eq!((header.alg, header.enc), (JweAlg::EcdhEs, JweEnc::A128CbcHs256));
    assert_eq!(claims(&op, &inner)["aud"], "rp");
    let (_, plain) = opened(&said(&userinfo(&op, &answer).await), &ours);
    assert_eq!(serde_json::from_str::<Value>(&plain).unwrap(), json!({"sub": "subject-of-diana"}));
    // Without the key userinfo says nothing either, in the form of its errors.
    rp(&op, |metadata| metadata.userinfo_encrypted_response_alg = Some("RSA-OAEP".into())).await;
    let silent = userinfo(&op, &answer).await;
    assert_eq!((silent.status(), error(&silent).as_str()), (StatusCode::BAD_REQUEST, "invalid_request"));
}

/// OpenID Connect Core §5.3.2.
#[tokio::test]
async fn userinfo_is_signed_and_encrypted_as_registered_and_is_no_id_token() {
    let op = world(Published::default()).await;
    let sid = session(&op, "diana").await;
    let ours = key(KeyKind::P256);
    rp(&op, |_| {}).await;
    let answer = tokens(&op, "rp", &sid, "openid email").await;
    for alg in crate::op::settings::Keys::ALGORITHMS.map(crate::jose::Algorithm::name) {
        rp(&op, |metadata| metadata.userinfo_signed_response_alg = Some(alg.into())).await;
        let token = said(&userinfo(&op, &answer).await);
        let Verified { header, claims } = signed(&op, &token, "JWT");
        assert_eq!(header.alg.name(), alg);
        let wanted = json!({
            "sub": "subject-of-diana", "email": "diana@example.org",
            "iss": "https://op.example", "aud": "rp",
        });
        assert_eq!(Value::Object(claims), wanted);
        assert!(id_token_hint(&op, &token, op.now()).await.is_err());
    }
    rp(&op, |metadata| {
        metadata.jwks = Some(set(&[&ours]));
        metadata.userinfo_signed_response_alg = Some("ES256".into());
        metadata.userinfo_encrypted_response_alg = Some("ECDH-ES+A256KW".into());
        metadata.userinfo_encrypted_response_enc = Some("A256GCM".into());
    })
    .await;
    let access_token = text(&answer, "access_token");
    let posted = form(&op, "/oidcop/userinfo", &[], &[("access_token", access_token)]).await;
    for response in [userinfo(&op, &answer).await, posted] {
        let (header, inner) = opened(&said(&response), &ours);
        assert_eq!((header.enc, header.cty.as_deref()), (JweEnc::A256Gcm, Some("JWT")));
        assert_eq!(signed(&op, &inner, "JWT").claims["email"], "diana@example.org");
    }
}

async fn introspected(op: &Op, token: &str, accept: &str) -> Response<Bytes> {
    let pairs = [("client_id", "rp"), ("client_secret", SECRET), ("token", token)];
    form(op, "/oidcop/introspection", &[("accept", accept)], &pairs).await
}

/// RFC 9701 §4, §5.
#[tokio::test]
async fn introspection_answers_with_a_token_of_its_own_type_to_whoever_asks_for_one() {
    const JWT: &str = "application/token-introspection+jwt";
    let op = world(Published::default()).await;
    let sid = session(&op, "diana").await;
    rp(&op, |_| {}).await;
    let answer = tokens(&op, "rp", &sid, "openid").await;
    let token = text(&answer, "access_token");
    for accept in [JWT, "application/json, Application/Token-Introspection+JWT;q=0.9"] {
        let response = introspected(&op, token, accept).await;
        assert_eq!(header(&response, "content-type"), JWT);
        let jwt = String::from_utf8(response.body().to_vec()).unwrap();
        let Verified { header, claims } = signed(&op, &jwt, "token-introspection+jwt");
        assert_eq!(header.alg, Algorithm::RS256);
        let keys: Vec<_> = claims.keys().collect();
        assert_eq!(keys, ["iss", "aud", "iat", "token_introspection"], "no exp, no sub: §5");
        assert_eq!((&claims["aud"], &claims["token_introspection"]["active"]), (&json!("rp"), &json!(true)));
        let plain = body(&post(&op, "/oidcop/introspection", "rp", &[("token", token)]).await);
        assert_eq!(claims["token_introspection"], plain);
        assert!(id_token_hint(&op, &jwt, op.now()).await.is_err());
    }
    for accept in ["*/*", "application/jwt", "application/token-introspection+jwt;q=0", ""] {
        assert_eq!(header(&introspected(&op, token, accept).await, "content-type"), "application/json");
    }
    let ours = key(KeyKind::P384);
    rp(&op, |metadata| {
        metadata.jwks = Some(set(&[&ours]));
        metadata.introspection_signed_response_alg = Some("EdDSA".into());
        metadata.introspection_encrypted_response_alg = Some("ECDH-ES+A128KW".into());
    })
    .await;
    let response = introspected(&op, "nobody's", JWT).await;
    let (_, inner) = opened(std::str::from_utf8(response.body()).unwrap(), &ours);
    let verified = signed(&op, &inner, "token-introspection+jwt");
    assert_eq!(verified.header.alg, Algorithm::EdDSA);
    assert_eq!(verified.claims["token_introspection"], json!({"active": false}));
}

async fn register(op: &Op, more: Value) -> Response<Bytes> {
    let mut sent = json!({ "redirect_uris": ["https://rp.example/cb"] });
    sent.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    post_json(op, "POST", "/oidcop/registration", &[], &sent).await
}

/// OpenID Connect Registration §2, RFC 9701 §6.
#[tokio::test]
async fn a_registration_is_completed_and_what_would_end_in_clear_text_is_refused() {
    let op = world(Published::default()).await;
    let curve = set(&[&key(KeyKind::P256)]);
    for answer in ["id_token", "userinfo", "introspection"] {
        let (alg, enc) =
            (format!("{answer}_encrypted_response_alg"), format!("{answer}_encrypted_response_enc"));
        for (more, fine) in [
            (json!({ alg.as_str(): "ECDH-ES", "jwks": curve }), true),
            (json!({ alg.as_str(): "RSA-OAEP-256", "jwks_uri": URI }), true),
            (json!({ alg.as_str(): "ECDH-ES", enc.as_str(): "A256GCM", "jwks_uri": URI }), true),
            (json!({ alg.as_str(): "RSA-OAEP", "jwks": curve }), false),
            (json!({ alg.as_str(): "ECDH-ES" }), false),
            (json!({ alg.as_str(): "RSA1_5", "jwks_uri": URI }), false),
            (json!({ alg.as_str(): "dir", "jwks_uri": URI }), false),
            (json!({ alg.as_str(): "ECDH-ES", enc.as_str(): "A192GCM", "jwks_uri": URI }), false),
            (json!({ enc.as_str(): "A256GCM", "jwks_uri": URI }), false),
            (json!({ alg.as_str(): ["ECDH-ES"], "jwks_uri": URI }), false),
        ] {
            let response = register(&op, more.clone()).await;
            if !fine {
                assert_eq!(error(&response), "invalid_client_metadata", "{more}");
                continue;
            }
            let kept = body(&response);
            assert_eq!(kept[&alg], more[&alg]);
            let completed = more.get(&enc).cloned().unwrap_or(json!("A128CBC-HS256"));
            assert_eq!(kept[&enc], completed, "{more}");
        }
    }
    for (more, kept) in [
        (json!({"userinfo_signed_response_alg": "PS256"}), "PS256"),
        (json!({"userinfo_signed_response_alg": "none"}), ""),
    ] {
        let answer = body(&register(&op, more).await);
        assert_eq!(answer["userinfo_signed_response_alg"].as_str().unwrap_or(""), kept);
    }
    for member in ["userinfo_signed_response_alg", "introspection_signed_response_alg"] {
        for alg in ["RS1", "rs256", "HS256 "] {
            assert_eq!(
                error(&register(&op, json!({ member: alg })).await),
                "invalid_client_metadata",
                "{alg}"
            );
        }
    }
    let none = json!({"introspection_signed_response_alg": "none"});
    assert_eq!(error(&register(&op, none).await), "invalid_client_metadata");
}

/// What is advertised can be registered.
#[tokio::test]
async fn every_advertised_algorithm_is_taken() {
    let op = world(Published::default()).await;
    let document: Map<String, Value> =
        body(&send(&op, "GET", "/.well-known/openid-configuration", &[]).await).as_object().unwrap().clone();
    let mut tried = 0;
    for answer in ["id_token", "userinfo", "introspection"] {
        for (advertised, member) in [
            ("signing_alg", "signed_response_alg"),
            ("encryption_alg", "encrypted_response_alg"),
            ("encryption_enc", "encrypted_response_enc"),
        ] {
            let list = document[&format!("{answer}_{advertised}_values_supported")].as_array().unwrap();
            for value in list {
                let member = format!("{answer}_{member}");
                let mut sent = json!({ "jwks_uri": URI, member.as_str(): value });
                if advertised == "encryption_enc" {
                    sent[format!("{answer}_encrypted_response_alg")] = json!("ECDH-ES");
                }
                let response = register(&op, sent).await;
                assert_eq!(body(&response)[&member], *value);
                tried += 1;
            }
        }
    }
    assert!(tried >= 3 * (5 + 5 + 4));
}
