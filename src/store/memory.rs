//! The store that forgets everything when the process ends: for tests, demonstrations and a provider whose people
//! may log in again after a restart. `Soon` and `Durable` are the same here.

use super::layer::{Layer, Row, within_limits};
use super::{
    Change, Durability, Entry, Fault, IndexKey, Key, Listed, MAX_PAGE, MAX_SWEEP, Range, Settings, Store,
    Watch,
};
use super::{Event::Changed, watch::Watchers};
use crate::base::clock::Timestamp;
use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

/// Beyond this many bytes of rows only deletes are taken.
const DEFAULT_LIMIT: usize = 1 << 30;

/// For [`super::BACKENDS`].
pub(super) fn open(settings: &Settings) -> Option<super::Opened> {
    let Settings::Memory = settings else { return None };
    Some(Ok(Arc::new(Memory::new())))
}

pub struct Memory {
    state: Mutex<State>,
    limit: usize,
}

struct State {
    layer: Layer,
    index: BTreeMap<(IndexKey, Bytes), Key>,
    expiry: BTreeSet<(Timestamp, Key)>,
    version: u64,
    watchers: Watchers,
}

impl Memory {
    pub fn new() -> Memory {
        Memory::with_limit(DEFAULT_LIMIT)
    }

    /// Takes no more puts once its rows weigh about `limit` bytes.
    pub fn with_limit(limit: usize) -> Memory {
        let state = State {
            layer: Layer::default(),
            index: BTreeMap::new(),
            expiry: BTreeSet::new(),
            version: 0,
            watchers: Watchers::new(),
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
        Ok(match range {
            Range::Shelf(shelf) => page(state.layer.shelf(shelf, after), limit, now),
            Range::Index(index) => page(state.indexed(index, after), limit, now),
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
        self.state.lock().watchers.watch()
    }

    fn close(&self) -> Result<(), Fault> {
        self.state.lock().watchers.close();
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
                for row in &index {
                    self.index.insert((row.clone(), key.id.clone()), key.clone());
                }
                let entry = Entry { value, version: self.version, expires, dead };
                self.layer.put(key.clone(), Row { entry, index });
                self.watchers.tell(Changed { key, dead, deleted: false });
            }
            Change::Delete { key, .. } => {
                if self.forget(&key).is_some() {
                    self.watchers.tell(Changed { key, dead: false, deleted: true });
                }
            }
            Change::Check { .. } => {}
        }
    }

    fn forget(&mut self, key: &Key) -> Option<Row> {
        let row = self.layer.remove(key)?;
        self.expiry.remove(&(row.entry.expires, key.clone()));
        for row in &row.index {
            self.index.remove(&(row.clone(), key.id.clone()));
        }
        Some(row)
    }

    /// The entries with an index row, in the order of their identifiers.
    fn indexed<'a>(
        &'a self,
        index: &'a IndexKey,
        after: Option<&[u8]>,
    ) -> impl Iterator<Item = (&'a Key, &'a Row)> + use<'a> {
        let row = |id: &[u8]| (index.clone(), Bytes::copy_from_slice(id));
        let from = after.map_or(Bound::Included(row(b"")), |after| Bound::Excluded(row(after)));
        let rows = self.index.range((from, Bound::Unbounded)).take_while(move |((row, _), _)| row == index);
        rows.filter_map(|(_, key)| Some((key, self.layer.look(key)??)))
    }
}

fn page<'a>(rows: impl Iterator<Item = (&'a Key, &'a Row)>, limit: usize, now: Timestamp) -> Vec<Listed> {
    let living = rows.filter(|(_, row)| row.entry.lives(now)).take(limit);
    living.map(|(key, row)| Listed { key: key.clone(), entry: row.entry.clone() }).collect()
}
