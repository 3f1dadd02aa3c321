//! The README's walkthrough and the quickstart's promises, line by line.

use crate::harness::party::claims;
use crate::harness::{Party, Person, Server};
use serde_json::Value;

/// What the demo people and clients files ship.
pub const ALICE: (&str, &str) = ("alice", "correct horse battery staple");

pub fn alice(server: &Server) -> Person {
    Person::new(server.client().fresh(), ALICE.0, ALICE.1)
}

#[tokio::test(flavor = "multi_thread")]
async fn walkthrough_from_discovery_to_the_401_after_revocation() {
    let server = Server::quickstart();
    let client = server.client();

    let welcome = client.get(server.url("/")).send().await.expect(200);
    assert!(welcome.text().contains("/api/"), "the welcome page says what to try");
    client.get(server.url("/public/")).send().await.expect(200);

    let metadata =
        client.get(server.url("/.well-known/openid-configuration")).send().await.expect(200).json();
    assert_eq!(metadata["issuer"], server.issuer());
    for (member, path) in [
        ("authorization_endpoint", "/oidcop/authorization"),
        ("token_endpoint", "/oidcop/token"),
        ("userinfo_endpoint", "/oidcop/userinfo"),
        ("introspection_endpoint", "/oidcop/introspection"),
        ("revocation_endpoint", "/oidcop/revocation"),
        ("registration_endpoint", "/oidcop/registration"),
        ("end_session_endpoint", "/oidcop/session"),
        ("jwks_uri", "/oidcop/jwks"),
    ] {
        assert_eq!(metadata[member], server.url(path), "{member}");
    }

    let refused = client.get(server.url("/api/")).send().await.expect(401);
    let challenge = refused.header("www-authenticate").unwrap();
    assert!(challenge.starts_with("Bearer") && !challenge.contains("error="), "{challenge}");

    let party = Party::register(&server).await;
    let mut person = alice(&server);
    let tokens = party.sign_in(&mut person, "openid profile email api").await;
    let id_token = claims(tokens.id.as_deref().unwrap());
    assert_eq!(id_token["iss"], server.issuer());
    assert_eq!(id_token["aud"], Value::from(party.id.as_str()));

    let userinfo = party.userinfo(&tokens.access).await.expect(200).json();
    assert_eq!(userinfo["sub"], id_token["sub"]);
    assert!(userinfo["email_verified"].is_boolean() && userinfo["updated_at"].is_number(), "{userinfo}");

    let who = client.get(server.url("/api/")).bearer(&tokens.access).send().await.expect(200);
    let subject = id_token["sub"].as_str().unwrap();
    assert!(who.text().contains(subject), "whoami shows who called: {}", who.text());
    assert!(!who.text().contains(&tokens.access), "the caller's token is not passed on");

    party.revoke(&tokens.access).await.expect(200);
    let refused = client.get(server.url("/api/")).bearer(&tokens.access).send().await.expect(401);
    let challenge = refused.header("www-authenticate").unwrap();
    assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");
}
