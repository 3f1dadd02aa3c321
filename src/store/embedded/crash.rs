//! `kill -9` in the middle of writing: the test runs itself as a child, which says what was acknowledged, kills it,
//! and holds the file to it. `OIDCOP_CRASH_ROUNDS` sets another number of rounds.

use super::{Embedded, Options};
use crate::base::clock::Timestamp;
use crate::base::random::Random;
use crate::store::contract::{SHELF, index, key};
use crate::store::{Change, Durability, Expect, Range, Store};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

const NAME: &str = "store::embedded::crash::what_was_acknowledged_survives_kill_minus_nine_whole";
const FILE: &str = "OIDCOP_CRASH_FILE";
const ROUNDS: &str = "OIDCOP_CRASH_ROUNDS";
const WRITERS: usize = 4;
const NOW: Timestamp = Timestamp(1);

#[expect(clippy::disallowed_methods, reason = "the child is told its part by its environment")]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[test]
fn what_was_acknowledged_survives_kill_minus_nine_whole() {
    if let Some(file) = environment(FILE) {
        write_until_killed(Path::new(&file));
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    let rounds = environment(ROUNDS).map_or(5, |rounds| rounds.parse().unwrap());
    // Of each writer, the number of its last acknowledged commit.
    let mut acknowledged = BTreeMap::new();
    for _ in 0..rounds {
        let [high, low] = Random::system().bytes().unwrap();
        kill_after(1 + usize::from(u16::from_be_bytes([high, low])) % 500, &path, &mut acknowledged);
        let store = Embedded::open(&path, Options::default()).unwrap();
        assert!(!store.repaired(), "the whole file was walked");
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for writer in 0..WRITERS {
            let last = acknowledged.get(&writer).copied();
            runtime.block_on(holds(&store, writer, last));
        }
    }
}

/// Starts a child and kills it after it has acknowledged so many commits, at whatever it is doing then.
fn kill_after(commits: usize, path: &Path, acknowledged: &mut BTreeMap<usize, u64>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", NAME, "--nocapture", "--test-threads=1"])
        .env(FILE, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut seen = 0;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        let Some((writer, number)) = line.strip_prefix("done ").and_then(|rest| rest.split_once(' ')) else {
            continue;
        };
        acknowledged.insert(writer.parse().unwrap(), number.parse().unwrap());
        seen += 1;
        if seen == commits {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    assert!(seen >= commits, "the child ended by itself after {seen} commits");
}

fn write_until_killed(path: &Path) -> ! {
    let store = Embedded::open(path, Options::default()).unwrap();
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let store = &store;
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                runtime.block_on(write(store, writer));
            });
        }
    });
    unreachable!("the writers write until they are killed")
}

/// Each commit moves a pair on: two entries are put, the pair before the last is deleted. So there are never more nor
/// fewer than the last two pairs.
async fn write(store: &Embedded, writer: usize) {
    let mut number = newest(store, writer).await.map_or(0, |newest| newest + 1);
    loop {
        let put = |half| Change::Put {
            key: key(&name(writer, number, half)),
            value: Bytes::from(vec![b'v'; 100 + usize::try_from(number % 1_000).unwrap()]),
            expires: Timestamp(10_000 + number),
            dead: false,
            index: vec![index(&writer.to_string())],
            expect: Expect::Absent,
        };
        let mut changes = vec![put('a'), put('b')];
        if let Some(gone) = number.checked_sub(2) {
            for half in ['a', 'b'] {
                changes.push(Change::Delete { key: key(&name(writer, gone, half)), expect: Expect::Alive });
            }
        }
        let counter = Change::Put {
            key: key(&format!("counter {writer}")),
            value: Bytes::from(number.to_string()),
            expires: Timestamp::NEVER,
            dead: false,
            index: vec![],
            expect: Expect::Anything,
        };
        store.commit(vec![counter], Durability::Soon, NOW).await.unwrap();
        store.commit(changes, Durability::Durable, NOW).await.unwrap();
        // One write of less than a pipe's atomic size: whole lines only.
        std::io::stdout().lock().write_all(format!("done {writer} {number}\n").as_bytes()).unwrap();
        number += 1;
    }
}

fn name(writer: usize, number: u64, half: char) -> String {
    format!("{writer}/{number:020}/{half}")
}

async fn names(store: &Embedded, range: &Range) -> Vec<String> {
    let listed = store.list(range, None, 100, NOW).await.unwrap();
    listed.iter().map(|row| String::from_utf8(row.key.id.to_vec()).unwrap()).collect()
}

async fn newest(store: &Embedded, writer: usize) -> Option<u64> {
    let names = names(store, &Range::Index(index(&writer.to_string()))).await;
    Some(names.last()?.split('/').nth(1).unwrap().parse().unwrap())
}

/// The last acknowledged commit is there, or the one after it (made, but killed before it said so), and nothing else.
async fn holds(store: &Embedded, writer: usize, acknowledged: Option<u64>) {
    let newest = newest(store, writer).await;
    match acknowledged {
        Some(last) => assert!(newest == Some(last) || newest == Some(last + 1), "{last}, found {newest:?}"),
        None => assert!(newest.is_none_or(|newest| newest == 0)),
    }
    let Some(newest) = newest else { return };
    let whole: Vec<String> = (newest.saturating_sub(1)..=newest)
        .flat_map(|number| ['a', 'b'].map(|half| name(writer, number, half)))
        .collect();
    assert_eq!(names(store, &Range::Index(index(&writer.to_string()))).await, whole);
    let all = names(store, &Range::Shelf(SHELF)).await;
    let own: Vec<&String> = all.iter().filter(|id| id.starts_with(&format!("{writer}/"))).collect();
    assert_eq!(own, whole.iter().collect::<Vec<_>>());
}
