//! The README's walkthrough and the quickstart's promises, line by line.

use crate::harness::party::{claims, parameter};
use crate::harness::server::project;
use crate::harness::{Party, Person, Server};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};

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

/// The shell blocks of the README's "Try it", in order, at this server's port.
fn readme_script(server: &Server) -> String {
    let readme = std::fs::read_to_string(project().join("README.md")).unwrap();
    let (_, section) = readme.split_once("\n## Try it\n").expect("a section that says what to try");
    let section = section.split("\n## ").next().unwrap();
    let blocks = section.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap());
    let script: String = blocks.collect();
    assert!(script.contains("/oidcop/revocation"), "{script}");
    script.replace("https://127.0.0.1:8000", &server.issuer())
}

/// What a newcomer types, line by line: the README is the script, a person at the pages answers its one question.
#[tokio::test(flavor = "multi_thread")]
async fn walkthrough_of_the_readme_works_as_it_is_written() {
    let server = Server::quickstart();
    let mut shell = Command::new("bash");
    shell.arg("-euc").arg(readme_script(&server)).current_dir(server.house.path("."));
    shell.env_remove("SSL_CERT_FILE").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = shell.spawn().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut before = String::new();
    while !before.lines().last().is_some_and(|line| line.contains("/oidcop/authorization?")) {
        assert!(output.read_line(&mut before).unwrap() > 0, "no address to open:\n{before}");
    }
    assert!(before.contains("HTTP/2 401") || before.contains("HTTP/1.1 401"), "{before}");
    let address = &before[before.rfind(&server.url("/oidcop/authorization?")).unwrap()..];
    let answer = alice(&server).authorize(address.trim()).await;
    let code = parameter(&answer, "code").unwrap();
    writeln!(child.stdin.take().unwrap(), "{code}").unwrap();

    let mut after = String::new();
    output.read_to_string(&mut after).unwrap();
    let ended = child.wait_with_output().unwrap();
    assert!(ended.status.success(), "{after}\n{}", String::from_utf8_lossy(&ended.stderr));
    assert!(after.contains("\"access_token\"") && after.contains("\"upstream\": \"whoami\""), "{after}");
    let last = after.rfind("401").unwrap_or_else(|| panic!("no refusal at the end:\n{after}"));
    assert!(
        last > after.find("whoami").unwrap() && after[last..].contains("error=\"invalid_token\""),
        "{after}"
    );
}
