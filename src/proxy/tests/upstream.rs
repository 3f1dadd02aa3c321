//! The upstream: shows the request it got, and behaves by the end of the path.

use super::*;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::net::TcpListener;

pub(super) struct Upstream {
    pub address: SocketAddr,
    /// Connections it has seen end.
    pub ended: Arc<AtomicUsize>,
}

impl Upstream {
    pub async fn start() -> Upstream {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let ended = Arc::new(AtomicUsize::new(0));
        let count = ended.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let count = count.clone();
                tokio::spawn(async move {
                    serve(stream).await;
                    count.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        Upstream { address, ended }
    }
}

async fn serve(mut stream: TcpStream) {
    let mut bytes = Vec::new();
    loop {
        let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
            if !stream.read_buf(&mut bytes).await.is_ok_and(|count| count > 0) {
                return;
            }
            continue;
        };
        let head = String::from_utf8_lossy(&bytes[..at + 4]).into_owned();
        bytes.drain(..at + 4);
        let lower = head.to_lowercase();
        let length =
            lower.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
        while bytes.len() < length.unwrap_or(0) {
            if !stream.read_buf(&mut bytes).await.is_ok_and(|count| count > 0) {
                return;
            }
        }
        bytes.drain(..length.unwrap_or(0));
        let path = head.split(' ').nth(1).unwrap_or_default();
        if path.ends_with("/ws") {
            return echo(stream, bytes).await;
        }
        if path.ends_with("/sse") {
            let text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: text/event-stream\r\n\r\n1\r\n.\r\n";
            stream.write_all(text.as_bytes()).await.unwrap();
            // Until the other side leaves.
            while stream.read_buf(&mut bytes).await.is_ok_and(|count| count > 0) {}
            return;
        }
        let answer = format!(
            "HTTP/1.1 200 OK\r\nServer: whoami\r\nSet-Cookie: a=1\r\nSet-Cookie: __Host-oidcop_session=evil\r\n\
             Content-Length: {}\r\n\r\n{head}",
            head.len()
        );
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// Switches protocols and says everything twice.
async fn echo(mut stream: TcpStream, mut bytes: Vec<u8>) {
    let switch = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    if stream.write_all(switch.as_bytes()).await.is_err() {
        return;
    }
    loop {
        if stream.write_all(&bytes).await.is_err() {
            return;
        }
        bytes.clear();
        if !stream.read_buf(&mut bytes).await.is_ok_and(|count| count > 0) {
            return;
        }
    }
}
