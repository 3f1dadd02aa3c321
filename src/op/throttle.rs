//! Brakes on guessing: failures are counted per account and per address, never attempts that succeed. An attempt
//! under way on an account counts as a failure until it is known to be none, so a thousand in parallel get no further
//! than one after the other. In memory and bounded: after a restart everybody starts afresh.

use super::error::{Code, Error};
use super::settings;
use crate::base::clock::Timestamp;
use crate::base::secret::{Digest, sha256};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

const SHARDS: usize = 32;
/// Counters of one shard.
const MAX: usize = 2_048;

#[derive(Default)]
pub struct Throttle {
    shards: [Mutex<HashMap<Digest, Count, ahash::RandomState>>; SHARDS],
}

#[derive(Clone, Copy)]
struct Count {
    /// Of the window.
    started: Timestamp,
    failures: u32,
    /// Attempts under way.
    pending: u32,
}

/// What a failure counts against.
#[derive(Clone, Copy, Debug)]
pub struct Counter {
    key: Digest,
    limit: u32,
    window: Duration,
    /// Attempts under way that do not count yet.
    at_once: u32,
}

/// People who may be signing in from one address at the same moment: an office behind one address, after lunch. What
/// that lets a guesser try beyond the limit is spread over as many accounts, each with its own strict counter.
const AT_ONCE: u32 = 256;

impl Counter {
    /// Failed sign-ins of one account, whether it exists or not.
    pub fn account(settings: &settings::Throttle, account: &str) -> Counter {
        Counter::new("account", account, settings.account_failures, settings)
    }

    /// Failed sign-ins and client authentications from one address.
    pub fn address(settings: &settings::Throttle, address: IpAddr) -> Counter {
        let counter = Counter::new("address", &network(address), settings.address_failures, settings);
        Counter { at_once: AT_ONCE, ..counter }
    }

    /// Wrong codes of one account's second factor: apart from its password, so that who guesses at one does not lock the
    /// other.
    pub fn second_factor(settings: &settings::Throttle, account: &str) -> Counter {
        Counter::new("second factor", account, settings.second_factor_failures, settings)
    }

    /// Accounts people try to make from one address: the answer tells whether there is one of that name.
    pub fn self_registrations(settings: &settings::Throttle, address: IpAddr) -> Counter {
        Counter::new("self registrations", &network(address), settings.self_registrations, settings)
    }

    /// Clients registered from one address: nobody else fills the store.
    pub fn registrations(settings: &settings::Throttle, address: IpAddr) -> Counter {
        Counter::new("registrations", &network(address), settings.registrations, settings)
    }

    /// Sign-ins begun from one address: each is kept for a while.
    pub fn interactions(settings: &settings::Throttle, address: IpAddr) -> Counter {
        Counter::new("interactions", &network(address), settings.interactions, settings)
    }

    /// Failed authentications as one client from one address: another client behind the same address is not held up.
    pub fn client(settings: &settings::Throttle, address: IpAddr, client_id: &str) -> Counter {
        Counter::new(
            "client",
            &format!("{}:{client_id}", network(address)),
            settings.address_failures,
            settings,
        )
    }

    fn new(kind: &str, of: &str, limit: u32, settings: &settings::Throttle) -> Counter {
        Counter {
            key: sha256(format!("{kind}:{of}").as_bytes()),
            limit,
            window: settings.window.0,
            at_once: 0,
        }
    }
}

/// Whose address it is: IPv6 by /64, one customer's network.
fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("{:x?}", address.segments().iter().take(4).collect::<Vec<_>>()),
    }
}

/// An attempt under way. Dropped without a word it was a failure: nobody escapes the count by hanging up.
pub struct Attempt<'a> {
    throttle: &'a Throttle,
    counters: Vec<Counter>,
    failed: bool,
}

impl Throttle {
    /// Lets an attempt begin, unless one of `counters` is used up.
    ///
    /// # Errors
    /// The seconds after which it is worth trying again.
    pub fn admit(&self, counters: &[Counter], now: Timestamp) -> Result<Attempt<'_>, u64> {
        // What was admitted before a refusal is given back when this is dropped.
        let mut attempt = Attempt { throttle: self, counters: Vec::new(), failed: false };
        for counter in counters {
            self.enter(counter, now)?;
            attempt.counters.push(*counter);
        }
        attempt.failed = true;
        Ok(attempt)
    }

    /// Whether failures alone have used `counter` up, and the seconds after which it is worth trying again. For what
    /// is judged in an instant, where many at once are no sign of guessing.
    pub fn used_up(&self, counter: &Counter, now: Timestamp) -> Option<u64> {
        let counts = self.shard(&counter.key)?.lock();
        let count = counts.get(&counter.key).filter(|count| count.failures >= counter.limit)?;
        Some(now.until(count.started.plus(counter.window))).filter(|seconds| *seconds > 0)
    }

    /// Counts one more of what costs us something although it is no failure, unless `counter` is used up.
    ///
    /// # Errors
    /// `too_many_requests`, with the seconds after which it is worth trying again.
    pub fn spend(&self, counter: &Counter, now: Timestamp) -> Result<(), Error> {
        if let Some(seconds) = self.used_up(counter, now) {
            let says = "There were too many requests of this kind from this address";
            return Err(Error::new(Code::TooManyRequests, says).retry_after(seconds));
        }
        self.failed(counter, now);
        Ok(())
    }

    /// Counts a failure that was not admitted as an attempt.
    pub fn failed(&self, counter: &Counter, now: Timestamp) {
        if self.enter(counter, now).is_ok() {
            self.leave(counter, true);
        }
    }

    fn enter(&self, counter: &Counter, now: Timestamp) -> Result<(), u64> {
        let Some(shard) = self.shard(&counter.key) else { return Ok(()) };
        let mut counts = shard.lock();
        if counts.len() >= MAX && !counts.contains_key(&counter.key) {
            make_room(&mut counts, counter, now);
        }
        let fresh = Count { started: now, failures: 0, pending: 0 };
        let count = counts.entry(counter.key).or_insert(fresh);
        if now >= count.started.plus(counter.window) {
            *count = Count { pending: count.pending, ..fresh };
        }
        let counted = count.pending.saturating_sub(counter.at_once);
        if count.failures.saturating_add(counted) < counter.limit {
            count.pending = count.pending.saturating_add(1);
            Ok(())
        } else if count.failures < counter.limit {
            Err(1)
        } else {
            Err(now.until(count.started.plus(counter.window)).max(1))
        }
    }

    fn leave(&self, counter: &Counter, failed: bool) {
        let Some(shard) = self.shard(&counter.key) else { return };
        let mut counts = shard.lock();
        let Some(count) = counts.get_mut(&counter.key) else { return };
        count.pending = count.pending.saturating_sub(1);
        count.failures = count.failures.saturating_add(u32::from(failed));
        if count.failures == 0 && count.pending == 0 {
            counts.remove(&counter.key);
        }
    }

    fn shard(&self, key: &Digest) -> Option<&Mutex<HashMap<Digest, Count, ahash::RandomState>>> {
        let [first, ..] = key;
        self.shards.get(usize::from(*first) % SHARDS)
    }
}

/// Forgets the windows that are over; if there are none, the quiet counter with the fewest failures.
fn make_room(counts: &mut HashMap<Digest, Count, ahash::RandomState>, counter: &Counter, now: Timestamp) {
    counts.retain(|_, count| count.pending > 0 || now < count.started.plus(counter.window));
    if counts.len() >= MAX {
        let quiet = counts.iter().filter(|(_, count)| count.pending == 0);
        let least = quiet.min_by_key(|(_, count)| (count.failures, count.started)).map(|(key, _)| *key);
        if let Some(key) = least {
            counts.remove(&key);
        }
    }
}

impl Attempt<'_> {
    /// It was right, or it was never judged: it does not count.
    pub fn forgive(mut self) {
        self.failed = false;
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        for counter in &self.counters {
            self.throttle.leave(counter, self.failed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000);

    fn settings() -> settings::Throttle {
        settings::Throttle { account_failures: 3, ..settings::Throttle::default() }
    }

    #[test]
    fn failures_are_counted_and_successes_are_not() {
        let throttle = Throttle::default();
        let alice = [Counter::account(&settings(), "alice")];
        for _ in 0..50 {
            throttle.admit(&alice, NOW).unwrap().forgive();
        }
        for _ in 0..3 {
            drop(throttle.admit(&alice, NOW).unwrap());
        }
        assert_eq!(throttle.admit(&alice, NOW).err(), Some(900));
        assert!(throttle.admit(&[Counter::account(&settings(), "bob")], NOW).is_ok());
        assert!(throttle.admit(&alice, Timestamp(1_899)).is_err());
        assert!(throttle.admit(&alice, Timestamp(1_900)).is_ok());
    }

    #[test]
    fn parallel_attempts_get_no_further_than_serial_ones() {
        let throttle = Throttle::default();
        let alice = [Counter::account(&settings(), "alice")];
        let under_way: Vec<_> = (0..10).filter_map(|_| throttle.admit(&alice, NOW).ok()).collect();
        assert_eq!(under_way.len(), 3);
        for attempt in under_way {
            attempt.forgive();
        }
        assert!(throttle.admit(&alice, NOW).is_ok());
    }

    #[test]
    fn many_people_behind_one_address_may_sign_in_at_once() {
        let throttle = Throttle::default();
        let address = Counter::address(&settings(), "192.0.2.1".parse().unwrap());
        let under_way: Vec<_> =
            (0..AT_ONCE + 100).map(|_| throttle.admit(&[address], NOW).unwrap()).collect();
        assert_eq!(throttle.admit(&[address], NOW).err(), Some(1));
        under_way.into_iter().for_each(Attempt::forgive);
        for _ in 0..settings().address_failures {
            drop(throttle.admit(&[address], NOW).unwrap());
        }
        assert!(throttle.admit(&[address], NOW).is_err());
    }

    #[test]
    fn a_refused_attempt_gives_back_what_it_took() {
        let throttle = Throttle::default();
        let (alice, bob) = (Counter::account(&settings(), "alice"), Counter::account(&settings(), "bob"));
        for _ in 0..3 {
            drop(throttle.admit(&[bob], NOW).unwrap());
        }
        for _ in 0..9 {
            assert!(throttle.admit(&[alice, bob], NOW).is_err());
        }
        assert!(throttle.admit(&[alice], NOW).is_ok());
    }

    #[test]
    fn addresses_of_one_network_share_a_counter() {
        let key = |text: &str| Counter::address(&settings(), text.parse().unwrap()).key;
        assert_eq!(key("2001:db8:1:2::1"), key("2001:db8:1:2:ffff::9"));
        assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
        assert_ne!(key("192.0.2.1"), key("192.0.2.2"));
        assert_eq!(key("::ffff:192.0.2.1"), key("192.0.2.1"));
    }

    #[test]
    fn counters_are_bounded_and_the_worst_are_kept() {
        let throttle = Throttle::default();
        let alice = Counter::account(&settings(), "alice");
        for _ in 0..3 {
            drop(throttle.admit(&[alice], NOW).unwrap());
        }
        for n in 0..SHARDS * (MAX + 300) {
            drop(throttle.admit(&[Counter::account(&settings(), &n.to_string())], NOW).unwrap());
        }
        assert!(throttle.shards.iter().all(|shard| shard.lock().len() <= MAX));
        assert!(throttle.admit(&[alice], NOW).is_err());
    }
}
