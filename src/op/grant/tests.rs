//! The token endpoint and its grants, through `Op::handle`.

use super::*;
use crate::op::fixture::{body, form, op};
use crate::op::record::client::Metadata;
use crate::store::record::put;
use crate::store::{Durability, Expect};

#[tokio::test]
async fn a_client_gets_a_token_for_itself() {
    let op = op().await;
    let client = Client {
        client_id: "machine".into(),
        secret_digest: Some(crate::base::encode::base64url(&crate::base::secret::sha256(b"s3cret"))),
        metadata: Metadata {
            grant_types: vec!["client_credentials".into()],
            token_endpoint_auth_method: "client_secret_post".into(),
            ..Metadata::default()
        },
        ..Client::default()
    };
    let now = op.now();
    op.store().commit(vec![put(&client, Expect::Absent).unwrap()], Durability::Durable, now).await.unwrap();
    let pairs = [
        ("grant_type", "client_credentials"),
        ("client_id", "machine"),
        ("client_secret", "s3cret"),
        ("scope", "api openid"),
    ];
    let response = form(&op, "/oidcop/token", &[], &pairs).await;
    let answer = body(&response);
    assert_eq!(answer["token_type"], "Bearer", "{answer}");
    assert_eq!(answer["scope"], "api");
    let token = answer["access_token"].as_str().unwrap();
    let seen = op.seen(crate::op::Presented { token });
    assert!(matches!(seen, Some(crate::op::Verdict::Active(_))));
}
