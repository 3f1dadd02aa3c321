//! Userinfo, through `Op::handle`.

use crate::base::clock::Timestamp;
use crate::op::Op;
use crate::op::fixture::{body, form, header, op, send};
use crate::op::record::account::Account;
use crate::op::token::fixture::{ask, client, commit, error, session, text, tokens};
use crate::op::token::revoke;
use crate::store::Expect;
use crate::store::record::put;
use http::StatusCode;
use serde_json::json;

async fn world(scope: &str) -> (Op, String) {
    let op = op().await;
    client(&op, "rp", |_| {}).await;
    let claims = json!({
        "name": "Diana", "email": "diana@example.org", "email_verified": true, "updated_at": 1,
        "address": { "locality": "Themyscira" }, "sub": "not this",
    });
    let account = Account {
        id: "diana".into(),
        password: String::new(),
        claims: claims.as_object().cloned(),
        created: Timestamp(0),
        instead_of: None,
    };
    commit(&op, vec![put(&account, Expect::Absent).unwrap()]).await;
    let sid = session(&op, "diana").await;
    let token = text(&tokens(&op, "rp", &sid, scope).await, "access_token").to_owned();
    (op, token)
}

/// OpenID Connect Core §5.3, §5.4.
#[tokio::test]
async fn claims_come_by_scope_and_the_subject_is_that_of_the_id_token() {
    let (op, token) = world("openid email").await;
    let bearer = format!("Bearer {token}");
    let wanted = json!({ "sub": "subject-of-diana", "email": "diana@example.org", "email_verified": true });
    for method in ["GET", "POST"] {
        let response = send(&op, method, "/oidcop/userinfo", &[("authorization", &bearer)]).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(header(&response, "cache-control"), "no-store");
        assert_eq!(body(&response), wanted);
    }
    let posted = form(&op, "/oidcop/userinfo", &[], &[("access_token", &token)]).await;
    assert_eq!(body(&posted), wanted);
    let (op, token) = world("openid profile address").await;
    let response =
        send(&op, "GET", "/oidcop/userinfo", &[("authorization", &format!("bearer {token}"))]).await;
    let shown = body(&response);
    assert_eq!((&shown["updated_at"], &shown["address"]["locality"]), (&json!(1), &json!("Themyscira")));
    assert!(shown.get("email").is_none());
}

/// RFC 6750 §3.1.
#[tokio::test]
async fn each_refusal_has_its_challenge() {
    let (op, token) = world("openid").await;
    let get = async |headers: &[(&str, &str)]| send(&op, "GET", "/oidcop/userinfo", headers).await;
    let nothing = get(&[]).await;
    assert_eq!(nothing.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(header(&nothing, "www-authenticate"), "Bearer realm=\"https://op.example\"");
    let query = send(&op, "GET", &format!("/oidcop/userinfo?access_token={token}"), &[]).await;
    assert_eq!(query.status(), StatusCode::UNAUTHORIZED);
    let garbage = get(&[("authorization", "Bearer garbage")]).await;
    assert_eq!((garbage.status(), error(&garbage).as_str()), (StatusCode::UNAUTHORIZED, "invalid_token"));
    assert!(header(&garbage, "www-authenticate").contains("error=\"invalid_token\""));
    let bearer = format!("Bearer {token}");
    let twice =
        form(&op, "/oidcop/userinfo", &[("authorization", &bearer)], &[("access_token", &token)]).await;
    assert_eq!((twice.status(), error(&twice).as_str()), (StatusCode::BAD_REQUEST, "invalid_request"));

    let (op, plain) = world("api").await;
    let plain = send(&op, "GET", "/oidcop/userinfo", &[("authorization", &format!("Bearer {plain}"))]).await;
    assert_eq!((plain.status(), error(&plain).as_str()), (StatusCode::FORBIDDEN, "insufficient_scope"));
    let own = body(&ask(&op, "rp", &[("grant_type", "client_credentials")]).await);
    let own = format!("Bearer {}", text(&own, "access_token"));
    let own = send(&op, "GET", "/oidcop/userinfo", &[("authorization", &own)]).await;
    assert_eq!(own.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_disabled_account_shows_nothing_at_the_very_next_request() {
    let (op, token) = world("openid email").await;
    let bearer = format!("Bearer {token}");
    let get = async || send(&op, "GET", "/oidcop/userinfo", &[("authorization", &bearer)]).await;
    assert_eq!(get().await.status(), StatusCode::OK);
    revoke::account(&op, "diana", true).await.unwrap();
    assert_eq!(error(&get().await), "invalid_token");
}
