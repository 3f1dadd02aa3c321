//! How much a caller may ask of a route, and how much may be under way at once. Exact per key; keys are kept in a
//! bounded cache, so a flood of addresses costs bounded memory and can at worst make the edge forget who was slow.

use super::denial::Denial;
use super::settings::{Per, Rate};
use crate::base::cache::Cache;
use crate::base::secret::sha256;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Keys remembered for each rate of a route.
const KEYS: usize = 65_536;

/// The limits of one route. Counters live as long as the route: a reload that changes the route starts them anew.
pub(super) struct Limiter {
    buckets: Vec<Bucket>,
    places: Option<Places>,
}

struct Bucket {
    per: Per,
    /// Generic cell rate algorithm: each request moves a key's theoretical arrival time on by `step`; it may run
    /// ahead of the clock by `slack`.
    step: u64,
    slack: u64,
    began: Instant,
    arrivals: Cache<Arc<AtomicU64>>,
}

impl Limiter {
    pub fn new(rates: &[Rate], in_flight: Option<NonZeroU32>) -> Limiter {
        let buckets = rates.iter().map(Bucket::new).collect();
        Limiter { buckets, places: in_flight.map(Places::new) }
    }

    /// Before the policy: what only the address tells.
    pub fn by_address(&self, address: IpAddr) -> Result<(), Denial> {
        self.count(Per::Address, || network(address))
    }

    /// After it: what the token tells.
    pub fn by_caller(&self, subject: Option<&str>, client: Option<&str>) -> Result<(), Denial> {
        if let Some(subject) = subject {
            self.count(Per::Subject, || subject.as_bytes().to_vec())?;
        }
        if let Some(client) = client {
            self.count(Per::Client, || client.as_bytes().to_vec())?;
        }
        self.count(Per::Route, Vec::new)
    }

    /// A place among the requests under way, if the route counts them.
    pub fn enter(&self) -> Result<Option<Place>, Denial> {
        self.places.as_ref().map(Places::enter).transpose()
    }

    fn count(&self, per: Per, key: impl Fn() -> Vec<u8>) -> Result<(), Denial> {
        for bucket in self.buckets.iter().filter(|bucket| bucket.per == per) {
            let now = u64::try_from(bucket.began.elapsed().as_micros()).unwrap_or(u64::MAX);
            bucket.take(&key(), now)?;
        }
        Ok(())
    }
}

impl Bucket {
    fn new(rate: &Rate) -> Bucket {
        let within = u64::try_from(rate.within.0.as_micros()).unwrap_or(u64::MAX);
        let step = (within / u64::from(rate.requests.get())).max(1);
        let slack = within.saturating_sub(step);
        Bucket { per: rate.per, step, slack, began: Instant::now(), arrivals: Cache::new(KEYS) }
    }

    /// `now` in microseconds since the bucket began.
    fn take(&self, key: &[u8], now: u64) -> Result<(), Denial> {
        let digest = sha256(key);
        let arrival = self.arrivals.get(&digest).unwrap_or_else(|| {
            let fresh = Arc::new(AtomicU64::new(0));
            self.arrivals.insert(digest, fresh.clone());
            fresh
        });
        let taken = arrival.fetch_update(Ordering::AcqRel, Ordering::Acquire, |at| {
            let at = at.max(now);
            (at - now <= self.slack).then(|| at.saturating_add(self.step))
        });
        taken.map(drop).map_err(|at| {
            let wait = Duration::from_micros(at.saturating_sub(now).saturating_sub(self.slack));
            Denial::TooMany(wait.as_secs().saturating_add(1))
        })
    }
}

/// IPv4 /32, IPv6 /64: what one caller usually has.
fn network(address: IpAddr) -> Vec<u8> {
    match address.to_canonical() {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().iter().take(8).copied().collect(),
    }
}

/// Requests that may be under way at once.
#[derive(Clone)]
pub(super) struct Places {
    taken: Arc<AtomicUsize>,
    limit: usize,
}

impl Places {
    pub fn new(limit: NonZeroU32) -> Places {
        Places { taken: Arc::default(), limit: usize::try_from(limit.get()).unwrap_or(usize::MAX) }
    }

    /// The same places under another limit.
    pub fn limited(&self, limit: NonZeroU32) -> Places {
        Places { taken: self.taken.clone(), ..Places::new(limit) }
    }

    pub fn enter(&self) -> Result<Place, Denial> {
        let before = self.taken.fetch_add(1, Ordering::AcqRel);
        // Made first: dropped at once if there is no room.
        let place = Place(self.taken.clone());
        if before < self.limit { Ok(place) } else { Err(Denial::Busy) }
    }
}

/// Given back when the request ends, however it ends.
pub(super) struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::scalar::Span;

    const SECOND: u64 = 1_000_000;

    fn bucket(requests: u32, seconds: u64) -> Bucket {
        let requests = NonZeroU32::new(requests).unwrap();
        Bucket::new(&Rate { per: Per::Address, requests, within: Span::secs(seconds) })
    }

    #[test]
    fn a_full_bucket_says_when_to_come_back_and_keeps_its_word() {
        let bucket = bucket(5, 10);
        for _ in 0..5 {
            assert_eq!(bucket.take(b"a", SECOND), Ok(()));
        }
        assert_eq!(bucket.take(b"a", SECOND), Err(Denial::TooMany(3)));
        assert_eq!(bucket.take(b"b", SECOND), Ok(()), "another key has a bucket of its own");
        assert_eq!(bucket.take(b"a", SECOND * 3 - 1), Err(Denial::TooMany(1)));
        assert_eq!(bucket.take(b"a", SECOND * 3), Ok(()));
        assert!(bucket.take(b"a", SECOND * 3).is_err());
        for _ in 0..5 {
            assert_eq!(bucket.take(b"a", SECOND * 100), Ok(()));
        }
        assert!(bucket.take(b"a", SECOND * 100).is_err());
    }

    #[test]
    fn a_hundred_threads_get_no_more_than_the_rate_allows() {
        let bucket = bucket(50, 3_600);
        let passed = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..25 {
                        passed.fetch_add(usize::from(bucket.take(b"", 0).is_ok()), Ordering::SeqCst);
                    }
                });
            }
        });
        // Two threads may both have made the bucket's first counter: at most a few more than the rate.
        let passed = passed.load(Ordering::SeqCst);
        assert!((50..=57).contains(&passed), "{passed}");
    }

    #[test]
    fn a_place_is_given_back_when_its_request_ends() {
        let places = Places::new(NonZeroU32::new(2).unwrap());
        let (first, second) = (places.enter().unwrap(), places.enter().unwrap());
        assert!(matches!(places.enter(), Err(Denial::Busy)));
        drop(first);
        let third = places.enter().unwrap();
        assert!(places.enter().is_err());
        let wider = places.limited(NonZeroU32::new(3).unwrap());
        let fourth = wider.enter().unwrap();
        assert!(wider.enter().is_err());
        drop((second, third, fourth));
        assert_eq!(places.taken.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn one_ipv6_network_is_one_caller() {
        let key = |address: &str| network(address.parse().unwrap());
        assert_eq!(key("2001:db8::1"), key("2001:db8::ffff:2"));
        assert_ne!(key("2001:db8::1"), key("2001:db8:0:1::1"));
        assert_eq!(key("::ffff:192.0.2.1"), key("192.0.2.1"));
        assert_ne!(key("192.0.2.1"), key("192.0.2.2"));
    }
}
