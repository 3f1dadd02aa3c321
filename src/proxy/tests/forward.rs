//! What is forwarded, what is refused, and what is told of it.

use super::*;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};

#[tokio::test]
async fn a_public_route_forwards_and_its_request_is_logged_and_counted() {
    let house = House::open().await;
    let lines =
        ["X-Auth-Subject: root", "X_Auth_Subject: root", "Cookie: a=1; __Host-oidcop_session=s", "X-Fine: 1"];
    let answer = house.ask("GET /public/x?code=secret", &lines, "").await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let seen = answer.text.to_lowercase();
    assert!(seen.starts_with("get /public/x?code=secret http/1.1\r\n"), "{seen}");
    assert!(seen.contains("x-fine: 1\r\n") && seen.contains("cookie: a=1\r\n"), "{seen}");
    assert!(
        seen.contains("x-forwarded-for: 127.0.0.1\r\n") && seen.contains("host: op.example\r\n"),
        "{seen}"
    );
    assert!(!seen.contains("root") && !seen.contains("authorization"), "{seen}");
    assert_eq!(answer.header("server"), None);
    assert_eq!(answer.header("set-cookie"), Some("a=1"));
    assert!(answer.header("strict-transport-security").is_some());
    let logged = house.lines().await;
    assert_eq!(logged.len(), 1, "{logged:?}");
    let line = &logged[0];
    assert_eq!(
        (&line["status"], &line["verdict"], &line["ended"]),
        (&json!(200), &json!("permit"), &json!("done"))
    );
    assert_eq!((&line["path"], &line["route"]), (&json!("/public/x"), &json!("/public")));
    assert!(!line.to_string().contains("secret"), "{line}");
    assert_eq!(
        line["request_id"],
        answer.header("x-request-id").map(|_| line["request_id"].clone()).unwrap()
    );
    let text = house.metrics.text();
    let counted = "oidcop_http_requests_total{route=\"/public\",status=\"2xx\",verdict=\"permit\"} 1";
    assert!(text.contains(counted), "{text}");
}

#[tokio::test]
async fn requests_that_could_be_read_in_two_ways_never_reach_an_upstream() {
    let house = House::open().await;
    for target in [
        "//api/",
        "/%61pi/",
        "/API/",
        "/public/../api/",
        "/public/%2e%2e/api",
        "/api;x/",
        "/OIDCOP/token",
        "/public\\x",
        "/api%3fx",
        "/api%23x",
    ] {
        let answer = house.ask(&format!("GET {target}"), &[], "").await;
        assert_eq!(answer.status, 400, "{target}: {}", answer.text);
        assert!(!answer.text.contains("HTTP/1.1"), "{target}");
    }
    assert_eq!(house.ask("TRACE /public", &[], "").await.status, 405);
    let odd = house.ask("POST /public", &["Transfer-Encoding: gzip, chunked"], "").await;
    assert_eq!(odd.status, 400);
    let large = format!("X-Large: {}", "x".repeat(33_000));
    assert_eq!(house.ask("GET /public", &[&large], "").await.status, 431);
    assert_eq!(house.ask_of("evil.example", "GET /public", &[], "").await.status, 421);
    assert_eq!(house.ask_of("op.example:8443", "GET /public", &[], "").await.status, 421);
    assert_eq!(house.ask_of("OP.example.:443", "GET /public", &[], "").await.status, 200);
}

#[tokio::test]
async fn what_goes_wrong_is_said_in_one_form() {
    let house = House::open().await;
    let down = house.ask("GET /down", &[], "").await;
    assert_eq!((down.status, down.json()["error"].as_str()), (502, Some("bad_gateway")));
    let page = house.ask("GET /denied/x", &["Accept: text/html"], "").await;
    assert_eq!(page.status, 403);
    assert!(page.text.starts_with("<!doctype html>"), "{}", page.text);
    let long = "x".repeat(2_000);
    assert_eq!(house.ask("POST /public", &[], &long).await.status, 413);
    let chunked = format!("7d0\r\n{long}\r\n0\r\n\r\n");
    let mut tls = house.connect().await;
    let head = "POST /public HTTP/1.1\r\nHost: op.example\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
    tls.write_all(format!("{head}{chunked}").as_bytes()).await.unwrap();
    assert_eq!(Answer::read(&mut tls).await.status, 413);
    drop(tls);
    for left in [200, 200, 429] {
        let answer = house.ask("GET /rated", &[], "").await;
        assert_eq!(answer.status, left);
        assert_eq!(answer.header("retry-after").is_some(), left == 429);
    }
    let verdicts: Vec<_> = house.lines().await.iter().map(|line| line["verdict"].clone()).collect();
    let expected = [
        "bad_gateway",
        "forbidden",
        "body_too_large",
        "body_too_large",
        "permit",
        "permit",
        "too_many_requests",
    ];
    assert_eq!(verdicts, expected);
}

#[tokio::test]
async fn a_connection_goes_on_after_an_answer_of_ours() {
    let house = House::open().await;
    let mut tls = house.connect().await;
    for (path, status) in [("/", "200"), ("/denied", "403"), ("/public", "200")] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: op.example\r\n\r\n");
        tls.write_all(request.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        let whole = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes).to_lowercase();
            let (head, body) = text.split_once("\r\n\r\n")?;
            let length =
                head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok())?;
            (body.len() >= length).then(|| head[9..12].to_owned())
        };
        let got = loop {
            if let Some(got) = whole(&bytes) {
                break got;
            }
            assert!(tls.read_buf(&mut bytes).await.unwrap() > 0);
        };
        assert_eq!(got, status, "{path}");
    }
}

#[tokio::test]
async fn a_reload_changes_routes_and_keeps_unchanged_upstreams() {
    let house = House::open().await;
    let pool = |house: &House| house.edge.0.state.load().pools["up"].clone();
    let before = pool(&house);
    let mut written = settings(house.upstream.address);
    written["routes"][1]["policy"] = json!("deny");
    written["upstreams"]["down"]["addresses"] = json!(["127.0.0.1:2"]);
    let down = house.edge.0.state.load().pools["down"].clone();
    house.edge.reload(&serde_json::from_value(written.clone()).unwrap(), Some(house.op.clone())).unwrap();
    assert_eq!(house.ask("GET /public", &[], "").await.status, 403);
    assert!(Arc::ptr_eq(&before, &pool(&house)));
    assert!(!Arc::ptr_eq(&down, &house.edge.0.state.load().pools["down"]));
    written["routes"][1]["upstream"] = json!("nowhere");
    let faults =
        house.edge.reload(&serde_json::from_value(written).unwrap(), Some(house.op.clone())).unwrap_err();
    assert_eq!(faults[0].0, "routes[1].upstream");
    assert_eq!(
        house.ask("GET /public", &[], "").await.status,
        403,
        "a bad file leaves the old settings in force"
    );
}

#[tokio::test]
async fn explanations_say_what_would_happen() {
    let house = House::open().await;
    for (method, url, status, route, policy) in [
        ("GET", "https://op.example/public/x?y", None, Some("/public"), Some("public")),
        ("get", "/api/x", None, Some("/api"), Some("bearer")),
        ("GET", "/denied", Some(403), Some("/denied"), Some("deny")),
        ("GET", "/", None, Some("/"), Some("public")),
        ("GET", "https://op.example", None, Some("/"), Some("public")),
        ("GET", "/oidcop/token", None, Some("op"), None),
        ("GET", "/API", Some(400), None, None),
        ("GET", "/Oidcop/token", Some(400), None, None),
        ("GET", "https://evil.example/public", Some(421), None, None),
        ("TRACE", "/public", Some(405), None, None),
        ("GET", "/public/../api", Some(400), None, None),
    ] {
        let told = house.edge.explain(method, url);
        assert_eq!(
            (told.status, told.route.as_deref(), told.policy),
            (status, route, policy),
            "{method} {url}"
        );
        assert!(!told.why.is_empty());
    }
}

async fn text(response: Response<Incoming>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

#[tokio::test]
async fn http2_goes_by_the_same_rules() {
    let house = House::open().await;
    let tls = house.connect_for("h2").await;
    let io = TokioIo::new(tls);
    let (mut client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    for _ in 0..3 {
        let request = Request::post("https://op.example/public/x?y=1")
            .header("cookie", "a=1")
            .header("cookie", "__Host-oidcop_session=s")
            .header("cookie", "b=2")
            .header("x-auth-subject", "root");
        let response =
            client.send_request(request.body(Full::new(Bytes::from("hello"))).unwrap()).await.unwrap();
        assert_eq!(response.status(), 200);
        let seen = text(response).await.to_lowercase();
        assert!(seen.starts_with("post /public/x?y=1 http/1.1\r\n"), "{seen}");
        assert!(seen.contains("cookie: a=1; b=2\r\n") && seen.contains("host: op.example\r\n"), "{seen}");
        assert!(!seen.contains("root"), "{seen}");
    }
    let token = house.token("api").await;
    let long = "x".repeat(2_000);
    for (method, target, body, status) in [
        ("GET", "https://op.example/api", "", 401),
        ("POST", "https://op.example/api", "unread", 401),
        ("GET", "https://op.example/%61pi", "", 400),
        ("GET", "https://op.example/API", "", 400),
        ("GET", "https://evil.example/public", "", 421),
        ("POST", "https://op.example/public", &long, 413),
        ("GET", "https://op.example/oidcop/jwks", "", 200),
    ] {
        let request =
            Request::builder().method(method).uri(target).body(Full::new(Bytes::from(body.to_owned())));
        let response = client.send_request(request.unwrap()).await.unwrap();
        assert_eq!(response.status(), status, "{method} {target}");
        text(response).await;
    }
    let bearer = Request::get("https://op.example/api").header("authorization", format!("Bearer {token}"));
    let response = client.send_request(bearer.body(Full::default()).unwrap()).await.unwrap();
    assert!(text(response).await.to_lowercase().contains("x-auth-client: robot\r\n"));
}
