//! The TLS stream of an HTTP/1 connection as pingora sees it: delegates everything, but puts an absolute deadline on
//! each request head and can wait for the first byte of a request without anybody reading it.

use pingora::listeners::ALPN;
use pingora::protocols::l4::stream::Stream as L4;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::tls::{SslDigest, TlsRef, TlsStream};
use pingora::protocols::{
    GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, TimingDigest,
    UniqueID, UniqueIDType,
};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

// The phases of an exchange, in the order of its life. A byte, because they are marked through a shared reference.
const HEAD: u8 = 0;
const BODY: u8 = 1;
const REST: u8 = 2;

#[derive(Debug)]
pub(super) struct Guarded {
    io: TlsStream<L4>,
    phase: AtomicU8,
    /// The phase `until` was computed for.
    entered: u8,
    until: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
    first: Option<u8>,
    head: Duration,
}

impl Guarded {
    /// `head`: how long a request head may take from its first byte.
    pub(super) fn new(io: TlsStream<L4>, head: Duration) -> Self {
        let phase = AtomicU8::new(BODY);
        Guarded { io, phase, entered: BODY, until: None, timer: None, first: None, head }
    }

    /// The head is complete: from here on the body's own limits hold.
    pub(super) fn head_done(&self) {
        self.phase.store(BODY, Relaxed);
    }

    /// The answer is out: what is left of the request may take as long as a head.
    pub(super) fn request_done(&self) {
        self.phase.store(REST, Relaxed);
    }

    /// Waits for a request to begin; `false` if the client closed. Cancel-safe, and the byte stays in front.
    pub(super) async fn first_byte(&mut self) -> io::Result<bool> {
        std::future::poll_fn(|cx| {
            if self.first.is_none() {
                let mut one = [0];
                let mut buffer = ReadBuf::new(&mut one);
                ready!(Pin::new(&mut self.io).poll_read(cx, &mut buffer))?;
                self.first = buffer.filled().first().copied();
                self.enter(HEAD);
            }
            Poll::Ready(Ok(self.first.is_some()))
        })
        .await
    }

    fn enter(&mut self, phase: u8) {
        self.phase.store(phase, Relaxed);
        self.entered = phase;
        self.until = (phase != BODY).then(|| Instant::now() + self.head);
    }

    /// The deadline is absolute, so it is asked also when bytes keep dribbling in.
    fn late(&mut self, cx: &mut Context<'_>, pending: bool) -> bool {
        let Some(until) = self.until else { return false };
        if !pending {
            return Instant::now() > until;
        }
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(until)));
        if timer.deadline() != until {
            timer.as_mut().reset(until);
        }
        timer.as_mut().poll(cx).is_ready()
    }
}

impl AsyncRead for Guarded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let phase = this.phase.load(Relaxed);
        if phase != this.entered {
            this.enter(phase);
        }
        let before = buffer.filled().len();
        if buffer.remaining() > 0
            && let Some(byte) = this.first.take()
        {
            buffer.put_slice(&[byte]);
        }
        let mut read = Pin::new(&mut this.io).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            read = Poll::Ready(Ok(()));
        }
        if this.late(cx, read.is_pending()) {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the request came too slowly")));
        }
        read
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bytes)
    }
    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

#[async_trait::async_trait]
impl Shutdown for Guarded {
    async fn shutdown(&mut self) {
        Shutdown::shutdown(&mut self.io).await;
    }
}

impl UniqueID for Guarded {
    fn id(&self) -> UniqueIDType {
        self.io.id()
    }
}

impl Ssl for Guarded {
    fn get_ssl(&self) -> Option<&TlsRef> {
        self.io.get_ssl()
    }
    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.io.get_ssl_digest()
    }
    fn selected_alpn_proto(&self) -> Option<ALPN> {
        self.io.selected_alpn_proto()
    }
}

impl Peek for Guarded {}

impl GetTimingDigest for Guarded {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        self.io.get_timing_digest()
    }
    fn get_read_pending_time(&self) -> Duration {
        self.io.get_read_pending_time()
    }
    fn get_write_pending_time(&self) -> Duration {
        self.io.get_write_pending_time()
    }
}

impl GetProxyDigest for Guarded {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        self.io.get_proxy_digest()
    }
}

impl GetSocketDigest for Guarded {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.io.get_socket_digest()
    }
    fn set_socket_digest(&mut self, digest: SocketDigest) {
        self.io.set_socket_digest(digest);
    }
}
