//! The TLS front door: a plain TCP pingora service that hands out connection slots, reads PROXY headers of trusted
//! peers, does the handshake under a deadline and owns the HTTP/1 and HTTP/2 serving loops. It calls the application
//! once per exchange, inside a kill scope. What a request says is none of its business.

mod certificates;
mod client_certificates;
mod connections;
mod exchange;
mod guarded;
mod proxy_header;
mod redirect;
mod scope;
mod serve;
pub mod settings;
mod slots;
mod tally;

pub use certificates::{Certificates, Fault};
pub use connections::Connections;
pub use exchange::Exchange;
pub use redirect::RedirectApp;
pub use scope::Scope;
pub use settings::Settings;
pub use tally::Tally;

use crate::base::clock::Timestamp;
use arc_swap::ArcSwap;
use async_trait::async_trait;
use guarded::Guarded;
use pingora::apps::{HttpServerApp, ServerApp};
use pingora::listeners::TcpSocketOptions;
use pingora::protocols::http::ServerSession;
use pingora::protocols::l4::stream::Stream as L4;
use pingora::protocols::{Stream, TcpKeepalive};
use pingora::server::ShutdownWatch;
use pingora::services::listening::Service;
use settings::{Limits, ProxyProtocol};
use slots::Slots;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// The front door's state, shared with whoever reloads, drains or measures it.
pub struct Door {
    certificates: Certificates,
    rules: ArcSwap<Rules>,
    slots: Arc<Slots>,
    connections: Arc<Connections>,
    tally: Tally,
    /// Services that accept connections for it.
    services: AtomicUsize,
}

/// What a reload may change. A connection keeps the rules it began under.
struct Rules {
    limits: Limits,
    proxy_protocol: ProxyProtocol,
}

impl Rules {
    fn new(settings: &Settings) -> Rules {
        Rules { limits: settings.limits.clone(), proxy_protocol: settings.proxy_protocol.clone() }
    }
}

impl Door {
    /// Reads the certificates; `now` decides whether they are valid.
    pub fn new(settings: &Settings, now: Timestamp) -> Result<Arc<Door>, Vec<Fault>> {
        Ok(Arc::new(Door {
            certificates: Certificates::load(&settings.tls, now)?,
            rules: ArcSwap::from_pointee(Rules::new(settings)),
            slots: Arc::default(),
            connections: Arc::default(),
            tally: Tally::default(),
            services: AtomicUsize::new(0),
        }))
    }

    /// Takes over certificates, limits and trusted peers for the connections to come; all of them or, if a
    /// certificate is faulty, none. The addresses listened on do not change.
    pub fn reload(&self, settings: &Settings, now: Timestamp) -> Result<(), Vec<Fault>> {
        self.certificates.reload(&settings.tls, now)?;
        self.rules.store(Arc::new(Rules::new(settings)));
        Ok(())
    }

    pub fn connections(&self) -> &Arc<Connections> {
        &self.connections
    }

    pub fn tally(&self) -> &Tally {
        &self.tally
    }
}

/// The service pingora runs: `app` behind `door`, on the addresses of `settings`.
pub fn service<A>(app: Arc<A>, door: Arc<Door>, settings: &Settings) -> Service<Front<A>>
where
    A: HttpServerApp + Send + Sync + 'static,
{
    serving("front door", app, door, &settings.listen, false)
}

/// The same on the addresses that ask for client certificates, if there are any.
pub fn mtls_service<A>(app: Arc<A>, door: Arc<Door>, settings: &Settings) -> Option<Service<Front<A>>>
where
    A: HttpServerApp + Send + Sync + 'static,
{
    let mtls = settings.mtls.as_ref()?;
    Some(serving("mtls front door", app, door, &mtls.listen, true))
}

fn serving<A>(
    name: &str,
    app: Arc<A>,
    door: Arc<Door>,
    addresses: &[SocketAddr],
    asks: bool,
) -> Service<Front<A>>
where
    A: HttpServerApp + Send + Sync + 'static,
{
    door.services.fetch_add(1, Ordering::SeqCst);
    let mut service = Service::new(name.to_owned(), Front { app, door, asks });
    listen(&mut service, addresses);
    service
}

fn listen<A>(service: &mut Service<A>, addresses: &[SocketAddr]) {
    for address in addresses {
        let mut options = TcpSocketOptions::default();
        // A client that vanished while its stream was silent gives its slot back after two minutes.
        options.tcp_keepalive = Some(TcpKeepalive {
            idle: Duration::from_secs(60),
            interval: Duration::from_secs(10),
            count: 6,
            user_timeout: Duration::ZERO,
        });
        // `[::]` takes IPv4 as well, unless that has a listener of its own.
        let beside_v4 = addresses.iter().any(|other| other.is_ipv4() && other.port() == address.port());
        options.ipv6_only = address.is_ipv6().then_some(beside_v4);
        service.add_tcp_with_settings(&address.to_string(), options);
    }
}

/// The application of that service.
pub struct Front<A> {
    app: Arc<A>,
    door: Arc<Door>,
    /// For a client certificate.
    asks: bool,
}

#[async_trait]
impl<A: HttpServerApp + Send + Sync + 'static> ServerApp for Front<A> {
    async fn process_new(self: &Arc<Self>, stream: Stream, shutdown: &ShutdownWatch) -> Option<Stream> {
        let l4 = stream.into_any().downcast::<L4>().ok()?;
        let (app, door) = (self.app.clone(), self.door.clone());
        let connection = serve::Connection::new(app, door, self.asks, shutdown.clone())?;
        let run = self.door.connections.connection(connection.serve(*l4))?;
        run.await;
        None
    }

    /// pingora calls this once its accept loops have ended.
    async fn cleanup(&self) {
        if self.door.services.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.door.connections.stop_accepting();
        }
    }
}

/// The request head was read: the head's deadline no longer holds. To be called in `early_request_filter`; who
/// forgets it has his bodies cut.
pub fn head_done(session: &ServerSession) {
    if let Some(guarded) = guarded(session) {
        guarded.head_done();
    }
}

/// The answer was written: what the client still sends of its request is under the head's deadline. To be called in
/// `logging`.
pub fn request_done(session: &ServerSession) {
    if let Some(guarded) = guarded(session) {
        guarded.request_done();
    }
}

/// HTTP/1 only: an HTTP/2 head is complete before the application sees it.
fn guarded(session: &ServerSession) -> Option<&Guarded> {
    session.stream()?.as_any().downcast_ref()
}
#[cfg(test)]
mod tests;
