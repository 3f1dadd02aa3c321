//! Raw bytes over TLS: framing that two readers could read differently, heads too long or too slow, methods nobody takes.
//! Every one is refused with one answer and the connection's end.

use crate::harness::{DEADLINE, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Everything the server says to these bytes until it closes.
async fn until_closed(server: &Server, bytes: &str) -> String {
    let mut stream = server.client().connect(&server.issuer()).await.unwrap();
    // The server may answer and close before it took everything.
    let _ = stream.write_all(bytes.as_bytes()).await;
    let _ = stream.flush().await;
    let mut said = Vec::new();
    let mut buffer = [0_u8; 8192];
    let reading = async {
        while let Ok(count @ 1..) = stream.read(&mut buffer).await {
            said.extend_from_slice(&buffer[..count]);
        }
    };
    let ended = tokio::time::timeout(DEADLINE, reading).await;
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(ended.is_ok(), "the connection stays open after {bytes:?}: {said}");
    said
}

fn statuses(said: &str) -> Vec<u16> {
    said.match_indices("HTTP/1.1 ").filter_map(|(at, _)| said[at + 9..].get(..3)?.parse().ok()).collect()
}

fn host(server: &Server) -> String {
    server.issuer().trim_start_matches("https://").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn wire_refuses_framing_that_can_be_read_twice() {
    let server = Server::quickstart();
    let host = host(&server);
    let smuggled = format!("GET /public/smuggled HTTP/1.1\r\nHost: {host}\r\n\r\n");
    let shapes = [
        ("length and chunked", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        ("chunked and length", "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"),
        ("two lengths", "Content-Length: 0\r\nContent-Length: 40\r\n\r\n"),
        ("a list of lengths", "Content-Length: 0, 40\r\n\r\n"),
        ("a signed length", "Content-Length: +0\r\n\r\n"),
        ("a negative length", "Content-Length: -1\r\n\r\n"),
        ("a hexadecimal length", "Content-Length: 0x0\r\n\r\n"),
        ("identity", "Transfer-Encoding: identity\r\n\r\n"),
        ("gzip, chunked", "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
        ("chunked, chunked", "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"),
        ("chunked twice", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        ("xchunked", "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
        ("chunked;x", "Transfer-Encoding: chunked;x=y\r\n\r\n0\r\n\r\n"),
        ("quoted", "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n"),
        ("vertical tab", "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n"),
        ("space before the colon", "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"),
        ("folded", "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n"),
        ("folded elsewhere", "X-A: b\r\n c\r\nContent-Length: 0\r\n\r\n"),
        ("a header without a colon", "nonsense\r\nContent-Length: 0\r\n\r\n"),
        ("NUL in a header", "X-A: b\0c\r\nContent-Length: 0\r\n\r\n"),
        ("two hosts", "Host: evil.example\r\nContent-Length: 0\r\n\r\n"),
    ];
    for (case, rest) in shapes {
        let said =
            until_closed(&server, &format!("POST /public/ HTTP/1.1\r\nHost: {host}\r\n{rest}{smuggled}"))
                .await;
        let statuses = statuses(&said);
        // RFC 9112 §6.1: a length beside chunked may be ignored, if the connection then ends.
        let ignored = case.contains("length") && case.contains("chunked") && statuses == [200];
        assert!(
            ignored || statuses.len() <= 1 && statuses.iter().all(|status| *status == 400),
            "{case}: {said}"
        );
        assert!(!said.contains("smuggled"), "{case}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wire_refuses_request_lines_nobody_should_send() {
    let server = Server::quickstart();
    let host = host(&server);
    let heads = [
        format!("POST /public/ HTTP/1.0\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        "GET /public/ HTTP/1.1\r\n\r\n".to_owned(),
        format!(
            "POST /public/ HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n"
        ),
        format!(
            "POST /public/ HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nhello\r\n0\r\n\r\n"
        ),
        format!("GET http://evil.example/public/ HTTP/1.1\r\nHost: {host}\r\n\r\n"),
        format!("GET public/ HTTP/1.1\r\nHost: {host}\r\n\r\n"),
        format!("GET /public/\x7f HTTP/1.1\r\nHost: {host}\r\n\r\n"),
        format!("GET /public\\..\\api/ HTTP/1.1\r\nHost: {host}\r\n\r\n"),
        format!("GET /public/ HTTP/3.0\r\nHost: {host}\r\n\r\n"),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
        "\x16\x03\x01 not a request\r\n\r\n".to_owned(),
    ];
    for head in heads {
        let said = until_closed(&server, &head).await;
        let statuses = statuses(&said);
        let refused = |status: &u16| (400..600).contains(status) && *status != 500 && *status != 502;
        assert!(statuses.len() <= 1 && statuses.iter().all(refused), "{head:?}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wire_takes_neither_trace_nor_connect() {
    let server = Server::quickstart();
    let host = host(&server);
    for head in [
        format!("TRACE /public/ HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"),
        format!("CONNECT {host} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"),
        format!("CONNECT /public/ HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"),
    ] {
        let said = until_closed(&server, &head).await;
        assert!(matches!(statuses(&said)[..], [400 | 405 | 501]), "{head:?}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wire_refuses_heads_over_32_kib() {
    let server = Server::quickstart();
    let host = host(&server);
    let filler = "a".repeat(40 * 1024);
    for head in [
        format!("GET /public/ HTTP/1.1\r\nHost: {host}\r\nX-Long: {filler}\r\n\r\n"),
        format!("GET /public/?{filler} HTTP/1.1\r\nHost: {host}\r\n\r\n"),
    ] {
        let said = until_closed(&server, &head).await;
        assert!(matches!(statuses(&said)[..], [431 | 414]), "{said}");
    }
    // So many that they are not even counted.
    let many = "X-Many: 0123456789\r\n".repeat(2_000);
    let said = until_closed(&server, &format!("GET /public/ HTTP/1.1\r\nHost: {host}\r\n{many}\r\n")).await;
    assert!(matches!(statuses(&said)[..], [400 | 431]), "{said}");
    let over_h2 = server.client().h2();
    let answer = over_h2.get(server.url("/public/")).header("x-long", &filler).try_send().await;
    assert!(answer.is_err() || answer.is_ok_and(|answer| answer.status == 431));
    let near = "a".repeat(16 * 1024);
    server.client().get(server.url("/public/")).header("x-long", &near).send().await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn wire_ends_a_connection_whose_head_never_comes() {
    let server = Server::quickstart();
    let half = format!("GET /public/ HTTP/1.1\r\nHost: {}\r\nX-Slow: ", host(&server));
    let said = until_closed(&server, &half).await;
    assert!(matches!(statuses(&said)[..], [] | [408]), "{said}");
    // The handshake has a deadline of its own.
    let mut tcp = tokio::net::TcpStream::connect(("127.0.0.1", server.house.port(8000))).await.unwrap();
    let mut buffer = [0_u8; 64];
    let silence =
        tokio::time::timeout(DEADLINE, tcp.read(&mut buffer)).await.expect("a silent connection stays");
    assert!(matches!(silence, Ok(0) | Err(_)), "{silence:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn wire_keeps_requests_of_one_connection_apart() {
    let server = Server::quickstart();
    let host = host(&server);
    let body = "x".repeat(3_000);
    let requests = format!(
        "POST /public/first HTTP/1.1\r\nHost: {host}\r\nContent-Length: {}\r\n\r\n{body}\
         GET /public/second HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let said = until_closed(&server, &requests).await;
    // Pipelining may be declined by closing after the first; mixing them up may not.
    assert!(matches!(statuses(&said)[..], [200] | [200, 200]), "{said}");
    assert!(said.contains("/public/first"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn wire_answers_plain_text_on_the_tls_port_with_its_end() {
    let server = Server::quickstart();
    let mut tcp = tokio::net::TcpStream::connect(("127.0.0.1", server.house.port(8000))).await.unwrap();
    tcp.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut said = Vec::new();
    let _ = tokio::time::timeout(DEADLINE, tcp.read_to_end(&mut said)).await.expect("it stays open");
    assert!(!String::from_utf8_lossy(&said).contains("200"), "{said:?}");
}
