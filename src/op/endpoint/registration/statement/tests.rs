//! Software statements, and secrets that expire.

use crate::jose::{Algorithm, SigningKey};
use crate::op::Op;
use crate::op::fixture::{body, op_with, post_json};
use crate::op::token::fixture::advance;
use serde_json::{Value, json};

const PATH: &str = "/oidcop/registration";

async fn world(more: Value) -> (Op, SigningKey) {
    let key = SigningKey::generate(Algorithm::ES256).unwrap();
    let jwks = json!({ "keys": [key.public().to_json()] });
    let mut trusted = json!({ "issuers": [{ "issuer": "https://store.example", "jwks": jwks }] });
    trusted.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    (op_with(&json!({ "software_statements": trusted }).to_string()).await, key)
}

fn statement(op: &Op, key: &SigningKey, claims: Value) -> String {
    let mut all = json!({ "iss": "https://store.example", "exp": op.now().0 + 60, "software_id": "4NRB1" });
    all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
    key.sign("JWT", all.to_string().as_bytes()).unwrap()
}

async fn register(op: &Op, statement: Value, more: Value) -> (u16, Value) {
    let mut sent = json!({ "redirect_uris": ["https://rp.example/cb"], "client_name": "Mine", "software_statement": statement });
    sent.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let answer = post_json(op, "POST", PATH, &[], &sent).await;
    (answer.status().as_u16(), body(&answer))
}

/// RFC 7591 §2.3, §3.1.1, §3.2.1.
#[tokio::test]
async fn what_a_statement_says_goes_before_what_the_client_says() {
    let (op, key) = world(json!({})).await;
    let claims =
        json!({ "client_name": "Theirs", "scope": "openid", "client_id": "mine", "sub": "x", "nonsense": 1 });
    let signed = statement(&op, &key, claims);
    let (status, kept) = register(&op, json!(signed), json!({ "scope": "openid api" })).await;
    assert_eq!(
        (status, &kept["client_name"], &kept["scope"]),
        (201, &json!("Theirs"), &json!("openid")),
        "{kept}"
    );
    assert_eq!((&kept["software_statement"], &kept["software_id"]), (&json!(signed), &json!("4NRB1")));
    assert_ne!(kept["client_id"], "mine");
    // RFC 7592 §2.2: an update brings it again, and it counts again, even if it has expired since.
    advance(&op, 600);
    let path = format!("{PATH}/{}", kept["client_id"].as_str().unwrap());
    let token = format!("Bearer {}", kept["registration_access_token"].as_str().unwrap());
    let new = json!({ "client_id": kept["client_id"], "redirect_uris": ["https://rp.example/cb"],
                      "client_name": "Mine", "software_statement": signed });
    let updated = post_json(&op, "PUT", &path, &[("authorization", &token)], &new).await;
    assert_eq!((updated.status().as_u16(), &body(&updated)["client_name"]), (200, &json!("Theirs")));
    let other = statement(&op, &key, json!({ "exp": op.now().0 - 60 }));
    let mut late = new.clone();
    late["software_statement"] = json!(other);
    let refused = post_json(&op, "PUT", &path, &[("authorization", &token)], &late).await;
    assert_eq!(body(&refused)["error"], "invalid_software_statement");
}

/// RFC 7591 §2.2, §2.3.
#[tokio::test]
async fn a_client_says_nothing_else_in_other_words() {
    let (op, key) = world(json!({})).await;
    let claims =
        json!({ "client_name": "Theirs", "client_name#fr": "Le leur", "post_logout_redirect_uris": [] });
    let signed = statement(&op, &key, claims);
    let mine = json!({ "client_name#de": "Die Bank", "client_name#fr": "La banque", "client_uri#de": "https://rp.example/de",
                       "post_logout_redirect_uri": "https://evil.example/" });
    let (status, kept) = register(&op, json!(signed), mine).await;
    assert_eq!((status, &kept["client_name"], kept.get("client_name#de")), (201, &json!("Theirs"), None));
    assert_eq!(kept["client_name#fr"], "Le leur");
    assert_eq!(kept["client_uri#de"], "https://rp.example/de");
    assert!(!kept.to_string().contains("evil.example"), "{kept}");
}

/// RFC 7591 §3.2.2.
#[tokio::test]
async fn a_statement_that_is_not_good_is_refused() {
    let (op, key) = world(json!({ "required": true })).await;
    let foreign = SigningKey::generate(Algorithm::ES256).unwrap();
    for (sent, code) in [
        (json!(null), "invalid_software_statement"),
        (json!(7), "invalid_software_statement"),
        (json!("a.b.c"), "invalid_software_statement"),
        (json!(statement(&op, &foreign, json!({}))), "invalid_software_statement"),
        (json!(statement(&op, &key, json!({ "exp": op.now().0 - 60 }))), "invalid_software_statement"),
        (
            json!(statement(&op, &key, json!({ "iss": "https://other.example" }))),
            "unapproved_software_statement",
        ),
        (json!(statement(&op, &key, json!({ "iss": null }))), "invalid_software_statement"),
    ] {
        let (status, said) = register(&op, sent.clone(), json!({})).await;
        assert_eq!((status, &said["error"]), (400, &json!(code)), "{sent}");
    }
    // What it says is checked like anything else.
    let unsafe_uri = statement(&op, &key, json!({ "redirect_uris": ["javascript:alert(1)"] }));
    assert_eq!(register(&op, json!(unsafe_uri), json!({})).await.1["error"], "invalid_redirect_uri");
    assert_eq!(register(&op, json!(statement(&op, &key, json!({}))), json!({})).await.0, 201);
}

/// RFC 7591 §3.1.1: who does not know statements ignores them.
#[tokio::test]
async fn without_issuers_a_statement_is_ignored() {
    let op = crate::op::fixture::op().await;
    let (status, kept) = register(&op, json!("whatever"), json!({})).await;
    assert_eq!((status, kept.get("software_statement")), (201, None));
    assert_eq!(kept["client_name"], "Mine");
}

/// RFC 7591 §3.2.1, RFC 7592 §2.2.
#[tokio::test]
async fn a_secret_that_expires_is_renewed_with_an_update() {
    let op = op_with("lifetimes: { client_secret: 1h }").await;
    let (_, kept) =
        register(&op, json!(null), json!({ "token_endpoint_auth_method": "client_secret_post" })).await;
    let (id, secret) = (kept["client_id"].as_str().unwrap(), kept["client_secret"].as_str().unwrap());
    assert_eq!(kept["client_secret_expires_at"], op.now().0 + 3_600);
    advance(&op, 3_000);
    let path = format!("{PATH}/{id}");
    let token = format!("Bearer {}", kept["registration_access_token"].as_str().unwrap());
    let new = json!({ "client_id": id, "client_secret": secret, "redirect_uris": ["https://rp.example/cb"],
                      "token_endpoint_auth_method": "client_secret_post" });
    let updated = body(&post_json(&op, "PUT", &path, &[("authorization", &token)], &new).await);
    assert_eq!(updated["client_secret_expires_at"], op.now().0 + 3_600);
    let renewed = updated["client_secret"].as_str().unwrap();
    let try_with = |secret: String| {
        let op = op.clone();
        async move {
            let pairs = [("client_id", id), ("client_secret", secret.as_str()), ("token", "x")];
            crate::op::fixture::form(&op, "/oidcop/introspection", &[], &pairs).await.status().as_u16()
        }
    };
    assert_eq!((try_with(secret.to_owned()).await, try_with(renewed.to_owned()).await), (401, 200));
    advance(&op, 3_600);
    assert_eq!(try_with(renewed.to_owned()).await, 401);
}
