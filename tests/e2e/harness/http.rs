//! An HTTPS client for tests: trusts the development CA alone, connects every name to loopback, speaks h1 or h2, follows
//! no redirect. One idle connection is kept for reuse.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio_rustls::TlsConnector;
use url::Url;

/// What no answer may take; only a hung server reaches it.
pub const DEADLINE: Duration = Duration::from_secs(60);

enum Wire {
    One(http1::SendRequest<Full<Bytes>>),
    Two(http2::SendRequest<Full<Bytes>>),
}

#[derive(Clone)]
pub struct Client {
    tls: Arc<rustls::ClientConfig>,
    h2: bool,
    /// The authority and connection of the last exchange.
    idle: Arc<Mutex<Option<(String, Wire)>>>,
}

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Client {
    /// Trusts the certificates of the PEM file `ca` and no others.
    pub fn trusting(ca: &Path) -> Self {
        let mut roots = rustls::RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(ca).unwrap() {
            roots.add(certificate.unwrap()).unwrap();
        }
        Self::with_config(|builder| builder.with_root_certificates(roots).with_no_client_auth())
    }

    /// The same, showing this certificate (with this key as PKCS #8) to whoever asks for one.
    pub fn showing(ca: &Path, certificate: CertificateDer<'static>, key: Vec<u8>) -> Self {
        let mut roots = rustls::RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(ca).unwrap() {
            roots.add(certificate.unwrap()).unwrap();
        }
        let key = rustls::pki_types::PrivateKeyDer::try_from(key).unwrap();
        Self::with_config(|builder| {
            builder.with_root_certificates(roots).with_client_auth_cert(vec![certificate], key).unwrap()
        })
    }

    fn with_config(
        finish: impl FnOnce(
            rustls::ConfigBuilder<rustls::ClientConfig, rustls::WantsVerifier>,
        ) -> rustls::ClientConfig,
    ) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder =
            rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let mut tls = finish(builder.unwrap());
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        Self { tls: Arc::new(tls), h2: false, idle: Arc::default() }
    }

    /// The same client, speaking HTTP/2.
    pub fn h2(&self) -> Self {
        let mut tls = (*self.tls).clone();
        tls.alpn_protocols = vec![b"h2".to_vec()];
        Self { tls: Arc::new(tls), h2: true, idle: Arc::default() }
    }

    /// The same client with a connection of its own.
    pub fn fresh(&self) -> Self {
        Self { idle: Arc::default(), ..self.clone() }
    }

    pub fn get(&self, url: impl AsRef<str>) -> Call<'_> {
        Call::new(self, Method::GET, url.as_ref())
    }

    pub fn post(&self, url: impl AsRef<str>) -> Call<'_> {
        Call::new(self, Method::POST, url.as_ref())
    }

    pub fn call(&self, method: Method, url: impl AsRef<str>) -> Call<'_> {
        Call::new(self, method, url.as_ref())
    }

    /// A TLS stream to the URL's port on loopback, the URL's host as the name; for raw bytes.
    pub async fn connect(&self, url: &str) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
        let url = Url::parse(url).unwrap();
        let name = ServerName::try_from(url.host_str().unwrap().to_owned()).unwrap();
        let tcp = TcpStream::connect(("127.0.0.1", url.port_or_known_default().unwrap())).await?;
        tcp.set_nodelay(true)?;
        TlsConnector::from(self.tls.clone()).connect(name, tcp).await
    }

    async fn open(&self, url: &str) -> std::io::Result<Wire> {
        let io = TokioIo::new(self.connect(url).await?);
        let failed = |error: hyper::Error| std::io::Error::other(error);
        if self.h2 {
            let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await.map_err(failed)?;
            tokio::spawn(connection);
            Ok(Wire::Two(sender))
        } else {
            let (sender, connection) = http1::handshake(io).await.map_err(failed)?;
            tokio::spawn(connection.with_upgrades());
            Ok(Wire::One(sender))
        }
    }

    /// Sends on the idle connection if it is still open, else on a new one; the body is the caller's to read.
    async fn exchange(
        &self,
        url: &str,
        request: Request<Full<Bytes>>,
    ) -> std::io::Result<http::Response<hyper::body::Incoming>> {
        let authority =
            Url::parse(url).unwrap()[url::Position::BeforeHost..url::Position::AfterPort].to_owned();
        let kept = self.idle.lock().await.take().filter(|(to, wire)| *to == authority && wire.is_open());
        let mut wire = match kept {
            Some((_, wire)) => wire,
            None => self.open(url).await?,
        };
        let response = wire.send(request).await.map_err(std::io::Error::other)?;
        *self.idle.lock().await = Some((authority, wire));
        Ok(response)
    }
}

impl Wire {
    fn is_open(&self) -> bool {
        match self {
            // An h1 connection whose last body was not read yet is not ready, and is left to end by itself.
            Self::One(sender) => sender.is_ready(),
            Self::Two(sender) => sender.is_ready(),
        }
    }

    async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> hyper::Result<http::Response<hyper::body::Incoming>> {
        match self {
            Self::One(sender) => sender.send_request(request).await,
            Self::Two(sender) => sender.send_request(request).await,
        }
    }
}

/// A request being put together.
pub struct Call<'a> {
    client: &'a Client,
    method: Method,
    url: String,
    headers: HeaderMap,
    body: Bytes,
}

impl<'a> Call<'a> {
    fn new(client: &'a Client, method: Method, url: &str) -> Self {
        Self { client, method, url: url.to_owned(), headers: HeaderMap::new(), body: Bytes::new() }
    }

    /// Adds a header; a second one of the same name stands beside the first.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        self.headers.append(name, HeaderValue::from_str(value).unwrap());
        self
    }

    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// Credentials as RFC 6749 §2.3.1 has them: form-encoded, then base64.
    pub fn basic(self, id: &str, secret: &str) -> Self {
        use base64::Engine as _;
        let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let pair = format!("{}:{}", encode(id), encode(secret));
        let value = base64::engine::general_purpose::STANDARD.encode(pair);
        self.header("authorization", &format!("Basic {value}"))
    }

    pub fn form(mut self, fields: &[(&str, &str)]) -> Self {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.body = body.into();
        self.header("content-type", "application/x-www-form-urlencoded")
    }

    /// A body as it is.
    pub fn text(mut self, body: &str) -> Self {
        self.body = body.to_owned().into();
        self
    }

    pub fn json(mut self, value: &Value) -> Self {
        self.body = value.to_string().into();
        self.header("content-type", "application/json")
    }

    fn request(&self) -> Request<Full<Bytes>> {
        let url = Url::parse(&self.url).unwrap();
        // The target exactly as it was written: `Url` would clean up what a path test wants to send.
        let after_scheme = &self.url[self.url.find("://").unwrap() + 3..];
        let target = after_scheme.find('/').map_or("/", |at| &after_scheme[at..]);
        let authority = &after_scheme[..after_scheme.find('/').unwrap_or(after_scheme.len())];
        let mut request = Request::builder().method(self.method.clone());
        if self.client.h2 {
            request = request.uri(format!("{}://{authority}{target}", url.scheme()));
        } else {
            request = request.uri(target);
            if !self.headers.contains_key("host") {
                request = request.header("host", authority);
            }
        }
        let mut request = request.body(Full::new(self.body.clone())).unwrap();
        request.headers_mut().extend(self.headers.clone());
        request
    }

    /// The answer's head, and its body as a stream.
    pub async fn open(self) -> std::io::Result<http::Response<hyper::body::Incoming>> {
        let sent = self.client.exchange(&self.url, self.request());
        tokio::time::timeout(DEADLINE, sent).await.map_err(std::io::Error::other)?
    }

    /// The whole answer, or why there was none.
    pub async fn try_send(self) -> std::io::Result<Answer> {
        let response = self.open().await?;
        let (head, body) = response.into_parts();
        let body = tokio::time::timeout(DEADLINE, body.collect()).await.map_err(std::io::Error::other)?;
        let body = body.map_err(std::io::Error::other)?.to_bytes();
        Ok(Answer { status: head.status.as_u16(), headers: head.headers, body })
    }

    pub async fn send(self) -> Answer {
        let what = format!("{} {}", self.method, self.url);
        self.try_send().await.unwrap_or_else(|error| panic!("{what}: no answer: {error}"))
    }
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header's value; several of one name joined by a comma.
    pub fn header(&self, name: &str) -> Option<String> {
        let values: Vec<_> = self.headers.get_all(name).iter().map(|v| v.to_str().unwrap()).collect();
        (!values.is_empty()).then(|| values.join(", "))
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("not JSON ({error}), status {}: {}", self.status, self.text()))
    }

    /// The answer, if it has this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{:#?}\n{}", self.headers, self.text());
        self
    }

    /// A JSON error answer with this status and code.
    #[track_caller]
    pub fn expect_error(self, status: u16, code: &str) -> Self {
        let answer = self.expect(status);
        assert_eq!(answer.json()["error"], code, "{}", answer.text());
        answer
    }
}
