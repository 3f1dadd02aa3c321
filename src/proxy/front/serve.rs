//! One connection, from its slot to its end: PROXY header, handshake, then the HTTP/1 keep-alive loop or the HTTP/2
//! accept loop.

use super::exchange::Exchange;
use super::guarded::Guarded;
use super::scope::{Run, Scope};
use super::settings::Limits;
use super::slots::Slot;
use super::{Door, Rules, proxy_header};
use bytes::Bytes;
use futures_util::FutureExt;
use pingora::apps::{HttpPersistentSettings, HttpServerApp, ReusedHttpStream};
use pingora::listeners::ALPN;
use pingora::listeners::tls::Acceptor;
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::v2::server::{
    H2Accept, H2Options, HttpSession as H2Session, default_h2_options, handshake,
};
use pingora::protocols::l4::socket::SocketAddr as PingoraAddr;
use pingora::protocols::l4::stream::Stream as L4;
use pingora::protocols::tls::TlsStream;
use pingora::protocols::{
    Digest, GetProxyDigest, GetSocketDigest, GetTimingDigest, Shutdown, SocketDigest, Ssl, UniqueID,
};
use pingora::server::ShutdownWatch;
use std::future::Future;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// How long the last bytes of an orderly close may take.
const CLOSE: Duration = Duration::from_secs(1);

/// A connection that has a slot.
pub(super) struct Connection<A> {
    app: Arc<A>,
    door: Arc<Door>,
    rules: Arc<Rules>,
    /// Its listener asks for a client certificate.
    asks: bool,
    slot: Slot,
    shutdown: ShutdownWatch,
}

impl<A: HttpServerApp + Send + Sync + 'static> Connection<A> {
    /// `None`: there is no slot left.
    pub(super) fn new(app: Arc<A>, door: Arc<Door>, asks: bool, shutdown: ShutdownWatch) -> Option<Self> {
        door.tally.accepted.up();
        let rules = door.rules.load_full();
        let Some(slot) = door.slots.take(count(rules.limits.connections.get())) else {
            door.tally.full.up();
            return None;
        };
        Some(Connection { app, door, rules, asks, slot, shutdown })
    }

    pub(super) async fn serve(mut self, l4: L4) {
        let tally = &self.door.clone().tally;
        let (tls, exchange) = match timeout(self.limits().handshake.0, self.arrive(l4)).await {
            Ok(Some(arrived)) => arrived,
            Ok(None) => return,
            Err(_) => return tally.handshake_late.up(),
        };
        if exchange.h2 { self.serve_h2(tls, &exchange).await } else { self.serve_h1(tls, &exchange).await }
    }

    fn limits(&self) -> &Limits {
        &self.rules.limits
    }

    /// Everything before HTTP. The caller sets the deadline.
    async fn arrive(&mut self, mut l4: L4) -> Option<(TlsStream<L4>, Arc<Exchange>)> {
        let tally = &self.door.clone().tally;
        let rules = self.rules.clone();
        let socket = socket_peer(&l4)?;
        let (mut peer, mut via) = (socket, None);
        if rules.proxy_protocol.trusts(socket.ip()) {
            let spoken = proxy_header::read(&mut l4).await;
            let unspoken = |fault: &proxy_header::Fault| {
                tally.unspoken.up();
                tracing::debug!(peer = %socket, %fault, "no PROXY header");
            };
            let client = spoken.inspect_err(unspoken).ok()?;
            if let Some(client) = client {
                (peer, via) = (client, Some(socket));
                l4.set_socket_digest(digest_of(&l4, client));
            }
        }
        if !self.slot.belongs_to(peer.ip(), count(rules.limits.per_address.get())) {
            tally.crowded.up();
            return None;
        }
        let certificates = &self.door.certificates;
        let config = if self.asks { certificates.asking() } else { certificates.current() };
        let acceptor = Acceptor::from_server_config(config);
        let failed = |fault: &pingora::BError| {
            tally.handshake_failed.up();
            tracing::debug!(%peer, %fault, "the TLS handshake failed");
        };
        let tls = acceptor.tls_handshake(l4).await.inspect_err(failed).ok()?;
        let (h2, handshake) = (matches!(tls.selected_alpn_proto(), Some(ALPN::H2)), tls.get_ssl());
        let shown = handshake.and_then(|tls| tls.peer_cert_chain_der()).unwrap_or_default();
        let mut shown = shown.iter().map(|certificate| Bytes::copy_from_slice(certificate));
        let exchange = Exchange {
            peer: SocketAddr::new(peer.ip().to_canonical(), peer.port()),
            via,
            h2,
            server_name: handshake.and_then(|tls| tls.server_name()).map(str::to_owned),
            client_certificate: shown.next(),
            client_chain: shown.collect(),
            shutdown: self.shutdown.clone(),
        };
        Some((tls, Arc::new(exchange)))
    }

    async fn serve_h1(mut self, tls: TlsStream<L4>, exchange: &Arc<Exchange>) {
        let scope = Scope::current();
        let limits = self.limits().clone();
        let mut io = Box::new(Guarded::new(tls, limits.head.0));
        let (mut wait, mut persisted): (_, Option<HttpPersistentSettings>) = (limits.head.0, None);
        loop {
            // Nothing of pingora's exists while we wait. Once a byte is here the request is served, draining or not.
            let began = tokio::select! {
                biased;
                first = timeout(wait, io.first_byte()) => matches!(first, Ok(Ok(true))),
                () = lingered(&mut self.shutdown, limits.linger.0) => false,
            };
            if !began {
                return close(io).await;
            }
            let last = exchange.draining();
            let mut session = ServerSession::new_http1(io);
            session.set_keepalive(Some(limits.idle.0.as_secs().max(1)));
            if let Some(settings) = persisted.take() {
                settings.apply_to_session(&mut session);
            }
            let work = process(self.app.clone(), self.door.clone(), session, self.shutdown.clone());
            let Some(done) = exchange.around(work).await else { return };
            if let Some(scope) = &scope {
                scope.unbind();
            }
            let (stream, settings) = done.consume();
            let Ok(back) = stream.into_any().downcast::<Guarded>() else { return };
            if last {
                return close(back).await;
            }
            (io, persisted, wait) = (back, settings, limits.idle.0);
        }
    }

    async fn serve_h2(mut self, tls: TlsStream<L4>, exchange: &Arc<Exchange>) {
        let tally = &self.door.clone().tally;
        let limits = self.limits().clone();
        let digest = Arc::new(Digest {
            ssl_digest: tls.get_ssl_digest(),
            timing_digest: tls.get_timing_digest(),
            proxy_digest: tls.get_proxy_digest(),
            socket_digest: tls.get_socket_digest(),
        });
        let options = self.app.h2_options().unwrap_or_else(|| options(&limits));
        let mut conn = match timeout(limits.head.0, handshake(Box::new(tls), Some(options))).await {
            Ok(Ok(conn)) => conn,
            Ok(Err(_)) => return,
            Err(_) => return tally.preface_late.up(),
        };
        let (mut streams, mut refused, mut closing) = (JoinSet::new(), 0, false);
        loop {
            let idle = if closing { limits.linger.0 } else { limits.idle.0 };
            tokio::select! {
                biased;
                () = draining(&mut self.shutdown), if !closing => {
                    conn.graceful_shutdown();
                    closing = true;
                }
                next = H2Session::from_h2_conn(&mut conn, digest.clone()) => match next {
                    Ok(Some(H2Accept::Session(session))) if self.has_room(&mut streams) => {
                        streams.spawn(self.stream(session, exchange));
                    }
                    // `from_h2_conn` forgets its own budget between calls; this is ours.
                    Ok(Some(_)) => {
                        tally.streams_refused.up();
                        refused += 1;
                        if refused == limits.malformed_streams.get() {
                            conn.abrupt_shutdown(h2::Reason::ENHANCE_YOUR_CALM);
                            closing = true;
                        }
                    }
                    Ok(None) | Err(_) => break,
                },
                Some(_) = streams.join_next(), if !streams.is_empty() => {}
                () = sleep(idle), if streams.is_empty() => {
                    if closing {
                        break;
                    }
                    // RFC 9113 §6.8: say so, so that a request sent this instant can be tried again elsewhere.
                    conn.graceful_shutdown();
                    closing = true;
                }
            }
        }
        // The client is gone. What it left behind notices by itself and is logged; a local handler finishes what it
        // began. Dropping the set instead would abort both.
        drop(conn);
        while streams.join_next().await.is_some() {}
    }

    /// The protocol's own limit counts open streams only: who opens and resets them faster than they end would pile
    /// up exchanges without it (CVE-2023-44487).
    fn has_room(&self, streams: &mut JoinSet<()>) -> bool {
        while streams.try_join_next().is_some() {}
        streams.len() < 2 * count(self.limits().streams.get())
    }

    fn stream(&self, session: H2Session, exchange: &Arc<Exchange>) -> Run {
        let session = ServerSession::new_http2(session);
        let work = process(self.app.clone(), self.door.clone(), session, self.shutdown.clone());
        self.door.connections.stream(exchange.around(work).map(drop))
    }
}

/// One exchange. A panic ends that exchange (and its HTTP/1 connection) and is counted; the panic hook logs it.
fn process<A: HttpServerApp + Send + Sync + 'static>(
    app: Arc<A>,
    door: Arc<Door>,
    session: ServerSession,
    shutdown: ShutdownWatch,
) -> impl Future<Output = Option<ReusedHttpStream>> + Send + 'static {
    door.tally.exchanges.up();
    async move {
        match AssertUnwindSafe(app.process_new_http(session, &shutdown)).catch_unwind().await {
            Ok(done) => done,
            Err(_) => {
                door.tally.panics.up();
                None
            }
        }
    }
}

/// pingora's bounded defaults (heads of 64 KiB), with the limit on streams from the settings.
fn options(limits: &Limits) -> H2Options {
    let mut options = default_h2_options();
    options.max_concurrent_streams(limits.streams.get());
    options
}

/// With `close_notify`, so that the client knows nothing was cut.
async fn close(mut io: Box<Guarded>) {
    // A client that does not take even this is left.
    let _ = timeout(CLOSE, Shutdown::shutdown(&mut *io)).await;
}

async fn draining(shutdown: &mut ShutdownWatch) {
    if shutdown.wait_for(|down| *down).await.is_err() {
        // The sender is gone without a word: pingora is being dropped, and we with it.
        std::future::pending().await
    }
}

async fn lingered(shutdown: &mut ShutdownWatch, linger: Duration) {
    draining(shutdown).await;
    sleep(linger).await;
}

fn socket_peer(l4: &L4) -> Option<SocketAddr> {
    l4.get_socket_digest()?.peer_addr()?.as_inet().copied()
}

/// The socket's digest with the client that a trusted peer named: what pingora calls the client address from now on.
fn digest_of(l4: &L4, client: SocketAddr) -> SocketDigest {
    let digest = SocketDigest::from_raw_fd(l4.id());
    // Set once only: the digest was made on the line above.
    let _ = digest.peer_addr.set(Some(PingoraAddr::Inet(client)));
    digest
}

fn count(limit: u32) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}
