//! A bounded cache of values known by a SHA-256 digest. Lookups allocate nothing and hold a shard's lock for one
//! probe and one clone. It knows no expiry: what it holds is judged by whoever reads it.

use crate::base::secret::Digest;
use parking_lot::RwLock;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

/// A power of two: the shard is the digest's first byte, masked.
const SHARDS: usize = 64;

/// At most `capacity` values, spread over 64 shards; a full shard gives up a value that was not read lately (clock
/// eviction). Values should be cheap to clone (`Arc`).
pub struct Cache<V> {
    shards: Box<[RwLock<Shard<V>>]>,
}

struct Shard<V> {
    /// Where in `slots` a digest's value is. Keyed hashing: tokens, and so digests, are chosen by strangers.
    places: HashMap<Digest, usize, ahash::RandomState>,
    slots: Vec<Slot<V>>,
    hand: usize,
    capacity: usize,
}

struct Slot<V> {
    digest: Digest,
    value: V,
    /// Read since the hand last passed.
    read: AtomicBool,
}

impl<V: Clone> Cache<V> {
    /// `capacity` is rounded up to a whole number per shard; memory is taken as values come.
    pub fn new(capacity: usize) -> Cache<V> {
        let capacity = capacity.div_ceil(SHARDS).max(1);
        let shards = (0..SHARDS).map(|_| RwLock::new(Shard::new(capacity))).collect();
        Cache { shards }
    }

    pub fn get(&self, digest: &Digest) -> Option<V> {
        let shard = self.shard(digest)?.read();
        let slot = shard.slots.get(*shard.places.get(digest)?)?;
        // Most reads find it set: a plain load leaves the cache line shared.
        if !slot.read.load(Ordering::Relaxed) {
            slot.read.store(true, Ordering::Relaxed);
        }
        Some(slot.value.clone())
    }

    /// Puts or replaces. The value that had to go, if one had, is dropped outside the lock.
    pub fn insert(&self, digest: Digest, value: V) {
        let Some(shard) = self.shard(&digest) else { return };
        let gone = shard.write().insert(digest, value);
        drop(gone);
    }

    pub fn remove(&self, digest: &Digest) -> Option<V> {
        self.shard(digest)?.write().remove(digest)
    }

    /// Keeps only what `keep` says yes to. One shard is locked at a time: `keep` must not touch the cache.
    pub fn retain(&self, mut keep: impl FnMut(&Digest, &V) -> bool) {
        for shard in &self.shards {
            let mut shard = shard.write();
            let gone: Vec<Digest> = shard
                .slots
                .iter()
                .filter(|slot| !keep(&slot.digest, &slot.value))
                .map(|slot| slot.digest)
                .collect();
            for digest in gone {
                shard.remove(&digest);
            }
        }
    }

    /// Exact only while nobody writes.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.read().slots.len()).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn clear(&self) {
        for shard in &self.shards {
            let mut shard = shard.write();
            let capacity = shard.capacity;
            let old = std::mem::replace(&mut *shard, Shard::new(capacity));
            drop(shard);
            drop(old);
        }
    }

    /// Always `Some`: the index is masked below [`SHARDS`].
    fn shard(&self, digest: &Digest) -> Option<&RwLock<Shard<V>>> {
        let [first, ..] = digest;
        self.shards.get(usize::from(*first) & (SHARDS - 1))
    }
}

impl<V> Shard<V> {
    fn new(capacity: usize) -> Shard<V> {
        Shard { places: HashMap::default(), slots: Vec::new(), hand: 0, capacity }
    }

    fn insert(&mut self, digest: Digest, value: V) -> Option<V> {
        if let Some(slot) = self.places.get(&digest).and_then(|at| self.slots.get_mut(*at)) {
            return Some(std::mem::replace(&mut slot.value, value));
        }
        let fresh = Slot { digest, value, read: AtomicBool::new(false) };
        if self.slots.len() < self.capacity {
            self.places.insert(digest, self.slots.len());
            self.slots.push(fresh);
            return None;
        }
        let at = self.victim();
        let slot = self.slots.get_mut(at)?;
        let old = std::mem::replace(slot, fresh);
        self.places.remove(&old.digest);
        self.places.insert(digest, at);
        Some(old.value)
    }

    /// The next slot that was not read since the hand passed it; ends after at most one round and a step.
    fn victim(&mut self) -> usize {
        for _ in 0..self.slots.len() {
            let at = self.step();
            if self.slots.get_mut(at).is_some_and(|slot| !std::mem::take(slot.read.get_mut())) {
                return at;
            }
        }
        self.step()
    }

    fn step(&mut self) -> usize {
        let at = self.hand;
        self.hand = if at + 1 < self.slots.len() { at + 1 } else { 0 };
        at
    }

    fn remove(&mut self, digest: &Digest) -> Option<V> {
        let at = self.places.remove(digest)?;
        let slot = self.slots.swap_remove(at);
        if let Some(moved) = self.slots.get(at) {
            self.places.insert(moved.digest, at);
        }
        if self.hand >= self.slots.len() {
            self.hand = 0;
        }
        Some(slot.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::secret::sha256;
    use std::sync::Arc;

    fn digest(n: usize) -> Digest {
        sha256(&n.to_be_bytes())
    }

    #[test]
    fn a_value_is_found_until_it_is_removed() {
        let cache = Cache::new(1_000);
        for n in 0..500 {
            cache.insert(digest(n), n);
        }
        assert_eq!(cache.len(), 500);
        for n in 0..500 {
            assert_eq!(cache.get(&digest(n)), Some(n));
        }
        assert_eq!(cache.get(&digest(500)), None);
        cache.insert(digest(3), 33);
        assert_eq!(cache.get(&digest(3)), Some(33));
        for n in (0..500).filter(|n| n % 2 == 0) {
            assert_eq!(cache.remove(&digest(n)), Some(n));
            assert_eq!(cache.remove(&digest(n)), None);
        }
        assert_eq!(cache.len(), 250);
        for n in (5..500).filter(|n| n % 2 == 1) {
            assert_eq!(cache.get(&digest(n)), Some(n), "moved slots are still found");
        }
    }

    #[test]
    fn capacity_is_never_exceeded_and_what_is_read_stays_longer() {
        let cache = Cache::new(640);
        let favourite = digest(0);
        cache.insert(favourite, 0);
        for n in 1..50_000 {
            cache.insert(digest(n), n);
            assert_eq!(cache.get(&favourite), Some(0), "after {n}");
        }
        assert_eq!(cache.len(), 640);
    }

    #[test]
    fn retain_and_clear_leave_only_what_was_asked_for() {
        let cache = Cache::new(1_000);
        for n in 0..300 {
            cache.insert(digest(n), n);
        }
        cache.retain(|_, n| n % 3 == 0);
        assert_eq!(cache.len(), 100);
        assert_eq!(cache.get(&digest(3)), Some(3));
        assert_eq!(cache.get(&digest(4)), None);
        cache.clear();
        assert!(cache.is_empty());
        assert_eq!(cache.get(&digest(3)), None);
    }

    #[test]
    fn an_evicted_value_stays_alive_for_whoever_holds_it() {
        let cache = Cache::new(1);
        let held = Arc::new(1);
        let key = digest(1);
        cache.insert(key, held.clone());
        let copy = cache.get(&key).unwrap();
        cache.clear();
        assert_eq!(Arc::strong_count(&held), 2);
        assert_eq!(*copy, 1);
    }

    #[test]
    fn random_operations_agree_with_a_plain_map() {
        let cache = Cache::new(64 * 64);
        let mut plain = std::collections::HashMap::new();
        let mut state = 1_u64;
        for _ in 0..20_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let n = usize::try_from(state >> 40).unwrap() % 1_000;
            match state >> 33 & 3 {
                0 => assert_eq!(cache.remove(&digest(n)), plain.remove(&n)),
                1 | 2 => {
                    cache.insert(digest(n), state);
                    plain.insert(n, state);
                }
                _ => assert_eq!(cache.get(&digest(n)), plain.get(&n).copied()),
            }
        }
        assert_eq!(cache.len(), plain.len());
    }
}
