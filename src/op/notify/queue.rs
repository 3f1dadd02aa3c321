//! Which notice is due next. A hint of what is in the store, never more: what does not fit is read from there later.

use crate::base::bell::Bell;
use crate::base::clock::Timestamp;
use crate::op::record::notice::Notice;
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};

/// Notices whose turn is known. More wait in the store.
const MAX_WAITING: usize = 4_096;
/// Deliveries to one client under way at once: one that is down must leave room for the others.
const MAX_PER_CLIENT: usize = 2;

#[derive(Default)]
pub struct Queue {
    waiting: Mutex<Waiting>,
    bell: Bell,
    pub(super) tally: Tally,
}

#[derive(Default)]
struct Waiting {
    /// By when it is due, and its identifier: whose it is.
    turns: BTreeMap<(Timestamp, String), String>,
    under_way: HashMap<String, usize>,
    /// When the store is read anew; at first at once.
    read_at: Timestamp,
}

#[derive(Default)]
pub(super) struct Tally {
    pub taken: Count,
    pub refused: Count,
    pub given_up: Count,
}

#[derive(Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
    fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The right to deliver one notice; dropping it makes room for another of the same client.
pub(super) struct Turn<'a> {
    pub id: String,
    client: String,
    queue: &'a Queue,
}

impl Queue {
    /// Whatever is due last makes room, and is read from the store again by then.
    pub(super) fn push(&self, notice: &Notice) {
        let mut waiting = self.waiting.lock();
        let id = Notice::id_of(&notice.sid, &notice.client_id);
        waiting.turns.insert((notice.due, id), notice.client_id.clone());
        if waiting.turns.len() > MAX_WAITING
            && let Some(((due, _), _)) = waiting.turns.pop_last()
        {
            waiting.read_at = waiting.read_at.min(due);
        }
        drop(waiting);
        self.bell.ring();
    }

    /// The first that is due and whose client is not busy enough.
    pub(super) fn turn(&self, now: Timestamp) -> Option<Turn<'_>> {
        let mut waiting = self.waiting.lock();
        let free =
            |client: &String| waiting.under_way.get(client).is_none_or(|count| *count < MAX_PER_CLIENT);
        let mut due = waiting.turns.iter().take_while(|((due, _), _)| *due <= now);
        let key = due.find(|(_, client)| free(client)).map(|(key, _)| key.clone())?;
        let client = waiting.turns.remove(&key)?;
        *waiting.under_way.entry(client.clone()).or_default() += 1;
        let more = waiting.turns.first_key_value().is_some_and(|((due, _), _)| *due <= now);
        drop(waiting);
        if more {
            // One ring may have stood for several notices.
            self.bell.ring();
        }
        Some(Turn { id: key.1, client, queue: self })
    }

    pub(super) fn bell(&self) -> &Bell {
        &self.bell
    }

    pub(super) fn is_to_be_read(&self, now: Timestamp) -> bool {
        self.waiting.lock().read_at <= now
    }

    pub(super) fn was_read(&self, next: Timestamp) {
        self.waiting.lock().read_at = next;
    }

    pub(super) fn counts(&self) -> [u64; 4] {
        let waiting = self.waiting.lock().turns.len();
        let waiting = u64::try_from(waiting).unwrap_or(u64::MAX);
        [self.tally.taken.read(), self.tally.refused.read(), self.tally.given_up.read(), waiting]
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut waiting = self.queue.waiting.lock();
        if let Some(count) = waiting.under_way.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                waiting.under_way.remove(&self.client);
            }
        }
        drop(waiting);
        self.queue.bell.ring();
    }
}
