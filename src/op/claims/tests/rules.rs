//! Tests of what an operator says: for single clients, unasked, and in the words of others.

use super::{APP, asked, redeem, text, told, userinfo, world};
use crate::base::fetch::{self, Fetch, Fetched};
use crate::jose::Algorithm;
use crate::op::fixture::{self, body, send};
use crate::op::token::fixture::{client, post, session, tokens};
use crate::op::walk::{self, ALICE, Walk, request};
use crate::op::{Kit, Op};
use http::StatusCode;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::sync::Arc;

const RULES: &str = "
scopes: { team: { claims: [team] } }
clients:
  app:
    scopes: { profile: { claims: [nickname] }, club: { claims: [hobby], describe: { en: visit your club } } }
    allowed_scopes: [openid, profile, club]
";

#[tokio::test]
async fn a_client_has_scopes_and_claims_of_its_own_and_no_others() {
    let mut walk = world(RULES).await;
    let scope = ("scope", "openid profile club team email");
    let wish = ("claims", r#"{"userinfo":{"team":null,"email":null},"id_token":{"hobby":null}}"#);
    let login = walk.open(&asked(&[scope, wish])).await;
    let consent = walk.sign_in(&login, ALICE).await;
    assert!(consent.html.contains("visit your club"), "{}", consent.html);
    assert!(!consent.html.contains("team") && !consent.html.contains("e-mail"));
    let answer = walk.allow(&consent).await.answer();
    let tokens = redeem(&walk.op, &answer).await;
    assert_eq!(tokens["scope"], "openid profile club");
    let shown = userinfo(&walk.op, &tokens).await;
    assert_eq!(shown.as_object().unwrap().keys().collect::<Vec<_>>(), ["sub", "hobby", "nickname"]);
    assert_eq!(fixture_claims(&walk.op, &tokens)["hobby"], "chess");
    // Everybody else has what there is for everybody.
    let consent = walk.open(&request(&[scope])).await;
    assert!(consent.html.contains("team") && consent.html.contains("e-mail"));
    assert!(!consent.html.contains("club"));
    let document = body(&send(&walk.op, "GET", "/.well-known/openid-configuration", &[]).await);
    let scopes = document["scopes_supported"].as_array().unwrap();
    assert!(scopes.contains(&json!("team")) && !scopes.contains(&json!("club")));
}

fn fixture_claims(op: &Op, tokens: &Value) -> serde_json::Map<String, Value> {
    super::claims(op, text(tokens, "id_token"))
}

#[tokio::test]
async fn claims_that_are_told_unasked_stand_on_the_consent_page() {
    let extra = "
claims: { id_token: [email], userinfo: [nickname] }
clients: { web: { claims: { id_token: [nickname], id_token_by_scope: true } } }
";
    let mut walk = world(extra).await;
    let login = walk.open(&asked(&[])).await;
    let consent = walk.sign_in(&login, ALICE).await;
    assert!(consent.html.contains("see your nickname") && consent.html.contains("see your e-mail address"));
    walk.allow(&consent).await;
    let (id_token, shown) = told(&mut walk, &[]).await;
    assert_eq!(id_token["email"], "alice@people.example");
    assert!(!id_token.contains_key("nickname"));
    assert_eq!(shown, json!({"sub": id_token["sub"], "nickname": "Al"}));
    // A client's own rules stand instead of the general ones.
    let consent = walk.open(&request(&[("scope", "openid email")])).await;
    assert!(consent.html.contains("see your nickname"));
}

/// RFC 7662 §2.2: members an operator adds never replace what is said of the token.
#[tokio::test]
async fn introspection_tells_what_the_operator_adds() {
    let extra = "{ claims: { introspection: [hobby, username, active, scope] }, \
                  clients: { other: { claims: { introspection_by_scope: true } } } }";
    let op = fixture::op_with(extra).await;
    let claims =
        json!({"hobby": "archery", "username": "x", "active": false, "scope": "admin", "email": "d@e.f"});
    walk::person(&op, ("diana", "secret"), claims).await;
    let sid = session(&op, "diana").await;
    for (id, told) in [("rp", ("hobby", "archery")), ("other", ("email", "d@e.f"))] {
        client(&op, id, |_| {}).await;
        let token = text(&tokens(&op, id, &sid, "openid email").await, "access_token").to_owned();
        let answer = body(&post(&op, "/oidcop/introspection", id, &[("token", &token)]).await);
        assert_eq!(answer[told.0], told.1);
        assert_eq!((&answer["active"], &answer["username"]), (&json!(true), &json!("diana")));
        assert_eq!(answer["scope"], "openid email");
        assert_eq!(answer.get("hobby").is_some(), id == "rp");
        let foreign = body(&post(&op, "/oidcop/introspection", id, &[("token", "x.y.z")]).await);
        assert_eq!(foreign, json!({"active": false}));
    }
}

const SOURCES: &str = "
scopes: { money: { claims: [credit, debt, loyalty, blood] } }
claim_sources:
  - { name: bank, claims: [credit, debt], aggregated: { record: bank_jwt } }
  - { name: shop, claims: [loyalty], aggregated: { url: 'https://shop.example/{account}/jwt' } }
  - { name: clinic, claims: [blood], distributed: { endpoint: 'https://clinic.example/me', access_token: pass } }
";

type Answer = Arc<Mutex<Result<Fetched, fetch::Fault>>>;

/// A provider whose sources are scripted: `shop` gives what the second value holds.
async fn sourced() -> (Walk, Answer) {
    let shop: Answer = Arc::new(Mutex::new(Err(fetch::Fault::Late)));
    let answer = shop.clone();
    let fetch = Fetch::scripted(move |asked| {
        assert_eq!(asked.url, "https://shop.example/al%26%20co%2B/jwt");
        answer.lock().clone()
    });
    let op = Op::open(Kit { fetch, ..fixture::kit() }, fixture::settings(SOURCES)).await.unwrap();
    walk::client(&op, APP, json!({"token_endpoint_auth_method": "none"})).await;
    let bank = jwt(&op, &json!({"iss": "https://bank.example", "credit": 700}));
    walk::person(&op, AL, json!({"bank_jwt": bank, "pass": "at-1", "name": "Al"})).await;
    (Walk::at(op), shop)
}

const AL: (&str, &str) = ("al& co+", "secret");

/// Any signed token.
fn jwt(op: &Op, claims: &Value) -> String {
    op.ring().signer(Algorithm::ES256).unwrap().sign("JWT", claims.to_string().as_bytes()).unwrap()
}

async fn shown(walk: &mut Walk, changes: &[(&str, &str)]) -> Value {
    let answer = walk.through(&asked(changes), AL).await;
    let tokens = redeem(&walk.op, &answer).await;
    let bearer = format!("Bearer {}", text(&tokens, "access_token"));
    let response = send(&walk.op, "GET", "/oidcop/userinfo", &[("authorization", &bearer)]).await;
    assert_eq!(response.status(), StatusCode::OK);
    body(&response)
}

/// OpenID Connect Core §5.6.2.
#[tokio::test]
async fn what_others_say_is_passed_on_or_pointed_at() {
    let (mut walk, shop) = sourced().await;
    let loyalty = jwt(&walk.op, &json!({"loyalty": "gold"}));
    *shop.lock() = Ok(Fetched::ok("application/jwt", format!("{loyalty}\n")));
    let all = shown(&mut walk, &[("scope", "openid money")]).await;
    // The bank's token says nothing of debts.
    assert_eq!(all["_claim_names"], json!({"credit": "bank", "loyalty": "shop", "blood": "clinic"}));
    let sources = &all["_claim_sources"];
    assert_eq!(sources["clinic"], json!({"endpoint": "https://clinic.example/me", "access_token": "at-1"}));
    assert_eq!(sources["shop"], json!({"JWT": loyalty}));
    assert!(sources["bank"]["JWT"].is_string());
    assert!(all.get("bank_jwt").is_none() && all.get("pass").is_none() && all.get("credit").is_none());
    let wish = r#"{"userinfo":{"blood":null,"loyalty":{"value":"gold"}}}"#;
    let some = shown(&mut walk, &[("claims", wish)]).await;
    assert_eq!(some["_claim_names"], json!({"blood": "clinic"}));
    let none = shown(&mut walk, &[("scope", "openid profile")]).await;
    assert_eq!(none.as_object().unwrap().keys().collect::<Vec<_>>(), ["sub", "name"]);
    let document = body(&send(&walk.op, "GET", "/.well-known/openid-configuration", &[]).await);
    assert_eq!(document["claim_types_supported"], json!(["normal", "aggregated", "distributed"]));
    assert!(document["claims_supported"].as_array().unwrap().contains(&json!("loyalty")));
}

#[tokio::test]
async fn a_source_that_fails_leaves_its_claims_out_and_nothing_else() {
    let (mut walk, shop) = sourced().await;
    let mut refused = Fetched::ok("application/jwt", jwt(&walk.op, &json!({"loyalty": "gold"})));
    refused.status = StatusCode::FORBIDDEN;
    let long = jwt(&walk.op, &json!({"loyalty": "x".repeat(16 << 10)}));
    for answer in [
        Err(fetch::Fault::Late),
        Err(fetch::Fault::TooLarge(1)),
        Ok(refused),
        Ok(Fetched::ok("application/jwt", "not a token")),
        Ok(Fetched::ok("application/jwt", "")),
        Ok(Fetched::ok("application/jwt", vec![0xFF, 0xFE])),
        Ok(Fetched::ok("application/jwt", long)),
        Ok(Fetched::ok("application/jwt", jwt(&walk.op, &json!({"other": 1})))),
    ] {
        *shop.lock() = answer;
        let all = shown(&mut walk, &[("scope", "openid money")]).await;
        assert_eq!(all["_claim_names"], json!({"credit": "bank", "blood": "clinic"}));
        assert!(all["_claim_sources"].get("shop").is_none());
    }
    // What the person's own record has is said by us; a source without its record says nothing.
    walk::person(&walk.op, AL, json!({"credit": 1, "bank_jwt": 7})).await;
    let own = shown(&mut walk, &[("scope", "openid money")]).await;
    assert_eq!(own.as_object().unwrap().keys().collect::<Vec<_>>(), ["sub", "credit"]);
}
