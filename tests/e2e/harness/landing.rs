//! Where a browser lands at a relying party: an HTTPS server that answers everything with one small page and remembers what
//! came. Its names are a site of their own for the browser (`rp.test`).

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::pki_types::PrivateKeyDer;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

pub struct Landing {
    pub port: u16,
    /// The SHA-256 of its public key, base64: what Chromium is told to trust.
    pub key_digest: String,
    seen: Arc<Mutex<Vec<Arrival>>>,
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
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen: Arc<Mutex<Vec<Arrival>>> = Arc::default();
        tokio::spawn(serve(listener, TlsAcceptor::from(Arc::new(config)), seen.clone()));
        Self { port, key_digest: key_digest(made.cert.der()), seen }
    }

    /// Its address on another site than the provider's.
    pub fn url(&self) -> String {
        format!("https://rp.test:{}", self.port)
    }

    pub fn arrivals(&self) -> Vec<Arrival> {
        self.seen.lock().unwrap().clone()
    }
}

async fn serve(listener: TcpListener, tls: TlsAcceptor, seen: Arc<Mutex<Vec<Arrival>>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, seen) = (tls.clone(), seen.clone());
        tokio::spawn(async move {
            // A browser opens connections it never uses; their end is no failure.
            let Ok(stream) = tls.accept(stream).await else { return };
            let answer = service_fn(move |request| answer(request, seen.clone()));
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), answer)
                .await;
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    seen: Arc<Mutex<Vec<Arrival>>>,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let (head, body) = request.into_parts();
    let body = String::from_utf8_lossy(&body.collect().await?.to_bytes()).into_owned();
    let arrival = Arrival { method: head.method.to_string(), target: head.uri.to_string(), body };
    if !arrival.target.starts_with("/favicon") {
        seen.lock().unwrap().push(arrival);
    }
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
