//! Typed records over a [`Store`]: one shelf per kind, JSON behind a version byte.

use super::{Change, Entry, Expect, Fault, IndexKey, Key, Range, Store};
use crate::base::clock::Timestamp;
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A stored noun. Its identifier never contains a bearer value in clear, only a digest of it.
pub trait Record: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Unique; also the noun's name in messages.
    const SHELF: &'static str;
    /// The format written. [`Record::read`] must understand this one and the one before.
    const FORMAT: u8 = 1;

    /// At most [`super::MAX_ID`] bytes.
    fn id(&self) -> Bytes;

    fn expires(&self) -> Timestamp;

    /// A revocation mark (see [`Entry::dead`]).
    fn dead(&self) -> bool {
        false
    }

    /// The rows under which it is found besides its identifier.
    fn index(&self) -> Vec<IndexKey> {
        Vec::new()
    }

    /// Reads a value written as `format`.
    fn read(format: u8, json: &[u8]) -> Option<Self> {
        (format == Self::FORMAT).then(|| serde_json::from_slice(json).ok()).flatten()
    }
}

/// A record as it was found, with the version a compare-and-swap needs.
#[derive(Clone, Debug)]
pub struct Stored<T> {
    pub record: T,
    pub version: u64,
    pub dead: bool,
}

/// The key of a record of type `T`.
pub fn key<T: Record>(id: impl Into<Bytes>) -> Key {
    Key { shelf: T::SHELF, id: id.into() }
}

/// An index row.
pub fn index(index: &'static str, value: &str) -> IndexKey {
    IndexKey { index, value: Bytes::copy_from_slice(value.as_bytes()) }
}

pub async fn get<T: Record>(
    store: &dyn Store,
    id: impl Into<Bytes>,
    now: Timestamp,
) -> Result<Option<Stored<T>>, Fault> {
    match store.get(&key::<T>(id), now).await? {
        Some(entry) => parse(&entry).map(Some),
        None => Ok(None),
    }
}

/// A page of records, in the order of their identifiers; `after` is the last identifier of the page before.
pub async fn list<T: Record>(
    store: &dyn Store,
    range: &Range,
    after: Option<&[u8]>,
    limit: usize,
    now: Timestamp,
) -> Result<Vec<Stored<T>>, Fault> {
    let entries = store.list(range, after, limit, now).await?;
    entries.iter().map(|listed| parse(&listed.entry)).collect()
}

/// The change that writes `record`.
pub fn put<T: Record>(record: &T, expect: Expect) -> Result<Change, Fault> {
    let mut value = vec![T::FORMAT];
    serde_json::to_writer(&mut value, record).map_err(|_| Fault::Limit("a record that JSON cannot hold"))?;
    let key = Key { shelf: T::SHELF, id: record.id() };
    let (expires, dead, index) = (record.expires(), record.dead(), record.index());
    Ok(Change::Put { key, value: value.into(), expires, dead, index, expect })
}

/// The change that removes the record `id`.
pub fn delete<T: Record>(id: impl Into<Bytes>, expect: Expect) -> Change {
    Change::Delete { key: key::<T>(id), expect }
}

/// The change that writes nothing but holds the record `id` to `expect`.
pub fn check<T: Record>(id: impl Into<Bytes>, expect: Expect) -> Change {
    Change::Check { key: key::<T>(id), expect }
}

/// The record in an entry that was read by its key.
pub fn parse<T: Record>(entry: &Entry) -> Result<Stored<T>, Fault> {
    let record = entry.value.split_first().and_then(|(format, json)| T::read(*format, json));
    let record = record.ok_or_else(|| Fault::Damaged(format!("a {} record does not read", T::SHELF)))?;
    Ok(Stored { record, version: entry.version, dead: entry.dead })
}
