//! Bytes with a lifetime. A store knows no OAuth: a new stored noun never touches a backend, and a new backend
//! only has to pass `contract.rs`.
//!
//! Four verbs ([`Store::get`], [`Store::list`], [`Store::commit`], [`Store::sweep`]) and [`Store::watch`]. Insert-once,
//! take-once, compare-and-swap and revocation marks are all commits whose changes carry an expectation.

#[cfg(test)]
mod agree;
#[cfg(test)]
mod contract;
pub mod embedded;
mod layer;
pub mod memory;
pub mod record;
mod settings;
mod watch;

pub use settings::{EmbeddedSettings, Settings};
pub use watch::Watch;

use crate::base::clock::Timestamp;
use async_trait::async_trait;
use bytes::Bytes;
use std::sync::Arc;

/// Where an entry lives: a shelf (one per kind of record) and an identifier on it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Key {
    pub shelf: &'static str,
    /// At most [`MAX_ID`] bytes.
    pub id: Bytes,
}

/// A secondary index row: entries can be listed by (`index`, `value`), in the order of their identifiers.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct IndexKey {
    /// The index's name; unique over all shelves.
    pub index: &'static str,
    /// At most [`MAX_ID`] bytes.
    pub value: Bytes,
}

pub const MAX_ID: usize = 512;
pub const MAX_VALUE: usize = 256 << 10;
pub const MAX_CHANGES: usize = 256;
pub const MAX_PAGE: usize = 1_000;
/// Index rows of one entry.
pub const MAX_INDEX_ROWS: usize = 32;
/// Bytes of a shelf's or an index's name; names contain no NUL.
pub const MAX_NAME: usize = 64;
/// What one [`Store::sweep`] removes at most, whatever its budget.
pub const MAX_SWEEP: usize = 4_096;
/// How far a watcher may fall behind before it is told [`Event::Lost`].
pub const WATCH_BACKLOG: usize = 4_096;

/// What is stored under a key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    pub value: Bytes,
    /// Changes with every put; comparable only for equality, never zero.
    pub version: u64,
    /// From this moment on the entry is not there any more.
    pub expires: Timestamp,
    /// A revocation mark: the entry is still readable, but [`Expect::Alive`] and [`Expect::NotDead`] on it fail.
    pub dead: bool,
}

/// What must hold for a change to be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expect {
    /// No (unexpired) entry.
    Absent,
    /// The entry, unexpired, at exactly this version.
    Version(u64),
    /// An entry, unexpired and without a revocation mark.
    Alive,
    /// No revocation mark: absent, expired, or alive.
    NotDead,
    /// Whatever is there.
    Anything,
}

#[derive(Clone, Debug)]
pub enum Change {
    /// `dead`: the entry carries a revocation mark from now on.
    Put {
        key: Key,
        value: Bytes,
        expires: Timestamp,
        dead: bool,
        index: Vec<IndexKey>,
        expect: Expect,
    },
    Delete {
        key: Key,
        expect: Expect,
    },
    /// Writes nothing; the commit fails unless it holds.
    Check {
        key: Key,
        expect: Expect,
    },
}

impl Change {
    pub fn key(&self) -> &Key {
        match self {
            Change::Put { key, .. } | Change::Delete { key, .. } | Change::Check { key, .. } => key,
        }
    }

    pub fn expect(&self) -> Expect {
        match self {
            Change::Put { expect, .. } | Change::Delete { expect, .. } | Change::Check { expect, .. } => {
                *expect
            }
        }
    }
}

/// How much a commit must survive before it is answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Durability {
    /// On disk: whatever was acknowledged to a client.
    Durable,
    /// Visible at once; a crash may lose the last moments (counters, replay memory).
    Soon,
}

/// Why a store did not do as asked. Never shown to a client.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Fault {
    /// The change at `position` found something else than it expected; nothing of the commit was done.
    #[error("change {position} of a commit found something else than it expected")]
    Conflict { position: usize },
    /// The queue of waiting commits is full.
    #[error("the store is overloaded")]
    Overloaded,
    /// The caller broke a limit of this module: a bug.
    #[error("{0}")]
    Limit(&'static str),
    /// Disk full, file gone, connection lost …
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// What was read is not what was written.
    #[error("the store is damaged: {0}")]
    Damaged(String),
}

impl Fault {
    pub fn is_conflict(&self) -> bool {
        matches!(self, Fault::Conflict { .. })
    }
}

/// One entry of a [`Store::list`] answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed {
    pub key: Key,
    pub entry: Entry,
}

/// What to list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Range {
    /// Every entry of a shelf.
    Shelf(&'static str),
    /// Every entry with this index row.
    Index(IndexKey),
}

/// A change that has been committed, as [`Store::watch`] tells it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// The entry under this key was put (perhaps as dead) or deleted.
    Changed { key: Key, dead: bool, deleted: bool },
    /// The watcher fell behind: it must take everything it knows as stale.
    Lost,
}

/// What every backend does alike. All methods are safe to call from any thread and any runtime.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// The unexpired entry under `key`. `now` decides what has expired.
    async fn get(&self, key: &Key, now: Timestamp) -> Result<Option<Entry>, Fault>;

    /// At most `limit` (≤ [`MAX_PAGE`]) unexpired entries of `range` whose identifiers sort after `after`, in order.
    async fn list(
        &self,
        range: &Range,
        after: Option<&[u8]>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<Listed>, Fault>;

    /// All of `changes` (≤ [`MAX_CHANGES`]) or nothing. Returns the version given to the entries it put.
    /// Every expectation is about the state before the commit, so the order of changes does not matter; no entry may
    /// be written twice in one commit (a check beside a write is fine). A commit whose future is dropped while it
    /// waits may still be made.
    async fn commit(
        &self,
        changes: Vec<Change>,
        durability: Durability,
        now: Timestamp,
    ) -> Result<u64, Fault>;

    /// Removes at most `budget` (and [`MAX_SWEEP`]) expired entries with their index rows, the longest expired
    /// first; returns how many it removed. Watchers are not told: an expiry is known beforehand.
    async fn sweep(&self, now: Timestamp, budget: usize) -> Result<usize, Fault>;

    /// Every change committed from now on.
    fn watch(&self) -> Watch;

    /// Flushes what is waiting, ends the watches and gives the backend's files and connections back; later calls are
    /// refused as [`Fault::Unavailable`] by backends that have any. Blocks: not for an asynchronous task.
    fn close(&self) -> Result<(), Fault> {
        Ok(())
    }
}

/// A kind of store: one row of [`BACKENDS`].
pub struct Backend {
    /// The word in the configuration.
    pub name: &'static str,
    /// `None`: the settings ask for another backend.
    open: fn(&Settings) -> Option<Opened>,
}

type Opened = Result<Arc<dyn Store>, Fault>;

/// Every backend there is. A new one is a file, a row here, its settings, and it runs `contract.rs`.
pub const BACKENDS: &[Backend] =
    &[Backend { name: "memory", open: memory::open }, Backend { name: "embedded", open: embedded::open }];

/// Opens the store the settings ask for. Blocks for as long as the disk does.
pub fn open(settings: &Settings) -> Result<Arc<dyn Store>, Fault> {
    let opened = BACKENDS.iter().find_map(|backend| (backend.open)(settings));
    opened.unwrap_or(Err(Fault::Limit("settings that no backend answers to")))
}
