//! What the front door knows about the connection an exchange came over, for whoever answers it.

use bytes::Bytes;
use pingora::server::ShutdownWatch;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

tokio::task_local! {
    static CURRENT: Arc<Exchange>;
}

/// The facts of a connection, the same for all its exchanges.
#[derive(Debug)]
pub struct Exchange {
    /// The client: from the PROXY header if a trusted peer sent one, otherwise the socket's peer.
    pub peer: SocketAddr,
    /// The trusted peer that spoke for the client, if one did.
    pub via: Option<SocketAddr>,
    /// HTTP/2, by ALPN.
    pub h2: bool,
    /// The server name of the handshake (RFC 6066 §3). Never decide by it: one connection may carry several hosts.
    pub server_name: Option<String>,
    /// The client's certificate (DER), if it was asked for and shown.
    pub client_certificate: Option<Bytes>,
    /// The certificates it sent besides.
    pub client_chain: Vec<Bytes>,
    pub(super) shutdown: ShutdownWatch,
}

impl Exchange {
    /// The exchange this thread is polling; `None` outside the front door.
    pub fn current() -> Option<Arc<Exchange>> {
        CURRENT.try_with(Arc::clone).ok()
    }

    /// Whether the server is going down: answers say `Connection: close` then.
    pub fn draining(&self) -> bool {
        *self.shutdown.borrow()
    }

    pub(super) fn around<F: Future>(self: &Arc<Self>, work: F) -> impl Future<Output = F::Output> + use<F> {
        CURRENT.scope(self.clone(), work)
    }
}
