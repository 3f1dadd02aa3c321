//! The front door run by pingora on a free port, with TLS clients that speak HTTP/1 by hand and HTTP/2 by `h2`.
#![expect(clippy::disallowed_methods, reason = "tests spawn their clients; the test's runtime ends them")]

mod arrival;
mod h1;
mod h2;

use super::*;
use crate::base::scalar::Span;
use crate::op::Life;
use bytes::Bytes;
use parking_lot::Mutex;
use pingora::apps::{HttpPersistentSettings, ReusedHttpStream};
use pingora::http::ResponseHeader;
use pingora::server::{Fds, ListenFds};
use pingora::services::Service as _;
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::collections::HashMap;
use std::future::pending;
use std::net::TcpListener;
use std::num::NonZeroU32;
use std::os::fd::IntoRawFd;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Within the validity of the certificates made here.
const NOW: Timestamp = Timestamp(1_795_478_400);
const HOST: &str = "a.example";

/// The application: each path is a behaviour.
struct Rooms {
    lives: Mutex<HashMap<String, Arc<Life>>>,
    /// `/slow` answers when there is a permit.
    slow: Semaphore,
    begun: Semaphore,
    served: AtomicUsize,
    /// Exchanges dropped because they were cut.
    cut: AtomicUsize,
}

impl Rooms {
    fn life(&self, name: &str) -> Arc<Life> {
        self.lives.lock().entry(name.to_owned()).or_insert_with(Life::root).clone()
    }

    async fn serve(&self, session: &mut ServerSession) {
        let path = session.req_header().uri.path().to_owned();
        let exchange = Exchange::current().unwrap();
        let mut response = ResponseHeader::build(200, None).unwrap();
        if exchange.h2 {
            response.set_version(http::Version::HTTP_2);
        }
        let (room, name) = path[1..].split_once('/').unwrap_or((&path[1..], ""));
        let mut body = format!("{} {}", exchange.peer, exchange.server_name.as_deref().unwrap_or("-"));
        match room {
            "live" => return self.live(session, response, name).await,
            "bound" => Scope::current().unwrap().bind(&self.life(name)).unwrap(),
            "panic" => panic!("on request"),
            "slow" => {
                self.begun.add_permits(1);
                self.slow.acquire().await.unwrap().forget();
            }
            "via" => body = format!("{:?}", exchange.via),
            "body" => {
                body.clear();
                while let Ok(Some(bytes)) = session.read_request_body().await {
                    body.push_str(std::str::from_utf8(&bytes).unwrap());
                }
            }
            _ => {}
        }
        if exchange.draining() && room != "stubborn" {
            session.set_keepalive(None);
        }
        response.insert_header("Content-Length", body.len()).unwrap();
        // A client may have left meanwhile.
        if session.write_response_header(Box::new(response)).await.is_ok() {
            let _ = session.write_response_body(body.into(), true).await;
        }
    }

    /// A stream that never ends by itself: one byte, then silence.
    async fn live(&self, session: &mut ServerSession, response: ResponseHeader, name: &str) {
        struct Leave<'a>(&'a Rooms);
        impl Drop for Leave<'_> {
            fn drop(&mut self) {
                if Scope::current().is_some_and(|scope| scope.is_cut()) {
                    self.0.cut.fetch_add(1, SeqCst);
                }
            }
        }
        let _leave = Leave(self);
        Scope::current().unwrap().bind(&self.life(name)).unwrap();
        session.write_response_header(Box::new(response)).await.unwrap();
        session.write_response_body(Bytes::from_static(b"."), false).await.unwrap();
        pending().await
    }
}

#[async_trait]
impl HttpServerApp for Rooms {
    async fn process_new_http(
        self: &Arc<Self>,
        mut session: ServerSession,
        _: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        if !session.read_request().await.ok()? {
            return None;
        }
        head_done(&session);
        self.serve(&mut session).await;
        request_done(&session);
        self.served.fetch_add(1, SeqCst);
        let settings = HttpPersistentSettings::for_session(&session);
        let reusable = session.finish().await.ok().flatten()?;
        Some(ReusedHttpStream::from_reusable_stream(reusable, settings))
    }
}

/// A front door that is open.
struct House {
    address: SocketAddr,
    app: Arc<Rooms>,
    door: Arc<Door>,
    shutdown: watch::Sender<bool>,
    service: JoinHandle<()>,
    settings: Settings,
    _dir: TempDir,
}

/// Limits that no test runs into by chance; tests shorten the one they are about.
fn patient() -> Settings {
    let mut settings = Settings::default();
    settings.limits.handshake = Span::secs(60);
    settings.limits.head = Span::secs(60);
    settings.limits.linger = Span::millis(1);
    settings
}

/// Short enough to wait for, long enough for a busy machine to begin.
const SOON: Span = Span::millis(300);

fn at_most(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap()
}

impl House {
    async fn open(mut settings: Settings) -> House {
        let dir = TempDir::new().unwrap();
        let (cert, key) = (dir.path().join("crt"), dir.path().join("key"));
        settings.tls.certificates = vec![settings::Certificate { cert, key, hosts: Vec::new() }];
        renew(&settings);
        let door = Door::new(&settings, NOW).unwrap();
        let (address, sockets) = listening();
        settings.listen = vec![address];
        let app = Arc::new(Rooms {
            lives: Mutex::default(),
            slow: Semaphore::new(0),
            begun: Semaphore::new(0),
            served: AtomicUsize::new(0),
            cut: AtomicUsize::new(0),
        });
        let (shutdown, watch) = watch::channel(false);
        let mut service = service(app.clone(), door.clone(), &settings);
        let service = tokio::spawn(async move { service.start_service(Some(sockets), watch, 1).await });
        House { address, app, door, shutdown, service, settings, _dir: dir }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn tls(&self, protocol: &str) -> TlsStream<TcpStream> {
        self.handshake(self.connect().await, protocol).await.unwrap()
    }

    async fn handshake(&self, tcp: TcpStream, protocol: &str) -> std::io::Result<TlsStream<TcpStream>> {
        let versions = [&rustls::version::TLS12, &rustls::version::TLS13];
        self.client(protocol, &versions).connect(HOST.try_into().unwrap(), tcp).await
    }

    fn client(&self, protocol: &str, versions: &[&'static rustls::SupportedProtocolVersion]) -> TlsConnector {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(&self.settings.tls.certificates[0].cert).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        TlsConnector::from(Arc::new(config))
    }

    /// Told to stop, and no longer accepting.
    async fn stop(&mut self) {
        self.shutdown.send(true).unwrap();
        (&mut self.service).await.unwrap();
    }

    /// Until no more than `count` connections are open.
    async fn left(&self, count: usize) {
        while self.door.connections().count() > count {
            tokio::task::yield_now().await;
        }
    }

    /// Until `count` has been counted; each look lets everybody else go first.
    async fn counted(&self, count: impl Fn(&Tally) -> &tally::Count, expected: u64) {
        while count(self.door.tally()).read() < expected {
            tokio::task::yield_now().await;
        }
    }
}

/// A free port, listened on; pingora finds the socket where it keeps those handed over.
fn listening() -> (SocketAddr, ListenFds) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let mut sockets = Fds::new();
    sockets.add(address.to_string(), listener.into_raw_fd());
    (address, Arc::new(Mutex::new(sockets)))
}

/// A new certificate in the files of the settings.
fn renew(settings: &Settings) {
    let key = KeyPair::generate().unwrap();
    let cert = CertificateParams::new(vec![HOST.to_owned()]).unwrap().self_signed(&key).unwrap();
    let files = &settings.tls.certificates[0];
    std::fs::write(&files.cert, cert.pem()).unwrap();
    std::fs::write(&files.key, key.serialize_pem()).unwrap();
}
