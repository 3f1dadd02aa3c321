//! Tokens at the edge: the answers table, who is told to the upstream, and what a revocation ends.

use super::*;
use std::sync::atomic::Ordering;

#[tokio::test]
async fn each_case_has_its_status_and_challenge() {
    let house = House::open().await;
    let good = house.token("api").await;
    let bearer = format!("Authorization: Bearer {good}");
    let forged = format!("{bearer}x");
    let (empty, realm) = ("", "www-authenticate: bearer realm=\"https://op.example\"");
    for (target, lines, status, error) in [
        ("/api", vec![], 401, empty),
        ("/api", vec![BASIC], 401, empty),
        ("/api", vec!["Authorization: Bearer nonsense"], 401, "invalid_token"),
        ("/api", vec![forged.as_str()], 401, "invalid_token"),
        ("/api", vec![&bearer, &bearer], 400, "invalid_request"),
        ("/api?access_token=x", vec![&bearer], 400, "invalid_request"),
        ("/write", vec![&bearer], 403, "insufficient_scope"),
        ("/other", vec![&bearer], 401, "invalid_token"),
        ("/api", vec!["Upgrade: websocket", "Connection: Upgrade, close"], 401, empty),
    ] {
        let answer = house.ask(&format!("GET {target}"), &lines, "").await;
        assert_eq!(answer.status, status, "{target} {lines:?}: {}", answer.text);
        assert!(answer.head.contains(realm), "{}", answer.head);
        let told = answer.head.contains("error=\"");
        assert_eq!(told, !error.is_empty(), "{}", answer.head);
        assert!(answer.head.contains(error), "{}", answer.head);
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
    let lower = format!("authorization: bEARER {good}");
    assert_eq!(house.ask("GET /api/x", &[&lower], "").await.status, 200);
}

#[tokio::test]
async fn the_upstream_learns_who_calls_and_not_how() {
    let house = House::open().await;
    let bearer = format!("Authorization: Bearer {}", house.token("api").await);
    let lines = [bearer.as_str(), "X-Auth-Client: root", "Connection: close, X-Auth-Client, X-Forwarded-For"];
    let answer = house.ask("GET /api/x", &lines, "").await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let seen = answer.text.to_lowercase();
    assert!(seen.contains("x-auth-client: robot\r\n") && seen.contains("x-auth-scope: api\r\n"), "{seen}");
    // The robot acts for itself: it is nobody's user.
    assert!(!seen.contains("x-auth-subject") && !seen.contains("root") && !seen.contains("bearer"), "{seen}");
    let lines = house.lines().await;
    let line = lines.last().unwrap();
    assert_eq!((&line["client_id"], &line["route"]), (&json!("robot"), &json!("/api")));
    assert!(line["subject"].as_str().is_some_and(|hash| hash.len() == 16), "{line}");
}

#[tokio::test]
async fn what_was_revoked_is_refused_by_the_next_call() {
    let house = House::open().await;
    let token = house.token("api").await;
    let bearer = format!("Authorization: Bearer {token}");
    for _ in 0..3 {
        assert_eq!(house.ask("GET /api", &[&bearer], "").await.status, 200);
    }
    house.revoke(&token).await;
    let answer = house.ask("GET /api", &[&bearer], "").await;
    assert_eq!(answer.status, 401);
    assert!(answer.head.contains("error=\"invalid_token\""));
}

/// A WebSocket on `/api/ws`, opened and tried.
async fn websocket(house: &House, token: &str) -> TlsStream<TcpStream> {
    let mut tls = house.connect().await;
    let request = format!(
        "GET /api/ws HTTP/1.1\r\nHost: op.example\r\nAuthorization: Bearer {token}\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    tls.write_all(request.as_bytes()).await.unwrap();
    let answer = Answer::read(&mut tls).await;
    assert_eq!(answer.status, 101, "{}", answer.text);
    tls.write_all(b"ping").await.unwrap();
    let mut echo = [0; 4];
    tls.read_exact(&mut echo).await.unwrap();
    assert_eq!(&echo, b"ping");
    tls
}

async fn has_ended(tls: &mut TlsStream<TcpStream>) -> bool {
    let mut rest = Vec::new();
    while tls.read_buf(&mut rest).await.is_ok_and(|count| count > 0) {}
    rest.is_empty()
}

#[tokio::test]
async fn a_websocket_ends_with_its_token() {
    let house = House::open().await;
    for _ in 0..20 {
        let token = house.token("api").await;
        let mut tls = websocket(&house, &token).await;
        let ended = house.upstream.ended.load(Ordering::SeqCst);
        house.revoke(&token).await;
        assert!(has_ended(&mut tls).await);
        while house.upstream.ended.load(Ordering::SeqCst) == ended {
            tokio::task::yield_now().await;
        }
    }
    let cut = house.lines().await.iter().filter(|line| line["ended"] == "cut").count();
    assert_eq!(cut, 20);
}

#[tokio::test]
async fn streams_end_when_their_token_expires() {
    let house = House::open().await;
    let token = house.token("api").await;
    let mut socket = websocket(&house, &token).await;
    let mut events = house.connect().await;
    let request =
        format!("GET /api/sse HTTP/1.1\r\nHost: op.example\r\nAuthorization: Bearer {token}\r\n\r\n");
    events.write_all(request.as_bytes()).await.unwrap();
    let mut first = Vec::new();
    while !first.ends_with(b".\r\n") {
        assert!(events.read_buf(&mut first).await.unwrap() > 0);
    }
    house.clock.advance(std::time::Duration::from_secs(86_400));
    assert!(has_ended(&mut socket).await && has_ended(&mut events).await);
    let answer = house.ask("GET /api", &[&format!("Authorization: Bearer {token}")], "").await;
    assert_eq!(answer.status, 401);
}

#[tokio::test]
async fn a_script_of_an_allowed_origin_may_ask_and_read_its_challenge() {
    let house = House::open().await;
    let preflight = ["Origin: https://app.example", "Access-Control-Request-Method: PUT"];
    let answer = house.ask("OPTIONS /api/x", &preflight, "").await;
    assert_eq!(answer.status, 204);
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://app.example"));
    let denied = house.ask("GET /api/x", &preflight[..1], "").await;
    assert_eq!(
        (denied.status, denied.header("access-control-allow-origin")),
        (401, Some("https://app.example"))
    );
    let stranger = ["Origin: https://evil.example", "Access-Control-Request-Method: PUT"];
    let answer = house.ask("OPTIONS /api/x", &stranger, "").await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (403, None));
}

#[tokio::test]
async fn a_forwarded_preflight_carries_nothing_of_a_stranger() {
    let house = House::open().await;
    let preflight = ["Origin: https://app.example", "Access-Control-Request-Method: PUT"];
    assert_eq!(house.ask("OPTIONS /asks/x", &preflight, "").await.status, 200);
    assert_eq!(house.ask("OPTIONS /asks/x", &preflight, "a body").await.status, 401);
    let stranger = ["Origin: https://evil.example", "Access-Control-Request-Method: PUT"];
    assert_eq!(house.ask("OPTIONS /asks/x", &stranger, "").await.status, 401);
}
