//! Commands against a provider in memory: what they answer, and that they take effect in the call.

use super::{Command, Refused};
use crate::op::fixture::{body, form, op, op_with};
use crate::op::{Op, Presented, Verdict};
use serde_json::{Map, Value, json};

async fn done(op: &Op, command: Value) -> Value {
    op.administer(serde_json::from_value(command).unwrap()).await.unwrap_or_else(|says| panic!("{says}"))
}

async fn refused(op: &Op, command: Value) -> String {
    op.administer(serde_json::from_value(command).unwrap()).await.unwrap_err().0
}

fn machine() -> Value {
    json!({ "grant_types": ["client_credentials"], "client_name": "A machine" })
}

/// A token the client got for itself, by its secret.
async fn token(op: &Op, id: &str, secret: &str) -> Result<String, u16> {
    let pairs = [("grant_type", "client_credentials"), ("scope", "api")];
    let basic = format!("Basic {}", crate::base::encode::base64(format!("{id}:{secret}").as_bytes()));
    let response = form(op, "/oidcop/token", &[("authorization", &basic)], &pairs).await;
    match response.status().as_u16() {
        200 => Ok(body(&response)["access_token"].as_str().unwrap().to_owned()),
        status => Err(status),
    }
}

fn active(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Active(_))
}

#[tokio::test]
async fn a_removed_client_and_its_tokens_are_gone_at_once() {
    let op = op().await;
    let made = done(&op, json!({ "command": "client-add", "metadata": machine() })).await;
    let (id, secret) = (made["client_id"].as_str().unwrap(), made["client_secret"].as_str().unwrap());
    let token = token(&op, id, secret).await.unwrap();
    let presented = Presented { token: &token };
    assert!(active(&op.seen(presented).unwrap()));
    let listed = done(&op, json!({ "command": "client-list" })).await;
    assert_eq!(listed[0]["client_id"], id);

    done(&op, json!({ "command": "client-remove", "client_id": id })).await;
    assert!(!active(&op.introspect(presented).await.unwrap()));
    assert_eq!(self::token(&op, id, secret).await, Err(401));
    assert!(refused(&op, json!({ "command": "client-show", "client_id": id })).await.contains("no client"));
}

#[tokio::test]
async fn a_rotated_secret_replaces_the_old_one() {
    let op = op().await;
    let made = done(&op, json!({ "command": "client-add", "metadata": machine() })).await;
    let (id, old) = (made["client_id"].as_str().unwrap(), made["client_secret"].as_str().unwrap());
    let rotated = done(&op, json!({ "command": "client-rotate-secret", "client_id": id })).await;
    assert_eq!(token(&op, id, old).await, Err(401));
    assert!(token(&op, id, rotated["client_secret"].as_str().unwrap()).await.is_ok());
}

#[tokio::test]
async fn a_clients_members_must_be_known_to_the_command_line() {
    let op = op().await;
    let mut metadata = machine();
    metadata["redirect_uri"] = json!("https://rp.example/");
    let says = refused(&op, json!({ "command": "client-add", "metadata": metadata })).await;
    assert_eq!(says, "redirect_uri is not a member this provider knows");
}

#[tokio::test]
async fn a_revoked_key_takes_its_tokens_along() {
    let op = op().await;
    let made = done(&op, json!({ "command": "client-add", "metadata": machine() })).await;
    let (id, secret) = (made["client_id"].as_str().unwrap(), made["client_secret"].as_str().unwrap());
    let before = token(&op, id, secret).await.unwrap();
    let keys = done(&op, json!({ "command": "key-list" })).await;
    let current = |keys: &Value, alg: &str| {
        let mut rows = keys.as_array().unwrap().iter();
        let row = rows.find(|row| row["alg"] == alg && row["state"] == "current").unwrap();
        row["kid"].as_str().unwrap().to_owned()
    };
    let kid = current(&keys, "ES256");
    let keys = done(&op, json!({ "command": "key-revoke", "kid": kid })).await;
    assert_ne!(current(&keys, "ES256"), kid);
    assert!(!active(&op.introspect(Presented { token: &before }).await.unwrap()));
    assert!(token(&op, id, secret).await.is_ok());
    assert!(refused(&op, json!({ "command": "key-revoke", "kid": kid })).await.contains("no key"));
    assert!(refused(&op, json!({ "command": "key-rotate", "alg": "HS256" })).await.contains("no algorithm"));
}

#[tokio::test]
async fn people_are_added_listed_disabled_and_enabled() {
    let op = op().await;
    let add = |name: &str| json!({ "command": "user-add", "username": name, "password": "plain text", "claims": { "name": "Z" } });
    assert_eq!(done(&op, add("Zoe")).await, json!({ "username": "zoe" }));
    assert!(refused(&op, add("ZOE")).await.contains("already"));
    for bad in ["", "a b", "client:x", &"x".repeat(300)] {
        assert!(refused(&op, add(bad)).await.contains("user name"), "{bad}");
    }
    done(&op, json!({ "command": "user-disable", "username": "zoe" })).await;
    let listed = done(&op, json!({ "command": "user-list" })).await;
    assert_eq!((&listed[0]["username"], &listed[0]["disabled"]), (&json!("zoe"), &json!(true)));
    done(&op, json!({ "command": "user-enable", "username": "zoe" })).await;
    let listed = done(&op, json!({ "command": "user-list" })).await;
    assert_eq!(listed[0]["disabled"], json!(false));
    assert!(
        refused(&op, json!({ "command": "user-passwd", "username": "nobody", "password": "plain text" }))
            .await
            .contains("no user")
    );
}

#[tokio::test]
async fn ending_a_session_names_one_or_a_person() {
    let op = op_with("{}").await;
    for command in [
        json!({ "command": "session-end" }),
        json!({ "command": "session-end", "sid": "a", "username": "b" }),
    ] {
        assert_eq!(refused(&op, command).await, "name either a session or a user");
    }
    assert_eq!(
        refused(&op, json!({ "command": "session-end", "sid": "a" })).await,
        "there is no such session"
    );
    assert_eq!(done(&op, json!({ "command": "session-list" })).await, json!([]));
}

#[test]
fn a_command_shows_no_password() {
    let command = Command::UserAdd { username: "zoe".into(), password: "secret".into(), claims: Map::new() };
    assert_eq!(format!("{command:?}"), "user add zoe");
    assert_eq!(Refused("x".into()).to_string(), "x");
}
