//! The only place that asks the machine what time it is. Tests script it.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Seconds since 1970-01-01T00:00:00Z, the `NumericDate` of RFC 7519 §2 without its fraction.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// Later than any moment a record will see.
    pub const NEVER: Timestamp = Timestamp(u64::MAX);

    /// Saturating; fractions of a second are cut off.
    pub fn plus(self, duration: Duration) -> Timestamp {
        Timestamp(self.0.saturating_add(duration.as_secs()))
    }

    /// Saturating at the epoch.
    pub fn minus(self, duration: Duration) -> Timestamp {
        Timestamp(self.0.saturating_sub(duration.as_secs()))
    }

    /// How long ago `earlier` was; zero if it lies ahead.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_secs(self.0.saturating_sub(earlier.0))
    }

    /// Seconds left until `later`; zero once it has come.
    pub fn until(self, later: Timestamp) -> u64 {
        later.0.saturating_sub(self.0)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "@{}", self.0)
    }
}

/// Tells the time: the machine's, or the one a test has set.
#[derive(Clone)]
pub struct Clock(Source);

#[derive(Clone)]
enum Source {
    System,
    Scripted(Arc<AtomicU64>),
}

impl Clock {
    pub fn system() -> Clock {
        Clock(Source::System)
    }

    /// Stands still until [`Clock::advance`] is called; clones share the hand.
    pub fn scripted(start: Timestamp) -> Clock {
        Clock(Source::Scripted(Arc::new(AtomicU64::new(start.0))))
    }

    pub fn now(&self) -> Timestamp {
        match &self.0 {
            #[expect(
                clippy::disallowed_methods,
                reason = "this is the one place that reads the machine's clock"
            )]
            Source::System => {
                Timestamp(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()))
            }
            Source::Scripted(hand) => Timestamp(hand.load(Ordering::SeqCst)),
        }
    }

    /// Moves a scripted clock on; the machine's clock cannot be moved and stays.
    pub fn advance(&self, by: Duration) {
        if let Source::Scripted(hand) = &self.0 {
            hand.fetch_add(by.as_secs(), Ordering::SeqCst);
        }
    }
}
