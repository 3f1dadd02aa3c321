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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Durability;
    use crate::store::memory::Memory;
    use serde::Deserialize;

    const NOW: Timestamp = Timestamp(1_000);

    #[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
    struct Noun {
        name: String,
        owner: String,
        dead: bool,
    }

    impl Record for Noun {
        const SHELF: &'static str = "noun";
        const FORMAT: u8 = 2;
        fn id(&self) -> Bytes {
            Bytes::copy_from_slice(self.name.as_bytes())
        }
        fn expires(&self) -> Timestamp {
            Timestamp(2_000)
        }
        fn dead(&self) -> bool {
            self.dead
        }
        fn index(&self) -> Vec<IndexKey> {
            vec![index("noun-by-owner", &self.owner)]
        }
        fn read(format: u8, json: &[u8]) -> Option<Noun> {
            match format {
                // The format before had a name only.
                1 => Some(noun(serde_json::from_slice(json).ok()?, "nobody")),
                2 => serde_json::from_slice(json).ok(),
                _ => None,
            }
        }
    }

    fn noun(name: &str, owner: &str) -> Noun {
        Noun { name: name.into(), owner: owner.into(), dead: false }
    }

    async fn commit(store: &Memory, changes: Vec<Change>) -> Result<u64, Fault> {
        store.commit(changes, Durability::Durable, NOW).await
    }

    #[tokio::test]
    async fn a_record_is_read_as_it_was_put_and_found_by_its_index() {
        let store = Memory::new();
        let (dead, alive) = (Noun { dead: true, ..noun("a", "alice") }, noun("b", "alice"));
        let changes = [&dead, &alive].map(|noun| put(noun, Expect::Absent).unwrap());
        let version = commit(&store, changes.into()).await.unwrap();
        let found = get::<Noun>(&store, "a", NOW).await.unwrap().unwrap();
        assert_eq!((found.record, found.version, found.dead), (dead, version, true));
        let by_owner = Range::Index(index("noun-by-owner", "alice"));
        let page = list::<Noun>(&store, &by_owner, Some(b"a"), 10, NOW).await.unwrap();
        assert_eq!(page.len(), 1);
        assert_eq!(page[0].record, alive);
        let refused = commit(&store, vec![check::<Noun>("a", Expect::Alive)]).await;
        assert!(refused.unwrap_err().is_conflict());
        commit(&store, vec![delete::<Noun>("b", Expect::Version(version))]).await.unwrap();
        assert!(get::<Noun>(&store, "b", NOW).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn the_format_before_is_read_and_an_unknown_or_broken_one_is_damage() {
        let store = Memory::new();
        let raw = |id: &'static str, value: &'static [u8]| Change::Put {
            key: key::<Noun>(id),
            value: Bytes::from_static(value),
            expires: Timestamp::NEVER,
            dead: false,
            index: vec![],
            expect: Expect::Anything,
        };
        let values: [(&str, &[u8]); 4] =
            [("old", b"\x01\"old\""), ("new", b"\x03{}"), ("empty", b""), ("cut", b"\x02{\"name\":")];
        commit(&store, values.map(|(id, value)| raw(id, value)).into()).await.unwrap();
        assert_eq!(get::<Noun>(&store, "old", NOW).await.unwrap().unwrap().record, noun("old", "nobody"));
        for id in ["new", "empty", "cut"] {
            let read = get::<Noun>(&store, id, NOW).await;
            assert!(matches!(read, Err(Fault::Damaged(_))), "{id}");
        }
    }
}
