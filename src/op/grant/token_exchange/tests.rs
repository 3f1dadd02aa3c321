//! Token exchange, through `Op::handle`.

use crate::op::fixture::{body, op_with};
use crate::op::record::access::Access;
use crate::op::token::fixture::*;
use crate::op::token::revoke;
use crate::op::{Command, Op};
use crate::store::Expect;
use crate::store::record::{get, put};
use http::StatusCode;
use serde_json::{Value, json};

const GRANT: (&str, &str) = ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange");
const TYPE: (&str, &str) = ("subject_token_type", super::ACCESS_TOKEN);
const ORDERS: (&str, &str) = ("resource", "https://orders.example/");

const SETTINGS: &str = "
resources:
  - { uri: 'https://api.example/', scopes: [api, api.write] }
  - { uri: 'https://orders.example/', scopes: [orders] }
  - { uri: 'https://secret.example/', scopes: [secret], format: opaque }
token_exchange:
  clients:
    gateway:
      subjects: [rp, gateway]
      audiences: ['https://orders.example/', 'https://api.example/']
      scopes: [orders]
      id_tokens: true
    orders: { subjects: [gateway], audiences: ['https://api.example/', 'https://secret.example/'], impersonate: true }
";

/// The relying party with a person's tokens, a gateway and a service behind it.
async fn world() -> (Op, String, Value) {
    let op = op_with(SETTINGS).await;
    for id in ["rp", "gateway", "orders", "other"] {
        client(&op, id, |client| client.metadata.grant_types.push(GRANT.1.into())).await;
    }
    let sid = session(&op, "diana").await;
    let answer = tokens(&op, "rp", &sid, "openid api api.write offline_access").await;
    (op, sid, answer)
}

async fn exchange(
    op: &Op,
    client_id: &str,
    token: &str,
    more: &[(&str, &str)],
) -> http::Response<bytes::Bytes> {
    let mut pairs = vec![GRANT, TYPE, ("subject_token", token)];
    pairs.extend(more);
    ask(op, client_id, &pairs).await
}

async fn exchanged(op: &Op, client_id: &str, token: &str, more: &[(&str, &str)]) -> Value {
    let response = exchange(op, client_id, token, more).await;
    assert_eq!(response.status(), StatusCode::OK, "{}", body(&response));
    body(&response)
}

/// RFC 8693 §2.2.1, §4.1.
#[tokio::test]
async fn a_gateway_gets_a_token_that_says_who_acts() {
    let (op, sid, answer) = world().await;
    let token = text(&answer, "access_token");
    let found = exchanged(&op, "gateway", token, &[ORDERS, ("scope", "orders")]).await;
    assert_eq!(found["issued_token_type"], super::ACCESS_TOKEN);
    assert_eq!((&found["token_type"], &found["scope"]), (&json!("Bearer"), &json!("orders")));
    assert!(found.get("refresh_token").is_none() && found.get("id_token").is_none());
    let said = claims(&op, text(&found, "access_token"));
    assert_eq!((&said["client_id"], &said["aud"]), (&json!("gateway"), &json!("https://orders.example/")));
    assert_eq!((&said["act"], &said["sid"]), (&json!({ "sub": "client:gateway" }), &json!(sid)));
    let sub = op.public_subject("diana");
    assert_eq!(said["sub"], json!(sub));
    assert!(active(&op, text(&found, "access_token")).await);
    // What it already had and nothing of another resource, if nothing is asked for.
    let same = exchanged(&op, "gateway", token, &[("audience", "https://api.example/")]).await;
    assert_eq!(same["scope"], "api api.write");
    let elsewhere = exchanged(&op, "gateway", token, &[ORDERS]).await;
    assert_eq!(elsewhere["scope"], "");
    // RFC 8693 §2.1: no target is ours to choose: what the presented token is for.
    assert_eq!(
        claims(&op, text(&exchanged(&op, "gateway", token, &[]).await, "access_token"))["aud"],
        "https://api.example/"
    );
}

/// RFC 8693 §4.1: the newest actor is outermost; who may impersonate leaves no trace of its own.
#[tokio::test]
async fn chains_keep_everybody_who_acted() {
    let (op, _, answer) = world().await;
    let first =
        exchanged(&op, "gateway", text(&answer, "access_token"), &[ORDERS, ("scope", "orders")]).await;
    let own = body(&ask(&op, "gateway", &[("grant_type", "client_credentials"), ("scope", "api")]).await);
    let own = text(&own, "access_token").to_owned();
    let actor = [("actor_token", own.as_str()), ("actor_token_type", super::ACCESS_TOKEN), ORDERS];
    let again = exchanged(&op, "gateway", text(&first, "access_token"), &actor).await;
    let said = claims(&op, text(&again, "access_token"));
    assert_eq!(said["act"], json!({ "sub": "client:gateway", "act": { "sub": "client:gateway" } }));
    let to = [("resource", "https://api.example/")];
    let behind = exchanged(&op, "orders", text(&again, "access_token"), &to).await;
    assert_eq!(claims(&op, text(&behind, "access_token"))["act"], said["act"]);
    for wrong in [
        vec![("actor_token", own.as_str())],
        vec![("actor_token_type", super::ACCESS_TOKEN)],
        vec![("actor_token", own.as_str()), ("actor_token_type", super::ID_TOKEN)],
        vec![("actor_token", "nonsense"), ("actor_token_type", super::ACCESS_TOKEN)],
        vec![("actor_token", text(&answer, "access_token")), ("actor_token_type", super::ACCESS_TOKEN)],
        vec![("actor_token", text(&first, "access_token")), ("actor_token_type", super::ACCESS_TOKEN)],
    ] {
        let mut pairs = vec![ORDERS];
        pairs.extend(wrong.clone());
        let refused = exchange(&op, "gateway", text(&first, "access_token"), &pairs).await;
        assert_eq!(error(&refused), "invalid_request", "{wrong:?}");
    }
}

#[tokio::test]
async fn exchanges_have_an_end() {
    let (op, _, answer) = world().await;
    let mut token = text(&answer, "access_token").to_owned();
    for _ in 0..super::MAX_DEPTH {
        token = text(&exchanged(&op, "gateway", &token, &[ORDERS]).await, "access_token").to_owned();
    }
    assert_eq!(error(&exchange(&op, "gateway", &token, &[ORDERS]).await), "invalid_request");
}

/// RFC 8693 §2.2.2; ATTACKS 22: nothing beyond the policy.
#[tokio::test]
async fn what_the_policy_does_not_allow_is_refused() {
    let (op, _, answer) = world().await;
    let token = text(&answer, "access_token");
    let machine = body(&ask(&op, "rp", &[("grant_type", "client_credentials"), ("scope", "api")]).await);
    let other = tokens(&op, "other", &session(&op, "eve").await, "openid api").await;
    for (client_id, subject, more, code) in [
        ("other", token, vec![ORDERS], "unauthorized_client"),
        ("orders", token, vec![("resource", "https://api.example/")], "invalid_request"),
        ("gateway", text(&other, "access_token"), vec![ORDERS], "invalid_request"),
        ("gateway", text(&machine, "access_token"), vec![ORDERS], "invalid_request"),
        ("gateway", text(&answer, "refresh_token"), vec![ORDERS], "invalid_request"),
        ("gateway", text(&answer, "id_token"), vec![ORDERS], "invalid_request"),
        ("gateway", "nonsense", vec![ORDERS], "invalid_request"),
        ("gateway", token, vec![("resource", "https://secret.example/")], "invalid_target"),
        ("gateway", token, vec![("audience", "https://op.example")], "invalid_target"),
        ("gateway", token, vec![("resource", "https://orders.example/#x")], "invalid_target"),
        ("gateway", token, vec![ORDERS, ("audience", "https://secret.example/")], "invalid_target"),
        ("gateway", token, vec![ORDERS, ("scope", "orders secret")], "invalid_scope"),
        ("gateway", token, vec![ORDERS, ("scope", "openid")], "invalid_scope"),
        ("gateway", token, vec![ORDERS, ("scope", "offline_access")], "invalid_scope"),
        ("gateway", token, vec![ORDERS, ("requested_token_type", super::ID_TOKEN)], "invalid_request"),
        (
            "gateway",
            token,
            vec![ORDERS, ("requested_token_type", "urn:ietf:params:oauth:token-type:refresh_token")],
            "invalid_request",
        ),
    ] {
        assert_eq!(error(&exchange(&op, client_id, subject, &more).await), code, "{client_id} {more:?}");
    }
    let missing = ask(&op, "gateway", &[GRANT, ("subject_token", token), ORDERS]).await;
    assert_eq!(error(&missing), "invalid_request");
    let kind = [GRANT, ("subject_token", token), ("subject_token_type", "urn:x"), ORDERS];
    assert_eq!(error(&ask(&op, "gateway", &kind).await), "invalid_request");
    // Off by default: neither taken nor advertised.
    let plain = crate::op::fixture::op().await;
    client(&plain, "gateway", |client| client.metadata.grant_types.push(GRANT.1.into())).await;
    assert_eq!(error(&exchange(&plain, "gateway", token, &[]).await), "unsupported_grant_type");
    let advertised =
        |op: &Op| crate::op::endpoint::configuration::document(op)["grant_types_supported"].to_string();
    assert!(!advertised(&plain).contains("token-exchange") && advertised(&op).contains("token-exchange"));
}

/// Invariant 1 to 3: whatever ends what was presented ends what came of it, in memory and after a restart.
#[tokio::test]
async fn an_exchanged_token_ends_with_everything_it_came_from() {
    for end in ["family", "session", "account", "rp", "gateway", "orders"] {
        let (op, sid, answer) = world().await;
        let first = exchanged(&op, "gateway", text(&answer, "access_token"), &[ORDERS]).await;
        let to = [("resource", "https://secret.example/")];
        let last = exchanged(&op, "orders", text(&first, "access_token"), &to).await;
        let (first, last) = (text(&first, "access_token").to_owned(), text(&last, "access_token").to_owned());
        let fresh = restarted(&op).await;
        assert!(active(&op, &last).await && active(&fresh, &last).await && active(&op, &first).await);
        advance(&op, 1);
        match end {
            "family" => {
                let token = text(&answer, "refresh_token");
                assert_eq!(post(&op, "/oidcop/revocation", "rp", &[("token", token)]).await.status(), 200);
            }
            "session" => assert!(revoke::session(&op, &sid, op.now()).await.unwrap().is_some()),
            "account" => revoke::account(&op, "diana", true).await.unwrap(),
            client_id => {
                op.administer(Command::ClientRemove { client_id: client_id.into() }).await.map(drop).unwrap();
            }
        }
        assert!(!active(&op, &last).await, "{end}");
        assert_eq!(active(&op, &first).await, end == "orders", "{end}");
        let fresh = restarted(&op).await;
        assert!(!active(&fresh, &last).await, "{end} after a restart");
        assert_eq!(active(&fresh, &first).await, end == "orders", "{end} after a restart");
        let again = exchange(&fresh, "orders", &first, &to).await;
        assert!(again.status().is_client_error(), "{end}");
    }
}

#[tokio::test]
async fn an_exchanged_token_does_not_outlive_the_one_presented() {
    let (op, _, answer) = world().await;
    advance(&op, 3_000);
    let found = exchanged(&op, "gateway", text(&answer, "access_token"), &[ORDERS]).await;
    assert_eq!(found["expires_in"], 600);
    advance(&op, 600);
    assert!(!active(&op, text(&found, "access_token")).await);
    let late = exchange(&op, "gateway", text(&answer, "access_token"), &[ORDERS]).await;
    assert_eq!(error(&late), "invalid_request");
}

/// RFC 9449 §7, RFC 8705 §3: in other hands a bound token is worth nothing.
#[tokio::test]
async fn a_bound_token_is_not_exchanged_without_its_proof() {
    let (op, sid, _) = world().await;
    let answer = tokens(&op, "rp", &sid, "openid secret").await;
    let token = text(&answer, "access_token");
    let digest = crate::op::endpoint::registration::digest(token);
    let stored = get::<Access>(op.store(), digest, op.now()).await.unwrap().unwrap();
    for cnf in [json!({ "jkt": "x" }), json!({ "x5t#S256": "x" })] {
        let mut record = stored.record.clone();
        record.claims.insert("cnf".into(), cnf);
        commit(&op, vec![put(&record, Expect::Anything).unwrap()]).await;
        let fresh = restarted(&op).await;
        assert!(active(&fresh, token).await);
        assert_eq!(error(&exchange(&fresh, "gateway", token, &[ORDERS]).await), "invalid_request");
    }
}

/// RFC 8693 §3: an ID token says who, and grants no scope itself.
#[tokio::test]
async fn an_id_token_is_exchanged_where_the_policy_says_so_and_its_session_lives() {
    let (op, sid, _) = world().await;
    let mut granted = grant(&op, "rp", &sid, "openid api");
    granted.authorization.subject = op.public_subject("diana");
    let code = give(&op, granted).await.unwrap().code.unwrap();
    let answer = body(&redeem(&op, "rp", &code).await);
    let id_token = text(&answer, "id_token").to_owned();
    let pairs =
        [GRANT, ("subject_token_type", super::ID_TOKEN), ("subject_token", id_token.as_str()), ORDERS];
    let mut with_scope = pairs.to_vec();
    with_scope.push(("scope", "orders"));
    let found = body(&ask(&op, "gateway", &with_scope).await);
    let said = claims(&op, text(&found, "access_token"));
    assert_eq!((&said["sid"], &said["sub"]), (&json!(sid), &json!(op.public_subject("diana"))));
    let mut too_much = pairs.to_vec();
    too_much.push(("scope", "api"));
    assert_eq!(error(&ask(&op, "gateway", &too_much).await), "invalid_scope");
    assert_eq!(error(&ask(&op, "orders", &pairs).await), "invalid_request");
    revoke::session(&op, &sid, op.now()).await.unwrap();
    assert!(!active(&op, text(&found, "access_token")).await);
    assert_eq!(error(&ask(&op, "gateway", &pairs).await), "invalid_request");
}

#[test]
fn a_policy_that_lets_nothing_through_is_a_fault() {
    let faults = |extra: &str| {
        let faults = crate::op::fixture::settings(extra).faults();
        faults.into_iter().map(|(path, _)| path).collect::<Vec<_>>()
    };
    assert_eq!(faults(SETTINGS), [""; 0]);
    assert_eq!(
        faults("token_exchange: { clients: { a: { audiences: ['https://x.example/'] } } }"),
        ["token_exchange.clients.a.audiences[0]", "token_exchange.clients.a.subjects"]
    );
}
