//! The whole edge in one process: the front door on a free port, a provider over the memory store, an upstream
//! written by hand. Clients speak HTTP/1 by hand over TLS.
#![expect(clippy::disallowed_methods, reason = "tests spawn their upstream; the test's runtime ends it")]

mod bearer;
mod bound;
mod forward;
mod forward_auth;
mod identity;
mod mtls;
mod own;
mod upstream;

use super::front::{self, Connections, Door};
use super::{Edge, Kit, Settings, http_proxy};
use crate::base::clock::{Clock, Timestamp};
use crate::base::fetch::Fetch;
use crate::base::random::Random;
use crate::base::secret::{AtRestKey, sha256};
use crate::base::work::Work;
use crate::observe::access_log::AccessLog;
use crate::observe::metrics::Metrics;
use crate::observe::sink::Sink;
use crate::op::{self, Op};
use crate::store::memory::Memory;
use parking_lot::Mutex;
use pingora::server::configuration::ServerConf;
use pingora::server::{Fds, ListenFds};
use pingora::services::Service as _;
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::os::fd::IntoRawFd;
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use upstream::Upstream;

const START: Timestamp = Timestamp(1_800_000_000);
const HOST: &str = "op.example";
const RESOURCE: &str = "https://api.example/";

/// An edge that is open.
struct House {
    address: SocketAddr,
    /// Where client certificates are asked for.
    mtls: SocketAddr,
    edge: Edge,
    op: Op,
    clock: Clock,
    metrics: Arc<Metrics>,
    log: AccessLog,
    log_file: PathBuf,
    certificate: PathBuf,
    upstream: Upstream,
    connections: Arc<Connections>,
    _stop: watch::Sender<bool>,
    _folder: TempDir,
}

/// The routes of the quickstart, and some that say less.
fn settings(upstream: SocketAddr) -> Value {
    json!({
        "upstreams": { "up": { "addresses": [upstream.to_string()] }, "down": { "addresses": ["127.0.0.1:1"] } },
        "routes": [
            { "path": "/", "policy": "public", "respond": { "body": "<p>Welcome" } },
            { "path": "/public", "policy": "public", "upstream": "up", "body_limit": "1KiB" },
            { "path": "/api", "policy": { "bearer": { "resource": RESOURCE, "scopes": ["api"] } }, "upstream": "up",
              "cors": { "origins": ["https://app.example"] } },
            { "path": "/asks", "policy": { "bearer": { "resource": RESOURCE, "scopes": ["api"] } }, "upstream": "up",
              "cors": { "origins": ["https://app.example"], "forward_preflight": true } },
            { "path": "/write", "policy": { "bearer": { "resource": RESOURCE, "scopes": ["api.write"] } }, "upstream": "up" },
            { "path": "/bound", "policy": { "bearer": { "resource": RESOURCE, "binding": "required" } }, "upstream": "up" },
            { "path": "/other", "policy": { "bearer": { "resource": "https://other.example/" } }, "upstream": "up" },
            { "path": "/down", "policy": "public", "upstream": "down" },
            { "path": "/denied", "policy": "deny" },
            { "path": "/rated", "policy": "public", "upstream": "up", "websocket": false,
              "rates": [{ "per": "address", "requests": 2, "within": "1h" }] }
        ]
    })
}

/// What provider and edge stand on: each call makes another.
fn ground(clock: &Clock) -> op::Kit {
    op::Kit {
        store: Arc::new(Memory::new()),
        clock: clock.clone(),
        random: Random::system(),
        at_rest: AtRestKey::new([7; 32]),
        work: Work::scripted(clock.clone()),
        fetch: Fetch::scripted(|asked| panic!("nobody scripted {}", asked.url)),
    }
}

/// `more`: further settings of the provider.
async fn provider(clock: &Clock, folder: &TempDir, more: &Value) -> Op {
    let clients = folder.path().join("clients.yaml");
    let digest = crate::base::encode::base64url(&sha256(b"secret"));
    let text = format!(
        "clients: [{{ client_id: robot, client_secret_sha256: {digest}, client_name: Robot, response_types: [], \
         grant_types: [client_credentials], token_endpoint_auth_method: client_secret_basic, scope: api }}]"
    );
    std::fs::write(&clients, text).unwrap();
    let mut written = json!({
        "issuer": format!("https://{HOST}"),
        "clients_file": clients,
        "resources": [
            { "uri": RESOURCE, "scopes": ["api", "api.write"] }, { "uri": "https://other.example/", "scopes": ["other"] }
        ],
    });
    written.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let settings: op::Settings = serde_json::from_value(written).unwrap();
    Op::open(ground(clock), settings).await.unwrap()
}

impl House {
    async fn open() -> House {
        House::with(json!({})).await
    }

    /// A house whose provider has these settings besides.
    async fn with(more: Value) -> House {
        let folder = TempDir::new().unwrap();
        let clock = Clock::scripted(START);
        let op = provider(&clock, &folder, &more).await;
        let upstream = Upstream::start().await;
        let log_file = folder.path().join("access.log");
        let log = AccessLog::new(Sink::file(&log_file).unwrap()).unwrap();
        let metrics = Arc::new(Metrics::default());
        let op::Kit { store, random, at_rest, work, fetch, .. } = ground(&clock);
        let kit = Kit {
            clock: clock.clone(),
            random,
            access_log: log.clone(),
            metrics: metrics.clone(),
            store,
            at_rest,
            fetch,
            work,
            subject_key: [1; 32],
        };
        let written: Settings = serde_json::from_value(settings(upstream.address)).unwrap();
        let edge = Edge::new(&written, Some(op.clone()), kit).unwrap();
        let (cert, key) = (folder.path().join("crt"), folder.path().join("key"));
        certify(&cert, &key);
        let mut door_settings = front::Settings::default();
        let certificate = cert.clone();
        door_settings.tls.certificates = vec![front::settings::Certificate { cert, key, hosts: Vec::new() }];
        let (address, sockets) = listening();
        door_settings.listen = vec![address];
        let (mtls, mtls_sockets) = listening();
        door_settings.mtls = Some(front::settings::Mtls { listen: vec![mtls] });
        let door = Door::new(&door_settings, Timestamp(1_795_478_400)).unwrap();
        let connections = door.connections().clone();
        let app = Arc::new(http_proxy(&Arc::new(ServerConf::default()), edge.clone()));
        let (stop, watch) = watch::channel(false);
        let mut asking = front::mtls_service(app.clone(), door.clone(), &door_settings).unwrap();
        let mut service = front::service(app, door, &door_settings);
        let mtls_watch = watch.clone();
        tokio::spawn(async move { asking.start_service(Some(mtls_sockets), mtls_watch, 1).await });
        tokio::spawn(async move { service.start_service(Some(sockets), watch, 1).await });
        let kept = edge.clone();
        tokio::spawn(async move { kept.keep().await });
        House {
            address,
            mtls,
            edge,
            op,
            clock,
            metrics,
            log,
            log_file,
            certificate,
            upstream,
            connections,
            _stop: stop,
            _folder: folder,
        }
    }

    async fn connect(&self) -> TlsStream<TcpStream> {
        self.connect_for("http/1.1").await
    }

    async fn connect_for(&self, protocol: &str) -> TlsStream<TcpStream> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(&self.certificate).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        let tcp = TcpStream::connect(self.address).await.unwrap();
        TlsConnector::from(Arc::new(config)).connect(HOST.try_into().unwrap(), tcp).await.unwrap()
    }

    /// One request on a connection of its own; the whole answer. `lines`: further header lines.
    async fn ask(&self, request_line: &str, lines: &[&str], body: &str) -> Answer {
        self.ask_of(HOST, request_line, lines, body).await
    }

    async fn ask_of(&self, host: &str, request_line: &str, lines: &[&str], body: &str) -> Answer {
        let mut tls = self.connect().await;
        let mut text = format!("{request_line} HTTP/1.1\r\nHost: {host}\r\n");
        for line in lines {
            text.push_str(&format!("{line}\r\n"));
        }
        if !lines.iter().any(|line| line.to_lowercase().starts_with("connection")) {
            text.push_str("Connection: close\r\n");
        }
        if !body.is_empty() {
            text.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        tls.write_all(format!("{text}\r\n{body}").as_bytes()).await.unwrap();
        Answer::read(&mut tls).await
    }

    /// A token of the client `robot`.
    async fn token(&self, scope: &str) -> String {
        let form = format!("grant_type=client_credentials&scope={scope}");
        let answer = self.ask("POST /oidcop/token", &[BASIC, FORM], &form).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()["access_token"].as_str().unwrap().to_owned()
    }

    async fn revoke(&self, token: &str) {
        let answer = self.ask("POST /oidcop/revocation", &[BASIC, FORM], &format!("token={token}")).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
    }

    /// The lines of the access log so far, once every connection has gone.
    async fn lines(&self) -> Vec<Value> {
        while self.connections.count() > 0 {
            tokio::task::yield_now().await;
        }
        self.log.flush();
        let text = std::fs::read_to_string(&self.log_file).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// `robot:secret`.
const BASIC: &str = "Authorization: Basic cm9ib3Q6c2VjcmV0";
const FORM: &str = "Content-Type: application/x-www-form-urlencoded";

struct Answer {
    status: u16,
    /// In lower case.
    head: String,
    text: String,
}

impl Answer {
    /// By its Content-Length, or up to the end.
    async fn read(tls: &mut TlsStream<TcpStream>) -> Answer {
        let mut bytes = Vec::new();
        let head = loop {
            if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            assert!(tls.read_buf(&mut bytes).await.unwrap() > 0, "{:?}", String::from_utf8_lossy(&bytes));
        };
        let text = String::from_utf8_lossy(&bytes[..head]).to_lowercase();
        let status: u16 = text[9..12].parse().unwrap();
        if status == 100 {
            bytes.drain(..head);
        }
        // A cut connection ends without close_notify: what came before it counts.
        if status != 101 {
            while tls.read_buf(&mut bytes).await.is_ok_and(|count| count > 0) {}
        }
        let start = if status == 100 { 0 } else { head };
        Answer { status, head: text, text: String::from_utf8_lossy(&bytes[start..]).into_owned() }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }
}

fn certify(cert: &std::path::Path, key: &std::path::Path) {
    let pair = KeyPair::generate().unwrap();
    let made = CertificateParams::new(vec![HOST.to_owned()]).unwrap().self_signed(&pair).unwrap();
    std::fs::write(cert, made.pem()).unwrap();
    std::fs::write(key, pair.serialize_pem()).unwrap();
}

/// A free port, listened on; pingora finds the socket where it keeps those handed over.
fn listening() -> (SocketAddr, ListenFds) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let mut sockets = Fds::new();
    sockets.add(address.to_string(), listener.into_raw_fd());
    (address, Arc::new(Mutex::new(sockets)))
}
