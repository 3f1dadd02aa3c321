//! HTTP/1 over the front door.

use super::*;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Sends a request and reads what is there of the answer: head and `Content-Length`, or head and a first chunk.
pub(super) async fn ask(tls: &mut TlsStream<TcpStream>, path: &str) -> String {
    tls.write_all(format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n").as_bytes()).await.unwrap();
    answer(tls).await
}

async fn answer(tls: &mut TlsStream<TcpStream>) -> String {
    let mut text = String::new();
    loop {
        let mut buffer = [0; 1024];
        let count = tls.read(&mut buffer).await.unwrap();
        assert!(count > 0, "closed after {text:?}");
        text.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
        match length {
            Some(length) if body.len() >= length.parse().unwrap() => return text,
            None if body.contains('.') => return body.replace("\r\n", "").trim_start_matches('1').to_owned(),
            _ => {}
        }
    }
}

/// Reads to the end; whether it was announced (`close_notify`).
pub(super) async fn ended(tls: &mut TlsStream<TcpStream>) -> bool {
    let mut rest = Vec::new();
    let outcome = tls.read_to_end(&mut rest).await;
    assert!(rest.is_empty(), "a byte after the end: {rest:?}");
    outcome.is_ok()
}

#[tokio::test]
async fn a_connection_carries_one_exchange_after_the_other() {
    let house = House::open(patient()).await;
    let mut tls = house.tls("http/1.1").await;
    let expected = format!("\r\n\r\n{} {HOST}", tls.get_ref().0.local_addr().unwrap());
    for _ in 0..3 {
        let said = ask(&mut tls, "/").await;
        assert!(said.starts_with("HTTP/1.1 200") && said.ends_with(&expected), "{said}");
        assert!(!said.to_ascii_lowercase().contains("connection: close"), "{said}");
    }
    assert_eq!((house.door.connections().count(), house.door.tally().exchanges.read()), (1, 3));
    drop(tls);
    house.door.connections().emptied().await;
}

#[tokio::test]
async fn a_head_that_dribbles_in_is_cut_by_its_deadline() {
    let mut settings = patient();
    settings.limits.head = SOON;
    let house = House::open(settings).await;
    // As the first request of its connection, and as the second.
    for before in 0..2 {
        let mut tls = house.tls("http/1.1").await;
        for _ in 0..before {
            assert!(ask(&mut tls, "/").await.starts_with("HTTP/1.1 200"));
        }
        tls.write_all(b"GET / HTTP/1.1\r\nX: ").await.unwrap();
        let (mut read, mut write) = tokio::io::split(tls);
        let mut beat = tokio::time::interval(Duration::from_millis(20));
        let mut byte = [0];
        let end = async { while !matches!(read.read(&mut byte).await, Ok(0) | Err(_)) {} };
        let dribble = async {
            while write.write_all(b"x").await.is_ok() {
                beat.tick().await;
            }
            pending::<()>().await;
        };
        tokio::select! { () = end => {}, () = dribble => {} }
    }
    house.door.connections().emptied().await;
    assert_eq!(house.app.served.load(SeqCst), 1);
}

#[tokio::test]
async fn a_body_may_take_longer_than_a_head() {
    let mut settings = patient();
    settings.limits.head = SOON;
    let house = House::open(settings).await;
    let mut tls = house.tls("http/1.1").await;
    let head = format!("POST /body HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 40\r\n\r\n");
    tls.write_all(head.as_bytes()).await.unwrap();
    // Each byte well within the deadline, all of them well beyond it.
    let mut beat = tokio::time::interval(Duration::from_millis(20));
    for _ in 0..40 {
        beat.tick().await;
        tls.write_all(b"b").await.unwrap();
        tls.flush().await.unwrap();
    }
    assert!(answer(&mut tls).await.ends_with(&"b".repeat(40)));
}

#[tokio::test]
async fn a_connection_that_asks_nothing_is_closed_politely() {
    let mut settings = patient();
    settings.limits.head = SOON;
    settings.limits.idle = SOON;
    let house = House::open(settings).await;
    let mut unused = house.tls("http/1.1").await;
    assert!(ended(&mut unused).await);
    let mut used = house.tls("http/1.1").await;
    ask(&mut used, "/").await;
    assert!(ended(&mut used).await);
}

#[tokio::test]
async fn ending_a_life_cuts_its_connection_before_the_revocation_is_answered() {
    let house = House::open(patient()).await;
    let (mut revoked, mut other) = (house.tls("http/1.1").await, house.tls("http/1.1").await);
    assert_eq!(ask(&mut revoked, "/live/x").await, ".");
    assert_eq!(ask(&mut other, "/live/y").await, ".");
    house.app.life("x").end().await;
    assert_eq!(house.app.cut.load(SeqCst), 1);
    // No `close_notify`: what was cut never looks complete.
    assert!(!ended(&mut revoked).await);
    house.app.life("y").end().await;
    assert!(!ended(&mut other).await);
    assert_eq!(house.app.cut.load(SeqCst), 2);
    house.door.connections().emptied().await;
}

#[tokio::test]
async fn a_binding_does_not_outlast_its_exchange() {
    let house = House::open(patient()).await;
    let mut tls = house.tls("http/1.1").await;
    ask(&mut tls, "/bound/x").await;
    // Served only after the first exchange was put away.
    ask(&mut tls, "/").await;
    assert_eq!(house.app.life("x").bound(), 0);
    house.app.life("x").end().await;
    assert!(ask(&mut tls, "/").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_panic_ends_its_connection_only_and_is_counted() {
    let house = House::open(patient()).await;
    let (mut unlucky, mut other) = (house.tls("http/1.1").await, house.tls("http/1.1").await);
    unlucky.write_all(format!("GET /panic HTTP/1.1\r\nHost: {HOST}\r\n\r\n").as_bytes()).await.unwrap();
    assert!(!ended(&mut unlucky).await);
    assert_eq!(house.door.tally().panics.read(), 1);
    assert!(ask(&mut other, "/").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn draining_answers_what_has_begun_and_closes_what_idles() {
    let mut house = House::open(patient()).await;
    let (mut idle, mut busy) = (house.tls("http/1.1").await, house.tls("http/1.1").await);
    ask(&mut idle, "/").await;
    busy.write_all(format!("GET /slow HTTP/1.1\r\nHost: {HOST}\r\n\r\n").as_bytes()).await.unwrap();
    house.app.begun.acquire().await.unwrap().forget();
    house.stop().await;
    assert!(ended(&mut idle).await);
    assert!(!house.door.connections().accepting());
    assert!(TcpStream::connect(house.address).await.is_err());
    house.left(1).await;
    house.app.slow.add_permits(1);
    let said = answer(&mut busy).await;
    assert!(said.to_ascii_lowercase().contains("connection: close"), "{said}");
    assert!(ended(&mut busy).await);
    house.door.connections().drained().await;
}

#[tokio::test]
async fn while_draining_an_idle_connection_may_bring_one_more_request() {
    let mut settings = patient();
    settings.limits.linger = Span::secs(60);
    let mut house = House::open(settings).await;
    let mut tls = house.tls("http/1.1").await;
    ask(&mut tls, "/").await;
    house.stop().await;
    let said = ask(&mut tls, "/").await;
    assert!(said.to_ascii_lowercase().contains("connection: close"), "{said}");
    assert!(ended(&mut tls).await);
    house.door.connections().drained().await;
}

#[tokio::test]
async fn while_draining_a_connection_ends_even_if_its_answer_did_not_say_so() {
    let mut settings = patient();
    settings.limits.linger = Span::secs(60);
    let mut house = House::open(settings).await;
    let mut tls = house.tls("http/1.1").await;
    ask(&mut tls, "/stubborn").await;
    house.stop().await;
    assert!(ask(&mut tls, "/stubborn").await.starts_with("HTTP/1.1 200"));
    assert!(ended(&mut tls).await);
    house.door.connections().drained().await;
}
