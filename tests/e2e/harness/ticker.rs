//! An upstream that never stops talking: over a WebSocket or as server-sent events it sends the numbers 1, 2, 3, …, so that a
//! test can tell what was sent after a moment. Raw HTTP/1.1 on loopback.

use base64::Engine as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Between two numbers.
const BEAT: Duration = Duration::from_millis(1);

#[derive(Clone)]
pub struct Ticker {
    pub address: SocketAddr,
    /// The last number that was given to a socket.
    sent: Arc<AtomicU64>,
    /// Bytes that came in over opened streams.
    received: Arc<AtomicU64>,
    open: watch::Receiver<usize>,
}

struct Shared {
    sent: Arc<AtomicU64>,
    received: Arc<AtomicU64>,
    open: watch::Sender<usize>,
}

impl Ticker {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, open) = watch::channel(0);
        let shared = Arc::new(Shared { sent: Arc::default(), received: Arc::default(), open: sender });
        let ticker = Self { address, sent: shared.sent.clone(), received: shared.received.clone(), open };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = shared.clone();
                tokio::spawn(async move {
                    // The other end's going is how these connections end.
                    let _ = serve(stream, &shared).await;
                });
            }
        });
        ticker
    }

    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }

    pub fn received(&self) -> u64 {
        self.received.load(Ordering::SeqCst)
    }

    /// Until this many streams are open.
    pub async fn until_open(&self, count: usize) {
        let mut open = self.open.clone();
        let reached = open.wait_for(|open| *open == count);
        tokio::time::timeout(super::DEADLINE, reached)
            .await
            .expect("the upstream's streams do not end")
            .unwrap();
    }
}

async fn serve(mut stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let head = read_head(&mut stream).await?;
    let key = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("sec-websocket-key").then(|| value.trim().to_owned())
    });
    let opening = match &key {
        Some(key) => format!(
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
             sec-websocket-accept: {}\r\n\r\n",
            accept_key(key)
        ),
        None => "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
            .to_owned(),
    };
    stream.write_all(opening.as_bytes()).await?;
    shared.open.send_modify(|open| *open += 1);
    let result = talk(&mut stream, key.is_some(), shared).await;
    shared.open.send_modify(|open| *open -= 1);
    result
}

async fn talk(stream: &mut TcpStream, websocket: bool, shared: &Shared) -> std::io::Result<()> {
    let (mut reader, mut writer) = stream.split();
    let mut beat = tokio::time::interval(BEAT);
    let mut buffer = [0_u8; 4096];
    loop {
        tokio::select! {
            _ = beat.tick() => {
                let number = shared.sent.fetch_add(1, Ordering::SeqCst) + 1;
                writer.write_all(&message(number, websocket)).await?;
            }
            read = reader.read(&mut buffer) => {
                let count = read?;
                if count == 0 {
                    return Ok(());
                }
                shared.received.fetch_add(u64::try_from(count).unwrap(), Ordering::SeqCst);
            }
        }
    }
}

fn message(number: u64, websocket: bool) -> Vec<u8> {
    let text = format!("data: {number}\n\n");
    if websocket {
        let mut frame = vec![0x81, u8::try_from(text.len()).unwrap()];
        frame.extend_from_slice(text.as_bytes());
        return frame;
    }
    format!("{:x}\r\n{text}\r\n", text.len()).into_bytes()
}

async fn read_head(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

/// RFC 6455 §4.2.2.
pub fn accept_key(key: &str) -> String {
    let joined = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    let digest = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, joined.as_bytes());
    base64::engine::general_purpose::STANDARD.encode(digest.as_ref())
}

/// The highest number in what a ticker sent, framed either way; `seen` may end in the middle of one.
pub fn last_number(seen: &[u8]) -> Option<u64> {
    let text = String::from_utf8_lossy(seen);
    let end = text.rfind("\n\n")?;
    text[..end].rsplit("data: ").next()?.parse().ok()
}
