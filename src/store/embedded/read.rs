//! Reading one moment of the database, on the caller's thread.

use super::file::fault;
use super::layout::{
    ENTRIES, EXPIRY, INDEX, Written, damaged, entry_key, expiring, index_key, name, read_key, shelf_key,
};
use crate::base::clock::Timestamp;
use crate::store::{Entry, Fault, IndexKey, Key, Listed};
use bytes::Bytes;
use redb::{Database, ReadOnlyTable, ReadableDatabase};
use std::ops::Bound;

type Rows = ReadOnlyTable<&'static [u8], &'static [u8]>;

/// Opened once after each transaction and shared by all readers: opening costs more than reading.
pub(super) struct Snapshot {
    entries: Rows,
    index: Rows,
    expiry: Rows,
}

impl Snapshot {
    pub fn of(database: &Database) -> Result<Snapshot, Fault> {
        let transaction = database.begin_read().map_err(fault)?;
        let open = |table| transaction.open_table(table).map_err(fault);
        Ok(Snapshot { entries: open(ENTRIES)?, index: open(INDEX)?, expiry: open(EXPIRY)? })
    }

    /// The entry under `key`, expired or not.
    pub fn get(&self, key: &Key) -> Result<Option<Entry>, Fault> {
        let key = entry_key(key);
        match self.entries.get(&key[..]).map_err(fault)? {
            Some(row) => Ok(Some(Written::read(&key, row.value())?.entry())),
            None => Ok(None),
        }
    }

    pub fn shelf(
        &self,
        shelf: &'static str,
        after: Option<&[u8]>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<Listed>, Fault> {
        let prefix = shelf_key(shelf, b"");
        let from = shelf_key(shelf, after.unwrap_or_default());
        let mut page = Vec::new();
        if limit == 0 {
            return Ok(page);
        }
        for row in self.entries.range::<&[u8]>(beyond(&from, after)).map_err(fault)? {
            let (key, row) = row.map_err(fault)?;
            if !key.value().starts_with(&prefix) {
                break;
            }
            let entry = Written::read(key.value(), row.value())?.entry();
            if entry.lives(now) {
                page.push(Listed { key: read_key(key.value())?, entry });
            }
            if page.len() >= limit {
                break;
            }
        }
        Ok(page)
    }

    pub fn indexed(
        &self,
        index: &IndexKey,
        after: Option<&[u8]>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<Listed>, Fault> {
        let prefix = index_key(index.index, &index.value, b"");
        let from = index_key(index.index, &index.value, after.unwrap_or_default());
        let mut page = Vec::new();
        if limit == 0 {
            return Ok(page);
        }
        for row in self.index.range::<&[u8]>(beyond(&from, after)).map_err(fault)? {
            let (row, shelf) = row.map_err(fault)?;
            let Some(id) = row.value().strip_prefix(&prefix[..]) else { break };
            let key = Key { shelf: name(shelf.value())?, id: Bytes::copy_from_slice(id) };
            let entry = self.get(&key)?.ok_or_else(|| damaged("an index row without its entry"))?;
            if entry.lives(now) {
                page.push(Listed { key, entry });
            }
            if page.len() >= limit {
                break;
            }
        }
        Ok(page)
    }

    /// The longest expired entries.
    pub fn expired(&self, now: Timestamp, limit: usize) -> Result<Vec<Key>, Fault> {
        // Whatever expires at `now` sorts before the first that expires later.
        let end = now.0.saturating_add(1).to_be_bytes();
        let rows =
            self.expiry.range::<&[u8]>((Bound::Unbounded, Bound::Excluded(&end[..]))).map_err(fault)?;
        let mut keys = Vec::new();
        for row in rows.take(limit) {
            keys.push(expiring(row.map_err(fault)?.0.value())?);
        }
        Ok(keys)
    }
}

fn beyond<'a>(from: &'a [u8], after: Option<&[u8]>) -> (Bound<&'a [u8]>, Bound<&'a [u8]>) {
    let from = if after.is_some() { Bound::Excluded(from) } else { Bound::Included(from) };
    (from, Bound::Unbounded)
}
