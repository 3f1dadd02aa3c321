//! Where a browser lands at a relying party: an HTTPS server that answers everything with one small page and remembers what
//! came. Its names are a site of their own for the browser (`rp.test`). It can be down, and it can keep who asks waiting.

use super::http::DEADLINE;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::pki_types::PrivateKeyDer;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

pub struct Landing {
    pub port: u16,
    /// The SHA-256 of its public key, base64: what Chromium is told to trust.
    pub key_digest: String,
    /// PEM, for those who trust a file.
    pub certificate: String,
    tls: TlsAcceptor,
    told: Told,
    task: Option<JoinHandle<()>>,
}

#[derive(Clone)]
struct Told {
    seen: Arc<Mutex<Vec<Arrival>>>,
    /// Changes with every arrival.
    count: watch::Sender<usize>,
    /// Whether answers are held back.
    holds: watch::Sender<bool>,
    /// What is served at which path, instead of the small page.
    published: Arc<Mutex<HashMap<String, String>>>,
}

#[derive(Clone, Debug)]
pub struct Arrival {
    pub method: String,
    pub target: String,
    pub body: String,
}

impl Landing {
    pub async fn start() -> Self {
        let names = ["rp.test", "localhost", "127.0.0.1"].map(String::from).to_vec();
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let told = Told {
            seen: Arc::default(),
            count: watch::Sender::new(0),
            holds: watch::Sender::new(false),
            published: Arc::default(),
        };
        let mut landing = Self {
            port: 0,
            key_digest: key_digest(made.cert.der()),
            certificate: made.cert.pem(),
            tls: TlsAcceptor::from(Arc::new(config)),
            told,
            task: None,
        };
        landing.up().await;
        landing
    }

    /// Serves `text` as JSON at `path` from now on; its address for the program, which resolves no names.
    pub fn publish(&self, path: &str, text: &str) -> String {
        self.told.published.lock().unwrap().insert(path.to_owned(), text.to_owned());
        format!("https://127.0.0.1:{}{path}", self.port)
    }

    /// Listens (again).
    pub async fn up(&mut self) {
        let listener = TcpListener::bind(("127.0.0.1", self.port)).await.unwrap();
        self.port = listener.local_addr().unwrap().port();
        self.task = Some(tokio::spawn(serve(listener, self.tls.clone(), self.told.clone())));
    }

    /// Nobody is there any more.
    pub async fn down(&mut self) {
        let task = self.task.take().unwrap();
        task.abort();
        let _ = task.await;
    }

    /// From now on what arrives waits for its answer, or no longer.
    pub fn hold(&self, holds: bool) {
        self.told.holds.send_replace(holds);
    }

    /// Its address on another site than the provider's.
    pub fn url(&self) -> String {
        format!("https://rp.test:{}", self.port)
    }

    /// Its address for programs, which know no `rp.test`.
    pub fn direct_url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    pub fn arrivals(&self) -> Vec<Arrival> {
        self.told.seen.lock().unwrap().clone()
    }

    /// The first `count` arrivals that `wanted` takes, once they are there.
    pub async fn await_arrivals(&self, count: usize, wanted: impl Fn(&Arrival) -> bool) -> Vec<Arrival> {
        let mut arrived = self.told.count.subscribe();
        let enough = async {
            loop {
                arrived.borrow_and_update();
                let found: Vec<_> =
                    self.arrivals().into_iter().filter(|arrival| wanted(arrival)).take(count).collect();
                if found.len() == count {
                    return found;
                }
                arrived.changed().await.unwrap();
            }
        };
        tokio::time::timeout(DEADLINE, enough)
            .await
            .unwrap_or_else(|_| panic!("it never arrived; what did: {:?}", self.arrivals()))
    }
}

async fn serve(listener: TcpListener, tls: TlsAcceptor, told: Told) {
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, told) = (tls.clone(), told.clone());
        tokio::spawn(async move {
            // A browser opens connections it never uses; their end is no failure.
            let Ok(stream) = tls.accept(stream).await else { return };
            let answer = service_fn(move |request| answer(request, told.clone()));
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), answer)
                .await;
        });
    }
}

async fn answer(request: Request<Incoming>, told: Told) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let (head, body) = request.into_parts();
    let page = told.published.lock().unwrap().get(head.uri.path()).cloned();
    if let Some(page) = page {
        let response = Response::builder().header("content-type", "application/json");
        return Ok(response.body(Full::new(page.into())).unwrap());
    }
    let body = String::from_utf8_lossy(&body.collect().await?.to_bytes()).into_owned();
    let arrival = Arrival { method: head.method.to_string(), target: head.uri.to_string(), body };
    if !arrival.target.starts_with("/favicon") {
        told.seen.lock().unwrap().push(arrival);
        told.count.send_modify(|count| *count += 1);
    }
    let _ = told.holds.subscribe().wait_for(|holds| !holds).await;
    let page = "<!doctype html><html lang=en><title>Landed</title><p id=landed>Landed</p>";
    let response =
        Response::builder().header("content-type", "text/html").header("cache-control", "no-store");
    Ok(response.body(Full::new(Bytes::from_static(page.as_bytes()))).unwrap())
}

/// The digest of a certificate's public key, as `--ignore-certificate-errors-spki-list` wants it.
pub fn key_digest(certificate: &[u8]) -> String {
    use base64::Engine as _;
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).unwrap();
    let digest = ring::digest::digest(&ring::digest::SHA256, parsed.tbs_certificate.subject_pki.raw);
    base64::engine::general_purpose::STANDARD.encode(digest.as_ref())
}
