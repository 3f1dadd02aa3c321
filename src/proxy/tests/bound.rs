//! Bound tokens at the edge: only with their proof, once, and for this request. RFC 9449 §7.

use super::*;
use crate::base::encode::base64url;
use crate::jose::prover::Prover;
use std::time::Duration;

/// A house that has been open for a while, and a client with a key.
struct World {
    house: House,
    key: Prover,
    count: std::cell::Cell<u32>,
}

impl World {
    async fn new(more: Value) -> World {
        let house = House::with(more).await;
        house.clock.advance(Duration::from_secs(60));
        World { house, key: Prover::new(), count: Default::default() }
    }

    fn claims(&self, method: &str, path: &str) -> Value {
        self.count.set(self.count.get() + 1);
        let jti = format!("jti-{}", self.count.get());
        let htu = format!("https://{HOST}{path}");
        json!({ "jti": jti, "htm": method, "htu": htu, "iat": self.house.clock.now().0 })
    }

    /// Beside `token` in a GET of `path`.
    fn beside(&self, token: &str, path: &str) -> Value {
        let mut claims = self.claims("GET", path);
        claims["ath"] = base64url(&sha256(token.as_bytes())).into();
        claims
    }

    fn header(&self, claims: &Value) -> String {
        format!("DPoP: {}", self.key.proof(claims))
    }

    async fn token(&self) -> String {
        let proof = self.header(&self.claims("POST", "/oidcop/token"));
        let form = "grant_type=client_credentials&scope=api";
        let answer = self.house.ask("POST /oidcop/token", &[BASIC, FORM, &proof], form).await;
        assert_eq!(answer.json()["token_type"], "DPoP", "{}", answer.text);
        answer.json()["access_token"].as_str().unwrap().to_owned()
    }

    async fn show(&self, target: &str, scheme: &str, token: &str, proofs: &[&str]) -> Answer {
        let credentials = format!("Authorization: {scheme} {token}");
        let mut lines = vec![credentials.as_str()];
        lines.extend(proofs);
        self.house.ask(&format!("GET {target}"), &lines, "").await
    }

    /// A good proof for this call.
    async fn call(&self, target: &str, token: &str) -> Answer {
        let path = target.split('?').next().unwrap();
        let proof = self.header(&self.beside(token, path));
        self.show(target, "DPoP", token, &[&proof]).await
    }
}

fn is_refused(answer: &Answer, error: &str, case: &str) {
    assert_eq!(answer.status, 401, "{case}: {}", answer.text);
    let challenge = answer.header("www-authenticate").unwrap();
    assert!(challenge.starts_with("dpop realm="), "{case}: {challenge}");
    assert!(challenge.contains(&format!("error=\"{error}\"")), "{case}: {challenge}");
    assert!(challenge.contains("algs=\"es256 "), "{case}: {challenge}");
}

#[tokio::test]
async fn a_bound_token_passes_with_its_proof_and_the_upstream_sees_neither() {
    let world = World::new(json!({})).await;
    let token = world.token().await;
    for target in ["/api/x", "/api/x?a=b", "/api", "/bound/x"] {
        let answer = world.call(target, &token).await;
        assert_eq!(answer.status, 200, "{target}: {}", answer.text);
        let seen = answer.text.to_lowercase();
        assert!(seen.contains("x-auth-client: robot"), "{seen}");
        assert!(!seen.contains("dpop") && !seen.contains("authorization"), "{seen}");
    }
    let mut claims = world.beside(&token, "/api/x");
    claims["htu"] = "HTTPS://OP.example:443/api/x?other=query#part".into();
    let answer = world.show("/api/x", "dpop", &token, &[&world.header(&claims)]).await;
    assert_eq!(answer.status, 200);
    assert!(answer.header("dpop-nonce").is_some(), "a nonce is offered");
}

#[tokio::test]
async fn every_other_proof_is_refused() {
    let world = World::new(json!({})).await;
    let (token, other) = (world.token().await, world.token().await);
    let now = world.house.clock.now().0;
    for (name, value) in [
        ("htm", json!("POST")),
        ("htu", json!("https://op.example/api/y")),
        ("htu", json!("https://op.example/api/X")),
        ("htu", json!("https://other.example/api/x")),
        ("htu", json!("https://op.example:8443/api/x")),
        ("htu", json!("http://op.example/api/x")),
        ("ath", json!(base64url(&sha256(other.as_bytes())))),
        ("ath", json!("")),
        ("ath", json!(null)),
        ("iat", json!(now - 61)),
        ("iat", json!(now + 61)),
        ("jti", json!(null)),
    ] {
        let mut claims = world.beside(&token, "/api/x");
        claims[name] = value.clone();
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        }
        let answer = world.show("/api/x", "DPoP", &token, &[&world.header(&claims)]).await;
        is_refused(&answer, "invalid_dpop_proof", &format!("{name}: {value}"));
    }
    let proof = || world.header(&world.beside(&token, "/api/x"));
    let thief = format!("DPoP: {}", Prover::new().proof(&world.beside(&token, "/api/x")));
    for (case, proofs) in [
        ("none", vec![]),
        ("two", vec![proof(), proof()]),
        ("another key", vec![thief]),
        ("nonsense", vec!["DPoP: x.y.z".to_owned()]),
    ] {
        let proofs: Vec<&str> = proofs.iter().map(String::as_str).collect();
        is_refused(&world.show("/api/x", "DPoP", &token, &proofs).await, "invalid_dpop_proof", case);
    }
}

/// RFC 9449 §11.1.
#[tokio::test]
async fn a_proof_opens_a_route_once() {
    let world = World::new(json!({})).await;
    let token = world.token().await;
    let proof = world.header(&world.beside(&token, "/api/x"));
    assert_eq!(world.show("/api/x", "DPoP", &token, &[&proof]).await.status, 200);
    for _ in 0..3 {
        is_refused(&world.show("/api/x", "DPoP", &token, &[&proof]).await, "invalid_dpop_proof", "again");
        world.house.clock.advance(Duration::from_secs(25));
    }
    let lines = world.house.lines().await;
    assert_eq!(lines.last().unwrap()["verdict"], "invalid_dpop_proof");
}

/// RFC 9449 §7.1, §7.2.
#[tokio::test]
async fn neither_kind_of_token_passes_for_the_other() {
    let world = World::new(json!({})).await;
    let token = world.token().await;
    let proof = world.header(&world.beside(&token, "/api"));
    is_refused(&world.show("/api", "Bearer", &token, &[]).await, "invalid_token", "as bearer");
    is_refused(&world.show("/api", "Bearer", &token, &[&proof]).await, "invalid_token", "with its proof");
    let plain = world.house.token("api").await;
    let proof = world.header(&world.beside(&plain, "/api"));
    is_refused(&world.show("/api", "DPoP", &plain, &[&proof]).await, "invalid_token", "unbound");
    is_refused(&world.show("/bound", "Bearer", &plain, &[]).await, "invalid_token", "where it must be bound");
    let bare = world.house.ask("GET /api", &[], "").await;
    let offered: Vec<_> = bare.head.lines().filter(|line| line.starts_with("www-authenticate: ")).collect();
    assert!(offered[0].contains(": bearer realm") && offered[1].contains(": dpop realm"), "{offered:?}");
    assert!(!bare.head.contains("error="), "{}", bare.head);
    let bare = world.house.ask("GET /bound", &[], "").await;
    assert!(!bare.head.contains(": bearer"), "{}", bare.head);
}

#[tokio::test]
async fn a_revoked_token_is_refused_whatever_its_proof() {
    let world = World::new(json!({})).await;
    let token = world.token().await;
    assert_eq!(world.call("/api", &token).await.status, 200);
    world.house.revoke(&token).await;
    is_refused(&world.call("/api", &token).await, "invalid_token", "revoked");
}

/// RFC 9449 §9.
#[tokio::test]
async fn a_route_gives_the_nonce_it_asks_for() {
    let world = World::new(json!({ "dpop": { "nonce": "required" } })).await;
    let ask = async |nonce: Option<&str>| {
        let mut claims = world.claims("POST", "/oidcop/token");
        claims["nonce"] = nonce.unwrap_or("none of yours").into();
        let form = "grant_type=client_credentials&scope=api";
        world.house.ask("POST /oidcop/token", &[BASIC, FORM, &world.header(&claims)], form).await
    };
    let refused = ask(None).await;
    assert_eq!((refused.status, &refused.json()["error"]), (400, &json!("use_dpop_nonce")));
    // Header lines are read in lower case; nonces are not.
    let nonce = world.house.op.dpop_nonce().unwrap();
    assert_eq!(refused.header("dpop-nonce").unwrap(), nonce.to_lowercase());
    let token = ask(Some(&nonce)).await.json()["access_token"].as_str().unwrap().to_owned();
    let refused = world.call("/api", &token).await;
    is_refused(&refused, "use_dpop_nonce", "without a nonce");
    assert_eq!(refused.header("dpop-nonce").unwrap(), nonce.to_lowercase());
    let with = async |nonce: &str| {
        let mut claims = world.beside(&token, "/api");
        claims["nonce"] = nonce.into();
        world.show("/api", "DPoP", &token, &[&world.header(&claims)]).await
    };
    let answer = with(&nonce).await;
    assert_eq!((answer.status, answer.header("dpop-nonce")), (200, None));
    world.house.clock.advance(Duration::from_secs(40));
    let answer = with(&nonce).await;
    let next = world.house.op.dpop_nonce().unwrap().to_lowercase();
    assert_eq!((answer.status, answer.header("dpop-nonce")), (200, Some(next.as_str())));
    world.house.clock.advance(Duration::from_secs(600));
    is_refused(&with(&nonce).await, "use_dpop_nonce", "an old nonce");
}
