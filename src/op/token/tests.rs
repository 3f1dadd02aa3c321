//! Judging and ending tokens, through the provider's face: whatever was answered as revoked is never active again.

use super::fixture::*;
use super::introspect::{Presented, Verdict};
use super::revoke;
use crate::base::encode::base64url;
use crate::jose::{Algorithm, SigningKey, State};
use crate::op::fixture::{body, form, header, op, op_with, settings};
use crate::op::{Facts, Op};
use futures_util::future::{join, join_all};
use http::StatusCode;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const OPAQUE: &str =
    "resources: [{ uri: 'https://api.example/', scopes: [api], format: opaque, introspectors: [api] }]";

async fn world() -> (Op, String) {
    let op = op().await;
    client(&op, "rp", |_| {}).await;
    let sid = session(&op, "diana").await;
    (op, sid)
}

fn facts(op: &Op, token: &str) -> Arc<Facts> {
    match op.seen(Presented { token }) {
        Some(Verdict::Active(facts)) => facts,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_token_is_judged_alike_by_the_process_that_minted_it_and_by_the_next() {
    for format in ["{}", OPAQUE] {
        let op = op_with(format).await;
        client(&op, "rp", |_| {}).await;
        let sid = session(&op, "diana").await;
        let answer = tokens(&op, "rp", &sid, "openid api").await;
        let token = text(&answer, "access_token");
        assert_eq!(token.contains('.'), format == "{}");
        let minted = facts(&op, token);
        let next = restarted(&op).await;
        assert!(next.seen(Presented { token }).is_none());
        assert!(active(&next, token).await);
        let judged = facts(&next, token);
        assert_eq!(judged.account.as_deref(), Some("diana"));
        let without_life = |facts: &Facts| format!("{facts:?}");
        assert_eq!(without_life(&minted), without_life(&judged));
    }
}

#[tokio::test]
async fn a_token_expires() {
    let (op, sid) = world().await;
    let answer = tokens(&op, "rp", &sid, "api").await;
    let token = text(&answer, "access_token");
    advance(&op, 3_599);
    assert!(active(&op, token).await && active(&restarted(&op).await, token).await);
    advance(&op, 1);
    assert!(!active(&op, token).await && !active(&restarted(&op).await, token).await);
}

#[tokio::test]
async fn a_token_revoked_alone_leaves_its_family_alive() {
    for format in ["{}", OPAQUE] {
        let op = op_with(format).await;
        client(&op, "rp", |_| {}).await;
        let sid = session(&op, "diana").await;
        let answer = tokens(&op, "rp", &sid, "api offline_access").await;
        let other = body(&refresh(&op, "rp", text(&answer, "refresh_token")).await);
        let token = text(&answer, "access_token");
        let response = post(&op, "/oidcop/revocation", "rp", &[("token", token)]).await;
        assert_eq!(response.status(), StatusCode::OK);
        let next = restarted(&op).await;
        for op in [&op, &next] {
            assert!(!active(op, token).await);
            assert!(active(op, text(&other, "access_token")).await);
        }
    }
}

/// RFC 7009 §2.1.
#[tokio::test]
async fn revoking_a_refresh_token_takes_its_family_along() {
    let (op, sid) = world().await;
    let answer = tokens(&op, "rp", &sid, "api offline_access").await;
    let refresh_token = text(&answer, "refresh_token");
    let pairs = [("token", refresh_token), ("token_type_hint", "access_token")];
    assert_eq!(post(&op, "/oidcop/revocation", "rp", &pairs).await.status(), StatusCode::OK);
    assert!(!active(&op, text(&answer, "access_token")).await);
    assert_eq!(error(&refresh(&op, "rp", refresh_token).await), "invalid_grant");
}

/// RFC 7009 §2.1, §2.2.
#[tokio::test]
async fn what_is_unknown_is_as_good_as_revoked_and_what_is_anothers_is_refused() {
    let (op, sid) = world().await;
    client(&op, "other", |_| {}).await;
    let answer = tokens(&op, "rp", &sid, "api offline_access").await;
    for name in ["access_token", "refresh_token"] {
        let pairs = [("token", text(&answer, name))];
        assert_eq!(error(&post(&op, "/oidcop/revocation", "other", &pairs).await), "invalid_grant");
    }
    assert!(active(&op, text(&answer, "access_token")).await);
    for unknown in ["nonsense", "a.b.c", &"x".repeat(43), &"x".repeat(60_000)] {
        let response = post(&op, "/oidcop/revocation", "rp", &[("token", unknown)]).await;
        assert_eq!(response.status(), StatusCode::OK);
    }
    let wrong = form(&op, "/oidcop/revocation", &[], &[("client_id", "rp"), ("client_secret", "no")]).await;
    assert_eq!((wrong.status(), error(&wrong).as_str()), (StatusCode::UNAUTHORIZED, "invalid_client"));
    assert!(header(&wrong, "www-authenticate").starts_with("Basic realm="));
}

/// RFC 7009 §2.2.1; a token nobody can judge is not let through either.
#[tokio::test]
async fn while_the_store_is_broken_nothing_is_revoked_and_nothing_new_is_judged() {
    let (op, store) = unruly_op(1).await;
    client(&op, "rp", |_| {}).await;
    let sid = session(&op, "diana").await;
    let answer = tokens(&op, "rp", &sid, "api offline_access").await;
    let next = restarted(&op).await;
    store.breaks(true);
    let pairs = [("token", text(&answer, "access_token"))];
    let response = post(&op, "/oidcop/revocation", "rp", &pairs).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(header(&response, "retry-after"), "1");
    assert!(next.introspect(Presented { token: text(&answer, "access_token") }).await.is_err());
    assert_eq!(
        refresh(&op, "rp", text(&answer, "refresh_token")).await.status(),
        StatusCode::SERVICE_UNAVAILABLE
    );
    store.breaks(false);
    assert!(active(&next, text(&answer, "access_token")).await);
}

#[tokio::test]
async fn the_end_of_any_parent_ends_the_token_here_and_after_a_restart() {
    for parent in ["family", "session", "client", "account", "disabled account", "key"] {
        let (op, sid) = world().await;
        let answer = tokens(&op, "rp", &sid, "api offline_access").await;
        let token = text(&answer, "access_token");
        let facts = facts(&op, token);
        // A live exchange hangs on it: it has ended when the call returns.
        let ended = Arc::new(AtomicBool::new(false));
        let hook = ended.clone();
        facts
            .life
            .attach(Box::new(move || {
                hook.store(true, Ordering::SeqCst);
                None
            }))
            .unwrap();
        match parent {
            "family" => revoke::family_of(&op, facts.family.as_ref().unwrap(), op.now()).await.unwrap(),
            "session" => drop(revoke::session(&op, &sid, op.now()).await.unwrap()),
            "client" => revoke::client(&op, "rp", false).await.unwrap(),
            "account" => revoke::account(&op, "diana", false).await.unwrap(),
            "disabled account" => revoke::account(&op, "diana", true).await.unwrap(),
            _ => {
                let kid = op.ring().signer(Algorithm::ES256).unwrap().kid().to_owned();
                assert!(op.revoke_key(&kid, op.now()).await.unwrap());
            }
        }
        assert!(ended.load(Ordering::SeqCst), "{parent}");
        assert!(!active(&op, token).await, "{parent}");
        assert!(!active(&restarted(&op).await, token).await, "{parent}");
        let again = refresh(&op, "rp", text(&answer, "refresh_token")).await.status();
        // An offline family outlives a session and a signing key.
        assert_eq!(again.is_success(), ["session", "key"].contains(&parent), "{parent}");
    }
}

#[tokio::test]
async fn what_is_issued_after_a_mark_lives_unless_the_parent_is_disabled() {
    let (op, sid) = world().await;
    revoke::client(&op, "rp", false).await.unwrap();
    let pairs = [("grant_type", "client_credentials"), ("scope", "api")];
    // In the same second nothing new can be told from what is dead.
    assert_eq!(ask(&op, "rp", &pairs).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    advance(&op, 1);
    let answer = body(&ask(&op, "rp", &pairs).await);
    assert!(active(&restarted(&op).await, text(&answer, "access_token")).await);
    assert!(redeem(&op, "rp", &code(&op, "rp", &sid, "api").await).await.status().is_success());
    // A session from before its account's mark gives no codes.
    revoke::account(&op, "diana", false).await.unwrap();
    advance(&op, 1);
    let mut old = grant(&op, "rp", &sid, "api");
    old.authorization.auth_time = crate::op::fixture::START;
    assert!(give(&op, old).await.is_err());
    revoke::client(&op, "rp", true).await.unwrap();
    advance(&op, 1);
    assert_eq!(error(&ask(&op, "rp", &pairs).await), "invalid_client");
}

#[tokio::test]
async fn an_account_that_is_enabled_again_signs_in_anew_and_its_old_tokens_stay_dead() {
    let (op, sid) = world().await;
    let old = tokens(&op, "rp", &sid, "api offline_access").await;
    revoke::account(&op, "diana", true).await.unwrap();
    advance(&op, 1);
    assert!(give(&op, grant(&op, "rp", &session(&op, "diana").await, "api")).await.is_err());
    revoke::enable_account(&op, "diana").await.unwrap();
    let new = tokens(&op, "rp", &session(&op, "diana").await, "api").await;
    for op in [&op, &restarted(&op).await] {
        assert!(active(op, text(&new, "access_token")).await);
        assert!(!active(op, text(&old, "access_token")).await);
    }
}

#[tokio::test]
async fn a_code_dies_with_what_it_hangs_on() {
    for parent in ["session", "client", "account"] {
        let (op, sid) = world().await;
        let code = code(&op, "rp", &sid, "api offline_access").await;
        match parent {
            "session" => drop(revoke::session(&op, &sid, op.now()).await.unwrap()),
            "client" => revoke::client(&op, "rp", false).await.unwrap(),
            _ => revoke::account(&op, "diana", false).await.unwrap(),
        }
        advance(&op, 1);
        assert_eq!(error(&redeem(&op, "rp", &code).await), "invalid_grant", "{parent}");
    }
}

/// Whatever the interleaving of minting, judging, refreshing and revoking: once a revocation was answered, nothing
/// that hangs on it is active, in no process, now or later.
#[tokio::test]
async fn nothing_is_active_after_its_revocation_was_answered() {
    for seed in 0..60 {
        let (op, _store) = unruly_op(seed).await;
        client(&op, "rp", |_| {}).await;
        let sid = session(&op, "diana").await;
        let first = tokens(&op, "rp", &sid, "api offline_access").await;
        let pending = code(&op, "rp", &sid, "api").await;
        let (token, next) = (text(&first, "access_token"), restarted(&op).await);
        let family = facts(&op, token).family.clone().unwrap();
        let judging = join_all((0..10).map(|at| {
            let op = if at % 2 == 0 { &op } else { &next };
            op.introspect(Presented { token })
        }));
        let minting = join_all([
            futures_util::future::Either::Left(refresh(&op, "rp", text(&first, "refresh_token"))),
            futures_util::future::Either::Right(redeem(&op, "rp", &pending)),
        ]);
        // On the process that knows the token: another process over the same store learns of it by asking.
        let revoking = async {
            match seed % 4 {
                0 => revoke::family_of(&op, &family, op.now()).await.unwrap(),
                1 => drop(revoke::session(&op, &sid, op.now()).await.unwrap()),
                2 => revoke::client(&op, "rp", true).await.unwrap(),
                _ => revoke::account(&op, "diana", true).await.unwrap(),
            }
            assert!(!matches!(op.seen(Presented { token }), Some(Verdict::Active(_))), "seed {seed}");
            assert!(!active(&op, token).await, "seed {seed}");
        };
        let ((_, minted), ()) = join(join(judging, minting), revoking).await;
        let later = restarted(&op).await;
        assert!(!active(&op, token).await && !active(&later, token).await, "seed {seed}");
        for (at, answer) in minted.iter().enumerate().filter(|(_, answer)| answer.status().is_success()) {
            let answer = body(answer);
            let minted = text(&answer, "access_token");
            // One mark, one truth: memory and store agree.
            assert_eq!(active(&op, minted).await, active(&later, minted).await, "seed {seed}");
            if seed % 4 >= 2 || (seed % 4 == 0 && at == 0) {
                assert!(!active(&op, minted).await, "seed {seed}");
            }
        }
    }
}

#[tokio::test]
async fn a_reload_judges_again() {
    let (op, sid) = world().await;
    let answer = tokens(&op, "rp", &sid, "api").await;
    let token = text(&answer, "access_token");
    let reloaded = op.reconfigured(settings("{}")).await.unwrap();
    assert!(reloaded.seen(Presented { token }).is_none());
    assert!(active(&reloaded, token).await);
    // Another issuer's tokens are not ours, even under our own keys.
    let moved = op.reconfigured(settings("issuer: https://elsewhere.example")).await.unwrap();
    assert!(!active(&moved, token).await);
}

#[tokio::test]
async fn a_token_that_is_not_exactly_ours_is_inactive() {
    let (op, sid) = world().await;
    let answer = tokens(&op, "rp", &sid, "openid api").await;
    let (token, id_token) = (text(&answer, "access_token"), text(&answer, "id_token"));
    let good = claims(&op, token);
    let key = op.ring().signer(Algorithm::ES256).unwrap().clone();
    let sign = |typ: &str, claims: &Map<String, Value>| {
        key.sign(typ, Value::Object(claims.clone()).to_string().as_bytes()).unwrap()
    };
    assert!(active(&op, &sign("at+jwt", &good)).await);
    let foreign = SigningKey::generate(Algorithm::ES256).unwrap();
    let forged = foreign.sign("at+jwt", Value::Object(good.clone()).to_string().as_bytes()).unwrap();
    let unsigned = format!(
        "{}.{}.",
        base64url(br#"{"alg":"none","typ":"at+jwt"}"#),
        base64url(Value::Object(good.clone()).to_string().as_bytes())
    );
    let mut wrong = vec![id_token.to_owned(), forged, unsigned, format!("{token}x"), sign("JWT", &good)];
    for (name, value) in [
        ("iss", json!("https://other.example")),
        ("client_id", json!("other")),
        ("jti", json!("made-up")),
        ("exp", json!(op.now().0)),
        ("sid", json!("no such session")),
    ] {
        let mut bent = good.clone();
        bent.insert(name.into(), value);
        wrong.push(sign("at+jwt", &bent));
    }
    for name in ["exp", "jti", "client_id", "sub", "iat", "aud"] {
        let mut bent = good.clone();
        bent.shift_remove(name);
        wrong.push(sign("at+jwt", &bent));
    }
    for token in wrong {
        assert!(!active(&op, &token).await, "{token}");
    }
}

/// RFC 7662 §2.2, §4.
#[tokio::test]
async fn a_token_shows_itself_to_its_client_and_to_its_resources_introspectors() {
    for format in [OPAQUE, &OPAQUE.replace("opaque", "jwt")] {
        let op = op_with(format).await;
        for id in ["rp", "api", "nosy"] {
            client(&op, id, |_| {}).await;
        }
        let sid = session(&op, "diana").await;
        let answer = tokens(&op, "rp", &sid, "openid api offline_access").await;
        let pairs = [("token", text(&answer, "access_token")), ("token_type_hint", "refresh_token")];
        for asker in ["rp", "api"] {
            let shown = body(&post(&op, "/oidcop/introspection", asker, &pairs).await);
            assert_eq!(shown["active"], true);
            assert_eq!(
                (shown["username"].as_str(), shown["client_id"].as_str()),
                (Some("diana"), Some("rp"))
            );
            assert_eq!(shown["scope"], "openid api offline_access");
            assert_eq!(
                (shown["sub"].as_str(), shown["token_type"].as_str()),
                (Some("subject-of-diana"), Some("Bearer"))
            );
            assert_eq!(shown["exp"].as_u64(), Some(op.now().0 + 3_600));
            assert_eq!(shown["aud"], json!(["https://api.example/", "https://op.example"]));
        }
        let refresh_pairs = [("token", text(&answer, "refresh_token"))];
        let nothing = json!({ "active": false });
        assert_eq!(body(&post(&op, "/oidcop/introspection", "nosy", &pairs).await), nothing);
        assert_eq!(body(&post(&op, "/oidcop/introspection", "api", &refresh_pairs).await), nothing);
        let own = body(&post(&op, "/oidcop/introspection", "rp", &refresh_pairs).await);
        assert_eq!(
            (own["active"].as_bool(), own["token_type"].as_str()),
            (Some(true), Some("refresh_token"))
        );
        assert!(revoke::session(&op, &sid, op.now()).await.unwrap().is_some());
        assert_eq!(body(&post(&op, "/oidcop/introspection", "rp", &pairs).await), nothing);
    }
}

#[tokio::test]
async fn a_public_client_may_not_introspect() {
    let op = op().await;
    client(&op, "public", |client| client.metadata.token_endpoint_auth_method = "none".into()).await;
    let response = form(&op, "/oidcop/introspection", &[], &[("client_id", "public"), ("token", "x")]).await;
    assert_eq!((response.status(), error(&response).as_str()), (StatusCode::UNAUTHORIZED, "invalid_client"));
}

#[tokio::test]
async fn the_published_keys_are_public_and_can_be_kept() {
    let op = op().await;
    let get =
        async |headers: &[(&str, &str)]| crate::op::fixture::send(&op, "GET", "/oidcop/jwks", headers).await;
    let response = get(&[]).await;
    assert_eq!(header(&response, "cache-control"), "public, max-age=3600");
    let document = body(&response);
    let keys = document["keys"].as_array().unwrap();
    // A current and a next key for each algorithm, and two to encrypt to.
    let of = |usage: &str| keys.iter().filter(|key| key["use"] == usage).count();
    assert_eq!((of("sig"), of("enc"), keys.len()), (10, 2, 12));
    for key in keys {
        assert!(key["kid"].is_string());
        assert!(["d", "p", "q", "k"].iter().all(|private| key.get(*private).is_none()));
    }
    let unchanged = get(&[("if-none-match", header(&response, "etag"))]).await;
    assert_eq!((unchanged.status(), unchanged.body().len()), (StatusCode::NOT_MODIFIED, 0));
}

#[tokio::test]
async fn keys_turn_over_by_schedule_and_old_tokens_stay_good() {
    let (op, sid) = world().await;
    let answer = tokens(&op, "rp", &sid, "openid api offline_access").await;
    let before = op.ring().signer(Algorithm::ES256).unwrap().kid().to_owned();
    advance(&op, 89 * 86_400);
    assert!(refresh(&op, "rp", text(&answer, "refresh_token")).await.status().is_client_error());
    advance(&op, 86_400 - 60);
    op.tend(op.now(), 100).await.unwrap();
    assert_eq!(op.ring().signer(Algorithm::ES256).unwrap().kid(), before);
    let sid = session(&op, "diana").await;
    let old = tokens(&op, "rp", &sid, "api").await;
    advance(&op, 60);
    op.tend(op.now(), 100).await.unwrap();
    let after = op.ring().signer(Algorithm::ES256).unwrap().kid().to_owned();
    assert_ne!(before, after);
    let next = restarted(&op).await;
    for op in [&op, &next] {
        assert_eq!(op.ring().signer(Algorithm::ES256).unwrap().kid(), after);
        let state = |kid: &str| op.ring().keys().iter().find(|key| key.key.kid() == kid).unwrap().state;
        assert_eq!((state(&before), state(&after)), (State::Retiring, State::Current));
        assert!(active(op, text(&old, "access_token")).await);
    }
    next.rotate_keys(Some(Algorithm::ES256.into()), next.now()).await.unwrap();
    assert_ne!(next.ring().signer(Algorithm::ES256).unwrap().kid(), after);
    assert!(!next.revoke_key("no such key", next.now()).await.unwrap());
}

#[tokio::test]
async fn keys_do_not_open_under_another_at_rest_key() {
    let op = op().await;
    let mut kit = op.shared.kit.clone();
    kit.at_rest = crate::base::secret::AtRestKey::new([1; 32]);
    let refused = Op::open(kit, settings("{}")).await.err().unwrap();
    assert!(refused.to_string().contains("at-rest key"), "{refused}");
}

#[tokio::test]
async fn two_processes_that_start_at_once_make_one_ring() {
    let store = Unruly::new(3);
    let open = || Op::open(crate::op::fixture::kit_over(store.clone()), settings("{}"));
    let (one, two) = join(open(), open()).await;
    let kids = |op: &Op| op.ring().notes().into_iter().map(|note| note.kid).collect::<Vec<_>>();
    let (mut one, mut two) = (kids(&one.unwrap()), kids(&two.unwrap()));
    one.sort();
    two.sort();
    assert_eq!(one, two);
}

#[tokio::test]
async fn tending_sweeps_and_forgets() {
    let (op, sid) = world().await;
    let answer = tokens(&op, "rp", &sid, "api").await;
    let life = Arc::downgrade(&facts(&op, text(&answer, "access_token")).life);
    advance(&op, 13 * 3_600);
    // The session, its family and the code's tombstone.
    assert_eq!(op.tend(op.now(), 100).await.unwrap(), 3);
    assert!(life.upgrade().is_none());
}
