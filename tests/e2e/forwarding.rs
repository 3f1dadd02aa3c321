//! What passes through: bodies large and small, WebSockets, heads without bodies; and what the edge says for itself.

use crate::harness::server::free_port;
use crate::harness::ticker::accept_key;
use crate::harness::{Answer, DEADLINE, House, Party, Server};
use http::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test(flavor = "multi_thread")]
async fn forwarding_passes_bodies_whole_over_h1_and_h2() {
    let server = Server::quickstart();
    for client in [server.client().clone(), server.client().h2()] {
        for size in [0_usize, 1, 70_000, 5 << 20] {
            let body = "x".repeat(size);
            let shown = client.post(server.url("/public/upload")).text(&body).send().await.expect(200).json();
            assert_eq!(shown["body"]["bytes"], size, "{shown}");
            assert_eq!(shown["body"]["whole"], true, "{shown}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn forwarding_ends_at_the_body_limit() {
    let server = Server::quickstart();
    for client in [server.client().clone(), server.client().h2()] {
        let body = "x".repeat(11 << 20);
        let answer = client.post(server.url("/public/upload")).text(&body).try_send().await;
        // Who does not read on may be cut off in the middle of its upload.
        assert!(
            answer.as_ref().is_err() || answer.as_ref().is_ok_and(|answer| answer.status == 413),
            "{answer:?}"
        );
        client.fresh().get(server.url("/public/")).send().await.expect(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn forwarding_says_nothing_of_what_stands_behind() {
    let server = Server::quickstart();
    for client in [server.client().clone(), server.client().h2()] {
        let answer = client.get(server.url("/public/")).send().await.expect(200);
        assert_eq!(answer.header("server"), None);
        assert_eq!(answer.header("x-powered-by"), None);
        let head = client.call(Method::HEAD, server.url("/public/")).send().await.expect(200);
        assert!(head.body.is_empty());
        client.get(server.url("/public/")).send().await.expect(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn forwarding_opens_every_websocket_and_echoes() {
    const SOCKETS: usize = 60;
    let server = Server::quickstart();
    let host = server.issuer().trim_start_matches("https://").to_owned();
    let mut opened = Vec::new();
    for _ in 0..SOCKETS {
        let (client, url, host) = (server.client().clone(), server.url("/public/ws"), host.clone());
        opened.push(tokio::spawn(async move {
            let mut stream = client.connect(&url).await.unwrap();
            let request = format!(
                "GET /public/ws HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                 Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            );
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            let head = String::from_utf8(head).unwrap();
            assert!(head.starts_with("HTTP/1.1 101"), "{head}");
            assert!(head.contains(&accept_key("dGhlIHNhbXBsZSBub25jZQ==")), "{head}");
            for text in [b"one", b"two"] {
                let mut frame = vec![0x81, 0x83, 0, 0, 0, 0];
                frame.extend_from_slice(text);
                stream.write_all(&frame).await.unwrap();
                let mut back = [0_u8; 5];
                stream.read_exact(&mut back).await.unwrap();
                assert_eq!(&back[2..], text);
            }
        }));
    }
    for socket in opened {
        tokio::time::timeout(DEADLINE, socket).await.expect("a WebSocket hangs").unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn provider_answers_in_the_form_of_the_specification() {
    let server = Server::quickstart();
    let client = server.client();
    let token = server.url("/oidcop/token");
    let not_allowed = client.get(&token).send().await.expect(405);
    assert_eq!(not_allowed.header("allow").as_deref().map(|allow| allow.contains("POST")), Some(true));
    let party = Party::register(&server).await;
    party.token(&[]).await.expect_error(400, "invalid_request");
    party.token(&[("grant_type", "magic")]).await.expect_error(400, "unsupported_grant_type");
    let twice = [("grant_type", "refresh_token"), ("grant_type", "refresh_token")];
    party.token(&twice).await.expect_error(400, "invalid_request");
    let nonsense = [("grant_type", "refresh_token"), ("refresh_token", "nonsense")];
    party.token(&nonsense).await.expect_error(400, "invalid_grant");
    let unknown =
        client.post(&token).basic("nobody", "x").form(&[("grant_type", "authorization_code"), ("code", "x")]);
    let refused = unknown.send().await.expect_error(401, "invalid_client");
    assert!(refused.header("www-authenticate").is_some());
    assert_eq!(refused.header("cache-control").as_deref(), Some("no-store"));
    let json = client.post(&token).text("{}").header("content-type", "application/json").send().await;
    assert!([400, 401, 415].contains(&json.status) && json.json()["error"].is_string(), "{json:?}");
    let long = "x".repeat(300 << 10);
    let too_long = client.fresh();
    let answer: Answer = too_long.post(&token).form(&[("grant_type", &long)]).send().await;
    assert!([400, 413].contains(&answer.status), "{answer:?}");
    let registration = server.url("/oidcop/registration");
    let bad =
        client.post(&registration).json(&serde_json::json!({"redirect_uris": ["http://evil.example/#x"]}));
    bad.send().await.expect_error(400, "invalid_redirect_uri");
    client.get(server.url("/oidcop/nothing")).send().await.expect(404);
    let bare = client.get(server.url("/oidcop/userinfo")).send().await.expect(401);
    assert!(bare.header("www-authenticate").unwrap().starts_with("Bearer"));
    client
        .post(server.url("/oidcop/introspection"))
        .form(&[("token", "x")])
        .send()
        .await
        .expect_error(401, "invalid_client");
    client
        .post(server.url("/oidcop/revocation"))
        .form(&[("token", "x")])
        .send()
        .await
        .expect_error(401, "invalid_client");
}

#[tokio::test(flavor = "multi_thread")]
async fn provider_lets_scripts_of_other_origins_read_what_they_may() {
    let server = Server::quickstart();
    let origin = "https://spa.example";
    for path in ["/.well-known/openid-configuration", "/oidcop/jwks"] {
        let answer = server.client().get(server.url(path)).header("origin", origin).send().await.expect(200);
        assert!(answer.header("access-control-allow-origin").is_some(), "{path}");
        assert_eq!(answer.header("access-control-allow-credentials"), None, "{path}");
    }
    for path in ["/oidcop/token", "/oidcop/userinfo", "/oidcop/revocation", "/oidcop/registration"] {
        let preflight = server.client().call(Method::OPTIONS, server.url(path)).header("origin", origin);
        let preflight = preflight.header("access-control-request-method", "POST");
        let answer = preflight.header("access-control-request-headers", "authorization").send().await;
        assert!([200, 204].contains(&answer.status), "{path}: {answer:?}");
        assert!(answer.header("access-control-allow-origin").is_some(), "{path}");
        assert_eq!(answer.header("access-control-allow-credentials"), None, "{path}");
    }
    let page = server.client().get(server.url("/oidcop/authorization")).header("origin", origin).send().await;
    assert_eq!(page.header("access-control-allow-origin"), None, "{page:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn redirect_listener_sends_to_https_and_nowhere_else() {
    let house = House::new("quickstart");
    let port = free_port();
    let tls = house.port(8000);
    house.edit(|text| {
        let redirect = format!("\nfront:\n    redirect: {{ listen: [\"127.0.0.1:{port}\"], port: {tls} }}\n");
        text.replacen("\nfront:\n", &redirect, 1)
    });
    let server = house.start();
    let said = plain(port, "GET /api/x?y=z HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n").await;
    assert!(said.starts_with("HTTP/1.1 308") || said.starts_with("HTTP/1.1 301"), "{said}");
    assert!(said.contains(&format!("Location: https://127.0.0.1:{tls}/api/x?y=z")), "{said}");
    let poisoned = plain(port, "GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n").await;
    assert!(!poisoned.to_lowercase().contains("location: https://evil.example"), "{poisoned}");
    drop(server);
}

#[tokio::test(flavor = "multi_thread")]
async fn admin_listener_reads_and_changes_nothing() {
    let house = House::new("quickstart");
    let port = free_port();
    house.edit(|text| text + &format!("\nserver:\n    admin: 127.0.0.1:{port}\n"));
    let _server = house.start();
    let get =
        |path: &str, host: &str| format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    let own = format!("127.0.0.1:{port}");
    for path in ["/livez", "/readyz", "/version", "/metrics"] {
        let said = plain(port, &get(path, &own)).await;
        assert!(said.starts_with("HTTP/1.1 200"), "{path}: {said}");
    }
    let metrics = plain(port, &get("/metrics", &own)).await;
    assert!(metrics.contains("# TYPE"), "{metrics}");
    let foreign = plain(port, &get("/metrics", "evil.example")).await;
    assert!(!foreign.starts_with("HTTP/1.1 200"), "DNS rebinding: {foreign}");
    let post =
        format!("POST /livez HTTP/1.1\r\nHost: {own}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    assert!(plain(port, &post).await.starts_with("HTTP/1.1 405"));
}

/// Everything a listener without TLS says to these bytes.
async fn plain(port: u16, bytes: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.write_all(bytes.as_bytes()).await.unwrap();
    let mut said = Vec::new();
    let _ = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut said)).await.expect("it stays open");
    String::from_utf8_lossy(&said).into_owned()
}
