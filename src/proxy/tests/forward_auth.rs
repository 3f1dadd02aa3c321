//! Another proxy asks whether a request may pass.

use super::*;
use crate::base::encode::base64url;
use crate::jose::prover::Prover;
use std::time::Duration;

async fn house(trusted: &str) -> House {
    let house = House::open().await;
    let mut written = settings(house.upstream.address);
    written["forward_auth"] = json!([
        { "path": "/auth/nginx", "trusted": [trusted], "original": "nginx" },
        { "path": "/auth/traefik", "trusted": [trusted], "original": "forwarded" },
        { "path": "/auth/envoy", "trusted": [trusted], "original": "envoy" },
    ]);
    written["identity"] = json!({ "headers": { "X-Person": "{username}", "X-Who": "{client}" } });
    written["routes"][2]["identity_token"] = json!({ "audience": "https://app.internal" });
    let settings: Settings = serde_json::from_value(written).unwrap();
    house.edge.make_keys(&settings).await.unwrap();
    house.edge.reload(&settings, Some(house.op.clone())).unwrap();
    house
}

async fn nginx(house: &House, target: &str, lines: &[&str]) -> Answer {
    let url = format!("X-Original-URL: https://{HOST}{target}");
    let mut all = vec!["X-Original-Method: GET", url.as_str()];
    all.extend(lines);
    house.ask("GET /auth/nginx", &all, "").await
}

#[tokio::test]
async fn who_calls_is_said_and_what_is_unknown_is_said_to_be_nothing() {
    let house = house("127.0.0.0/8").await;
    let token = house.token("api").await;
    let credentials = format!("Authorization: Bearer {token}");
    let forged = "X-Person: root";
    let by_traefik = [
        "X-Forwarded-Method: GET",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: op.example",
        "X-Forwarded-Uri: /api/x?y",
        &credentials,
    ];
    for answer in [
        nginx(&house, "/api/x?y", &[&credentials, forged]).await,
        house.ask("GET /auth/traefik", &by_traefik, "").await,
        house.ask("GET /auth/envoy/api/x?y", &[&credentials], "").await,
    ] {
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(answer.header("x-auth-client"), Some("robot"));
        assert_eq!(answer.header("x-who"), Some("robot"));
        assert_eq!(answer.header("x-auth-scope"), Some("api"));
        assert!(answer.header("x-auth-token").unwrap().split('.').count() == 3, "{}", answer.head);
        for nothing in ["x-auth-subject", "x-auth-username", "x-person"] {
            assert!(answer.head.contains(&format!("\r\n{nothing}: \r\n")), "{nothing}: {}", answer.head);
        }
        assert_eq!(answer.text, "");
    }
    house.revoke(&token).await;
    let ended = nginx(&house, "/api/x", &[&credentials]).await;
    assert_eq!(ended.status, 401);
    assert!(ended.header("www-authenticate").unwrap().contains("invalid_token"));
    let line = house.lines().await.pop().unwrap();
    assert_eq!(
        (&line["route"], &line["path"], &line["host"]),
        (&json!("/api"), &json!("/api/x"), &json!(HOST))
    );
}

#[tokio::test]
async fn it_is_judged_as_the_edge_itself_would() {
    let house = house("127.0.0.0/8").await;
    let credentials = format!("Authorization: Bearer {}", house.token("api").await);
    for (target, status) in [
        ("/public/x", 200),
        ("/", 200),
        ("/api", 200),
        ("/write", 403),
        ("/denied", 403),
        ("/other", 401),
        ("/bound", 401),
        // Paths that two servers could read differently, and those the edge answers itself.
        ("/public/../api", 403),
        ("//api", 403),
        ("/API", 403),
        ("/%61pi", 403),
        ("/api;x", 403),
        ("/oidcop/token", 403),
        ("/auth/nginx", 403),
        ("/.well-known/oidcop-edge-jwks.json", 403),
        ("/api?access_token=x", 403),
    ] {
        let answer = nginx(&house, target, &[&credentials]).await;
        assert_eq!(answer.status, status, "{target}: {}", answer.text);
    }
    assert_eq!(nginx(&house, "/api", &[]).await.status, 401);
    let elsewhere = ["X-Original-Method: GET", "X-Original-URL: https://evil.example/public"];
    assert_eq!(house.ask("GET /auth/nginx", &elsewhere, "").await.status, 403);
    assert_eq!(house.ask("GET /auth/nginx", &[&credentials], "").await.status, 403, "nothing was asked");
    let two = "X-Original-URI: /public";
    assert_eq!(nginx(&house, "/api", &[&credentials, two]).await.status, 403, "two answers to one question");
    // A preflight's answer of ours would open the way for whatever follows.
    let preflight = [
        "X-Original-Method: OPTIONS",
        "X-Original-URL: https://op.example/api",
        "Origin: https://app.example",
        "Access-Control-Request-Method: PUT",
    ];
    assert_eq!(house.ask("GET /auth/nginx", &preflight, "").await.status, 401);
    for status in [200, 200, 403] {
        assert_eq!(nginx(&house, "/rated", &[]).await.status, status);
    }
}

#[tokio::test]
async fn strangers_are_not_heard() {
    let house = house("10.0.0.0/8").await;
    for lines in [vec![], vec!["X-Forwarded-For: 10.0.0.1"]] {
        let answer = nginx(&house, "/public", &lines).await;
        assert_eq!((answer.status, answer.json()["error"].as_str()), (403, Some("forbidden")));
    }
}

#[tokio::test]
async fn a_proof_counts_for_the_original_request_and_once() {
    let house = house("127.0.0.0/8").await;
    house.clock.advance(Duration::from_secs(60));
    let key = Prover::new();
    let proof = |jti: &str, method: &str, url: &str, token: Option<&str>| {
        let mut claims = json!({ "jti": jti, "htm": method, "htu": url, "iat": house.clock.now().0 });
        if let Some(token) = token {
            claims["ath"] = base64url(&sha256(token.as_bytes())).into();
        }
        format!("DPoP: {}", key.proof(&claims))
    };
    let first = proof("1", "POST", "https://op.example/oidcop/token", None);
    let form = "grant_type=client_credentials&scope=api";
    let answer = house.ask("POST /oidcop/token", &[BASIC, FORM, &first], form).await;
    let token = answer.json()["access_token"].as_str().unwrap().to_owned();
    let credentials = format!("Authorization: DPoP {token}");
    let good = proof("2", "GET", "https://op.example/api/x", Some(&token));
    assert_eq!(nginx(&house, "/api/x?y", &[&credentials, &good]).await.status, 200);
    assert_eq!(nginx(&house, "/api/x?y", &[&credentials, &good]).await.status, 401, "it was used");
    let other = proof("3", "GET", "https://op.example/auth/nginx", Some(&token));
    assert_eq!(nginx(&house, "/api/x", &[&credentials, &other]).await.status, 401);
    assert_eq!(nginx(&house, "/api/x", &[&credentials]).await.status, 401);
}
