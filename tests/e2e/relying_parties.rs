//! Relying parties that nobody here wrote, Chromium at the pages: discovery, dynamic registration, code with PKCE, userinfo,
//! refresh, introspection, revocation, RP-initiated logout.

use crate::harness::Server;
use crate::harness::foreign::{Chromium, Script};
use crate::harness::landing::Landing;
use crate::walkthrough::ALICE;
use serde_json::{Value, json};
use tempfile::TempDir;

/// What a script is told; it lives at the landing.
fn told(server: &Server, landing: &Landing) -> Value {
    json!({"issuer": server.issuer(), "base_url": landing.url(), "ca": server.ca_file()})
}

/// Sends the browser where the script wants it, until the script is done; then judges what it found.
async fn through_the_whole_flow(server: &Server, landing: &Landing, script: &mut Script) -> Value {
    let mut browser = Chromium::start(server, landing).await;
    let found = loop {
        let said = script.hear();
        if !said["done"].is_null() {
            break said["done"].clone();
        }
        let sight = browser.travel(said["visit"].as_str().unwrap(), ALICE);
        assert!(sight.has("landed"), "the browser did not come back: {sight:?}");
        assert!(sight.complaints.is_empty(), "{:?}", sight.complaints);
        script.tell(&json!({"arrived": sight.url}));
    };
    judge(server, &found).await;
    found
}

async fn judge(server: &Server, found: &Value) {
    assert_eq!(found["id_token"]["iss"], server.issuer());
    assert_eq!(found["userinfo"]["sub"], found["id_token"]["sub"]);
    assert!(found["userinfo"]["email"].is_string(), "{found}");
    assert_eq!(found["introspected"]["active"], true, "{found}");
    assert_eq!(found["introspected"]["client_id"], found["client_id"]);
    assert_eq!(found["after"], json!({"active": false}));
    assert_ne!(found["first"], found["second"]);
    // The one that was revoked, and one that the logout ended.
    for token in ["first", "second"] {
        let call = server.client().get(server.url("/api/")).bearer(found[token].as_str().unwrap());
        call.send().await.expect(401);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn relying_party_idpyoidc_completes() {
    let (server, landing) = (Server::quickstart(), Landing::start().await);
    let home = TempDir::new().unwrap();
    let mut script = Script::python("idpyoidc", "idpyoidc_rp.py", &told(&server, &landing), home.path());
    through_the_whole_flow(&server, &landing, &mut script).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn relying_party_oidcrp_completes() {
    let (server, landing) = (Server::quickstart(), Landing::start().await);
    let home = TempDir::new().unwrap();
    let mut script = Script::python("oidcrp", "oidcrp_rp.py", &told(&server, &landing), home.path());
    let found = through_the_whole_flow(&server, &landing, &mut script).await;
    assert!(found["userinfo"]["address"].is_object(), "{found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn relying_party_openid_client_completes() {
    let (server, landing) = (Server::quickstart(), Landing::start().await);
    let mut script = Script::node("openid_client_rp.mjs", &told(&server, &landing));
    through_the_whole_flow(&server, &landing, &mut script).await;
}
