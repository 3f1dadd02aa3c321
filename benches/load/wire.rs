//! The load generator's end of the wire: HTTP/1.1 over TLS 1.3, written by hand so that it costs little.

use bytes::Bytes;
use rustls::pki_types::{CertificateDer, ServerName};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// What no answer may take.
const PATIENCE: Duration = Duration::from_secs(30);
const READ: usize = 32 << 10;

/// TLS 1.3 only, trusting one certificate.
pub fn connector(certificate: CertificateDer<'static>) -> TlsConnector {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider);
    let builder = builder.with_protocol_versions(&[&rustls::version::TLS13]).unwrap();
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    TlsConnector::from(Arc::new(config))
}

pub struct Connection {
    stream: TlsStream<TcpStream>,
    read: Vec<u8>,
}

/// The answer last read: its status, and its body's place in the buffer.
struct Shape {
    status: u16,
    head: usize,
    whole: usize,
}

impl Connection {
    pub async fn open(connector: &TlsConnector, address: SocketAddr, name: &'static str) -> Connection {
        let tcp = TcpStream::connect(address).await.unwrap();
        tcp.set_nodelay(true).unwrap();
        let name = ServerName::try_from(name).unwrap();
        let stream = connector.connect(name, tcp).await.unwrap();
        Connection { stream, read: Vec::with_capacity(READ) }
    }

    /// Sends a request and reads its answer to the end.
    async fn exchange(&mut self, request: &[u8]) -> Shape {
        self.read.clear();
        self.stream.write_all(request).await.unwrap();
        self.stream.flush().await.unwrap();
        loop {
            let more = self.stream.read_buf(&mut self.read).await.unwrap();
            assert!(more > 0, "the connection was closed instead of answered");
            if let Some(shape) = shape(&self.read).filter(|shape| self.read.len() >= shape.whole) {
                return shape;
            }
        }
    }

    /// One request, and the answer's status and body.
    pub async fn ask(&mut self, request: &[u8]) -> (u16, Bytes) {
        let shape = self.exchange(request).await;
        (shape.status, Bytes::copy_from_slice(self.read.get(shape.head..shape.whole).unwrap_or_default()))
    }
}

/// What the head says, once it is whole.
fn shape(read: &[u8]) -> Option<Shape> {
    let head = read.windows(4).position(|end| end == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(read.get(..head)?).unwrap();
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap();
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    let length = length.unwrap_or_else(|| panic!("an answer without Content-Length:\n{text}"));
    Some(Shape { status, head, whole: head + length })
}

/// A counted run.
pub struct Run {
    pub seconds: f64,
    /// Of each request, in µs.
    pub latencies: Vec<u32>,
}

/// Sends `count` requests, taking turns through `requests`, on all connections at once. Every answer must have status
/// `expected`.
pub async fn run(
    connections: &mut Vec<Connection>,
    requests: &Arc<Vec<Bytes>>,
    count: u64,
    expected: u16,
) -> Run {
    let next = Arc::new(AtomicU64::new(0));
    let mut tasks = JoinSet::new();
    let begun = Instant::now();
    for mut connection in connections.drain(..) {
        let (next, requests) = (Arc::clone(&next), Arc::clone(requests));
        tasks.spawn(async move {
            let mut latencies = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return (connection, latencies);
                }
                let turn = usize::try_from(number).unwrap() % requests.len();
                let sent = Instant::now();
                let shape = connection.exchange(requests.get(turn).unwrap()).await;
                latencies.push(u32::try_from(sent.elapsed().as_micros()).unwrap_or(u32::MAX));
                assert_eq!(shape.status, expected, "{}", String::from_utf8_lossy(&connection.read));
            }
        });
    }
    let mut latencies = Vec::new();
    while let Some(done) = tokio::time::timeout(PATIENCE, tasks.join_next()).await.unwrap() {
        let (connection, more) = done.unwrap();
        connections.push(connection);
        latencies.extend(more);
    }
    Run { seconds: begun.elapsed().as_secs_f64(), latencies }
}
