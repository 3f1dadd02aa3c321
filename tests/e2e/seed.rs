//! The two scripts of oidc-op's documentation, which people coming from there have: the same requests, byte for byte but for
//! address, identifiers and tokens.

use crate::harness::foreign::Script;
use crate::harness::party::claims;
use crate::harness::{Party, Server};
use crate::walkthrough::alice;
use serde_json::json;
use tempfile::TempDir;

const SCOPE: &str = "openid profile email address phone offline_access";

#[tokio::test(flavor = "multi_thread")]
async fn seed_script_refreshes_with_credentials_in_the_body() {
    let server = Server::quickstart();
    let party = Party::register_with(
        &server,
        json!({"token_endpoint_auth_method": "client_secret_post", "scope": SCOPE}),
    )
    .await;
    let asked = party.ask(SCOPE, &[("prompt", "consent")]);
    let answer = alice(&server).authorize(&asked.url).await;
    let code = party.code(&asked, &answer);
    let mut fields = party.redemption(&asked, &code);
    fields.extend([("client_id", party.id.as_str()), ("client_secret", party.secret.as_str())]);
    let tokens =
        party.client.post(party.endpoint("token_endpoint")).form(&fields).send().await.expect(200).json();

    let home = TempDir::new().unwrap();
    let told = json!({
        "token_endpoint": server.url("/oidcop/token"),
        "client_id": party.id,
        "client_secret": party.secret,
        "refresh_token": tokens["refresh_token"],
    });
    let said = Script::python("idpyoidc", "seed_refresh.py", &told, home.path()).hear();
    assert_eq!(said["status"], 200, "{said}");
    let body = &said["body"];
    assert_eq!(body["token_type"], "Bearer");
    assert!(body["refresh_token"].is_string() && body["access_token"].is_string(), "{body}");
    let granted: Vec<_> = body["scope"].as_str().unwrap().split(' ').collect();
    assert!(SCOPE.split(' ').all(|word| granted.contains(&word)), "{body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn seed_script_introspects_with_basic_outside_the_mount() {
    let server = Server::quickstart();
    let party = Party::register(&server).await;
    let tokens = party.sign_in(&mut alice(&server), "openid profile email address phone").await;
    let home = TempDir::new().unwrap();
    let told = json!({
        "introspection_endpoint": server.url("/introspection"),
        "client_id": party.id,
        "client_secret": party.secret,
        "token": tokens.access,
    });
    let said = Script::python("idpyoidc", "seed_introspection.py", &told, home.path()).hear();
    assert_eq!(said["status"], 200, "{said}");
    let body = &said["body"];
    assert_eq!(body["active"], true, "{body}");
    assert_eq!(body["client_id"], party.id, "{body}");
    assert_eq!(body["iss"], server.issuer());
    assert_eq!(body["sub"], claims(tokens.id.as_deref().unwrap())["sub"]);
    assert!(body["exp"].as_u64() > body["iat"].as_u64(), "{body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn seed_rule_offline_access_without_consent_is_an_error_at_the_client() {
    let server = Server::quickstart();
    let party = Party::register(&server).await;
    let asked = party.ask("openid offline_access", &[]);
    let answer = alice(&server).visit(&asked.url).await.elsewhere();
    assert!(answer.as_str().starts_with(&party.redirect_uri), "{answer}");
    assert!(answer.query().unwrap().contains("error=invalid_request"), "{answer}");
}
