//! The store that forgets everything when the process ends: for tests, demonstrations and a provider whose people
//! may log in again after a restart. `Soon` and `Durable` are the same here.

use super::layer::{Layer, Row, within_limits};
use super::{Change, Durability, Entry, Event, Fault, Key, Listed, MAX_PAGE, MAX_SWEEP, Range, Store, Watch};
use super::{Event::Changed, WATCH_BACKLOG};
use crate::base::clock::Timestamp;
use async_trait::async_trait;
use parking_lot::Mutex;
use std::collections::BTreeSet;
use tokio::sync::broadcast;

/// Beyond this many bytes of rows only deletes are taken.
const DEFAULT_LIMIT: usize = 1 << 30;

pub struct Memory {
    state: Mutex<State>,
    limit: usize,
}

struct State {
    layer: Layer,
    expiry: BTreeSet<(Timestamp, Key)>,
    version: u64,
    /// `None` once closed.
    watchers: Option<broadcast::Sender<Event>>,
}

impl Memory {
    pub fn new() -> Memory {
        Memory::with_limit(DEFAULT_LIMIT)
    }

    /// Takes no more puts once its rows weigh about `limit` bytes.
    pub fn with_limit(limit: usize) -> Memory {
        let state = State {
            layer: Layer::default(),
            expiry: BTreeSet::new(),
            version: 0,
            watchers: Some(broadcast::Sender::new(WATCH_BACKLOG)),
        };
        Memory { state: Mutex::new(state), limit }
    }
}

impl Default for Memory {
    fn default() -> Memory {
        Memory::new()
    }
}

#[async_trait]
impl Store for Memory {
    async fn get(&self, key: &Key, now: Timestamp) -> Result<Option<Entry>, Fault> {
        let state = self.state.lock();
        let entry = state.layer.look(key).flatten().map(|row| &row.entry);
        Ok(entry.filter(|entry| entry.lives(now)).cloned())
    }

    async fn list(
        &self,
        range: &Range,
        after: Option<&[u8]>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<Listed>, Fault> {
        if limit > MAX_PAGE {
            return Err(Fault::Limit("a page that is too long"));
        }
        let state = self.state.lock();
        let listed = |key: &Key, row: &Row| Listed { key: key.clone(), entry: row.entry.clone() };
        let living = |row: &Row| row.entry.lives(now);
        Ok(match range {
            Range::Shelf(shelf) => {
                let rows = state.layer.shelf(shelf, after).filter_map(|(key, row)| Some((key, row?)));
                rows.filter(|(_, row)| living(row)).take(limit).map(|(key, row)| listed(key, row)).collect()
            }
            Range::Index(index) => {
                let rows = state.layer.indexed(index, after).filter(|(_, row)| living(row));
                rows.take(limit).map(|(key, row)| listed(key, row)).collect()
            }
        })
    }

    async fn commit(
        &self,
        changes: Vec<Change>,
        _durability: Durability,
        now: Timestamp,
    ) -> Result<u64, Fault> {
        within_limits(&changes)?;
        let mut state = self.state.lock();
        for (position, change) in changes.iter().enumerate() {
            let found = state.layer.look(change.key()).flatten().map(|row| &row.entry);
            if !change.expect().holds(found, now) {
                return Err(Fault::Conflict { position });
            }
        }
        let puts = changes.iter().any(|change| matches!(change, Change::Put { .. }));
        if puts && state.layer.bytes() >= self.limit {
            return Err(Fault::Unavailable("the memory store is full".into()));
        }
        state.version += 1;
        for change in changes {
            state.apply(change);
        }
        Ok(state.version)
    }

    async fn sweep(&self, now: Timestamp, budget: usize) -> Result<usize, Fault> {
        let mut state = self.state.lock();
        let mut removed = 0;
        while removed < budget.min(MAX_SWEEP) {
            let Some((_, key)) = state.expiry.first().filter(|(expires, _)| *expires <= now).cloned() else {
                break;
            };
            state.forget(&key);
            removed += 1;
        }
        Ok(removed)
    }

    fn watch(&self) -> Watch {
        Watch::of(self.state.lock().watchers.as_ref())
    }

    fn close(&self) -> Result<(), Fault> {
        self.state.lock().watchers = None;
        Ok(())
    }
}

impl State {
    fn apply(&mut self, change: Change) {
        match change {
            Change::Put { key, value, expires, dead, index, .. } => {
                self.forget(&key);
                if expires != Timestamp::NEVER {
                    self.expiry.insert((expires, key.clone()));
                }
                let entry = Entry { value, version: self.version, expires, dead };
                self.layer.put(key.clone(), Row { entry, index });
                self.tell(Changed { key, dead, deleted: false });
            }
            Change::Delete { key, .. } => {
                if self.forget(&key).is_some() {
                    self.tell(Changed { key, dead: false, deleted: true });
                }
            }
            Change::Check { .. } => {}
        }
    }

    fn forget(&mut self, key: &Key) -> Option<Row> {
        let row = self.layer.remove(key)?;
        self.expiry.remove(&(row.entry.expires, key.clone()));
        Some(row)
    }

    fn tell(&self, event: Event) {
        if let Some(watchers) = &self.watchers {
            // An error means that nobody watches.
            let _ = watchers.send(event);
        }
    }
}
