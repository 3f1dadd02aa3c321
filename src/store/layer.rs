//! Rows in memory: what the memory backend has, and what the embedded one has not flushed yet; and the rules of a
//! commit, which are the same for all. Holds no lock and tells no watcher.

use super::{Change, Entry, Expect, Fault, IndexKey, Key};
use super::{MAX_CHANGES, MAX_ID, MAX_INDEX_ROWS, MAX_NAME, MAX_VALUE};
use crate::base::clock::Timestamp;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::ops::Bound;

/// What a map's node costs beside the bytes it holds, roughly.
const ROW_OVERHEAD: usize = 192;

/// An entry and the index rows under which it is found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Row {
    pub entry: Entry,
    pub index: Vec<IndexKey>,
}

#[derive(Default)]
pub(super) struct Layer {
    /// `None`: deleted, whatever lies beneath.
    rows: BTreeMap<Key, Option<Row>>,
    bytes: usize,
}

impl Layer {
    /// `None`: this layer says nothing about `key`; `Some(None)`: it is deleted.
    pub fn look(&self, key: &Key) -> Option<Option<&Row>> {
        self.rows.get(key).map(Option::as_ref)
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Roughly the memory the rows take.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn put(&mut self, key: Key, row: Row) {
        self.remove(&key);
        self.bytes += weight(&key, Some(&row));
        self.rows.insert(key, Some(row));
    }

    /// Forgets the row.
    pub fn remove(&mut self, key: &Key) -> Option<Row> {
        let row = self.rows.remove(key)?;
        self.bytes = self.bytes.saturating_sub(weight(key, row.as_ref()));
        row
    }

    /// Remembers that the row is deleted.
    pub fn bury(&mut self, key: Key) {
        self.remove(&key);
        self.bytes += weight(&key, None);
        self.rows.insert(key, None);
    }

    pub fn rows(&self) -> impl Iterator<Item = (&Key, Option<&Row>)> {
        self.rows.iter().map(|(key, row)| (key, row.as_ref()))
    }

    /// The rows of a shelf whose identifiers sort after `after`.
    pub fn shelf<'a>(
        &'a self,
        shelf: &'static str,
        after: Option<&[u8]>,
    ) -> impl Iterator<Item = (&'a Key, &'a Row)> + use<'a> {
        let key = |id: &[u8]| Key { shelf, id: Bytes::copy_from_slice(id) };
        let from = after.map_or(Bound::Included(key(b"")), |after| Bound::Excluded(key(after)));
        let rows = self.rows.range((from, Bound::Unbounded));
        let rows = rows.take_while(move |(key, _)| key.shelf == shelf);
        rows.filter_map(|(key, row)| Some((key, row.as_ref()?)))
    }
}

fn weight(key: &Key, row: Option<&Row>) -> usize {
    let index = row
        .map_or(0, |row| row.index.iter().map(|index| ROW_OVERHEAD + index.value.len() + key.id.len()).sum());
    ROW_OVERHEAD + key.id.len() + row.map_or(0, |row| row.entry.value.len()) + index
}

impl Entry {
    /// Whether it is (still) there at `now`.
    pub fn lives(&self, now: Timestamp) -> bool {
        now < self.expires
    }
}

impl Expect {
    /// Whether what was found, expired or not, is what was expected.
    pub(super) fn holds(self, found: Option<&Entry>, now: Timestamp) -> bool {
        let found = found.filter(|entry| entry.lives(now));
        match self {
            Expect::Absent => found.is_none(),
            Expect::Version(version) => found.is_some_and(|entry| entry.version == version),
            Expect::Alive => found.is_some_and(|entry| !entry.dead),
            Expect::NotDead => found.is_none_or(|entry| !entry.dead),
            Expect::Anything => true,
        }
    }
}

/// Refuses what no backend takes.
pub(super) fn within_limits(changes: &[Change]) -> Result<(), Fault> {
    if changes.len() > MAX_CHANGES {
        return Err(Fault::Limit("a commit of too many changes"));
    }
    let mut written = std::collections::BTreeSet::new();
    for change in changes {
        let key = change.key();
        named(key.shelf)?;
        if key.id.len() > MAX_ID {
            return Err(Fault::Limit("an identifier that is too long"));
        }
        if !matches!(change, Change::Check { .. }) && !written.insert(key) {
            return Err(Fault::Limit("a commit that writes one entry twice"));
        }
        if let Change::Put { value, index, .. } = change {
            if value.len() > MAX_VALUE {
                return Err(Fault::Limit("a value that is too large"));
            }
            if index.len() > MAX_INDEX_ROWS {
                return Err(Fault::Limit("an entry with too many index rows"));
            }
            for row in index {
                named(row.index)?;
                if row.value.len() > MAX_ID {
                    return Err(Fault::Limit("an index value that is too long"));
                }
            }
        }
    }
    Ok(())
}

/// NUL ends a name on disk.
fn named(name: &str) -> Result<(), Fault> {
    if name.is_empty() || name.len() > MAX_NAME || name.contains('\0') {
        return Err(Fault::Limit("a shelf or index name that is empty, too long or contains NUL"));
    }
    Ok(())
}
