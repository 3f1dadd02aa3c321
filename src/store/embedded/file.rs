//! Opening the file: who may read it, who holds it, whether it is one of ours.

use super::layout::{ABOUT, ENTRIES, EXPIRY, FORMAT, FORMAT_IS, INDEX, VERSION_IS};
use crate::store::Fault;
use redb::{Builder, ConcurrencyMode, Database, DatabaseError, ReadableTable, StorageError, TableHandle};
use std::fs::{DirBuilder, OpenOptions};
use std::io::{Error, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A database that is ours, and what opening it told.
pub(super) struct Opened {
    pub database: Database,
    pub version: u64,
    /// The whole file had to be walked: it was not written with quick-repair, or was damaged.
    pub repaired: bool,
}

/// Creates what is missing: the directory for its owner only (0700), the file too (0600).
pub(super) fn open(path: &Path, cache: usize) -> Result<Opened, Fault> {
    let told = |error: &Error| Fault::Unavailable(format!("{}: {error}", path.display()));
    if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(|error| told(&error))?;
    }
    let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    if let Err(error) = created.map(drop)
        && error.kind() != ErrorKind::AlreadyExists
    {
        return Err(told(&error));
    }
    let repaired = Arc::new(AtomicBool::new(false));
    let database = builder(cache, &repaired).create(path).map_err(|error| refusal(path, error))?;
    prepare(database, &repaired).map_err(|fault| match fault {
        Fault::Damaged(what) => Fault::Damaged(format!("{}: {what}", path.display())),
        other => other,
    })
}

pub(super) fn builder(cache: usize, repaired: &Arc<AtomicBool>) -> Builder {
    let mut builder = Database::builder();
    let repaired = Arc::clone(repaired);
    builder
        .set_cache_size(cache)
        // One process writes; another may follow read-only while it takes over.
        .set_concurrency_mode(ConcurrencyMode::SingleWriter)
        .set_repair_callback(move |_| repaired.store(true, Ordering::Relaxed));
    builder
}

/// Refuses a file of another format or of somebody else, fills a new one.
pub(super) fn prepare(database: Database, repaired: &AtomicBool) -> Result<Opened, Fault> {
    let mut transaction = database.begin_write().map_err(fault)?;
    transaction.set_quick_repair(true);
    let tables = transaction.list_tables().map_err(fault)?;
    let tables: Vec<String> = tables.map(|table| table.name().to_owned()).collect();
    let version = {
        let foreign = !tables.is_empty() && !tables.iter().any(|table| table == ABOUT.name());
        if foreign {
            return Err(Fault::Damaged("the file is a database of something else".into()));
        }
        let mut about = transaction.open_table(ABOUT).map_err(fault)?;
        let format = about.get(FORMAT_IS).map_err(fault)?.map(|format| format.value());
        match format {
            Some(FORMAT) => {}
            None if tables.is_empty() => {
                about.insert(FORMAT_IS, FORMAT).map_err(fault)?;
                for table in [ENTRIES, INDEX, EXPIRY] {
                    transaction.open_table(table).map_err(fault)?;
                }
            }
            None => return Err(Fault::Damaged("the file does not tell its format".into())),
            Some(other) => {
                return Err(Fault::Damaged(format!(
                    "the file has format {other}, this program reads format {FORMAT}"
                )));
            }
        }
        about.get(VERSION_IS).map_err(fault)?.map_or(0, |version| version.value())
    };
    if tables.is_empty() {
        transaction.commit().map_err(fault)?;
    } else {
        transaction.abort().map_err(fault)?;
    }
    Ok(Opened { database, version, repaired: repaired.load(Ordering::Relaxed) })
}

fn refusal(path: &Path, error: DatabaseError) -> Fault {
    let path = path.display();
    match error {
        DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
            Fault::Unavailable(format!("{path} is held by another process: one process writes to a store"))
        }
        DatabaseError::UpgradeRequired(format) => {
            Fault::Damaged(format!("{path} has file format {format}, which this program does not read"))
        }
        DatabaseError::Storage(StorageError::Io(error)) if error.kind() == ErrorKind::InvalidData => {
            Fault::Damaged(format!("{path} is not a store's file: {error}"))
        }
        DatabaseError::Storage(StorageError::Corrupted(what)) => Fault::Damaged(format!("{path}: {what}")),
        other => Fault::Unavailable(format!("{path}: {other}")),
    }
}

/// What the engine says, as a store says it.
pub(super) fn fault(error: impl Into<redb::Error>) -> Fault {
    match error.into() {
        redb::Error::Corrupted(what) => Fault::Damaged(what),
        other => Fault::Unavailable(other.to_string()),
    }
}
