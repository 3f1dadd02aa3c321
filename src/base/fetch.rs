//! The only outbound HTTP of ours: one request to a URL that a stranger may have chosen. `https` only, no redirects,
//! no proxies, no cookies; a name is resolved once, checked, and the connection goes to the very address that was
//! checked (no DNS rebinding). It keeps no connections and retries nothing.

mod address;
mod answer;
mod settings;

pub use answer::Fetched;
pub use settings::Settings;

use crate::base::uri::is_https_url;
use address::{Place, addresses, is_allowed};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, header};
use http_body_util::Full;
use hyper_util::rt::TokioIo;
use ipnet::IpNet;
use parking_lot::Mutex;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, oneshot};
use tokio_rustls::TlsConnector;

/// Requests under way at once; more are refused, so that a flood of unknown key sets costs bounded memory.
const AT_ONCE: usize = 64;

/// Of these, to one host: one that takes its time leaves room for the others.
const PER_HOST: usize = 32;

/// Response heads beyond this are refused, in bytes.
const MAX_HEAD: usize = 16 << 10;

/// Why nothing was fetched. Logged with the request id, never shown.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Fault {
    #[error("not an https URL that may be fetched")]
    Url,
    /// Every address of the host is private, local or otherwise not on the public network.
    #[error("the host's address may not be fetched from (setting `fetch.allow`)")]
    Refused,
    #[error("the host's name does not resolve")]
    Unresolved,
    #[error("the host cannot be reached: {0}")]
    Unreachable(String),
    #[error("the TLS handshake failed: {0}")]
    Tls(String),
    #[error("no proper HTTP answer: {0}")]
    Http(String),
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    #[error("no complete answer in time")]
    Late,
    #[error("too many requests are under way")]
    Overloaded,
    /// The settings cannot be used, or the runtime is ending.
    #[error("{0}")]
    Setup(String),
}

/// What is asked for; scripted fetches see it whole.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: Method,
    pub url: String,
    /// The `Accept` header.
    pub accept: String,
    /// For a POST.
    pub content_type: Option<String>,
    pub body: Bytes,
    /// Larger bodies of the answer are a fault, in bytes.
    pub max: usize,
}

type Script = dyn Fn(&Asked) -> Result<Fetched, Fault> + Send + Sync;

/// Fetches. Clones share settings and limits.
#[derive(Clone)]
pub struct Fetch(Kind);

#[derive(Clone)]
enum Kind {
    System(Arc<System>),
    Scripted(Arc<Script>),
}

struct System {
    allow: Vec<IpNet>,
    timeout: Duration,
    tls: Arc<ClientConfig>,
    runtime: Handle,
    under_way: Arc<Semaphore>,
    /// The same by host.
    hosts: Mutex<HashMap<String, usize>>,
}

/// One of the requests to a host; dropping it makes room for another.
struct Slot {
    system: Arc<System>,
    host: String,
}

impl Slot {
    fn take(system: &Arc<System>, url: &str) -> Result<Slot, Fault> {
        let host = Place::of(url).ok_or(Fault::Url)?.host;
        let mut hosts = system.hosts.lock();
        let count = hosts.entry(host.clone()).or_default();
        if *count >= PER_HOST {
            return Err(Fault::Overloaded);
        }
        *count += 1;
        Ok(Slot { system: system.clone(), host })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut hosts = self.system.hosts.lock();
        if let Some(count) = hosts.get_mut(&self.host) {
            *count -= 1;
            if *count == 0 {
                hosts.remove(&self.host);
            }
        }
    }
}

impl Fetch {
    /// Requests run on `runtime`; callers may be anywhere. Reads `settings.ca_file`.
    pub fn system(settings: &Settings, runtime: Handle) -> Result<Fetch, Fault> {
        Ok(Fetch(Kind::System(Arc::new(System {
            allow: settings.allow.clone(),
            timeout: settings.timeout.0,
            tls: Arc::new(tls(settings)?),
            runtime,
            under_way: Arc::new(Semaphore::new(AT_ONCE)),
            hosts: Mutex::default(),
        }))))
    }

    /// Answers from `script`, for tests; the rules about URLs hold all the same.
    pub fn scripted(script: impl Fn(&Asked) -> Result<Fetched, Fault> + Send + Sync + 'static) -> Fetch {
        Fetch(Kind::Scripted(Arc::new(script)))
    }

    /// Whatever status the server answered. `max` in bytes; a fragment of `url` must have been cut off.
    pub async fn get(&self, url: &str, accept: &str, max: usize) -> Result<Fetched, Fault> {
        self.ask(Asked {
            method: Method::GET,
            url: url.to_owned(),
            accept: accept.to_owned(),
            content_type: None,
            body: Bytes::new(),
            max,
        })
        .await
    }

    pub async fn post(
        &self,
        url: &str,
        content_type: &str,
        body: Bytes,
        accept: &str,
        max: usize,
    ) -> Result<Fetched, Fault> {
        self.ask(Asked {
            method: Method::POST,
            url: url.to_owned(),
            accept: accept.to_owned(),
            content_type: Some(content_type.to_owned()),
            body,
            max,
        })
        .await
    }

    async fn ask(&self, asked: Asked) -> Result<Fetched, Fault> {
        if !is_https_url(&asked.url) {
            return Err(Fault::Url);
        }
        let system = match &self.0 {
            Kind::Scripted(script) => return script(&asked),
            Kind::System(system) => system.clone(),
        };
        let permit = system.under_way.clone().try_acquire_owned().map_err(|_| Fault::Overloaded)?;
        let slot = Slot::take(&system, &asked.url)?;
        let runtime = system.runtime.clone();
        let (answer, answered) = oneshot::channel();
        let task = runtime.spawn(async move {
            let _places = (slot, permit);
            let result = tokio::time::timeout(system.timeout, system.ask(asked)).await;
            let _ = answer.send(result.unwrap_or(Err(Fault::Late)));
        });
        // A caller that goes away takes its request along.
        let _ending = AbortOnDrop(task);
        answered.await.map_err(|_| Fault::Setup("the runtime is ending".to_owned()))?
    }
}

struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl System {
    async fn ask(&self, asked: Asked) -> Result<Fetched, Fault> {
        let place = Place::of(&asked.url).ok_or(Fault::Url)?;
        let found = addresses(&place).await?;
        let permitted: Vec<SocketAddr> =
            found.into_iter().filter(|address| is_allowed(address.ip(), &self.allow)).collect();
        let stream = connect(&permitted, self.timeout).await?;
        let name = ServerName::try_from(place.host.clone()).map_err(|_| Fault::Url)?;
        let stream = TlsConnector::from(self.tls.clone())
            .connect(name, stream)
            .await
            .map_err(|error| Fault::Tls(error.to_string()))?;
        let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
            .max_buf_size(MAX_HEAD)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| Fault::Http(error.to_string()))?;
        let max = asked.max;
        let exchange = async {
            let response = sender.send_request(request(&place, asked)?).await;
            answer::read(response.map_err(|error| Fault::Http(error.to_string()))?, max).await
        };
        // The connection is driven here, not by a task of its own: it ends with this request.
        tokio::pin!(connection);
        tokio::pin!(exchange);
        tokio::select! {
            biased;
            result = &mut exchange => result,
            ended = &mut connection => match ended {
                // The last bytes were read already; what is missing shows as a fault of the body.
                Ok(()) => exchange.await,
                Err(error) => Err(Fault::Http(error.to_string())),
            },
        }
    }
}

fn request(place: &Place, asked: Asked) -> Result<Request<Full<Bytes>>, Fault> {
    let value = |text: &str| HeaderValue::from_str(text).map_err(|_| Fault::Url);
    let mut builder = Request::builder()
        .method(asked.method)
        .uri(place.target.as_str())
        .header(header::HOST, value(&place.authority)?)
        .header(header::ACCEPT, value(&asked.accept)?)
        // A compressed answer could be a bomb.
        .header(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"))
        .header(header::CONNECTION, HeaderValue::from_static("close"))
        .header(header::USER_AGENT, HeaderValue::from_static("oidcop-proxy"));
    if let Some(content_type) = &asked.content_type {
        builder = builder.header(header::CONTENT_TYPE, value(content_type)?);
    }
    builder.body(Full::new(asked.body)).map_err(|_| Fault::Url)
}

/// The first address that answers; each has its share of the time, so that one black hole does not use it all.
async fn connect(permitted: &[SocketAddr], timeout: Duration) -> Result<TcpStream, Fault> {
    let share = timeout / u32::try_from(permitted.len()).unwrap_or(1).max(1);
    let mut fault = Fault::Refused;
    for address in permitted {
        match tokio::time::timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => fault = Fault::Unreachable(error.to_string()),
            Err(_) => fault = Fault::Late,
        }
    }
    Err(fault)
}

fn tls(settings: &Settings) -> Result<ClientConfig, Fault> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(file) = &settings.ca_file {
        let unusable = |why: String| Fault::Setup(format!("{}: {why}", file.display()));
        let certificates =
            CertificateDer::pem_file_iter(file).map_err(|error| unusable(error.to_string()))?;
        let before = roots.len();
        for certificate in certificates {
            let certificate = certificate.map_err(|error| unusable(error.to_string()))?;
            roots.add(certificate).map_err(|error| unusable(error.to_string()))?;
        }
        if roots.len() == before {
            return Err(unusable("no certificate in it".to_owned()));
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Fault::Setup(error.to_string()))?;
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

#[cfg(test)]
mod tests;
