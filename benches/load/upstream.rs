//! The upstream: plain HTTP/1.1 on loopback, one answer of 1 KiB to everything. It shares the load generator's core.

use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const BODY: usize = 1_024;

/// Serves for as long as the runtime runs.
pub async fn start() -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {BODY}\r\n\r\n");
    let answer: &'static [u8] = Vec::leak(head.into_bytes().into_iter().chain([b'u'; BODY]).collect());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = stream.set_nodelay(true);
            tokio::spawn(serve(stream, answer));
        }
    });
    address
}

/// Requests without a body, one after the other.
async fn serve(mut stream: TcpStream, answer: &'static [u8]) {
    let mut head = Vec::with_capacity(4_096);
    while let Ok(1..) = stream.read_buf(&mut head).await {
        if head.ends_with(b"\r\n\r\n") {
            head.clear();
            if stream.write_all(answer).await.is_err() {
                return;
            }
        }
    }
}
