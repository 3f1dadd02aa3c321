//! The store in one file (redb), for one process. Changes are decided in memory, in the order they come, and visible
//! at once; one thread writes what has gathered as one transaction (group commit). A `Durable` commit is answered
//! when its transaction is on disk, a `Soon` commit at once: it rides with the next transaction, at the latest
//! [`SOON`] later. What a commit saw of its neighbours is on disk no later than the commit itself.
//!
//! When writing fails (disk full, I/O error) everything not yet on disk is taken back and refused, and so are all
//! writes after it, until the process starts again; reading goes on. Watchers, who were told of changes when these
//! became visible, are told [`Event::Lost`] then. It does not try again by itself: after a failed sync nobody knows
//! what the disk holds.

#[cfg(test)]
mod crash;
mod file;
mod layout;
mod read;
#[cfg(test)]
mod tests;
mod writer;

use super::layer::{Layer, Row, within_limits};
use super::watch::Watchers;
use super::{
    Change, Durability, Entry, Event, Fault, Key, Listed, MAX_PAGE, MAX_SWEEP, Range, Settings, Store, Watch,
};
use crate::base::clock::Timestamp;
use async_trait::async_trait;
use file::{Opened, fault};
use parking_lot::{Condvar, Mutex};
use read::Snapshot;
use redb::Database;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;
use writer::{Batch, Reopen};

/// How long a `Soon` change may wait for a transaction to ride with.
pub const SOON: Duration = Duration::from_millis(50);
/// The page cache, unless the settings say otherwise.
pub const DEFAULT_CACHE: usize = 64 << 20;

/// Commits that wait for the disk; more are refused as overload.
const MAX_WAITERS: usize = 4_096;
/// Changed entries that wait for the disk …
const MAX_PENDING: usize = 16_384;
/// … and their bytes.
const MAX_PENDING_BYTES: usize = 64 << 20;
/// Entries swept under one hold of the lock.
const SWEEP_BITE: usize = 128;

/// For [`super::BACKENDS`].
pub(super) fn open(settings: &Settings) -> Option<super::Opened> {
    let Settings::Embedded(settings) = settings else { return None };
    let opened = Embedded::open(&settings.path, Options { cache: settings.cache.bytes() });
    Some(opened.map(|store| -> Arc<dyn Store> { Arc::new(store) }))
}

#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Bytes of the page cache.
    pub cache: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options { cache: DEFAULT_CACHE }
    }
}

pub struct Embedded {
    shared: Arc<Shared>,
    writer: Mutex<Option<JoinHandle<()>>>,
    repaired: bool,
}

struct Shared {
    state: Mutex<State>,
    /// Rung when the writer has something to do.
    bell: Condvar,
}

struct State {
    /// `None` once closed, and while it is opened again after a failure.
    database: Option<Arc<Database>>,
    /// The database as the last transaction left it.
    snapshot: Option<Arc<Snapshot>>,
    /// Changes that wait for the next transaction, above …
    active: Layer,
    /// … those of the transaction under way, above the database.
    flushing: Arc<Layer>,
    waiters: Vec<oneshot::Sender<Result<(), Fault>>>,
    version: u64,
    /// Why nothing is written any more.
    refused: Option<String>,
    closing: bool,
    watchers: Watchers,
}

impl Embedded {
    /// Opens the store at `path`, creating the directory (0700) and the file (0600) if they are missing.
    ///
    /// Fails in words if another process holds the file, or if it is not a store's file of this format.
    pub fn open(path: &Path, options: Options) -> Result<Embedded, Fault> {
        let opened = file::open(path, options.cache)?;
        let path = path.to_owned();
        Embedded::start(opened, Box::new(move || file::open(&path, options.cache)))
    }

    fn start(opened: Opened, reopen: Reopen) -> Result<Embedded, Fault> {
        let state = State {
            snapshot: Some(Arc::new(Snapshot::of(&opened.database)?)),
            database: Some(Arc::new(opened.database)),
            active: Layer::default(),
            flushing: Arc::default(),
            waiters: Vec::new(),
            version: opened.version,
            refused: None,
            closing: false,
            watchers: Watchers::new(),
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), bell: Condvar::new() });
        let writer = writer::start(Arc::clone(&shared), reopen)?;
        if opened.repaired {
            tracing::warn!("the store's file was not closed well and had to be walked as a whole");
        }
        Ok(Embedded { shared, writer: Mutex::new(Some(writer)), repaired: opened.repaired })
    }

    /// Whether opening had to walk the whole file; false after any crash of a store of ours.
    pub fn repaired(&self) -> bool {
        self.repaired
    }

    /// Waits until all that was committed before is on disk, and gives a view of it.
    async fn flushed_snapshot(&self) -> Result<Arc<Snapshot>, Fault> {
        let waiting = self.shared.state.lock().wait_for_pending()?;
        if let Some(waiting) = waiting {
            self.shared.bell.notify_one();
            outcome(waiting).await?;
        }
        self.shared.state.lock().snapshot()
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        // Nobody is left to be told.
        let _ = self.close();
    }
}

#[async_trait]
impl Store for Embedded {
    async fn get(&self, key: &Key, now: Timestamp) -> Result<Option<Entry>, Fault> {
        let snapshot = {
            let state = self.shared.state.lock();
            match state.pending(key) {
                Some(row) => {
                    let entry = row.map(|row| row.entry.clone());
                    return Ok(entry.filter(|entry| entry.lives(now)));
                }
                None => state.snapshot()?,
            }
        };
        Ok(snapshot.get(key)?.filter(|entry| entry.lives(now)))
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
        let snapshot = self.flushed_snapshot().await?;
        match range {
            Range::Shelf(shelf) => snapshot.shelf(shelf, after, limit, now),
            Range::Index(index) => snapshot.indexed(index, after, limit, now),
        }
    }

    async fn commit(
        &self,
        changes: Vec<Change>,
        durability: Durability,
        now: Timestamp,
    ) -> Result<u64, Fault> {
        within_limits(&changes)?;
        let (version, waiting) = self.shared.decide(changes, durability, now)?;
        if let Some(waiting) = waiting {
            outcome(waiting).await?;
        }
        Ok(version)
    }

    async fn sweep(&self, now: Timestamp, budget: usize) -> Result<usize, Fault> {
        let expired = self.flushed_snapshot().await?.expired(now, budget.min(MAX_SWEEP))?;
        let mut removed = 0;
        for bite in expired.chunks(SWEEP_BITE) {
            removed += self.shared.bury_expired(bite, now)?;
        }
        Ok(removed)
    }

    fn watch(&self) -> Watch {
        self.shared.state.lock().watchers.watch()
    }

    fn close(&self) -> Result<(), Fault> {
        let mut writer = self.writer.lock();
        self.shared.state.lock().closing = true;
        self.shared.bell.notify_one();
        if let Some(writer) = writer.take() {
            let ended = writer.join();
            ended.map_err(|_| Fault::Unavailable("the store's writer panicked".into()))?;
        }
        let database = {
            let mut state = self.shared.state.lock();
            state.watchers.close();
            state.snapshot = None;
            state.database.take()
        };
        match database.and_then(Arc::into_inner) {
            Some(database) => database.close().map_err(fault),
            None => Ok(()),
        }
    }
}

/// What the writer says about a batch.
async fn outcome(waiting: oneshot::Receiver<Result<(), Fault>>) -> Result<(), Fault> {
    waiting.await.unwrap_or_else(|_| Err(Fault::Unavailable("the store's writer has ended".into())))
}

type Decided = (u64, Option<oneshot::Receiver<Result<(), Fault>>>);

impl Shared {
    /// Makes the changes visible, or none of them.
    fn decide(&self, changes: Vec<Change>, durability: Durability, now: Timestamp) -> Result<Decided, Fault> {
        let mut state = self.state.lock();
        state.admit()?;
        let snapshot = state.snapshot()?;
        let mut deletes_nothing = Vec::new();
        for (position, change) in changes.iter().enumerate() {
            let found = state.find(change.key(), &snapshot)?;
            if !change.expect().holds(found.as_ref(), now) {
                return Err(Fault::Conflict { position });
            }
            deletes_nothing.push(found.is_none());
        }
        state.version += 1;
        let idle = state.active.is_empty();
        for (change, deletes_nothing) in changes.into_iter().zip(deletes_nothing) {
            state.apply(change, deletes_nothing);
        }
        let waiting = match durability {
            Durability::Durable => state.wait_for_pending()?,
            Durability::Soon => None,
        };
        if waiting.is_some() || idle {
            self.bell.notify_one();
        }
        Ok((state.version, waiting))
    }

    /// Deletes those of `keys` that are still expired.
    fn bury_expired(&self, keys: &[Key], now: Timestamp) -> Result<usize, Fault> {
        let mut state = self.state.lock();
        state.admit()?;
        let snapshot = state.snapshot()?;
        let mut removed = 0;
        for key in keys {
            if state.find(key, &snapshot)?.is_some_and(|entry| !entry.lives(now)) {
                state.active.bury(key.clone());
                removed += 1;
            }
        }
        self.bell.notify_one();
        Ok(removed)
    }

    /// Waits until something should be written. `None`: the store is closing and nothing is left.
    fn next_batch(&self) -> Option<Batch> {
        let mut state = self.state.lock();
        loop {
            if state.closing || !state.waiters.is_empty() {
                break;
            }
            if state.active.is_empty() {
                self.bell.wait(&mut state);
            } else if self.bell.wait_for(&mut state, SOON).timed_out() {
                break;
            }
        }
        if state.active.is_empty() && state.waiters.is_empty() {
            return None;
        }
        state.flushing = Arc::new(std::mem::take(&mut state.active));
        Some(Batch {
            database: Arc::clone(state.database.as_ref()?),
            changes: Arc::clone(&state.flushing),
            version: state.version,
            waiters: std::mem::take(&mut state.waiters),
        })
    }

    /// The batch is in the database: from now on it is read there.
    fn flushed(&self, snapshot: Option<Snapshot>) {
        let mut state = self.state.lock();
        let flushed = std::mem::take(&mut state.flushing);
        let stale = snapshot.map(|snapshot| state.snapshot.replace(Arc::new(snapshot)));
        drop(state);
        // Not while others wait for the lock.
        drop((flushed, stale));
    }

    /// Takes back what is not on disk and refuses what comes. Returns those who waited for the next batch.
    fn fail(&self, why: &Fault) -> Vec<oneshot::Sender<Result<(), Fault>>> {
        let mut state = self.state.lock();
        state.refused = Some(why.to_string());
        state.active = Layer::default();
        state.flushing = Arc::default();
        state.database = None;
        state.snapshot = None;
        state.watchers.tell(Event::Lost);
        std::mem::take(&mut state.waiters)
    }

    fn resume_reading(&self, reopened: Result<Opened, Fault>) {
        let Ok(opened) = reopened else { return };
        let snapshot = Snapshot::of(&opened.database).ok().map(Arc::new);
        let mut state = self.state.lock();
        (state.database, state.snapshot) = (Some(Arc::new(opened.database)), snapshot);
    }
}

impl State {
    fn admit(&self) -> Result<(), Fault> {
        if let Some(why) = &self.refused {
            return Err(Fault::Unavailable(format!("writing has failed before: {why}")));
        }
        if self.closing {
            return Err(closed());
        }
        let full = self.waiters.len() >= MAX_WAITERS
            || self.active.len() >= MAX_PENDING
            || self.active.bytes() >= MAX_PENDING_BYTES;
        if full { Err(Fault::Overloaded) } else { Ok(()) }
    }

    /// `None`: nothing is known above the database.
    fn pending(&self, key: &Key) -> Option<Option<&Row>> {
        self.active.look(key).or_else(|| self.flushing.look(key))
    }

    /// What is there, expired or not.
    fn find(&self, key: &Key, snapshot: &Snapshot) -> Result<Option<Entry>, Fault> {
        match self.pending(key) {
            Some(row) => Ok(row.map(|row| row.entry.clone())),
            None => snapshot.get(key),
        }
    }

    /// Taken together with a look at the layers, so that no change is missed between them.
    fn snapshot(&self) -> Result<Arc<Snapshot>, Fault> {
        self.snapshot.clone().ok_or_else(|| match &self.refused {
            Some(why) => Fault::Unavailable(format!("the file does not open again after a failure: {why}")),
            None => closed(),
        })
    }

    fn apply(&mut self, change: Change, deletes_nothing: bool) {
        match change {
            Change::Put { key, value, expires, dead, index, .. } => {
                let entry = Entry { value, version: self.version, expires, dead };
                self.active.put(key.clone(), Row { entry, index });
                self.watchers.tell(Event::Changed { key, dead, deleted: false });
            }
            Change::Delete { key, .. } if !deletes_nothing => {
                self.active.bury(key.clone());
                self.watchers.tell(Event::Changed { key, dead: false, deleted: true });
            }
            Change::Delete { .. } | Change::Check { .. } => {}
        }
    }

    /// A place in the queue, unless all is on disk already.
    fn wait_for_pending(&mut self) -> Result<Option<oneshot::Receiver<Result<(), Fault>>>, Fault> {
        if self.active.is_empty() && self.flushing.is_empty() {
            return Ok(None);
        }
        if self.waiters.len() >= MAX_WAITERS {
            return Err(Fault::Overloaded);
        }
        let (sender, receiver) = oneshot::channel();
        self.waiters.push(sender);
        Ok(Some(receiver))
    }
}

fn closed() -> Fault {
    Fault::Unavailable("the store is closed".into())
}
