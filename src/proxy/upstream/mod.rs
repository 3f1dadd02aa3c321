//! The servers behind the edge: which of them is asked next, and how it is spoken to. Addresses are asked in turn; one
//! that could not be connected to is left out for a while. Names are resolved in the background, never by pingora.

pub mod settings;
mod upgrade;

use crate::base::secret::sha256;
use arc_swap::ArcSwap;
use pingora::protocols::tls::CaType;
use pingora::upstreams::peer::{HttpPeer, HttpUpstreamRequestPolicy};
use pingora::utils::tls::{WrappedX509, parse_x509};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use settings::{Http, Upstream};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use upgrade::Hesitating;

/// Addresses of one upstream that are used, however many its names resolve to.
const MAX_ADDRESSES: usize = 64;

/// How long a name may take to resolve.
const RESOLVE: Duration = Duration::from_secs(5);

/// One upstream. It survives a reload that does not change it, with its health and its connections.
pub(super) struct Pool {
    pub name: String,
    pub written: Upstream,
    names: Vec<Name>,
    addresses: ArcSwap<Vec<Arc<Address>>>,
    next: AtomicUsize,
    authorities: Option<Arc<CaType>>,
    /// Keeps connections of different settings apart: pingora's own key knows no CA.
    group: u64,
    began: Instant,
}

struct Name {
    host: String,
    port: u16,
}

struct Address {
    socket: SocketAddr,
    /// The upstream's name and this address, for the access log.
    told: Arc<str>,
    /// Milliseconds since the pool began until which it rests.
    rests_until: AtomicU64,
}

impl Pool {
    /// Reads the CA file. Names are resolved later.
    pub fn new(name: &str, written: &Upstream) -> Result<Pool, (String, String)> {
        let mut names = Vec::with_capacity(written.addresses.len());
        for (nth, text) in written.addresses.iter().enumerate() {
            names.push(parse(text).ok_or_else(|| {
                (
                    format!("addresses[{nth}]"),
                    format!("`{text}` is no address such as 10.0.0.7:8080 or app.internal:8080"),
                )
            })?);
        }
        if names.is_empty() {
            return Err(("addresses".into(), "an upstream needs an address".into()));
        }
        let authorities = match written.tls.as_ref().and_then(|tls| tls.ca_file.as_ref()) {
            Some(file) => Some(authorities(file).map_err(|says| ("tls.ca_file".to_owned(), says))?),
            None => None,
        };
        let text = serde_json::to_string(written).unwrap_or_default();
        let [a, b, c, d, e, f, g, h, ..] = sha256(format!("{name}\n{text}").as_bytes());
        let pool = Pool {
            name: name.to_owned(),
            written: written.clone(),
            addresses: ArcSwap::from_pointee(literal(name, &names)),
            names,
            next: AtomicUsize::new(0),
            authorities,
            group: u64::from_be_bytes([a, b, c, d, e, f, g, h]),
            began: Instant::now(),
        };
        Ok(pool)
    }

    /// Whether it is what the settings still say. A CA file may have changed under its name: such a pool is made anew.
    pub fn is_still(&self, written: &Upstream) -> bool {
        self.written == *written && written.tls.as_ref().is_none_or(|tls| tls.ca_file.is_none())
    }

    /// Looks the names up anew; those that do not resolve keep what they had, unless nothing is left.
    pub async fn resolve(&self) {
        if self.names.iter().all(|name| name.host.parse::<IpAddr>().is_ok()) {
            return;
        }
        let known = self.addresses.load_full();
        let mut found: Vec<Arc<Address>> = Vec::new();
        let mut failed = false;
        for name in &self.names {
            let lookup = tokio::net::lookup_host((name.host.as_str(), name.port));
            match tokio::time::timeout(RESOLVE, lookup).await {
                Ok(Ok(sockets)) => {
                    for socket in sockets.take(MAX_ADDRESSES) {
                        let same = known.iter().find(|address| address.socket == socket);
                        if !found.iter().any(|address| address.socket == socket) {
                            found.push(
                                same.cloned().unwrap_or_else(|| Arc::new(Address::new(&self.name, socket))),
                            );
                        }
                    }
                }
                _ => {
                    failed = true;
                    tracing::warn!(upstream = %self.name, host = %name.host, "the name does not resolve");
                }
            }
        }
        if !(found.is_empty() || failed && known.len() > found.len()) {
            found.truncate(MAX_ADDRESSES);
            self.addresses.store(Arc::new(found));
        }
    }

    /// The next server in turn, as pingora wants it told, and as the access log does.
    pub async fn pick(&self, ask: Ask) -> Option<(Box<HttpPeer>, Arc<str>)> {
        if self.addresses.load().is_empty() {
            self.resolve().await;
        }
        let addresses = self.addresses.load();
        let count = addresses.len();
        let start = self.next.fetch_add(1, Ordering::Relaxed);
        let turn = || (0..count).filter_map(|step| addresses.get(start.wrapping_add(step) % count));
        let now = self.now();
        let awake = turn().find(|address| address.rests_until.load(Ordering::Relaxed) <= now);
        // All rest: better to try one than to refuse.
        let address = awake.or_else(|| turn().next())?;
        Some((self.peer(address.socket, ask), address.told.clone()))
    }

    /// It could not be connected to.
    pub fn failed(&self, socket: SocketAddr) {
        let until = self.now().saturating_add(millis(self.written.rest.0));
        if let Some(address) = self.addresses.load().iter().find(|address| address.socket == socket) {
            address.rests_until.store(until, Ordering::Relaxed);
        }
    }

    fn peer(&self, socket: SocketAddr, ask: Ask) -> Box<HttpPeer> {
        let written = &self.written;
        let name = written.tls.as_ref().map(|tls| tls.server_name.clone());
        // A socket address: nothing is resolved, nothing can fail.
        let mut peer = HttpPeer::new(socket, name.is_some(), name.unwrap_or_default());
        peer.group_key = self.group;
        let (times, options) = (&written.timeouts, &mut peer.options);
        options.verify_cert = true;
        options.verify_hostname = true;
        options.ca = self.authorities.clone();
        options.connection_timeout = Some(times.connect.0);
        options.total_connection_timeout = Some(times.total_connect.0);
        options.read_timeout = Some(ask.read_timeout.unwrap_or(times.read.0));
        options.write_timeout = Some(times.write.0);
        options.idle_timeout = Some(times.idle.0);
        options.max_h2_streams = usize::try_from(written.streams.get()).unwrap_or(1);
        match written.http {
            Http::H1 => options.set_http_version(1, 1),
            Http::H2 => options.set_http_version(2, 2),
            Http::Auto => options.set_http_version(2, 1),
        }
        if ask.upgrade {
            // An upgrade needs HTTP/1, a connection of its own, and our hesitating stream.
            options.set_http_version(1, 1);
            options.custom_l4 = Some(Arc::new(Hesitating(times.connect.0)));
            options.idle_timeout = Some(Duration::ZERO);
            options.read_timeout = Some(times.websocket.0);
            peer.group_key = !self.group;
        } else {
            options.http_upstream_request_policy = HttpUpstreamRequestPolicy::deny_upgrades();
        }
        Box::new(peer)
    }

    /// Whether it certainly speaks HTTP/2.
    pub fn speaks_h2(&self) -> bool {
        self.written.http != Http::H1
    }

    fn now(&self) -> u64 {
        millis(self.began.elapsed())
    }
}

/// What one request asks of an upstream.
#[derive(Clone, Copy, Default)]
pub(super) struct Ask {
    /// A WebSocket.
    pub upgrade: bool,
    pub read_timeout: Option<Duration>,
}

impl Address {
    fn new(upstream: &str, socket: SocketAddr) -> Address {
        Address { socket, told: format!("{upstream} {socket}").into(), rests_until: AtomicU64::new(0) }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// `host:port`, `address:port`, `[address]:port`.
fn parse(text: &str) -> Option<Name> {
    if let Ok(socket) = text.parse::<SocketAddr>() {
        return Some(Name { host: socket.ip().to_string(), port: socket.port() })
            .filter(|name| name.port > 0);
    }
    let (host, port) = text.rsplit_once(':')?;
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    let port: u16 = port.parse().ok().filter(|port| digits && *port > 0)?;
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let named =
        !host.is_empty() && host.bytes().all(good) && host.bytes().any(|byte| byte.is_ascii_alphabetic());
    named.then(|| Name { host: host.to_owned(), port })
}

fn literal(upstream: &str, names: &[Name]) -> Vec<Arc<Address>> {
    let sockets = names.iter().filter_map(|name| Some(SocketAddr::new(name.host.parse().ok()?, name.port)));
    sockets.map(|socket| Arc::new(Address::new(upstream, socket))).collect()
}

fn authorities(file: &std::path::Path) -> Result<Arc<CaType>, String> {
    let shown = file.display();
    let read = CertificateDer::pem_file_iter(file).map_err(|error| format!("{shown}: {error}"))?;
    let (mut list, mut roots) = (Vec::new(), rustls::RootCertStore::empty());
    for certificate in read {
        let der = certificate.map_err(|error| format!("{shown}: {error}"))?;
        // pingora takes for granted that they parse, and says that they cannot be used only when it connects.
        x509_parser::parse_x509_certificate(&der).map_err(|error| format!("{shown}: {error}"))?;
        roots.add(der.clone()).map_err(|error| format!("{shown}: {error}"))?;
        list.push(WrappedX509::new(der.to_vec(), parse_x509));
    }
    if list.is_empty() {
        return Err(format!("{shown}: holds no certificate"));
    }
    Ok(list.into())
}

#[cfg(test)]
mod tests;
