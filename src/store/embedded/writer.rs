//! The one thread that writes: whatever has gathered goes into one transaction, then its waiters are answered.

use super::Shared;
use super::file::{Opened, fault};
use super::layout::{
    ABOUT, ENTRIES, EXPIRY, INDEX, VERSION_IS, Written, entry_key, expiry_key, index_key, write_row,
};
use super::read::Snapshot;
use crate::base::clock::Timestamp;
use crate::store::layer::{Layer, Row};
use crate::store::{Fault, Key};
use redb::{Database, Table};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use tokio::sync::oneshot;

/// How a failed database is opened again, so that reading goes on.
pub(super) type Reopen = Box<dyn Fn() -> Result<Opened, Fault> + Send>;

/// What one transaction takes.
pub(super) struct Batch {
    pub database: Arc<Database>,
    pub changes: Arc<Layer>,
    pub version: u64,
    pub waiters: Vec<oneshot::Sender<Result<(), Fault>>>,
}

/// Ends once the store is closing and all is flushed, or when a flush failed.
pub(super) fn run(shared: &Shared, reopen: &Reopen) {
    while let Some(batch) = shared.next_batch() {
        let flushed = catch_unwind(AssertUnwindSafe(|| flush(&batch)));
        let flushed = flushed.unwrap_or_else(|_| Err(Fault::Unavailable("the writer panicked".into())));
        match flushed {
            Ok(snapshot) => {
                shared.flushed(snapshot);
                answer(batch.waiters, &Ok(()));
            }
            Err(fault) => {
                tracing::error!(%fault, "the store could not write and refuses writes until it is opened again");
                let Batch { database, waiters, .. } = batch;
                let late = shared.fail(&fault);
                // After a failed write the engine refuses to read, too, until the file is opened afresh.
                drop(database);
                shared.resume_reading(reopen());
                answer(waiters, &Err(fault.clone()));
                answer(late, &Err(fault));
                return;
            }
        }
    }
}

fn answer(waiters: Vec<oneshot::Sender<Result<(), Fault>>>, outcome: &Result<(), Fault>) {
    for waiter in waiters {
        // An error means that the caller has gone.
        let _ = waiter.send(outcome.clone());
    }
}

/// Writes the batch; what the readers see from now on, if that is something new.
fn flush(batch: &Batch) -> Result<Option<Snapshot>, Fault> {
    if batch.changes.is_empty() {
        return Ok(None);
    }
    let mut transaction = batch.database.begin_write().map_err(fault)?;
    // After a crash the allocator's state is read, not rebuilt by walking the whole file.
    transaction.set_quick_repair(true);
    {
        let mut tables = Tables {
            entries: transaction.open_table(ENTRIES).map_err(fault)?,
            index: transaction.open_table(INDEX).map_err(fault)?,
            expiry: transaction.open_table(EXPIRY).map_err(fault)?,
        };
        for (key, row) in batch.changes.rows() {
            tables.write(key, row)?;
        }
        let mut about = transaction.open_table(ABOUT).map_err(fault)?;
        about.insert(VERSION_IS, batch.version).map_err(fault)?;
    }
    transaction.commit().map_err(fault)?;
    Snapshot::of(&batch.database).map(Some)
}

type Rows<'t> = Table<'t, &'static [u8], &'static [u8]>;

struct Tables<'t> {
    entries: Rows<'t>,
    index: Rows<'t>,
    expiry: Rows<'t>,
}

impl Tables<'_> {
    /// Only rows that differ from what is there are touched: most puts move an expiry or nothing.
    fn write(&mut self, key: &Key, row: Option<&Row>) -> Result<(), Fault> {
        let bytes = entry_key(key);
        let (stale, fresh) = {
            let before = match row {
                Some(row) => self.entries.insert(&bytes[..], &write_row(&bytes, row)[..]),
                None => self.entries.remove(&bytes[..]),
            };
            let before = before.map_err(fault)?;
            let before = before.as_ref().map(|before| Written::read(&bytes, before.value())).transpose()?;
            let stale = before.map(|before| Ok((before.expires, before.index_keys(&key.id)?))).transpose()?;
            (stale, row.map(|row| (row.entry.expires, index_keys(key, row))))
        };
        let (stale_expiry, stale_index) = stale.unzip();
        let (fresh_expiry, fresh_index) = fresh.unzip();
        if stale_expiry != fresh_expiry {
            self.expire(&bytes, stale_expiry, fresh_expiry)?;
        }
        let (stale, fresh) = (stale_index.unwrap_or_default(), fresh_index.unwrap_or_default());
        for gone in stale.iter().filter(|row| !fresh.contains(row)) {
            self.index.remove(&gone[..]).map_err(fault)?;
        }
        for new in fresh.iter().filter(|row| !stale.contains(row)) {
            self.index.insert(&new[..], key.shelf.as_bytes()).map_err(fault)?;
        }
        Ok(())
    }

    fn expire(&mut self, key: &[u8], from: Option<Timestamp>, to: Option<Timestamp>) -> Result<(), Fault> {
        if let Some(from) = from.filter(|from| *from != Timestamp::NEVER) {
            self.expiry.remove(&expiry_key(from, key)[..]).map_err(fault)?;
        }
        if let Some(to) = to.filter(|to| *to != Timestamp::NEVER) {
            self.expiry.insert(&expiry_key(to, key)[..], &[][..]).map_err(fault)?;
        }
        Ok(())
    }
}

fn index_keys(key: &Key, row: &Row) -> Vec<Vec<u8>> {
    row.index.iter().map(|index| index_key(index.index, &index.value, &key.id)).collect()
}

/// The writer's thread.
pub(super) fn start(shared: Arc<Shared>, reopen: Reopen) -> Result<std::thread::JoinHandle<()>, Fault> {
    let thread = std::thread::Builder::new().name("store-writer".into());
    let started = thread.spawn(move || run(&shared, &reopen));
    started.map_err(|error| Fault::Unavailable(format!("the writer's thread does not start: {error}")))
}
