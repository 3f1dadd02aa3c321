//! A hundred at once: single-use things are used once, and honest clients that race with themselves lose nothing.

use crate::harness::server::long;
use crate::harness::{Answer, Party, Server, Tokens};
use crate::walkthrough::alice;
use serde_json::json;
use std::collections::BTreeSet;

const AT_ONCE: usize = 100;

fn rounds() -> usize {
    if long() { 10 } else { 1 }
}

/// The same token request from a hundred connections, all open before the first is sent.
async fn at_once(party: &Party, fields: &[(&str, &str)]) -> Vec<Answer> {
    let mut clients = Vec::new();
    for _ in 0..AT_ONCE {
        let client = party.client.fresh();
        client.get(party.endpoint("jwks_uri")).send().await.expect(200);
        clients.push(client);
    }
    let gate = std::sync::Arc::new(tokio::sync::Barrier::new(AT_ONCE));
    let fields: Vec<(String, String)> =
        fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let calls = clients.into_iter().map(|client| {
        let (party, gate, fields) = (party.clone(), gate.clone(), fields.clone());
        tokio::spawn(async move {
            let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            gate.wait().await;
            party.token_over(&client, &fields).await.unwrap()
        })
    });
    let mut answers = Vec::new();
    for call in calls.collect::<Vec<_>>() {
        answers.push(call.await.unwrap());
    }
    answers
}

#[tokio::test(flavor = "multi_thread")]
async fn race_of_a_hundred_refreshes_leaves_one_lineage() {
    let server = Server::quickstart();
    let party = Party::register(&server).await;
    let mut person = alice(&server);
    let mut current = party.sign_in(&mut person, "openid api offline_access").await;
    for _ in 0..rounds() {
        let presented = current.refresh_token().to_owned();
        let answers =
            at_once(&party, &[("grant_type", "refresh_token"), ("refresh_token", &presented)]).await;
        let tokens: Vec<_> = answers.iter().map(|answer| Tokens::of(&answer.clone().expect(200))).collect();
        let successors: BTreeSet<_> = tokens.iter().map(|tokens| tokens.refresh_token().to_owned()).collect();
        assert_eq!(successors.len(), 1, "one lineage");
        assert!(!successors.contains(&presented), "the token rotates");
        // Nobody was logged out: every answer's access token works, and so does the successor.
        for each in &tokens {
            server.client().get(server.url("/api/")).bearer(&each.access).send().await.expect(200);
        }
        current = Tokens::of(&party.refresh(successors.first().unwrap()).await.expect(200));
    }
    // The successor has been used: the old one is theft now, whatever the grace, and takes the family along.
    let old = party.sign_in(&mut person, "openid api offline_access").await;
    let next = Tokens::of(&party.refresh(old.refresh_token()).await.expect(200));
    let last = Tokens::of(&party.refresh(next.refresh_token()).await.expect(200));
    party.refresh(old.refresh_token()).await.expect_error(400, "invalid_grant");
    party.refresh(last.refresh_token()).await.expect_error(400, "invalid_grant");
    server.client().get(server.url("/api/")).bearer(&last.access).send().await.expect(401);
}

#[tokio::test(flavor = "multi_thread")]
async fn race_of_a_hundred_redemptions_gives_one_token_and_then_a_dead_family() {
    let server = Server::quickstart();
    let party = Party::register(&server).await;
    let mut person = alice(&server);
    for _ in 0..rounds() {
        let asked = party.ask("openid api offline_access", &[("prompt", "consent")]);
        let answer = person.authorize(&asked.url).await;
        let code = party.code(&asked, &answer);
        let answers = at_once(&party, &party.redemption(&asked, &code)).await;
        let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 200);
        assert_eq!(won.len(), 1, "redemptions of one code");
        for answer in lost {
            answer.expect_error(400, "invalid_grant");
        }
        for answer in won {
            let tokens = Tokens::of(&answer);
            server.client().get(server.url("/api/")).bearer(&tokens.access).send().await.expect(401);
            assert_eq!(party.introspect(&tokens.access).await, json!({"active": false}));
            party.refresh(tokens.refresh_token()).await.expect_error(400, "invalid_grant");
        }
    }
}
