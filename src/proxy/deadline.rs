//! Ends what outlives its token: a WebSocket or a stream is judged once, and must not go on past its `exp`.

use crate::base::clock::Timestamp;
use crate::op::Life;
use parking_lot::Mutex;
use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::sync::{Arc, Weak};

/// Exchanges waiting for their token's end, the earliest first.
#[derive(Default)]
pub(super) struct Deadlines(Mutex<BinaryHeap<Entry>>);

struct Entry {
    at: Timestamp,
    life: Weak<Life>,
}

impl Deadlines {
    /// Ends `life` once `at` has come. Bounded by the exchanges under way: those that are over are left out when the
    /// heap would grow.
    pub fn add(&self, at: Timestamp, life: &Arc<Life>) {
        let mut heap = self.0.lock();
        if heap.len() == heap.capacity() {
            heap.retain(|entry| entry.life.strong_count() > 0);
        }
        heap.push(Entry { at, life: Arc::downgrade(life) });
    }

    /// Ends what is due.
    pub async fn pass(&self, now: Timestamp) {
        while let Some(life) = self.due(now) {
            if let Some(life) = life.upgrade() {
                life.end().await;
            }
        }
    }

    fn due(&self, now: Timestamp) -> Option<Weak<Life>> {
        let mut heap = self.0.lock();
        if heap.peek()?.at > now {
            return None;
        }
        heap.pop().map(|entry| entry.life)
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Entry) -> Ordering {
        other.at.cmp(&self.at)
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Entry) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Entry) -> bool {
        self.at == other.at
    }
}

impl Eq for Entry {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lives_end_when_their_time_has_come_and_not_before() {
        let deadlines = Deadlines::default();
        let lives: Vec<_> = (0..3).map(|_| Life::root()).collect();
        for (life, at) in lives.iter().zip([30, 10, 20]) {
            deadlines.add(Timestamp(at), life);
        }
        let pass = |now| futures_util::FutureExt::now_or_never(deadlines.pass(Timestamp(now))).unwrap();
        let dead = || lives.iter().map(|life| life.is_dead()).collect::<Vec<_>>();
        pass(9);
        assert_eq!(dead(), [false, false, false]);
        pass(20);
        assert_eq!(dead(), [false, true, true]);
        pass(31);
        assert_eq!(dead(), [true, true, true]);
    }

    #[test]
    fn exchanges_that_are_over_take_no_room() {
        let deadlines = Deadlines::default();
        for at in 0..10_000 {
            deadlines.add(Timestamp(at), &Life::root());
        }
        assert!(deadlines.0.lock().len() < 10);
    }
}
