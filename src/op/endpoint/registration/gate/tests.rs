//! Initial access tokens, as operators make them and clients use them.

use crate::op::fixture::{body, header, op, op_with, post_json};
use crate::op::token::fixture::{advance, restarted};
use crate::op::{Command, Op};
use bytes::Bytes;
use futures_util::future::join_all;
use http::Response;
use serde_json::{Value, json};

const PATH: &str = "/oidcop/registration";

async fn guarded() -> Op {
    op_with("registration: initial_access_token").await
}

async fn token(op: &Op, uses: Option<u64>, lifetime: Option<u64>, limits: (&[&str], &[&str])) -> Value {
    let owned = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
    let (redirect_hosts, scopes) = (owned(limits.0), owned(limits.1));
    op.administer(Command::ClientToken { uses, lifetime, redirect_hosts, scopes }).await.unwrap()
}

async fn register(op: &Op, authorization: &str, sent: Value) -> Response<Bytes> {
    let headers = [("authorization", authorization)];
    let headers = if authorization.is_empty() { &[][..] } else { &headers[..] };
    post_json(op, "POST", PATH, headers, &sent).await
}

fn web() -> Value {
    json!({ "redirect_uris": ["https://rp.example/cb"] })
}

fn bearer(made: &Value) -> String {
    format!("Bearer {}", made["initial_access_token"].as_str().unwrap())
}

/// RFC 7591 §3, §1.2.
#[tokio::test]
async fn only_whoever_brings_an_initial_access_token_registers() {
    let op = guarded().await;
    let document = crate::op::endpoint::configuration::document(&op);
    assert_eq!(document["registration_endpoint"], "https://op.example/oidcop/registration");
    let made = token(&op, Some(2), None, (&[], &[])).await;
    for wrong in ["", "Bearer x", "Basic x", "Bearer"] {
        let refused = register(&op, wrong, web()).await;
        assert_eq!((refused.status().as_u16(), &body(&refused)["error"]), (401, &json!("invalid_token")));
        assert!(header(&refused, "www-authenticate").starts_with("Bearer "));
    }
    // What is refused for its metadata costs no use.
    assert_eq!(register(&op, &bearer(&made), json!({})).await.status(), 400);
    let client = body(&register(&op, &bearer(&made), web()).await);
    assert!(client["client_id"].is_string() && client["registration_access_token"].is_string());
    assert_eq!(register(&restarted(&op).await, &bearer(&made), web()).await.status(), 201);
    assert_eq!(register(&op, &bearer(&made), web()).await.status(), 401);
    // The token of one client's registration is no initial access token, nor the other way round.
    let own = format!("Bearer {}", client["registration_access_token"].as_str().unwrap());
    assert_eq!(register(&op, &own, web()).await.status(), 401);
}

#[tokio::test]
async fn what_is_no_host_alone_is_refused_as_a_redirect_host() {
    let op = guarded().await;
    for host in ["https://rp.example", "rp.example:8443", "rp.example/cb", "", "a b"] {
        let made = Command::ClientToken {
            uses: None,
            lifetime: None,
            redirect_hosts: vec![host.into()],
            scopes: vec![],
        };
        assert!(op.administer(made).await.unwrap_err().to_string().contains("is not a host"), "{host}");
    }
    for host in ["RP.example", "127.0.0.1", "[::1]"] {
        token(&op, None, None, (&[host], &[])).await;
    }
}

/// ATTACKS 29.
#[tokio::test]
async fn a_hundred_at_once_register_as_many_clients_as_the_token_is_good_for() {
    let op = guarded().await;
    let made = token(&op, Some(5), None, (&[], &[])).await;
    let bearer = bearer(&made);
    let answers = join_all((0..100).map(|_| register(&op, &bearer, web()))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status() == 201).count(), 5);
    assert!(answers.iter().all(|answer| [201, 401].contains(&answer.status().as_u16())));
    assert_eq!(op.administer(Command::ClientList).await.unwrap().as_array().unwrap().len(), 5);
}

#[tokio::test]
async fn a_token_expires_is_listed_and_is_revoked() {
    let op = guarded().await;
    let (short, long) =
        (token(&op, None, Some(60), (&[], &[])).await, token(&op, None, None, (&[], &[])).await);
    assert_eq!(register(&op, &bearer(&short), web()).await.status(), 201);
    advance(&op, 60);
    assert_eq!(register(&op, &bearer(&short), web()).await.status(), 401);
    assert_eq!(register(&op, &bearer(&long), web()).await.status(), 201);
    let listed = op.administer(Command::ClientTokens).await.unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!((&listed[0]["used"], &listed[0]["token_id"]), (&json!(1), &long["token_id"]));
    assert!(!listed.to_string().contains(long["initial_access_token"].as_str().unwrap()));
    let token_id = long["token_id"].as_str().unwrap().to_owned();
    op.administer(Command::ClientRevokeToken { token_id: token_id.clone() }).await.unwrap();
    assert_eq!(register(&op, &bearer(&long), web()).await.status(), 401);
    assert!(op.administer(Command::ClientRevokeToken { token_id }).await.is_err());
    let open = crate::op::fixture::op().await;
    let made = open.administer(Command::ClientToken {
        uses: None,
        lifetime: None,
        redirect_hosts: vec![],
        scopes: vec![],
    });
    assert!(made.await.is_err());
}

#[tokio::test]
async fn a_token_may_be_for_some_hosts_and_scopes_only() {
    let op = guarded().await;
    let made = token(&op, None, None, (&["RP.example"], &["openid", "api"])).await;
    for (sent, status) in [
        (json!({ "redirect_uris": ["https://rp.example/cb"], "scope": "openid" }), 201),
        (json!({ "redirect_uris": ["https://rp.example/cb"], "scope": "openid api.write" }), 400),
        (json!({ "redirect_uris": ["https://rp.example/cb"] }), 400),
        (
            json!({ "redirect_uris": ["https://rp.example/cb", "https://evil.example/"], "scope": "openid" }),
            400,
        ),
        (json!({ "redirect_uris": ["https://rp.example.evil.example/"], "scope": "openid" }), 400),
    ] {
        assert_eq!(register(&op, &bearer(&made), sent.clone()).await.status(), status, "{sent}");
    }
}

/// RFC 7592 §2.2.
#[tokio::test]
async fn an_update_does_not_get_past_what_the_token_is_for() {
    let op = guarded().await;
    let made = token(&op, None, None, (&["rp.example"], &["openid", "api"])).await;
    let sent = json!({ "redirect_uris": ["https://rp.example/cb"], "scope": "openid" });
    let client = body(&register(&op, &bearer(&made), sent).await);
    let id = client["client_id"].as_str().unwrap();
    let own = format!("Bearer {}", client["registration_access_token"].as_str().unwrap());
    for (more, status) in [
        (json!({ "redirect_uris": ["https://rp.example/2"], "scope": "openid api" }), 200),
        (json!({ "redirect_uris": ["https://evil.example/"], "scope": "openid" }), 400),
        (json!({ "redirect_uris": ["https://rp.example/cb"], "scope": "openid api.write" }), 400),
        (json!({ "redirect_uris": ["https://rp.example/cb"] }), 400),
    ] {
        let mut sent = more.clone();
        sent["client_id"] = json!(id);
        let path = format!("{PATH}/{id}");
        let answer = post_json(&restarted(&op).await, "PUT", &path, &[("authorization", &own)], &sent).await;
        assert_eq!(answer.status(), status, "{more}");
    }
}

#[tokio::test]
async fn open_registration_needs_no_token_and_closed_takes_none() {
    assert_eq!(register(&op().await, "Bearer whatever", web()).await.status(), 201);
    let closed = op_with("registration: closed").await;
    assert_eq!(register(&closed, "Bearer whatever", web()).await.status(), 403);
    let document = crate::op::endpoint::configuration::document(&closed);
    assert!(!document.contains_key("registration_endpoint"));
}
