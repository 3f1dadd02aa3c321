//! Tests of what is told about people, through `Op::handle`.

mod rules;

use crate::op::Op;
use crate::op::fixture::{body, form, header, send};
use crate::op::token::fixture::{claims, text};
use crate::op::walk::{self, ALICE, APP, Answer, BOB, CHALLENGE, REDIRECT, Walk, request};
use serde_json::{Map, Value, json};

/// RFC 7636 appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

async fn world(extra: &str) -> Walk {
    let walk = Walk::at(walk::op(extra).await);
    let alice = json!({
        "name": "Alice", "name#de": "Alicia", "name#fr-CH": "Alix", "nickname": "Al", "hobby": "chess",
        "email": "alice@people.example", "email_verified": true, "zoneinfo": null,
    });
    walk::person(&walk.op, ALICE, alice).await;
    walk
}

fn asked(changes: &[(&str, &str)]) -> String {
    let mut all = vec![
        ("client_id", APP),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
        ("scope", "openid"),
    ];
    all.extend(changes);
    request(&all)
}

/// The token answer for a code.
async fn redeem(op: &Op, answer: &Answer) -> Value {
    assert!(answer.has_code(), "{answer:?}");
    let pairs = [
        ("grant_type", "authorization_code"),
        ("client_id", APP),
        ("code", answer.get("code")),
        ("redirect_uri", REDIRECT),
        ("code_verifier", VERIFIER),
    ];
    body(&form(op, "/oidcop/token", &[], &pairs).await)
}

async fn userinfo(op: &Op, tokens: &Value) -> Value {
    let bearer = format!("Bearer {}", text(tokens, "access_token"));
    body(&send(op, "GET", "/oidcop/userinfo", &[("authorization", &bearer)]).await)
}

/// The ID token and the userinfo answer that come of a request by Alice.
async fn told(walk: &mut Walk, changes: &[(&str, &str)]) -> (Map<String, Value>, Value) {
    let answer = walk.through(&asked(changes), ALICE).await;
    let tokens = redeem(&walk.op, &answer).await;
    (claims(&walk.op, text(&tokens, "id_token")), userinfo(&walk.op, &tokens).await)
}

/// OpenID Connect Core §5.5.
#[tokio::test]
async fn a_claim_asked_for_by_name_is_told_in_the_place_it_was_asked_for() {
    let mut walk = world("{}").await;
    let wish = json!({
        "userinfo": {"email": null, "nickname": {"essential": true, "unknown": 7}, "hobby": null, "iss": null},
        "id_token": {"email_verified": {"essential": true}, "auth_time": null, "zoneinfo": null,
            "iss": {"value": "https://evil.example"}, "nonce": {"value": "other"}},
        "unknown": {"email": null},
    });
    let (id_token, userinfo) = told(&mut walk, &[("claims", &wish.to_string())]).await;
    let sub = &id_token["sub"];
    assert_eq!(userinfo, json!({"sub": sub, "email": "alice@people.example", "nickname": "Al"}));
    assert_eq!(id_token["email_verified"], true);
    assert!(id_token["auth_time"].is_u64());
    assert_eq!((&id_token["iss"], &id_token["nonce"]), (&json!("https://op.example"), &json!("n-1")));
    for absent in ["email", "nickname", "hobby", "zoneinfo", "name"] {
        assert!(!id_token.contains_key(absent), "{absent}");
    }
}

/// OpenID Connect Core §5.5.1.
#[tokio::test]
async fn a_claim_of_another_value_than_the_one_wanted_is_left_out_and_nothing_fails() {
    let mut walk = world("{}").await;
    let wish = json!({"userinfo": {
        "email": {"value": "other@people.example", "essential": true},
        "nickname": {"values": ["x", "Al"]},
        "email_verified": {"value": "true"},
        "name": {"value": "Alicia"},
    }});
    let (_, userinfo) = told(&mut walk, &[("claims", &wish.to_string())]).await;
    let keys: Vec<_> = userinfo.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["sub", "name#de", "nickname"]);
}

#[tokio::test]
async fn claims_asked_for_by_name_are_shown_allowed_once_and_asked_again_for_more() {
    let mut walk = world("{}").await;
    let email = ("claims", r#"{"userinfo":{"email":null,"sub":null},"id_token":{"acr":null}}"#);
    let login = walk.open(&asked(&[email])).await;
    let consent = walk.sign_in(&login, ALICE).await;
    assert!(consent.html.contains("see your e-mail address"), "{}", consent.html);
    assert!(!consent.html.contains("“sub”") && !consent.html.contains("“acr”"));
    walk.allow(&consent).await;
    assert!(walk.open(&asked(&[email, ("prompt", "none")])).await.answer().has_code());
    assert!(walk.open(&asked(&[("prompt", "none")])).await.answer().has_code(), "less is allowed too");
    let more = ("claims", r#"{"id_token":{"email":null,"nickname":null}}"#);
    let refused = walk.open(&asked(&[more, ("prompt", "none")])).await.answer();
    assert_eq!(refused.error(), "consent_required");
    let consent = walk.open(&asked(&[more, ("ui_locales", "de")])).await;
    assert!(consent.html.contains("Ihren Spitznamen sehen"), "{}", consent.html);
    walk.allow(&consent).await;
    // What a scope covers is not asked for twice.
    let scoped = [("scope", "openid email"), ("claims", r#"{"userinfo":{"email":null}}"#)];
    let consent = walk.open(&asked(&scoped)).await;
    assert_eq!(consent.html.matches("e-mail address").count(), 1);
    walk.allow(&consent).await;
    assert!(
        walk.open(&asked(&[more, ("prompt", "none")])).await.answer().has_code(),
        "nothing was forgotten"
    );
}

/// OpenID Connect Core §12.2.
#[tokio::test]
async fn a_refresh_tells_what_the_authorization_allowed() {
    let mut walk = world("{}").await;
    let wish = r#"{"id_token":{"nickname":null},"userinfo":{"email":null}}"#;
    let changes = [("claims", wish), ("scope", "openid offline_access"), ("prompt", "consent")];
    let answer = walk.through(&asked(&changes), ALICE).await;
    let tokens = redeem(&walk.op, &answer).await;
    let refresh = text(&tokens, "refresh_token");
    let pairs = [("grant_type", "refresh_token"), ("client_id", APP), ("refresh_token", refresh)];
    let again = body(&form(&walk.op, "/oidcop/token", &[], &pairs).await);
    assert_eq!(claims(&walk.op, text(&again, "id_token"))["nickname"], "Al");
    assert_eq!(userinfo(&walk.op, &again).await["email"], "alice@people.example");
}

/// ATTACKS 18, 47: a condition of the wrong type is not one that holds, and everything has a cap.
#[tokio::test]
async fn a_malformed_claims_parameter_is_refused_and_an_odd_one_is_not() {
    let mut walk = world("{}").await;
    let many: Map<String, Value> = (0..101).map(|n| (format!("c{n}"), Value::Null)).collect();
    let many = json!({ "userinfo": many }).to_string();
    let values = json!({"userinfo": {"email": {"values": vec!["x"; 21]}}}).to_string();
    let long = json!({"userinfo": {"email": {"value": "x".repeat(8 << 10)}}}).to_string();
    let deep = format!("{{\"userinfo\":{{\"email\":{{\"value\":{}1{}}}}}}}", "[".repeat(40), "]".repeat(40));
    for bad in [
        "{",
        "[]",
        "null",
        "7",
        "\"x\"",
        "{}x",
        r#"{"userinfo":7}"#,
        r#"{"id_token":[]}"#,
        r#"{"userinfo":{"email":true}}"#,
        r#"{"userinfo":{"email":{"essential":"true"}}}"#,
        r#"{"userinfo":{"email":{"values":"x"}}}"#,
        r#"{"id_token":{"acr":{"essential":true,"values":[7.5]}}}"#,
        r#"{"id_token":{"sub":{"value":null}}}"#,
        r#"{"userinfo":{"email":null},"userinfo":{}}"#,
        &many,
        &values,
        &long,
        &deep,
    ] {
        let got = walk.open(&asked(&[("claims", bad)])).await.answer();
        assert_eq!(got.error(), "invalid_request", "{}", bad.get(..60).unwrap_or(bad));
        assert_eq!(got.get("state"), "a b&c=\"<'>");
    }
    for odd in [
        "{}",
        r#"{"userinfo":null}"#,
        r#"{"x":7}"#,
        r#"{"userinfo":{"":null,"x y":{}}}"#,
        r#"{"userinfo":{"email":{"value":{"a":[1]}}}}"#,
        r#"{"id_token":{"acr":{"essential":true}}}"#,
        r#"{"id_token":{"acr":{"values":["urn:unknown"]}}}"#,
    ] {
        assert!(walk.open(&asked(&[("claims", odd)])).await.has("sign-in"), "{odd}");
    }
}

/// OpenID Connect Core §5.5.1.
#[tokio::test]
async fn a_subject_that_is_asked_for_is_the_one_or_nobody() {
    let mut walk = world("{}").await;
    let client = walk.op.client(APP, walk.op.now()).await.unwrap().unwrap();
    let wish = |account: &str, place: &str| {
        json!({ place: {"sub": {"value": walk.op.subject(&client, account)}} }).to_string()
    };
    let (alices, bobs, infos) = (wish("alice", "id_token"), wish("bob", "id_token"), wish("bob", "userinfo"));
    walk.through(&asked(&[]), ALICE).await;
    assert!(walk.open(&asked(&[("claims", &alices), ("prompt", "none")])).await.answer().has_code());
    for others in [&bobs, &infos] {
        let none = [("claims", others.as_str()), ("prompt", "none")];
        assert_eq!(walk.open(&asked(&none)).await.answer().error(), "login_required");
        let login = walk.open(&asked(&[("claims", others)])).await;
        assert_eq!(walk.sign_in(&login, ALICE).await.answer().error(), "login_required");
    }
    assert!(walk.through(&asked(&[("claims", &bobs)]), BOB).await.has_code());
}

/// OpenID Connect Core §5.5.1.1.
#[tokio::test]
async fn an_essential_acr_is_met_or_the_request_fails() {
    let two = "{ acr: [{ name: best, needs: [pwd] }, { name: good, needs: [pwd] }, { name: far, needs: [nothing] }] }";
    let mut walk = world(two).await;
    let wish = |essential: bool, values: &[&str]| {
        json!({"id_token": {"acr": {"essential": essential, "values": values}}}).to_string()
    };
    let unknown = wish(true, &["unknown"]);
    let got = walk.open(&asked(&[("claims", &unknown)])).await.answer();
    assert_eq!(got.error(), "unmet_authentication_requirements");
    for (claims, acr_values, acr) in [
        (wish(true, &["unknown", "good"]), "best", "good"),
        (wish(false, &["unknown", "good"]), "", "good"),
        (wish(false, &["unknown"]), "", "best"),
        (wish(false, &["good"]), "best", "best"),
    ] {
        let (id_token, _) = told(&mut walk, &[("claims", &claims), ("acr_values", acr_values)]).await;
        assert_eq!(id_token["acr"], acr, "{claims}");
    }
}

/// OpenID Connect Core §5.2.
#[tokio::test]
async fn claims_come_in_the_languages_asked_for() {
    let mut walk = world("{}").await;
    let profile = ("scope", "openid profile");
    for (locales, wanted) in [
        ("", json!({"name": "Alice", "name#de": "Alicia", "name#fr-CH": "Alix", "nickname": "Al"})),
        ("de", json!({"name": "Alicia", "nickname": "Al"})),
        ("de-AT fr", json!({"name": "Alicia", "name#fr-CH": "Alix", "nickname": "Al"})),
        ("FR DE", json!({"name": "Alix", "name#de": "Alicia", "nickname": "Al"})),
        ("ja", json!({"name": "Alice", "nickname": "Al"})),
    ] {
        let (_, mut userinfo) = told(&mut walk, &[profile, ("claims_locales", locales)]).await;
        userinfo.as_object_mut().unwrap().remove("sub");
        assert_eq!(userinfo, wanted, "{locales}");
    }
    let tagged = r##"{"id_token":{"name#DE":null,"name#ja":null}}"##;
    let (id_token, _) = told(&mut walk, &[profile, ("claims", tagged)]).await;
    assert_eq!(id_token["name#DE"], "Alicia");
    assert!(!id_token.contains_key("name") && !id_token.contains_key("name#ja"));
}

/// ATTACKS 31: a parameter does not widen a registration, and says nothing without `openid`.
#[tokio::test]
async fn a_client_gets_no_claim_by_name_that_it_may_not_have_by_scope() {
    let mut walk = world("{}").await;
    let narrow = json!({"token_endpoint_auth_method": "none", "scope": "openid email api"});
    walk::client(&walk.op, APP, narrow).await;
    let wish = ("claims", r#"{"userinfo":{"nickname":null,"email":null},"id_token":{"name":null}}"#);
    let (id_token, userinfo) = told(&mut walk, &[wish]).await;
    assert!(!id_token.contains_key("name"));
    assert_eq!(userinfo.as_object().unwrap().keys().collect::<Vec<_>>(), ["sub", "email"]);
    let plain = walk.open(&asked(&[("scope", "api"), wish])).await;
    assert!(!plain.html.contains("e-mail"), "{}", plain.html);
    assert!(header(&plain.response, "location").is_empty());
}
