//! The life of keys, ours and our clients': whatever turns over, what was given out goes on working.

use crate::base::fetch::{Fetch, Fetched};
use crate::jose::jwe::{self, Content};
use crate::jose::jws::Audience;
use crate::jose::{
    Algorithm, Encryption, Fault, JweAlg, JweEnc, JwkSet, KeySource, MacAlgorithm, MacJws, MacKey, Rules,
    SigningKey, verify,
};
use crate::op::fixture::{self, body, form, op, op_with, post_json, send, settings};
use crate::op::request::id_token_hint;
use crate::op::token::fixture::{active, advance, client, error, refresh, restarted, session, text, tokens};
use crate::op::{Command, Kit, Op};
use futures_util::FutureExt;
use http::StatusCode;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::sync::Arc;

const DAY: u64 = 86_400;

/// The key set as a relying party fetches it.
async fn published(op: &Op) -> JwkSet {
    let response = send(op, "GET", "/oidcop/jwks", &[]).await;
    JwkSet::parse(response.body()).unwrap()
}

/// Verifies an ID token as a relying party does, with a set it has fetched.
fn verified(op: &Op, token: &str, set: &JwkSet, alg: Algorithm) -> Result<(), Fault> {
    let (issuer, allowed) = (op.settings.issuer.clone(), [alg]);
    let audience = Audience::Includes(&["rp"]);
    let rules = Rules { issuer: Some(&issuer), audience, ..Rules::new(&allowed, op.now()) };
    verify(token, &KeySource::Set(set), &rules).map(|_| ())
}

async fn relying_party(op: &Op, alg: Algorithm) {
    client(op, "rp", |client| client.metadata.id_token_signed_response_alg = alg.name().into()).await;
}

async fn list(op: &Op) -> Vec<Value> {
    op.administer(Command::KeyList).await.unwrap().as_array().unwrap().clone()
}

/// Logs in, and checks everything that was given out with the key set that was fetched before the keys turned over.
async fn works(op: &Op, alg: Algorithm, cached: &JwkSet, scope: &str) -> Value {
    let sid = session(op, "diana").await;
    let answer = tokens(op, "rp", &sid, scope).await;
    assert_eq!(verified(op, text(&answer, "id_token"), cached, alg), Ok(()), "{alg}");
    assert!(active(op, text(&answer, "access_token")).await);
    answer
}

#[tokio::test]
async fn keys_that_are_rotated_by_hand_again_and_again_break_nothing() {
    for alg in [Algorithm::RS256, Algorithm::PS256, Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA] {
        let op = op().await;
        relying_party(&op, alg).await;
        let mut cached = published(&op).await;
        let mut given = vec![works(&op, alg, &cached, "openid api offline_access").await];
        for round in 0..4 {
            op.administer(Command::KeyRotate { alg: None }).await.unwrap();
            let again = restarted(&op).await;
            for op in [&op, &again] {
                // The next key was published before, so a set from then verifies what it signs now.
                given.push(works(op, alg, &cached, "openid api offline_access").await);
                let now = published(op).await;
                for answer in &given {
                    let id_token = text(answer, "id_token");
                    assert_eq!(verified(op, id_token, &now, alg), Ok(()), "{alg}, round {round}");
                    assert!(id_token_hint(op, id_token, op.now()).await.is_ok(), "{alg}, round {round}");
                    assert!(active(op, text(answer, "access_token")).await, "{alg}, round {round}");
                }
            }
            let old = given.swap_remove(0);
            let refreshed = refresh(&op, "rp", text(&old, "refresh_token")).await;
            assert_eq!(refreshed.status(), StatusCode::OK, "{alg}, round {round}");
            assert_eq!(verified(&op, text(&body(&refreshed), "id_token"), &cached, alg), Ok(()));
            cached = published(&op).await;
        }
    }
}

#[tokio::test]
async fn the_schedule_turns_keys_over_unnoticed() {
    let op = op_with("keys: { rotate_every: 10d, publish_ahead: 1d }").await;
    relying_party(&op, Algorithm::RS256).await;
    let mut cached = published(&op).await;
    let first = works(&op, Algorithm::RS256, &cached, "openid offline_access").await;
    let mut refresh_token = text(&first, "refresh_token").to_owned();
    let mut kids = std::collections::HashSet::new();
    for day in 0..45 {
        advance(&op, DAY);
        op.tend(op.now(), 1_000).await.unwrap();
        // What is a day old is as old as `publish_ahead` allows.
        let answer = works(&op, Algorithm::RS256, &cached, "openid api").await;
        cached = published(&op).await;
        assert_eq!(verified(&op, text(&answer, "id_token"), &cached, Algorithm::RS256), Ok(()), "day {day}");
        let refreshed = refresh(&op, "rp", &refresh_token).await;
        assert_eq!(refreshed.status(), StatusCode::OK, "day {day}");
        refresh_token = text(&body(&refreshed), "refresh_token").to_owned();
        // An ID token of the first day is still a hint.
        assert!(id_token_hint(&op, text(&first, "id_token"), op.now()).await.is_ok(), "day {day}");
        kids.insert(op.ring().signer(Algorithm::RS256).unwrap().kid().to_owned());
    }
    assert_eq!(kids.len(), 5, "it turned over four times");
    assert!(op.ring().keys().len() < 80, "bounded");
}

/// Issue a token at the very last moment of a key: it verifies with the published set until it expires.
#[tokio::test]
async fn a_retiring_key_is_published_until_its_last_token_has_expired() {
    let op = op_with("keys: { rotate_every: 10d, publish_ahead: 1d }").await;
    relying_party(&op, Algorithm::RS256).await;
    advance(&op, 10 * DAY - 1);
    let sid = session(&op, "diana").await;
    let answer = tokens(&op, "rp", &sid, "openid api").await;
    let id_token = text(&answer, "id_token");
    advance(&op, 1);
    op.tend(op.now(), 1_000).await.unwrap();
    advance(&op, 3_598);
    op.tend(op.now(), 1_000).await.unwrap();
    assert_eq!(verified(&op, id_token, &published(&op).await, Algorithm::RS256), Ok(()));
    advance(&op, 2);
    op.tend(op.now(), 1_000).await.unwrap();
    assert_eq!(verified(&op, id_token, &published(&op).await, Algorithm::RS256), Err(Fault::UnknownKey));
    assert!(id_token_hint(&op, id_token, op.now()).await.is_ok());
}

#[tokio::test]
async fn the_key_list_says_what_happens_next_and_when() {
    let op = op_with("keys: { rotate_every: 10d, publish_ahead: 1d }").await;
    let row = |rows: &[Value], alg: &str, state: &str| {
        let found = rows.iter().find(|row| row["alg"] == alg && row["state"] == state);
        found.unwrap_or_else(|| panic!("no {state} {alg} in {rows:?}")).clone()
    };
    // 2027-01-15T08:00:00Z.
    let rows = list(&op).await;
    for (alg, usage) in [("RS256", "sig"), ("EdDSA", "sig"), ("RSA", "enc"), ("P-256", "enc")] {
        let current = row(&rows, alg, "current");
        assert_eq!((&current["use"], &current["next"]), (&json!(usage), &json!("retires 2027-01-25")));
        assert_eq!(current["next_change"], op.now().0 + 10 * DAY);
    }
    assert_eq!(row(&rows, "ES384", "next")["next"], "promotes 2027-01-25");
    let kid = row(&rows, "RS256", "next")["kid"].clone();
    advance(&op, 10 * DAY);
    op.tend(op.now(), 1_000).await.unwrap();
    let rows = list(&op).await;
    assert_eq!(row(&rows, "RS256", "current")["kid"], kid);
    assert_eq!(row(&rows, "RS256", "retiring")["next"], "withdraws 2027-01-25");
    assert_eq!(row(&rows, "P-256", "retiring")["next"], "drops 2027-01-26");
    advance(&op, 3_600);
    op.tend(op.now(), 1_000).await.unwrap();
    assert_eq!(row(&list(&op).await, "RS256", "verify_only")["next"], "drops 2028-01-25");
    let by_hand = op_with("keys: { rotate_every: 0 }").await;
    let row = row(&list(&by_hand).await, "RS256", "current");
    assert_eq!((&row["next"], &row["next_change"]), (&Value::Null, &Value::Null));
}

/// OpenID Connect Discovery §3: exactly what there is.
#[tokio::test]
async fn algorithms_are_those_of_the_settings_in_the_metadata_the_key_set_and_registration() {
    let algs = |op: Op| async move {
        let document = body(&send(&op, "GET", "/.well-known/openid-configuration", &[]).await);
        document["id_token_signing_alg_values_supported"].clone()
    };
    let every = ["RS256", "PS256", "ES256", "ES384", "EdDSA", "Ed25519", "HS256", "HS384", "HS512"];
    assert_eq!(algs(op().await).await, json!(every));
    let few = op_with("keys: { algorithms: [RS256, ES256] }").await;
    assert_eq!(algs(few.clone()).await, json!(["RS256", "ES256", "HS256", "HS384", "HS512"]));
    let signs: std::collections::HashSet<_> =
        published(&few).await.keys().iter().filter_map(|key| key.alg()).collect();
    assert_eq!(signs, [Algorithm::RS256, Algorithm::ES256].into());
    let register = |alg: &'static str| {
        let few = few.clone();
        async move {
            let sent =
                json!({ "redirect_uris": ["https://rp.example/cb"], "id_token_signed_response_alg": alg });
            post_json(&few, "POST", "/oidcop/registration", &[], &sent).await
        }
    };
    for alg in ["PS256", "ES384", "EdDSA", "Ed25519", "none", "RS512"] {
        assert_eq!(error(&register(alg).await), "invalid_client_metadata", "{alg}");
    }
    assert_eq!(register("ES256").await.status(), StatusCode::CREATED);
    // A reload adds one and drops another: there is a key before the metadata says so.
    let more = few.reconfigured(settings("keys: { algorithms: [RS256, ES256, ES384] }")).await.unwrap();
    assert!(more.ring().signer(Algorithm::ES384).is_some());
    relying_party(&more, Algorithm::ES384).await;
    let cached = published(&more).await;
    let answer = works(&more, Algorithm::ES384, &cached, "openid api").await;
    let fewer = more.reconfigured(settings("keys: { algorithms: [RS256, ES256] }")).await.unwrap();
    assert!(fewer.ring().signer(Algorithm::ES384).is_none());
    let set = published(&fewer).await;
    assert_eq!(
        verified(&fewer, text(&answer, "id_token"), &set, Algorithm::ES384),
        Ok(()),
        "still published"
    );
    assert!(id_token_hint(&fewer, text(&answer, "id_token"), fewer.now()).await.is_ok());
}

/// OpenID Connect Core §10.1.
#[tokio::test]
async fn id_tokens_are_signed_with_the_secret_of_a_client_that_registered_for_it() {
    let op = op().await;
    let long = "0123456789abcdef".repeat(4);
    for alg in MacAlgorithm::ALL {
        client(&op, "rp", |client| {
            client.metadata.id_token_signed_response_alg = alg.name().into();
            client.secret_sealed = op.sealed_secret("rp", &client.metadata, &long).unwrap();
        })
        .await;
        let sid = session(&op, "diana").await;
        let answer = tokens(&op, "rp", &sid, "openid api").await;
        let id_token = text(&answer, "id_token");
        let rules = Rules {
            issuer: Some("https://op.example"),
            audience: Audience::Exactly("rp"),
            ..Rules::new(&[], op.now())
        };
        let jws = MacJws::parse(id_token).unwrap();
        let claims = jws.verify(&MacKey::new(long.as_bytes()), &[alg], &rules).unwrap();
        assert_eq!(claims["at_hash"], alg.half_hash(text(&answer, "access_token")));
        assert_eq!(id_token_hint(&op, id_token, op.now()).await.unwrap().client_id, "rp");
        // Another secret, another client's, and an algorithm that was not registered.
        let forged = |secret: &str, claims: &Value, alg: MacAlgorithm| {
            MacKey::new(secret.as_bytes()).sign(alg, "JWT", claims.to_string().as_bytes()).unwrap()
        };
        let claims = Value::Object(claims);
        let mut other = claims.clone();
        other["aud"] = json!("other");
        client(&op, "other", |_| {}).await;
        let another = MacAlgorithm::ALL.into_iter().find(|another| *another != alg).unwrap();
        for refused in [
            forged(&"x".repeat(64), &claims, alg),
            forged(&long, &other, alg),
            forged(&long, &claims, another),
        ] {
            assert!(id_token_hint(&op, &refused, op.now()).await.is_err(), "{alg}");
        }
    }
}

#[tokio::test]
async fn an_algorithm_with_a_secret_needs_a_client_that_has_one() {
    let op = op().await;
    let register = |more: Value| {
        let op = op.clone();
        async move {
            let mut sent = json!({ "redirect_uris": ["https://rp.example/cb"] });
            sent.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            post_json(&op, "POST", "/oidcop/registration", &[], &sent).await
        }
    };
    let jwks = json!({ "keys": [SigningKey::generate(Algorithm::ES256).unwrap().public().to_json()] });
    for (more, created) in [
        (json!({ "id_token_signed_response_alg": "HS256" }), true),
        (json!({ "userinfo_signed_response_alg": "HS512" }), true),
        (json!({ "id_token_signed_response_alg": "HS256", "token_endpoint_auth_method": "none" }), false),
        (
            json!({
                "id_token_signed_response_alg": "HS256",
                "token_endpoint_auth_method": "private_key_jwt",
                "jwks": jwks,
            }),
            false,
        ),
    ] {
        let made = register(more.clone()).await;
        assert_eq!(made.status() == StatusCode::CREATED, created, "{more}");
        if created {
            // OpenID Connect Core §16.19: as long as the hash.
            let alg =
                if more.to_string().contains("HS512") { MacAlgorithm::HS512 } else { MacAlgorithm::HS256 };
            assert!(MacKey::new(text(&body(&made), "client_secret").as_bytes()).is_for(alg), "{more}");
        } else {
            assert_eq!(error(&made), "invalid_client_metadata");
        }
    }
}

/// The workers of tests answer at once.
fn opened(op: &Op, token: &str) -> Result<String, Fault> {
    op.decrypt(token).now_or_never().unwrap().unwrap()
}

/// OpenID Connect Core §10.2.1.
#[tokio::test]
async fn what_is_encrypted_to_a_key_of_ours_decrypts_until_the_key_is_gone() {
    let op = op_with("keys: { rotate_every: 10d, publish_ahead: 1d }").await;
    let set = published(&op).await;
    let seal = |set: &JwkSet, alg: JweAlg| {
        let key = set.encryption_key(alg).unwrap_or_else(|| panic!("no key for {alg}"));
        let how = Encryption { alg, enc: JweEnc::A256Gcm };
        jwe::encrypt(b"{}", key, how, Content::default(), op.random()).unwrap()
    };
    let old: Vec<_> = JweAlg::ALL.into_iter().map(|alg| seal(&set, alg)).collect();
    let opens = |op: &Op, tokens: &[String]| {
        tokens.iter().all(|token| opened(op, token).is_ok_and(|text| text == "{}"))
    };
    assert!(opens(&op, &old));
    op.administer(Command::KeyRotate { alg: None }).await.unwrap();
    let renewed = published(&op).await;
    for alg in JweAlg::ALL {
        let kid = |set: &JwkSet| set.encryption_key(alg).unwrap().kid().unwrap().to_owned();
        assert_ne!(kid(&set), kid(&renewed), "{alg}");
    }
    let new: Vec<_> = JweAlg::ALL.into_iter().map(|alg| seal(&renewed, alg)).collect();
    let again = restarted(&op).await;
    for op in [&op, &again] {
        assert!(opens(op, &old) && opens(op, &new));
    }
    advance(&op, DAY);
    op.tend(op.now(), 1_000).await.unwrap();
    assert!(opens(&op, &new));
    assert!(old.iter().all(|token| opened(&op, token) == Err(Fault::Decryption)));
    let kid = renewed.encryption_key(JweAlg::RsaOaep).unwrap().kid().unwrap().to_owned();
    op.administer(Command::KeyRevoke { kid }).await.unwrap();
    assert_eq!(opened(&op, &new[0]), Err(Fault::Decryption));
    assert!(opens(&op, &new[2..]), "the other key is left alone");
    assert!(published(&op).await.encryption_key(JweAlg::RsaOaep).is_some(), "its place is filled");
}

/// A client that changes the keys behind its `jwks_uri` between a login and the refreshes that follow.
#[tokio::test]
async fn a_client_may_rotate_its_own_keys_at_any_time() {
    let served = Arc::new(Mutex::new(json!({ "keys": [] })));
    let answer = served.clone();
    let fetch =
        Fetch::scripted(move |_| Ok(Fetched::ok("application/jwk-set+json", answer.lock().to_string())));
    let op = Op::open(Kit { fetch, ..fixture::kit() }, settings("{}")).await.unwrap();
    client(&op, "rp", |client| {
        client.secret_digest = None;
        client.metadata.token_endpoint_auth_method = "private_key_jwt".into();
        client.metadata.jwks_uri = Some("https://rp.example/jwks".into());
    })
    .await;
    let sid = session(&op, "diana").await;
    let code = crate::op::token::fixture::code(&op, "rp", &sid, "openid offline_access").await;
    let publish = |keys: &[&SigningKey]| {
        let keys: Vec<_> = keys.iter().map(|key| Value::Object(key.public().to_json())).collect();
        *served.lock() = json!({ "keys": keys });
    };
    let ask = |key: SigningKey, jti: String, pairs: Vec<(&'static str, String)>| {
        let op = op.clone();
        async move {
            let claims = json!({
                "iss": "rp", "sub": "rp", "aud": "https://op.example", "exp": op.now().0 + 60, "jti": jti,
            });
            let assertion = key.sign("JWT", claims.to_string().as_bytes()).unwrap();
            let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
            let mut all = vec![("client_assertion_type", kind), ("client_assertion", &assertion)];
            all.extend(pairs.iter().map(|(name, value)| (*name, value.as_str())));
            form(&op, "/oidcop/token", &[], &all).await
        }
    };
    let mut key = SigningKey::generate(Algorithm::ES256).unwrap();
    publish(&[&key]);
    let redirect = crate::op::token::fixture::REDIRECT.to_owned();
    let pairs =
        vec![("grant_type", "authorization_code".to_owned()), ("code", code), ("redirect_uri", redirect)];
    let redeemed = ask(key.clone(), "first".into(), pairs).await;
    assert_eq!(redeemed.status(), StatusCode::OK);
    let mut token = text(&body(&redeemed), "refresh_token").to_owned();
    for (round, alg) in [Algorithm::ES256, Algorithm::RS256, Algorithm::EdDSA].into_iter().enumerate() {
        let (old, new) = (key.clone(), SigningKey::generate(alg).unwrap());
        publish(&[&new, &old]);
        advance(&op, 60);
        for (key, which) in [(&new, "new"), (&old, "old")] {
            let pairs = vec![("grant_type", "refresh_token".to_owned()), ("refresh_token", token.clone())];
            let refreshed = ask(key.clone(), format!("{which} {round}"), pairs).await;
            assert_eq!(refreshed.status(), StatusCode::OK, "{which} key, round {round}");
            token = text(&body(&refreshed), "refresh_token").to_owned();
        }
        // Withdrawn, the old key proves nothing once the set is fetched again.
        publish(&[&new]);
        advance(&op, 2 * 3_600);
        let pairs = vec![("grant_type", "refresh_token".to_owned()), ("refresh_token", token.clone())];
        assert_eq!(error(&ask(old, format!("gone {round}"), pairs).await), "invalid_client");
        key = new;
    }
}
