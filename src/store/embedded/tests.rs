//! What only a store in a file can do wrong: reopening, foreign and damaged files, a full disk, the queue. Crashes
//! are in `crash.rs`.

use super::layout::{ABOUT, ENTRIES, FORMAT_IS, entry_key};
use super::*;
use crate::store::contract::{NOW, SHELF, index, key, put};
use crate::store::{Expect, MAX_CHANGES};
use bytes::Bytes;
use futures_util::future::join_all;
use redb::{ReadableTable, StorageBackend, TableDefinition};
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

const PATIENCE: Duration = Duration::from_secs(20);

fn open(path: &Path) -> Result<Embedded, Fault> {
    Embedded::open(path, Options { cache: 1 << 20 })
}

fn fresh() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("var").join("store.redb");
    (directory, path)
}

async fn commit(store: &Embedded, changes: Vec<Change>, durability: Durability) -> Result<u64, Fault> {
    store.commit(changes, durability, NOW).await
}

fn owned(id: &str, owner: &str) -> Change {
    let (key, value, index) = (key(id), Bytes::from_static(b"v"), vec![index(owner)]);
    Change::Put { key, value, expires: NOW, dead: true, index, expect: Expect::Absent }
}

#[tokio::test]
async fn everything_survives_reopening() {
    let (_directory, path) = fresh();
    let store = open(&path).unwrap();
    let first = commit(&store, vec![owned("a", "alice")], Durability::Durable).await.unwrap();
    let second = commit(&store, vec![put("b", "soon", Expect::Absent)], Durability::Soon).await.unwrap();
    let earlier = Timestamp(1);
    let range = Range::Index(index("alice"));
    let before = store.list(&range, None, 10, earlier).await.unwrap();
    assert_eq!(before[0].entry, store.get(&key("a"), earlier).await.unwrap().unwrap());
    drop(store);

    let store = open(&path).unwrap();
    assert!(!store.repaired());
    assert_eq!(store.list(&range, None, 10, earlier).await.unwrap(), before);
    assert_eq!(before[0].entry.version, first);
    assert_eq!(store.get(&key("b"), NOW).await.unwrap().unwrap().version, second);
    let third = commit(&store, vec![put("b", "new", Expect::Version(second))], Durability::Durable).await;
    assert!(third.unwrap() > second);
    assert_eq!(store.sweep(NOW, 10).await.unwrap(), 1);
    store.close().unwrap();
    assert_eq!(open(&path).unwrap().list(&range, None, 10, earlier).await.unwrap(), []);
}

#[tokio::test]
async fn a_file_has_one_holder_and_a_closed_store_lets_it_go() {
    let (_directory, path) = fresh();
    let store = open(&path).unwrap();
    let refused = open(&path).err().unwrap();
    assert!(refused.to_string().contains("held by another process"), "{refused}");
    commit(&store, vec![put("a", "v", Expect::Absent)], Durability::Soon).await.unwrap();
    store.close().unwrap();
    for durability in [Durability::Durable, Durability::Soon] {
        let late = commit(&store, vec![put("b", "v", Expect::Absent)], durability).await;
        assert!(matches!(late, Err(Fault::Unavailable(_))));
    }
    assert!(matches!(store.get(&key("a"), NOW).await, Err(Fault::Unavailable(_))));
    assert!(matches!(store.sweep(NOW, 1).await, Err(Fault::Unavailable(_))));
    let next = open(&path).unwrap();
    assert!(next.get(&key("a"), NOW).await.unwrap().is_some());
}

#[tokio::test]
async fn file_and_directory_are_their_owners_only() {
    let (_directory, path) = fresh();
    drop(open(&path).unwrap());
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(path.parent().unwrap()), 0o700);
}

#[test]
fn a_file_of_something_else_or_of_another_format_is_refused_untouched() {
    let (_directory, path) = fresh();
    drop(open(&path).unwrap());
    let about = |change: &dyn Fn(&redb::WriteTransaction)| {
        let database = Database::open(&path).unwrap();
        let transaction = database.begin_write().unwrap();
        change(&transaction);
        transaction.commit().unwrap();
    };
    let refusal = || match open(&path) {
        Err(Fault::Damaged(what)) => what,
        other => panic!("{:?}", other.err()),
    };
    about(&|transaction| {
        transaction.open_table(ABOUT).unwrap().insert(FORMAT_IS, 99).unwrap();
    });
    assert!(refusal().contains("format 99"), "{}", refusal());
    about(&|transaction| {
        transaction.open_table(ABOUT).unwrap().remove(FORMAT_IS).unwrap();
    });
    assert!(refusal().contains("does not tell its format"), "{}", refusal());
    about(&|transaction| {
        transaction.delete_table(ABOUT).unwrap();
        transaction.open_table(TableDefinition::<u64, u64>::new("theirs")).unwrap();
    });
    assert!(refusal().contains("something else"), "{}", refusal());
    std::fs::write(&path, "not a database at all").unwrap();
    assert!(refusal().contains("not a store's file"), "{}", refusal());
    assert_eq!(std::fs::read(&path).unwrap(), b"not a database at all");
}

#[tokio::test]
async fn a_damaged_entry_is_neither_read_nor_overwritten() {
    let (_directory, path) = fresh();
    let store = open(&path).unwrap();
    commit(&store, vec![put("a", "value", Expect::Absent)], Durability::Durable).await.unwrap();
    drop(store);
    {
        let database = Database::open(&path).unwrap();
        let transaction = database.begin_write().unwrap();
        {
            let mut entries = transaction.open_table(ENTRIES).unwrap();
            let name = entry_key(&key("a"));
            let mut bytes = entries.get(&name[..]).unwrap().unwrap().value().to_vec();
            *bytes.last_mut().unwrap() ^= 1;
            entries.insert(&name[..], &bytes[..]).unwrap();
        }
        transaction.commit().unwrap();
    }
    let store = open(&path).unwrap();
    let damaged = |fault| matches!(fault, Fault::Damaged(_));
    assert!(damaged(store.get(&key("a"), NOW).await.unwrap_err()));
    assert!(damaged(store.list(&Range::Shelf(SHELF), None, 1, NOW).await.unwrap_err()));
    for change in [put("a", "new", Expect::Anything), put("a", "new", Expect::Absent)] {
        assert!(damaged(commit(&store, vec![change], Durability::Durable).await.unwrap_err()));
    }
    commit(&store, vec![put("b", "v", Expect::Absent)], Durability::Durable).await.unwrap();
}

/// A disk that can be full, slow, and watched.
#[derive(Debug)]
struct Disk {
    file: File,
    knobs: Arc<Knobs>,
    synced: Sender<()>,
}

#[derive(Debug, Default)]
struct Knobs {
    full: AtomicBool,
    syncs: AtomicUsize,
    /// While it is shut, syncs wait.
    shut: Mutex<bool>,
    opened: Condvar,
}

impl Knobs {
    fn shut(self: &Arc<Self>) -> Shut {
        *self.shut.lock() = true;
        Shut(Arc::clone(self))
    }

    fn pass(&self) {
        self.opened.wait_while(&mut self.shut.lock(), |shut| *shut);
    }
}

/// The gate is shut until this is dropped.
struct Shut(Arc<Knobs>);

impl Drop for Shut {
    fn drop(&mut self) {
        *self.0.shut.lock() = false;
        self.0.opened.notify_all();
    }
}

impl Disk {
    fn space(&self) -> io::Result<()> {
        let full = self.knobs.full.load(Ordering::SeqCst);
        if full { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(out, offset)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.space()?;
        self.file.set_len(len)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.knobs.syncs.fetch_add(1, Ordering::SeqCst);
        let _ = self.synced.send(());
        self.knobs.pass();
        self.file.sync_data()
    }
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.space()?;
        self.file.write_all_at(data, offset)
    }
}

/// A store on such a disk; each sync is announced before it begins.
fn on_disk(path: &Path) -> (Embedded, Arc<Knobs>, Receiver<()>) {
    drop(open(path).unwrap());
    let (knobs, (synced, syncs)) = (Arc::new(Knobs::default()), channel());
    let file = File::options().read(true).write(true).open(path).unwrap();
    let disk = Disk { file, knobs: Arc::clone(&knobs), synced };
    let database = Database::builder().create_with_backend(disk).unwrap();
    let opened = file::prepare(database, &AtomicBool::new(false)).unwrap();
    let path = path.to_owned();
    let reopen = move || file::open(&path, 1 << 20);
    let store = Embedded::start(opened, Box::new(reopen)).unwrap();
    while syncs.try_recv().is_ok() {}
    (store, knobs, syncs)
}

#[tokio::test]
async fn a_full_disk_refuses_writes_takes_back_what_it_could_not_keep_and_goes_on_reading() {
    let (_directory, path) = fresh();
    let (store, knobs, _syncs) = on_disk(&path);
    let kept = commit(&store, vec![put("a", "kept", Expect::Absent)], Durability::Durable).await.unwrap();
    let mut watch = store.watch();
    knobs.full.store(true, Ordering::SeqCst);
    commit(&store, vec![put("a", "soon", Expect::Version(kept))], Durability::Soon).await.unwrap();
    let refused = commit(&store, vec![put("b", "v", Expect::Absent)], Durability::Durable).await;
    assert!(matches!(refused, Err(Fault::Unavailable(_))), "{refused:?}");
    assert_eq!(store.get(&key("a"), NOW).await.unwrap().unwrap().version, kept);
    assert_eq!(store.get(&key("b"), NOW).await.unwrap(), None);
    assert_eq!(store.list(&Range::Shelf(SHELF), None, 10, NOW).await.unwrap().len(), 1);
    for durability in [Durability::Durable, Durability::Soon] {
        let refused = commit(&store, vec![put("c", "v", Expect::Absent)], durability).await;
        assert!(matches!(refused, Err(Fault::Unavailable(_))), "{refused:?}");
    }
    let told = [watch.next().await, watch.next().await, watch.next().await];
    assert_eq!(told[2], Some(Event::Lost), "{told:?}");
    store.close().unwrap();
    assert_eq!(open(&path).unwrap().get(&key("a"), NOW).await.unwrap().unwrap().version, kept);
}

#[tokio::test]
async fn a_durable_commit_is_seen_at_once_but_answered_only_when_it_is_on_disk() {
    let (_directory, path) = fresh();
    let (store, knobs, syncs) = on_disk(&path);
    let held = knobs.shut();
    let waiting = commit(&store, vec![put("a", "v", Expect::Absent)], Durability::Durable);
    let mut waiting = std::pin::pin!(waiting);
    assert!(futures_util::poll!(&mut waiting).is_pending());
    syncs.recv_timeout(PATIENCE).unwrap();
    assert!(futures_util::poll!(&mut waiting).is_pending());
    assert!(store.get(&key("a"), NOW).await.unwrap().is_some());
    let again = commit(&store, vec![put("a", "v", Expect::Absent)], Durability::Durable).await;
    assert!(again.unwrap_err().is_conflict());
    drop(held);
    waiting.await.unwrap();
}

#[tokio::test]
async fn a_soon_commit_reaches_the_disk_with_nobody_waiting() {
    let (_directory, path) = fresh();
    let (store, _knobs, syncs) = on_disk(&path);
    commit(&store, vec![put("a", "v", Expect::Absent)], Durability::Soon).await.unwrap();
    syncs.recv_timeout(PATIENCE).unwrap();
}

#[tokio::test]
async fn waiting_commits_share_a_transaction_and_a_conflict_among_them_fails_alone() {
    let (_directory, path) = fresh();
    let (store, knobs, syncs) = on_disk(&path);
    let held = knobs.shut();
    let first = commit(&store, vec![put("first", "v", Expect::Absent)], Durability::Durable);
    let mut first = std::pin::pin!(first);
    assert!(futures_util::poll!(&mut first).is_pending());
    syncs.recv_timeout(PATIENCE).unwrap();
    // While the first is on its way to the disk, a hundred gather.
    let name = |number: usize| format!("n{}", number % 90);
    let commits =
        (0..100).map(|at| commit(&store, vec![put(&name(at), "v", Expect::Absent)], Durability::Durable));
    let mut rest = std::pin::pin!(join_all(commits));
    assert!(futures_util::poll!(&mut rest).is_pending());
    let before = knobs.syncs.load(Ordering::SeqCst);
    drop(held);
    first.await.unwrap();
    let rest = rest.await;
    assert_eq!(rest.iter().filter(|outcome| outcome.is_ok()).count(), 90);
    assert!(rest[90..].iter().all(|outcome| outcome.as_ref().is_err_and(Fault::is_conflict)));
    // Two of each transaction (two-phase commit), one of which may be the first's.
    let syncs = knobs.syncs.load(Ordering::SeqCst) - before;
    assert!(syncs <= 4, "{syncs}");
}

#[tokio::test]
async fn more_than_the_queue_holds_is_refused_as_overload_and_what_it_held_is_kept() {
    let (_directory, path) = fresh();
    let (store, knobs, syncs) = on_disk(&path);
    let held = knobs.shut();
    let first = commit(&store, vec![put("first", "v", Expect::Absent)], Durability::Durable);
    let mut first = std::pin::pin!(first);
    assert!(futures_util::poll!(&mut first).is_pending());
    syncs.recv_timeout(PATIENCE).unwrap();
    let mut taken = 0;
    let overload = loop {
        let id = |at: usize| format!("n{}", taken * MAX_CHANGES + at);
        let changes = (0..MAX_CHANGES).map(|at| put(&id(at), "v", Expect::Absent)).collect();
        match commit(&store, changes, Durability::Soon).await {
            Ok(_) => taken += 1,
            Err(fault) => break fault,
        }
    };
    assert!(matches!(overload, Fault::Overloaded), "{overload}");
    assert_eq!(taken * MAX_CHANGES, MAX_PENDING);
    drop(held);
    first.await.unwrap();
    store.close().unwrap();
    let store = open(&path).unwrap();
    let last = key(&format!("n{}", taken * MAX_CHANGES - 1));
    assert!(store.get(&last, NOW).await.unwrap().is_some());
    commit(&store, vec![put("room", "v", Expect::Absent)], Durability::Durable).await.unwrap();
}
