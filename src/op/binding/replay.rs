//! Which proofs this process has taken (RFC 9449 §11.1), in memory only: two generations, of which the older is
//! forgotten as a whole once none of it would be taken for its age. Bounded; full, it refuses.

use crate::base::clock::Timestamp;
use crate::base::secret::{Digest, hmac_sha256};
use parking_lot::Mutex;
use std::collections::HashSet;
use std::time::Duration;

const SHARDS: usize = 64;

/// Proofs that a shard remembers in one generation: four millions altogether.
const MOST: usize = 1 << 16;

/// What identifies a proof: of which key, and its `jti`. A digest, so that the length of a `jti` does not matter.
pub(super) fn identity(jkt: &str, jti: &str) -> Digest {
    hmac_sha256(b"dpop", &[jkt.as_bytes(), jti.as_bytes()])
}

pub(super) struct Replays {
    shards: Vec<Mutex<Shard>>,
    /// How long after it was first taken a proof could be taken again.
    window: Duration,
    most: usize,
}

#[derive(Default)]
struct Shard {
    began: Timestamp,
    current: HashSet<[u8; 16], ahash::RandomState>,
    previous: HashSet<[u8; 16], ahash::RandomState>,
}

/// More proofs came than can be remembered.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

impl Replays {
    pub fn new(window: Duration) -> Replays {
        Replays::holding(window, MOST)
    }

    fn holding(window: Duration, most: usize) -> Replays {
        Replays { shards: (0..SHARDS).map(|_| Mutex::default()).collect(), window, most }
    }

    /// Whether it is seen for the first time; from now on it was seen.
    pub fn first(&self, identity: &Digest, now: Timestamp) -> Result<bool, Full> {
        let [first, ..] = identity;
        let Some(shard) = self.shards.get(usize::from(*first) & (SHARDS - 1)) else { return Err(Full) };
        // Half a SHA-256: nobody finds two proofs that share it. Not the half the shard is chosen by.
        let key: [u8; 16] = *identity.last_chunk().unwrap_or(&[0; 16]);
        let mut shard = shard.lock();
        shard.turn(self.window, now);
        if shard.current.contains(&key) || shard.previous.contains(&key) {
            return Ok(false);
        }
        if shard.current.len() >= self.most {
            return Err(Full);
        }
        shard.current.insert(key);
        Ok(true)
    }
}

impl Shard {
    fn turn(&mut self, window: Duration, now: Timestamp) {
        // What was put in the last moment of a generation stays for the whole of the next one.
        if now <= self.began.plus(window) {
            return;
        }
        let stale = now > self.began.plus(window * 2).plus(Duration::from_secs(1));
        self.previous = std::mem::take(&mut self.current);
        if stale {
            self.previous = HashSet::default();
        }
        self.began = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(120);

    fn at(seconds: u64) -> Timestamp {
        Timestamp(1_800_000_000 + seconds)
    }

    #[test]
    fn a_proof_is_remembered_for_as_long_as_it_could_be_taken() {
        for began in 0..250 {
            let replays = Replays::new(WINDOW);
            let other = identity("key", "other");
            assert_eq!(replays.first(&other, at(0)), Ok(true));
            let one = identity("key", "one");
            assert_eq!(replays.first(&one, at(began)), Ok(true));
            for later in [0, 1, 60, 119, 120] {
                assert_eq!(replays.first(&one, at(began + later)), Ok(false), "{began} + {later}");
            }
        }
    }

    #[test]
    fn what_is_old_is_forgotten_and_a_full_memory_refuses() {
        let replays = Replays::holding(WINDOW, 2);
        let mut taken = 0;
        let mut full = false;
        for n in 0..10_000 {
            match replays.first(&identity("key", &n.to_string()), at(0)) {
                Ok(first) => taken += usize::from(first),
                Err(Full) => full = true,
            }
        }
        assert!(full && taken == 2 * SHARDS, "{taken}");
        assert_eq!(replays.first(&identity("key", "later"), at(121)), Ok(true));
        assert_eq!(replays.first(&identity("key", "later"), at(500)), Ok(true), "after two generations");
    }

    #[test]
    fn keys_do_not_stand_in_each_others_way() {
        let replays = Replays::new(WINDOW);
        assert_eq!(replays.first(&identity("a", "bc"), at(0)), Ok(true));
        assert_eq!(replays.first(&identity("ab", "c"), at(0)), Ok(true));
        assert_eq!(replays.first(&identity("other", "bc"), at(0)), Ok(true));
    }
}
