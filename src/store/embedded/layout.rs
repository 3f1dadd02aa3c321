//! The bytes on disk: keys that sort as the contract lists, and values that tell when they are not what was written.
//! [`FORMAT`] counts incompatible changes of this file.

use crate::base::clock::Timestamp;
use crate::store::layer::Row;
use crate::store::{Entry, Fault, IndexKey, Key, MAX_NAME};
use bytes::Bytes;
use parking_lot::Mutex;
use redb::TableDefinition;
use std::collections::BTreeSet;

pub(super) type Rows = TableDefinition<'static, &'static [u8], &'static [u8]>;

/// `shelf NUL id` → a row (see [`write_row`]).
pub(super) const ENTRIES: Rows = TableDefinition::new("entries");
/// `index NUL length(2) value id` → `shelf`.
pub(super) const INDEX: Rows = TableDefinition::new("index");
/// `expires(8) shelf NUL id` → nothing. Entries that never expire have no row.
pub(super) const EXPIRY: Rows = TableDefinition::new("expiry");
/// [`FORMAT_IS`] and [`VERSION_IS`].
pub(super) const ABOUT: TableDefinition<'static, &'static str, u64> = TableDefinition::new("oidcop-store");

/// The layout of this file.
pub(super) const FORMAT: u64 = 1;
pub(super) const FORMAT_IS: &str = "format";
/// The highest version ever given to an entry.
pub(super) const VERSION_IS: &str = "version";

const DEAD: u8 = 1;
/// More names than the product has shelves: a file that shows more is not ours.
const MAX_NAMES: usize = 256;

pub(super) fn entry_key(key: &Key) -> Vec<u8> {
    shelf_key(key.shelf, &key.id)
}

/// Of the entry `id`; with an empty `id`, the prefix of the whole shelf.
pub(super) fn shelf_key(shelf: &str, id: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(shelf.len() + 1 + id.len());
    bytes.extend_from_slice(shelf.as_bytes());
    bytes.push(0);
    bytes.extend_from_slice(id);
    bytes
}

/// The key whose bytes these are.
pub(super) fn read_key(bytes: &[u8]) -> Result<Key, Fault> {
    let nul = bytes.iter().position(|byte| *byte == 0);
    let (shelf, id) = nul.and_then(|nul| bytes.split_at_checked(nul)).ok_or_else(|| damaged("a key"))?;
    Ok(Key { shelf: name(shelf)?, id: Bytes::copy_from_slice(id.get(1..).unwrap_or_default()) })
}

/// Of the index row of `id`; with an empty `id`, the prefix of all of them. The length keeps one value from being
/// the beginning of another.
pub(super) fn index_key(index: &str, value: &[u8], id: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(index.len() + 3 + value.len() + id.len());
    bytes.extend_from_slice(index.as_bytes());
    bytes.push(0);
    bytes.extend_from_slice(&u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes());
    bytes.extend_from_slice(value);
    bytes.extend_from_slice(id);
    bytes
}

pub(super) fn expiry_key(expires: Timestamp, entry_key: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(8 + entry_key.len());
    bytes.extend_from_slice(&expires.0.to_be_bytes());
    bytes.extend_from_slice(entry_key);
    bytes
}

/// The entry's key in an expiry row.
pub(super) fn expiring(bytes: &[u8]) -> Result<Key, Fault> {
    read_key(bytes.get(8..).ok_or_else(|| damaged("an expiry row"))?)
}

/// `sum(8) flags(1) version(8) expires(8) length(4) value count(1) { length(1) index length(2) value }…`
/// The sum covers the key too: a row that landed under another key does not read.
pub(super) fn write_row(entry_key: &[u8], row: &Row) -> Vec<u8> {
    let mut bytes = vec![0; 8];
    bytes.push(if row.entry.dead { DEAD } else { 0 });
    bytes.extend_from_slice(&row.entry.version.to_be_bytes());
    bytes.extend_from_slice(&row.entry.expires.0.to_be_bytes());
    bytes.extend_from_slice(&u32::try_from(row.entry.value.len()).unwrap_or(u32::MAX).to_be_bytes());
    bytes.extend_from_slice(&row.entry.value);
    bytes.push(u8::try_from(row.index.len()).unwrap_or(u8::MAX));
    for IndexKey { index, value } in &row.index {
        bytes.push(u8::try_from(index.len()).unwrap_or(u8::MAX));
        bytes.extend_from_slice(index.as_bytes());
        bytes.extend_from_slice(&u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes());
        bytes.extend_from_slice(value);
    }
    if let Some((sum, body)) = bytes.split_first_chunk_mut::<8>() {
        *sum = checksum(entry_key, body).to_be_bytes();
    }
    bytes
}

/// A row as it lies on disk, its sum checked.
pub(super) struct Written<'a> {
    dead: bool,
    version: u64,
    pub expires: Timestamp,
    value: &'a [u8],
    index: &'a [u8],
}

impl<'a> Written<'a> {
    pub fn read(entry_key: &[u8], bytes: &'a [u8]) -> Result<Written<'a>, Fault> {
        let (sum, body) = bytes.split_first_chunk::<8>().ok_or_else(|| damaged("a short entry"))?;
        if checksum(entry_key, body).to_be_bytes() != *sum {
            return Err(damaged("an entry whose checksum is wrong"));
        }
        Written::parts(body).ok_or_else(|| damaged("an entry"))
    }

    fn parts(body: &'a [u8]) -> Option<Written<'a>> {
        let (flags, rest) = body.split_first()?;
        let (version, rest) = rest.split_first_chunk::<8>()?;
        let (expires, rest) = rest.split_first_chunk::<8>()?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let (value, index) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
        let expires = Timestamp(u64::from_be_bytes(*expires));
        let known = flags & !DEAD == 0;
        let version = u64::from_be_bytes(*version);
        known.then_some(Written { dead: flags & DEAD != 0, version, expires, value, index })
    }

    pub fn entry(&self) -> Entry {
        Entry {
            value: Bytes::copy_from_slice(self.value),
            version: self.version,
            expires: self.expires,
            dead: self.dead,
        }
    }

    /// The keys of its rows in [`INDEX`].
    pub fn index_keys(&self, id: &[u8]) -> Result<Vec<Vec<u8>>, Fault> {
        let keys = || {
            let (count, mut rest) = self.index.split_first()?;
            let mut keys = Vec::with_capacity(usize::from(*count));
            for _ in 0..*count {
                let (length, after) = rest.split_first()?;
                let (index, after) = after.split_at_checked(usize::from(*length))?;
                let (length, after) = after.split_first_chunk::<2>()?;
                let (value, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
                keys.push(index_key(std::str::from_utf8(index).ok()?, value, id));
                rest = after;
            }
            rest.is_empty().then_some(keys)
        };
        keys().ok_or_else(|| damaged("an entry's index rows"))
    }
}

/// The one copy of a shelf's name, so that what was read from disk can be a [`Key`]. Each is kept for good, which is
/// why their number is limited.
pub(super) fn name(bytes: &[u8]) -> Result<&'static str, Fault> {
    static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let text = std::str::from_utf8(bytes).map_err(|_| damaged("a shelf's name"))?;
    let mut names = NAMES.lock();
    if let Some(known) = names.get(text) {
        return Ok(known);
    }
    if names.len() >= MAX_NAMES || text.is_empty() || text.len() > MAX_NAME {
        return Err(damaged("a shelf's name"));
    }
    let kept: &'static str = Box::leak(text.to_owned().into_boxed_str());
    names.insert(kept);
    Ok(kept)
}

/// FNV-1a: finds flipped and misplaced bytes, not an attacker (whoever can write the file owns it).
fn checksum(entry_key: &[u8], body: &[u8]) -> u64 {
    let step = |sum: u64, byte: &u8| (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    let sum = entry_key.iter().fold(0xcbf2_9ce4_8422_2325, step);
    body.iter().fold(sum.wrapping_add(1), step)
}

pub(super) fn damaged(what: &str) -> Fault {
    Fault::Damaged(format!("{what} in the store's file does not read"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Row {
        let index =
            |index, value: &'static str| IndexKey { index, value: Bytes::from_static(value.as_bytes()) };
        Row {
            entry: Entry {
                value: Bytes::from_static(b"value"),
                version: 7,
                expires: Timestamp(99),
                dead: true,
            },
            index: vec![index("by-user", "alice"), index("by-client", "")],
        }
    }

    #[test]
    fn a_row_reads_as_it_was_written() {
        let written = write_row(b"k", &row());
        let read = Written::read(b"k", &written).unwrap();
        assert_eq!(read.entry(), row().entry);
        let keys = [index_key("by-user", b"alice", b"id"), index_key("by-client", b"", b"id")];
        assert_eq!(read.index_keys(b"id").unwrap(), keys);
    }

    #[test]
    fn a_flipped_missing_or_misplaced_byte_is_noticed() {
        let written = write_row(b"k", &row());
        for at in 0..written.len() {
            let mut bent = written.clone();
            bent[at] ^= 1;
            assert!(Written::read(b"k", &bent).is_err(), "byte {at}");
            assert!(Written::read(b"k", &written[..at]).is_err(), "length {at}");
        }
        assert!(Written::read(b"other", &written).is_err());
    }

    #[test]
    fn no_index_value_is_the_beginning_of_another() {
        assert!(!index_key("i", b"ab", b"id").starts_with(&index_key("i", b"a", b"")));
    }
}
