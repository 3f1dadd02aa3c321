//! What the front door counts, for the metrics.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A counter that only grows.
#[derive(Default)]
pub struct Count(AtomicU64);

impl Count {
    pub(super) fn up(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    pub fn read(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Connections and what became of them, since the start.
#[derive(Default)]
pub struct Tally {
    /// Accepted by the kernel and given to us.
    pub accepted: Count,
    /// Closed at once: `limits.connections` were open.
    pub full: Count,
    /// Closed at once: `limits.per_address` were open from that address.
    pub crowded: Count,
    /// A trusted peer's PROXY header was missing or malformed.
    pub unspoken: Count,
    /// The TLS handshake failed.
    pub handshake_failed: Count,
    /// The PROXY header and the TLS handshake were not done in time.
    pub handshake_late: Count,
    /// No HTTP/2 preface came in time.
    pub preface_late: Count,
    /// HTTP/2 requests refused as malformed, and streams opened faster than they end.
    pub streams_refused: Count,
    /// Exchanges given to the application.
    pub exchanges: Count,
    /// Exchanges that panicked: bugs.
    pub panics: Count,
}
