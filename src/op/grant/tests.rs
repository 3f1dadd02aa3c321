//! The token endpoint and its grants, through `Op::handle`.

use crate::op::fixture::{body, form, header, op, op_with};
use crate::op::token::fixture::*;
use crate::op::token::revoke;
use crate::op::{Op, Presented, Verdict};
use futures_util::future::join_all;
use http::StatusCode;
use serde_json::Value;

/// RFC 7636 Appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

async fn world() -> (Op, String) {
    let op = op().await;
    client(&op, "rp", |_| {}).await;
    let sid = session(&op, "diana").await;
    (op, sid)
}

#[tokio::test]
async fn a_code_gives_every_token_with_the_members_of_the_specifications() {
    let (op, sid) = world().await;
    let code = code(&op, "rp", &sid, "openid api offline_access").await;
    // Clients repeat parameters of the authorization request.
    let pairs = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", REDIRECT),
        ("state", "x"),
    ];
    let response = ask(&op, "rp", &pairs).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(header(&response, "cache-control"), "no-store");
    assert_eq!(header(&response, "content-type"), "application/json");
    let answer = body(&response);
    assert_eq!(answer["token_type"], "Bearer");
    assert_eq!(answer["expires_in"], 3_600);
    assert_eq!(answer["scope"], "openid api offline_access");
    let id = claims(&op, text(&answer, "id_token"));
    let now = op.now().0;
    assert_eq!(id["iss"], "https://op.example");
    assert_eq!((id["sub"].as_str(), id["aud"].as_str()), (Some("subject-of-diana"), Some("rp")));
    assert_eq!((id["exp"].as_u64(), id["iat"].as_u64()), (Some(now + 3_600), Some(now)));
    assert_eq!((id["nonce"].as_str(), id["auth_time"].as_u64()), (Some("n-1"), Some(now)));
    assert_eq!((id["acr"].as_str(), id["sid"].as_str()), (Some("pwd"), Some(sid.as_str())));
    let access_token = text(&answer, "access_token");
    assert_eq!(id["at_hash"], crate::jose::Algorithm::RS256.half_hash(access_token));
    assert!(!id.contains_key("scope") && !id.contains_key("email"));

    // RFC 9068 §2.
    let header = crate::jose::Jws::parse(access_token).unwrap().header().clone();
    assert_eq!((header.alg.name(), header.typ.as_deref()), ("ES256", Some("at+jwt")));
    let access = claims(&op, access_token);
    assert_eq!(access["aud"], serde_json::json!(["https://api.example/", "https://op.example"]));
    assert_eq!(
        (access["client_id"].as_str(), access["sub"].as_str()),
        (Some("rp"), Some("subject-of-diana"))
    );
    assert_eq!(access["scope"], "openid api offline_access");
    assert_eq!((access["sid"].as_str(), access["auth_time"].as_u64()), (Some(sid.as_str()), Some(now)));
}

#[tokio::test]
async fn id_tokens_are_signed_as_registered() {
    let op = op().await;
    let sid = session(&op, "diana").await;
    for alg in ["RS256", "ES256", "PS256", "EdDSA", "Ed25519"] {
        client(&op, alg, |client| client.metadata.id_token_signed_response_alg = alg.into()).await;
        let answer = tokens(&op, alg, &sid, "openid").await;
        let token = text(&answer, "id_token");
        assert_eq!(crate::jose::Jws::parse(token).unwrap().header().alg.name(), alg);
        assert_eq!(claims(&op, token)["aud"], alg);
    }
}

#[tokio::test]
async fn without_openid_there_is_no_id_token() {
    let (op, sid) = world().await;
    let answer = tokens(&op, "rp", &sid, "api").await;
    assert!(answer.get("id_token").is_none());
    assert_eq!(claims(&op, text(&answer, "access_token"))["aud"], "https://api.example/");
}

/// RFC 6749 §4.1.2, RFC 9700 §4.5.
#[tokio::test]
async fn a_code_redeemed_twice_kills_its_family_even_later() {
    let (op, sid) = world().await;
    let code = code(&op, "rp", &sid, "openid api offline_access").await;
    let answer = body(&redeem(&op, "rp", &code).await);
    let access = text(&answer, "access_token");
    assert!(active(&op, access).await);
    advance(&op, 300);
    assert_eq!(error(&redeem(&op, "rp", &code).await), "invalid_grant");
    assert!(!active(&op, access).await);
    assert_eq!(error(&refresh(&op, "rp", text(&answer, "refresh_token")).await), "invalid_grant");
    assert!(!active(&restarted(&op).await, access).await);
}

#[tokio::test]
async fn a_code_is_good_for_its_client_its_redirect_uri_and_one_minute() {
    let (op, sid) = world().await;
    client(&op, "other", |_| {}).await;
    let code_one = code(&op, "rp", &sid, "api").await;
    assert_eq!(error(&redeem(&op, "other", &code_one).await), "invalid_grant");
    let elsewhere = [
        ("grant_type", "authorization_code"),
        ("code", &code_one),
        ("redirect_uri", "https://rp.example/cb"),
    ];
    assert_eq!(error(&ask(&op, "rp", &elsewhere).await), "invalid_grant");
    assert_eq!(error(&ask(&op, "rp", &elsewhere[..2]).await), "invalid_request");
    assert_eq!(error(&redeem(&op, "rp", "nonsense").await), "invalid_grant");
    // Nobody could spoil it.
    assert_eq!(redeem(&op, "rp", &code_one).await.status(), StatusCode::OK);
    let code_two = code(&op, "rp", &sid, "api").await;
    advance(&op, 60);
    assert_eq!(error(&redeem(&op, "rp", &code_two).await), "invalid_grant");
}

/// RFC 7636 §4.6, RFC 9700 §2.1.1.
#[tokio::test]
async fn pkce_is_held_to_what_the_request_said() {
    let (op, sid) = world().await;
    client(&op, "public", |client| {
        client.metadata.token_endpoint_auth_method = "none".into();
        client.secret_digest = None;
    })
    .await;
    let challenged = async |client_id: &'static str, challenge: Option<&str>| {
        let mut grant = grant(&op, client_id, &sid, "api");
        grant.code_challenge = challenge.map(str::to_owned);
        give(&op, grant).await.unwrap().code.unwrap()
    };
    let ask_as_public = async |code: &str, verifier: Option<&str>| {
        let mut pairs = vec![
            ("client_id", "public"),
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", REDIRECT),
        ];
        pairs.extend(verifier.map(|verifier| ("code_verifier", verifier)));
        form(&op, "/oidcop/token", &[], &pairs).await
    };
    let code = challenged("public", Some(CHALLENGE)).await;
    let long = "a".repeat(129);
    for wrong in [None, Some("short"), Some(long.as_str()), Some(CHALLENGE)] {
        assert_eq!(error(&ask_as_public(&code, wrong).await), "invalid_grant", "{wrong:?}");
    }
    assert_eq!(ask_as_public(&code, Some(VERIFIER)).await.status(), StatusCode::OK);
    // A public client without PKCE, and a verifier without a challenge.
    let bare = challenged("public", None).await;
    assert_eq!(error(&ask_as_public(&bare, None).await), "invalid_grant");
    assert_eq!(error(&ask_as_public(&bare, Some(VERIFIER)).await), "invalid_grant");
}

#[tokio::test]
async fn a_hundred_parallel_redemptions_give_one_token_and_then_a_dead_family() {
    for seed in 0..8 {
        let (op, _store) = unruly_op(seed).await;
        client(&op, "rp", |_| {}).await;
        let sid = session(&op, "diana").await;
        let code = code(&op, "rp", &sid, "api offline_access").await;
        let answers = join_all((0..100).map(|_| redeem(&op, "rp", &code))).await;
        let won: Vec<Value> =
            answers.iter().filter(|answer| answer.status().is_success()).map(body).collect();
        assert_eq!(won.len(), 1, "seed {seed}");
        assert!(
            answers
                .iter()
                .filter(|answer| !answer.status().is_success())
                .all(|a| error(a) == "invalid_grant")
        );
        assert!(!active(&op, text(&won[0], "access_token")).await);
        assert_eq!(error(&refresh(&op, "rp", text(&won[0], "refresh_token")).await), "invalid_grant");
    }
}

#[tokio::test]
async fn a_refresh_token_gives_a_successor_and_a_retry_gives_the_same() {
    let (op, sid) = world().await;
    let first = tokens(&op, "rp", &sid, "openid api offline_access").await;
    advance(&op, 100);
    let second = body(&refresh(&op, "rp", text(&first, "refresh_token")).await);
    assert_ne!(second["refresh_token"], first["refresh_token"]);
    advance(&op, 9);
    let again = body(&refresh(&op, "rp", text(&first, "refresh_token")).await);
    assert_eq!(again["refresh_token"], second["refresh_token"]);
    assert_ne!(again["access_token"], second["access_token"]);
    // OpenID Connect Core §12.2.
    let (before, after) = (claims(&op, text(&first, "id_token")), claims(&op, text(&second, "id_token")));
    for same in ["iss", "sub", "aud", "auth_time", "sid"] {
        assert_eq!(before[same], after[same], "{same}");
    }
    assert!(after["iat"].as_u64() > before["iat"].as_u64() && !after.contains_key("nonce"));
}

#[tokio::test]
async fn a_refresh_token_used_after_the_grace_kills_its_family() {
    let (op, sid) = world().await;
    let first = tokens(&op, "rp", &sid, "api offline_access").await;
    let second = body(&refresh(&op, "rp", text(&first, "refresh_token")).await);
    advance(&op, 10);
    assert_eq!(error(&refresh(&op, "rp", text(&first, "refresh_token")).await), "invalid_grant");
    for dead in [&first, &second] {
        assert!(!active(&op, text(dead, "access_token")).await);
    }
    assert_eq!(error(&refresh(&op, "rp", text(&second, "refresh_token")).await), "invalid_grant");
}

#[tokio::test]
async fn a_refresh_token_whose_successor_was_used_kills_its_family() {
    let (op, sid) = world().await;
    let mut newest = tokens(&op, "rp", &sid, "api offline_access").await;
    let oldest = text(&newest, "refresh_token").to_owned();
    for _ in 0..4 {
        newest = body(&refresh(&op, "rp", text(&newest, "refresh_token")).await);
    }
    assert!(active(&op, text(&newest, "access_token")).await);
    assert_eq!(error(&refresh(&op, "rp", &oldest).await), "invalid_grant");
    assert!(!active(&op, text(&newest, "access_token")).await);
}

#[tokio::test]
async fn a_hundred_parallel_refreshes_leave_one_lineage() {
    for seed in 0..8 {
        let (op, _store) = unruly_op(seed).await;
        client(&op, "rp", |_| {}).await;
        let sid = session(&op, "diana").await;
        let first = tokens(&op, "rp", &sid, "api offline_access").await;
        let token = text(&first, "refresh_token");
        let answers = join_all((0..100).map(|_| refresh(&op, "rp", token))).await;
        let successors: std::collections::HashSet<String> =
            answers.iter().map(|answer| text(&body(answer), "refresh_token").to_owned()).collect();
        assert_eq!(successors.len(), 1, "seed {seed}");
        for answer in &answers {
            assert!(active(&op, text(&body(answer), "access_token")).await);
        }
        let successor = successors.iter().next().unwrap();
        assert_eq!(refresh(&op, "rp", successor).await.status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn a_refresh_token_is_its_clients_alone_and_nobody_else_can_spoil_it() {
    let (op, sid) = world().await;
    client(&op, "other", |_| {}).await;
    let first = tokens(&op, "rp", &sid, "api offline_access").await;
    let token = text(&first, "refresh_token");
    assert_eq!(error(&refresh(&op, "other", token).await), "invalid_grant");
    // Made up around the family's id, which every resource server sees in the jti.
    let bytes = crate::base::encode::from_base64url(token).unwrap();
    for at in [20, 50, 63] {
        let mut bent = bytes.clone();
        bent[at] ^= 1;
        let made_up = crate::base::encode::base64url(&bent);
        assert_eq!(error(&refresh(&op, "rp", &made_up).await), "invalid_grant");
    }
    assert_eq!(refresh(&op, "rp", token).await.status(), StatusCode::OK);
}

/// RFC 6749 §6, RFC 8707 §2.2.
#[tokio::test]
async fn a_refresh_may_narrow_but_not_widen() {
    let (op, sid) = world().await;
    let first = tokens(&op, "rp", &sid, "openid api offline_access").await;
    let token = text(&first, "refresh_token");
    let with = |name: &'static str, value: &'static str| {
        let pairs = [("grant_type", "refresh_token"), ("refresh_token", token), (name, value)];
        let op = &op;
        async move { ask(op, "rp", &pairs).await }
    };
    assert_eq!(error(&with("scope", "api api.write").await), "invalid_scope");
    assert_eq!(error(&with("resource", "https://other.example").await), "invalid_target");
    // RFC 8707 §2: never with a fragment.
    assert_eq!(error(&with("resource", "https://api.example/#x").await), "invalid_target");
    let narrowed = body(&with("scope", "api").await);
    assert_eq!(narrowed["scope"], "api");
    assert!(narrowed.get("id_token").is_none());
    let access = claims(&op, text(&narrowed, "access_token"));
    assert_eq!(access["aud"], "https://api.example/");
    // The grant itself is as wide as before.
    let next = body(&refresh(&op, "rp", text(&narrowed, "refresh_token")).await);
    assert_eq!(next["scope"], "openid api offline_access");
}

#[tokio::test]
async fn what_a_registration_has_lost_is_not_refreshed() {
    let (op, sid) = world().await;
    let first = tokens(&op, "rp", &sid, "openid api offline_access").await;
    client(&op, "rp", |client| client.metadata.scope = Some("openid offline_access".into())).await;
    let next = body(&refresh(&op, "rp", text(&first, "refresh_token")).await);
    assert_eq!(next["scope"], "openid offline_access");
    let pairs =
        [("grant_type", "refresh_token"), ("refresh_token", text(&next, "refresh_token")), ("scope", "api")];
    assert_eq!(error(&ask(&op, "rp", &pairs).await), "invalid_scope");
}

/// Back-Channel Logout §2.7.
#[tokio::test]
async fn a_family_with_offline_access_outlives_the_session_and_others_do_not() {
    let (op, sid) = world().await;
    let offline = tokens(&op, "rp", &sid, "openid api offline_access").await;
    let online = tokens(&op, "rp", &sid, "openid api").await;
    assert!(revoke::session(&op, &sid, op.now()).await.unwrap().is_some());
    for token in [&offline, &online] {
        assert!(!active(&op, text(token, "access_token")).await);
    }
    assert_eq!(error(&refresh(&op, "rp", text(&online, "refresh_token")).await), "invalid_grant");
    let next = body(&refresh(&op, "rp", text(&offline, "refresh_token")).await);
    assert!(!claims(&op, text(&next, "access_token")).contains_key("sid"));
    assert!(active(&op, text(&next, "access_token")).await);
    assert!(active(&restarted(&op).await, text(&next, "access_token")).await);
}

#[tokio::test]
async fn who_gets_a_refresh_token() {
    let op = op().await;
    let sid = session(&op, "diana").await;
    client(&op, "only-code", |client| client.metadata.grant_types = vec!["authorization_code".into()]).await;
    let without = tokens(&op, "only-code", &sid, "openid").await;
    assert!(without.get("refresh_token").is_none());
    let with = tokens(&op, "only-code", &sid, "openid offline_access").await;
    let next = refresh(&op, "only-code", text(&with, "refresh_token")).await;
    assert_eq!(next.status(), StatusCode::OK);
    client(&op, "plain", |_| {}).await;
    assert!(tokens(&op, "plain", &sid, "api").await.get("refresh_token").is_some());
}

#[tokio::test]
async fn no_token_outlives_what_it_hangs_on() {
    let op = op_with("resources: [{ uri: 'https://api.example/', scopes: [api], lifetime: 10m }]").await;
    client(&op, "rp", |_| {}).await;
    let sid = session(&op, "diana").await;
    let first = tokens(&op, "rp", &sid, "openid api").await;
    assert_eq!(first["expires_in"], 600);
    advance(&op, 12 * 3_600 - 90);
    let last = body(&refresh(&op, "rp", text(&first, "refresh_token")).await);
    assert_eq!(last["expires_in"], 90, "{last}");
    advance(&op, 90);
    assert!(!active(&op, text(&last, "access_token")).await);
    assert_eq!(error(&refresh(&op, "rp", text(&last, "refresh_token")).await), "invalid_grant");
}

#[tokio::test]
async fn an_unused_refresh_token_expires() {
    let (op, sid) = world().await;
    let first = tokens(&op, "rp", &sid, "api offline_access").await;
    advance(&op, 30 * 86_400);
    assert_eq!(error(&refresh(&op, "rp", text(&first, "refresh_token")).await), "invalid_grant");
}

#[tokio::test]
async fn a_client_acts_for_itself_in_a_namespace_of_its_own() {
    let (op, _) = world().await;
    let pairs = [("grant_type", "client_credentials"), ("scope", "api openid offline_access email")];
    let answer = body(&ask(&op, "rp", &pairs).await);
    assert_eq!(answer["scope"], "api");
    assert!(answer.get("id_token").is_none() && answer.get("refresh_token").is_none());
    let token = text(&answer, "access_token");
    assert_eq!(claims(&op, token)["sub"], "client:rp");
    let Some(Verdict::Active(facts)) = op.seen(Presented { token }) else { panic!("not active") };
    assert!(facts.account.is_none() && facts.username.is_none() && facts.auth_time.is_none());
    assert!(active(&restarted(&op).await, token).await);
    let nothing = [("grant_type", "client_credentials"), ("scope", "openid unheard-of")];
    assert_eq!(error(&ask(&op, "rp", &nothing).await), "invalid_scope");
}

#[tokio::test]
async fn a_client_uses_the_grants_it_registered() {
    let op = op().await;
    client(&op, "code", |client| client.metadata.grant_types = vec!["authorization_code".into()]).await;
    client(&op, "public", |client| client.metadata.token_endpoint_auth_method = "none".into()).await;
    let credentials = [("grant_type", "client_credentials")];
    assert_eq!(error(&ask(&op, "code", &credentials).await), "unauthorized_client");
    let public = form(&op, "/oidcop/token", &[], &[("client_id", "public"), credentials[0]]).await;
    assert_eq!(error(&public), "unauthorized_client");
    assert_eq!(error(&ask(&op, "code", &[("grant_type", "password")]).await), "unsupported_grant_type");
    assert_eq!(error(&ask(&op, "code", &[]).await), "invalid_request");
    let twice = [("grant_type", "client_credentials"), ("grant_type", "client_credentials")];
    assert_eq!(error(&ask(&op, "code", &twice).await), "invalid_request");
}
