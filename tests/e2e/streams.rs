//! Live streams end with what let them through: after a revocation, a logout or an account's end was answered, no further
//! byte passes, on a WebSocket, on server-sent events over h1 and h2.

use crate::harness::ticker::{Ticker, accept_key, last_number};
use crate::harness::{Client, DEADLINE, House, Party, Person, Server, Tokens};
use crate::walkthrough::alice;
use http_body_util::BodyExt;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;
use tokio::task::JoinHandle;

const SCOPE: &str = "openid api";

/// A quickstart whose API is a ticker, and somebody signed in to it.
struct Scene {
    server: Server,
    ticker: Ticker,
    party: Party,
    person: Person,
    tokens: Tokens,
}

impl Scene {
    async fn new() -> Self {
        Self::with(|text| text).await
    }

    async fn with(edit: impl FnOnce(String) -> String) -> Self {
        let ticker = Ticker::start().await;
        let house = House::new("quickstart");
        house.edit(edit);
        house.edit(|text| with_upstream(&text, &ticker));
        let server = house.start();
        let party = Party::register(&server).await;
        let mut person = alice(&server);
        let tokens = party.sign_in(&mut person, SCOPE).await;
        Self { server, ticker, party, person, tokens }
    }
}

/// The configuration with the ticker behind `/api` in place of `whoami`.
fn with_upstream(text: &str, ticker: &Ticker) -> String {
    let (before, routes) = text.split_once("path: /api").expect("a route for /api");
    let routes = routes.replacen("upstream: whoami", "upstream: ticker", 1);
    let upstream = format!("\nupstreams:\n    ticker: {{ addresses: [\"{}\"] }}\nroutes:\n", ticker.address);
    format!("{before}path: /api{routes}").replacen("\nroutes:\n", &upstream, 1)
}

/// An open stream: reads all the time, tells the last number that came.
struct Stream {
    last: watch::Receiver<u64>,
    /// Ends with the stream.
    reading: JoinHandle<()>,
    /// What was opened for writing too.
    writer: Option<tokio::io::WriteHalf<tokio_rustls::client::TlsStream<tokio::net::TcpStream>>>,
}

impl Stream {
    async fn websocket(client: &Client, url: &str, token: &str) -> Self {
        let mut stream = client.connect(url).await.unwrap();
        let parsed = url::Url::parse(url).unwrap();
        let authority = &parsed[url::Position::BeforeHost..url::Position::AfterPort];
        let request = format!(
            "GET {} HTTP/1.1\r\nhost: {authority}\r\nauthorization: Bearer {token}\r\nconnection: Upgrade\r\n\
             upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            parsed.path()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        assert!(head.starts_with("HTTP/1.1 101"), "{head}");
        assert!(head.contains(&accept_key("dGhlIHNhbXBsZSBub25jZQ==")), "{head}");
        let (mut reader, writer) = tokio::io::split(stream);
        let (told, last) = watch::channel(0);
        let reading = tokio::spawn(async move {
            let mut seen = Vec::new();
            let mut buffer = [0_u8; 16_384];
            while let Ok(count @ 1..) = reader.read(&mut buffer).await {
                keep(&mut seen, &buffer[..count], &told);
            }
        });
        Self { last, reading, writer: Some(writer) }
    }

    async fn events(client: &Client, url: &str, token: &str) -> Self {
        let response = client.get(url).bearer(token).open().await.unwrap();
        assert_eq!(response.status(), 200);
        let mut body = response.into_body();
        let (told, last) = watch::channel(0);
        let reading = tokio::spawn(async move {
            let mut seen = Vec::new();
            while let Some(Ok(frame)) = body.frame().await {
                if let Some(data) = frame.data_ref() {
                    keep(&mut seen, data, &told);
                }
            }
        });
        Self { last, reading, writer: None }
    }

    /// Until numbers beyond `number` came.
    async fn until_past(&self, number: u64) {
        let mut last = self.last.clone();
        let reached = last.wait_for(|last| *last > number);
        tokio::time::timeout(DEADLINE, reached)
            .await
            .expect("the stream is silent")
            .expect("the stream ended");
    }

    /// Until the stream ended; the last number it brought.
    async fn ended(self) -> u64 {
        tokio::time::timeout(DEADLINE, self.reading).await.expect("the stream does not end").unwrap();
        *self.last.borrow()
    }
}

/// Adds what was read and tells the last number; keeps only the tail.
fn keep(seen: &mut Vec<u8>, read: &[u8], told: &watch::Sender<u64>) {
    seen.extend_from_slice(read);
    if let Some(number) = last_number(seen) {
        told.send_replace(number);
    }
    let cut = seen.len().saturating_sub(256);
    seen.drain(..cut);
}

#[tokio::test(flavor = "multi_thread")]
async fn websocket_ends_when_its_token_is_revoked() {
    let scene = Scene::new().await;
    let url = scene.server.url("/api/ticks");
    let mut stream = Stream::websocket(scene.server.client(), &url, &scene.tokens.access).await;
    stream.until_past(20).await;
    let frame = [0x81, 0x82, 0, 0, 0, 0, b'h', b'i'];
    stream.writer.as_mut().unwrap().write_all(&frame).await.unwrap();

    scene.party.revoke(&scene.tokens.access).await.expect(200);
    let (sent, received) = (scene.ticker.sent(), scene.ticker.received());
    // What the caller says now does not pass either; the connection may be gone already.
    let _ = stream.writer.as_mut().unwrap().write_all(&frame).await;
    let last = stream.ended().await;
    assert!(last <= sent, "number {last} passed, the revocation was answered after {sent}");
    scene.ticker.until_open(0).await;
    assert!(scene.ticker.received() <= received.max(8), "a frame passed to the upstream after the answer");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_end_when_their_token_is_revoked_and_others_go_on() {
    let mut scene = Scene::new().await;
    let url = scene.server.url("/api/ticks");
    for client in [scene.server.client().clone(), scene.server.client().h2()] {
        let doomed = scene.party.sign_in(&mut scene.person, SCOPE).await;
        let cut = Stream::events(&client, &url, &doomed.access).await;
        // Over h2 the same connection carries both.
        let kept = Stream::events(&client, &url, &scene.tokens.access).await;
        cut.until_past(20).await;
        kept.until_past(20).await;
        scene.party.revoke(&doomed.access).await.expect(200);
        let sent = scene.ticker.sent();
        let last = cut.ended().await;
        assert!(last <= sent, "number {last} passed, the revocation was answered after {sent}");
        kept.until_past(sent + 20).await;
        kept.reading.abort();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_end_with_the_session_that_is_logged_out() {
    let mut scene = Scene::new().await;
    let url = scene.server.url("/api/ticks");
    let socket = Stream::websocket(scene.server.client(), &url, &scene.tokens.access).await;
    let events = Stream::events(&scene.server.client().h2(), &url, &scene.tokens.access).await;
    socket.until_past(20).await;
    events.until_past(20).await;
    scene.party.sign_out(&mut scene.person, &scene.tokens, "bye").await;
    let sent = scene.ticker.sent();
    assert!(socket.ended().await <= sent);
    assert!(events.ended().await <= sent);
    scene.ticker.until_open(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_end_when_their_person_is_disabled() {
    let scene = Scene::new().await;
    let url = scene.server.url("/api/ticks");
    let socket = Stream::websocket(scene.server.client(), &url, &scene.tokens.access).await;
    socket.until_past(20).await;
    scene.server.house.say(&["user", "disable", "alice"]);
    let sent = scene.ticker.sent();
    assert!(socket.ended().await <= sent);
    let refused = scene.server.client().get(&url).bearer(&scene.tokens.access).send().await;
    refused.expect(401);
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_end_when_their_token_expires() {
    let lifetimes = "\nop:\n    lifetimes: { access_token: 2s }\n";
    let scene = Scene::with(|text| text.replacen("\nop:\n", lifetimes, 1)).await;
    let url = scene.server.url("/api/ticks");
    let socket = Stream::websocket(scene.server.client(), &url, &scene.tokens.access).await;
    let events = Stream::events(&scene.server.client().h2(), &url, &scene.tokens.access).await;
    tokio::time::timeout(Duration::from_secs(30), async { (socket.ended().await, events.ended().await) })
        .await
        .expect("the token's end is the stream's end");
    scene.server.client().get(&url).bearer(&scene.tokens.access).send().await.expect(401);
}
