//! What every backend must do. A backend adds itself to `on_every_backend!` and passes all of it.

mod concurrent;

use super::embedded::{Embedded, Options};
use super::memory::Memory;
use super::*;
use crate::base::clock::Timestamp;
use concurrent::*;

pub(super) const NOW: Timestamp = Timestamp(1_000);
pub(super) const SHELF: &str = "noun";

pub(super) fn key(id: &str) -> Key {
    Key { shelf: SHELF, id: Bytes::copy_from_slice(id.as_bytes()) }
}

pub(super) fn index(value: &str) -> IndexKey {
    IndexKey { index: "noun-by-owner", value: Bytes::copy_from_slice(value.as_bytes()) }
}

/// A put that lives for a while, with any expectation.
pub(super) fn put(id: &str, value: &str, expect: Expect) -> Change {
    Change::Put {
        key: key(id),
        value: Bytes::copy_from_slice(value.as_bytes()),
        expires: NOW.plus(std::time::Duration::from_secs(60)),
        dead: false,
        index: Vec::new(),
        expect,
    }
}

fn expiring(id: &str, expires: u64, owner: &str) -> Change {
    Change::Put {
        key: key(id),
        value: Bytes::from_static(b"v"),
        expires: Timestamp(expires),
        dead: false,
        index: vec![index(owner)],
        expect: Expect::Anything,
    }
}

fn owned(id: &str, owners: &[&str]) -> Change {
    let index = owners.iter().map(|owner| index(owner)).collect();
    let expires = Timestamp::NEVER;
    let (key, value, expect) = (key(id), Bytes::from_static(b"v"), Expect::Anything);
    Change::Put { key, value, expires, dead: false, index, expect }
}

fn dead(id: &str) -> Change {
    let (key, value, expect) = (key(id), Bytes::from_static(b"v"), Expect::Anything);
    Change::Put { key, value, expires: Timestamp::NEVER, dead: true, index: Vec::new(), expect }
}

fn delete(id: &str, expect: Expect) -> Change {
    Change::Delete { key: key(id), expect }
}

fn check(id: &str, expect: Expect) -> Change {
    Change::Check { key: key(id), expect }
}

type Opened = Arc<dyn Store>;

async fn commit(store: &Opened, changes: Vec<Change>) -> Result<u64, Fault> {
    store.commit(changes, Durability::Durable, NOW).await
}

async fn value(store: &Opened, id: &str) -> Option<Bytes> {
    store.get(&key(id), NOW).await.unwrap().map(|entry| entry.value)
}

async fn ids(store: &Opened, range: &Range, now: Timestamp) -> Vec<String> {
    let listed = store.list(range, None, MAX_PAGE, now).await.unwrap();
    listed.iter().map(|row| String::from_utf8(row.key.id.to_vec()).unwrap()).collect()
}

fn conflict_at(outcome: Result<u64, Fault>) -> Option<usize> {
    match outcome {
        Err(Fault::Conflict { position }) => Some(position),
        Ok(_) => None,
        Err(other) => panic!("{other}"),
    }
}

macro_rules! on_every_backend {
    ($($name:ident)*) => {
        mod on_memory {
            use super::*;
            $(#[tokio::test] async fn $name() { super::$name(Arc::new(Memory::new())).await })*
        }
        mod on_embedded {
            use super::*;
            $(#[tokio::test] async fn $name() {
                let directory = tempfile::tempdir().unwrap();
                let path = directory.path().join("store.redb");
                super::$name(Arc::new(Embedded::open(&path, Options::default()).unwrap())).await
            })*
        }
    };
}

on_every_backend! {
    what_was_put_is_read_until_it_is_deleted
    every_expectation_holds_when_it_should_and_only_then
    a_commit_is_made_whole_or_not_at_all
    expectations_are_about_the_state_before_the_commit
    a_version_changes_with_every_put
    a_soon_commit_is_seen_at_once
    an_expired_entry_is_absent_to_everything
    a_sweep_removes_the_longest_expired_within_its_budget
    a_dead_entry_is_read_but_not_alive
    a_shelf_is_listed_in_order_page_by_page
    an_index_lists_what_is_under_its_value_page_by_page
    index_rows_follow_their_entry
    a_watch_tells_every_change_in_order
    a_watch_that_falls_behind_is_told_so
    a_closed_store_ends_its_watches
    limits_are_refused_and_what_is_just_within_them_is_kept
    one_of_a_hundred_takes_what_can_be_taken_once
    one_of_a_hundred_inserts_what_can_be_inserted_once
    one_of_a_hundred_swaps_the_same_version
    what_was_committed_stays_seen_while_others_commit
    a_list_sees_whole_commits_only
}

async fn what_was_put_is_read_until_it_is_deleted(store: Opened) {
    assert_eq!(store.get(&key("a"), NOW).await.unwrap(), None);
    let version = commit(&store, vec![put("a", "one", Expect::Absent)]).await.unwrap();
    let expires = Timestamp(1_060);
    let entry = Entry { value: Bytes::from_static(b"one"), version, expires, dead: false };
    assert_eq!(store.get(&key("a"), NOW).await.unwrap(), Some(entry));
    assert_eq!(store.get(&Key { shelf: "other", id: key("a").id }, NOW).await.unwrap(), None);
    commit(&store, vec![delete("a", Expect::Alive)]).await.unwrap();
    assert_eq!(store.get(&key("a"), NOW).await.unwrap(), None);
    commit(&store, vec![put("a", "", Expect::Absent)]).await.unwrap();
    assert_eq!(value(&store, "a").await.unwrap(), "");
}

async fn every_expectation_holds_when_it_should_and_only_then(store: Opened) {
    let version = commit(&store, vec![put("there", "v", Expect::Absent)]).await.unwrap();
    let gone = Change::Put {
        key: key("expired"),
        value: Bytes::new(),
        expires: NOW,
        dead: true,
        index: vec![],
        expect: Expect::Anything,
    };
    let marked = commit(&store, vec![dead("dead"), gone]).await.unwrap();
    let (v, m) = (Expect::Version(version), Expect::Version(marked));
    let wrong = Expect::Version(version + 1_000);
    let table = [
        // Entry, then what holds for it, then what does not.
        ("absent", vec![Expect::Absent, Expect::NotDead, Expect::Anything], vec![v, Expect::Alive]),
        ("expired", vec![Expect::Absent, Expect::NotDead, Expect::Anything], vec![m, Expect::Alive]),
        ("there", vec![v, Expect::Alive, Expect::NotDead, Expect::Anything], vec![Expect::Absent, wrong]),
        ("dead", vec![m, Expect::Anything], vec![Expect::Absent, Expect::Alive, Expect::NotDead, wrong]),
    ];
    for (id, holds, fails) in table {
        for expect in holds {
            assert_eq!(conflict_at(commit(&store, vec![check(id, expect)]).await), None, "{id} {expect:?}");
        }
        for expect in fails {
            for change in [check(id, expect), delete(id, expect), put(id, "x", expect)] {
                assert_eq!(conflict_at(commit(&store, vec![change]).await), Some(0), "{id} {expect:?}");
            }
        }
    }
    assert_eq!(value(&store, "there").await.unwrap(), "v");
    assert_eq!(value(&store, "absent").await, None);
}

async fn a_commit_is_made_whole_or_not_at_all(store: Opened) {
    commit(&store, vec![put("code", "spent", Expect::Absent)]).await.unwrap();
    let changes = vec![
        put("family", "new", Expect::Absent),
        delete("code", Expect::Anything),
        check("parent", Expect::Alive),
        put("token", "new", Expect::Absent),
    ];
    assert_eq!(conflict_at(commit(&store, changes.clone()).await), Some(2));
    assert_eq!(ids(&store, &Range::Shelf(SHELF), NOW).await, ["code"]);
    commit(&store, vec![put("parent", "", Expect::Absent)]).await.unwrap();
    commit(&store, changes).await.unwrap();
    assert_eq!(ids(&store, &Range::Shelf(SHELF), NOW).await, ["family", "parent", "token"]);
}

async fn expectations_are_about_the_state_before_the_commit(store: Opened) {
    let both = vec![put("a", "v", Expect::Absent), check("a", Expect::Absent)];
    commit(&store, both).await.unwrap();
    let both = vec![delete("a", Expect::Alive), check("a", Expect::Alive)];
    commit(&store, both).await.unwrap();
    let twice = vec![put("a", "1", Expect::Absent), put("a", "2", Expect::Absent)];
    assert!(matches!(commit(&store, twice).await, Err(Fault::Limit(_))));
    assert_eq!(value(&store, "a").await, None);
}

async fn a_version_changes_with_every_put(store: Opened) {
    let mut seen = std::collections::BTreeSet::from([0]);
    for round in 0..10 {
        let durability = if round % 2 == 0 { Durability::Durable } else { Durability::Soon };
        let change = put("a", "same", Expect::Anything);
        let version = store.commit(vec![change], durability, NOW).await.unwrap();
        assert!(seen.insert(version));
        assert_eq!(store.get(&key("a"), NOW).await.unwrap().unwrap().version, version);
        if round == 5 {
            commit(&store, vec![delete("a", Expect::Version(version))]).await.unwrap();
        }
    }
}

async fn a_soon_commit_is_seen_at_once(store: Opened) {
    for round in 0..50 {
        let id = format!("n{}", round % 3);
        let change = owned(&id, &["alice"]);
        let version = store.commit(vec![change], Durability::Soon, NOW).await.unwrap();
        assert_eq!(store.get(&key(&id), NOW).await.unwrap().unwrap().version, version);
        let listed = store.list(&Range::Index(index("alice")), None, 10, NOW).await.unwrap();
        assert!(listed.iter().any(|row| row.entry.version == version));
        let delete = delete(&id, Expect::Version(version));
        store.commit(vec![delete], Durability::Soon, NOW).await.unwrap();
        assert_eq!(store.get(&key(&id), NOW).await.unwrap(), None);
    }
}

async fn an_expired_entry_is_absent_to_everything(store: Opened) {
    commit(&store, vec![expiring("a", 1_010, "alice"), expiring("b", 1_011, "alice")]).await.unwrap();
    let at = Timestamp;
    assert!(store.get(&key("a"), at(1_009)).await.unwrap().is_some());
    assert!(store.get(&key("a"), at(1_010)).await.unwrap().is_none());
    for range in [Range::Shelf(SHELF), Range::Index(index("alice"))] {
        assert_eq!(ids(&store, &range, at(1_009)).await, ["a", "b"]);
        assert_eq!(ids(&store, &range, at(1_010)).await, ["b"]);
        assert_eq!(ids(&store, &range, at(1_011)).await, [""; 0]);
    }
    let insert = vec![put("a", "again", Expect::Absent)];
    store.commit(insert, Durability::Durable, at(1_010)).await.unwrap();
    assert_eq!(ids(&store, &Range::Index(index("alice")), NOW).await, ["b"]);
}

async fn a_sweep_removes_the_longest_expired_within_its_budget(store: Opened) {
    for (id, expires) in [("c", 30), ("a", 10), ("b", 20), ("d", 40), ("e", 1_001)] {
        commit(&store, vec![expiring(id, expires, "alice")]).await.unwrap();
    }
    commit(&store, vec![owned("f", &["alice"]), expiring("d", 2_000, "alice")]).await.unwrap();
    let shelf = Range::Shelf(SHELF);
    assert_eq!(store.sweep(NOW, 0).await.unwrap(), 0);
    assert_eq!(store.sweep(NOW, 2).await.unwrap(), 2);
    // Seen from a moment when all of them lived.
    assert_eq!(ids(&store, &shelf, Timestamp(0)).await, ["c", "d", "e", "f"]);
    assert_eq!(ids(&store, &Range::Index(index("alice")), Timestamp(0)).await, ["c", "d", "e", "f"]);
    assert_eq!(store.sweep(NOW, 100).await.unwrap(), 1);
    assert_eq!(store.sweep(NOW, 100).await.unwrap(), 0);
    assert_eq!(store.sweep(Timestamp(1_001), 100).await.unwrap(), 1);
    assert_eq!(ids(&store, &shelf, Timestamp(0)).await, ["d", "f"]);
}

async fn a_dead_entry_is_read_but_not_alive(store: Opened) {
    commit(&store, vec![put("family", "v", Expect::Absent)]).await.unwrap();
    let mint = || vec![check("family", Expect::Alive), put("token", "v", Expect::Anything)];
    commit(&store, mint()).await.unwrap();
    commit(&store, vec![dead("family")]).await.unwrap();
    assert!(store.get(&key("family"), NOW).await.unwrap().unwrap().dead);
    assert!(store.list(&Range::Shelf(SHELF), None, 1, NOW).await.unwrap()[0].entry.dead);
    assert_eq!(conflict_at(commit(&store, mint()).await), Some(0));
    commit(&store, vec![put("family", "risen", Expect::Anything)]).await.unwrap();
    commit(&store, mint()).await.unwrap();
}

async fn pages(store: &Opened, range: &Range) -> Vec<Vec<u8>> {
    let (mut after, mut seen): (Option<Bytes>, Vec<Vec<u8>>) = (None, Vec::new());
    loop {
        let page = store.list(range, after.as_deref(), 3, NOW).await.unwrap();
        assert!(page.len() <= 3);
        let Some(last) = page.last() else { return seen };
        after = Some(last.key.id.clone());
        seen.extend(page.iter().map(|row| row.key.id.to_vec()));
    }
}

async fn a_shelf_is_listed_in_order_page_by_page(store: Opened) {
    let mut wanted: Vec<Vec<u8>> = vec![
        b"".into(),
        b"\0".into(),
        b"a".into(),
        b"a\0".into(),
        b"aa".into(),
        b"b".into(),
        b"\xff\xff".into(),
    ];
    let at = |shelf, id: &[u8]| Key { shelf, id: Bytes::copy_from_slice(id) };
    let entry = |key| Change::Put {
        key,
        value: Bytes::new(),
        expires: Timestamp::NEVER,
        dead: false,
        index: vec![],
        expect: Expect::Absent,
    };
    for shelf in ["nou", SHELF, "nouns", "noun-like"] {
        commit(&store, wanted.iter().rev().map(|id| entry(at(shelf, id))).collect()).await.unwrap();
    }
    wanted.sort();
    assert_eq!(pages(&store, &Range::Shelf(SHELF)).await, wanted);
    assert_eq!(store.list(&Range::Shelf(SHELF), None, 0, NOW).await.unwrap(), []);
    assert_eq!(store.list(&Range::Shelf(SHELF), Some(b"\xff\xff\xff"), 3, NOW).await.unwrap(), []);
    assert_eq!(store.list(&Range::Shelf("empty"), None, 3, NOW).await.unwrap(), []);
}

async fn an_index_lists_what_is_under_its_value_page_by_page(store: Opened) {
    for number in (0..10).rev() {
        commit(&store, vec![owned(&format!("n{number}"), &["alice", "everybody"])]).await.unwrap();
    }
    commit(&store, vec![owned("x", &["alic"]), owned("y", &["alicea"]), owned("z", &[""])]).await.unwrap();
    let wanted: Vec<Vec<u8>> = (0..10).map(|number| format!("n{number}").into_bytes()).collect();
    assert_eq!(pages(&store, &Range::Index(index("alice"))).await, wanted);
    assert_eq!(pages(&store, &Range::Index(index("everybody"))).await, wanted);
    assert_eq!(pages(&store, &Range::Index(index(""))).await, [b"z"]);
    let other = IndexKey { index: "noun-by-name", value: index("alice").value };
    assert_eq!(pages(&store, &Range::Index(other)).await.len(), 0);
}

async fn index_rows_follow_their_entry(store: Opened) {
    let under = async |owner| ids(&store, &Range::Index(index(owner)), NOW).await;
    commit(&store, vec![owned("a", &["x", "y"])]).await.unwrap();
    commit(&store, vec![owned("a", &["y", "z"])]).await.unwrap();
    assert_eq!((under("x").await.len(), under("y").await.len(), under("z").await.len()), (0, 1, 1));
    commit(&store, vec![delete("a", Expect::Anything)]).await.unwrap();
    assert_eq!((under("x").await.len(), under("y").await.len(), under("z").await.len()), (0, 0, 0));
}

async fn a_watch_tells_every_change_in_order(store: Opened) {
    commit(&store, vec![put("before", "v", Expect::Anything)]).await.unwrap();
    let mut watch = store.watch();
    commit(&store, vec![put("a", "v", Expect::Anything), check("a", Expect::Absent)]).await.unwrap();
    let _ = commit(&store, vec![put("refused", "v", Expect::Alive)]).await.unwrap_err();
    let soon = vec![dead("a"), put("b", "v", Expect::Absent)];
    store.commit(soon, Durability::Soon, NOW).await.unwrap();
    commit(&store, vec![delete("b", Expect::Alive), delete("nothing", Expect::Anything)]).await.unwrap();
    commit(&store, vec![put("last", "v", Expect::Anything)]).await.unwrap();
    let changed = |id, dead, deleted| Some(Event::Changed { key: key(id), dead, deleted });
    for wanted in [
        changed("a", false, false),
        changed("a", true, false),
        changed("b", false, false),
        changed("b", false, true),
        changed("last", false, false),
    ] {
        assert_eq!(watch.next().await, wanted);
    }
}

async fn a_watch_that_falls_behind_is_told_so(store: Opened) {
    let mut watch = store.watch();
    for _ in 0..=WATCH_BACKLOG / MAX_CHANGES {
        let changes =
            (0..MAX_CHANGES).map(|number| put(&number.to_string(), "v", Expect::Anything)).collect();
        store.commit(changes, Durability::Soon, NOW).await.unwrap();
    }
    assert_eq!(watch.next().await, Some(Event::Lost));
    assert!(matches!(watch.next().await, Some(Event::Changed { .. })));
}

async fn a_closed_store_ends_its_watches(store: Opened) {
    let mut watch = store.watch();
    store.commit(vec![put("a", "v", Expect::Anything)], Durability::Soon, NOW).await.unwrap();
    store.close().unwrap();
    assert_eq!(watch.next().await, Some(Event::Changed { key: key("a"), dead: false, deleted: false }));
    assert_eq!(watch.next().await, None);
    assert_eq!(store.watch().next().await, None);
    store.close().unwrap();
}

async fn limits_are_refused_and_what_is_just_within_them_is_kept(store: Opened) {
    let (id, large) = ("i".repeat(MAX_ID), "v".repeat(MAX_VALUE));
    let rows = |number: usize, length: usize| Change::Put {
        key: key("rows"),
        value: Bytes::new(),
        expires: Timestamp::NEVER,
        dead: false,
        index: (0..number).map(|row| index(&format!("{row:0>length$}"))).collect(),
        expect: Expect::Anything,
    };
    let many = |number: usize| (0..number).map(|at| put(&at.to_string(), "v", Expect::Anything)).collect();
    commit(&store, vec![put(&id, &large, Expect::Absent), rows(MAX_INDEX_ROWS, MAX_ID)]).await.unwrap();
    commit(&store, many(MAX_CHANGES)).await.unwrap();
    assert_eq!(value(&store, &id).await.unwrap(), large);
    let last = index(&format!("{:0>MAX_ID$}", MAX_INDEX_ROWS - 1));
    assert_eq!(ids(&store, &Range::Index(last), NOW).await, ["rows"]);
    let mut unnamed = put("a", "v", Expect::Anything);
    if let Change::Put { key, .. } = &mut unnamed {
        key.shelf = "a\0b";
    }
    for changes in [
        vec![put(&(id + "i"), "v", Expect::Anything)],
        vec![put("a", &(large + "v"), Expect::Anything)],
        vec![rows(MAX_INDEX_ROWS + 1, 1)],
        vec![rows(1, MAX_ID + 1)],
        many(MAX_CHANGES + 1),
        vec![unnamed],
    ] {
        assert!(matches!(commit(&store, changes).await, Err(Fault::Limit(_))));
    }
    let page = store.list(&Range::Shelf(SHELF), None, MAX_PAGE + 1, NOW).await;
    assert!(matches!(page, Err(Fault::Limit(_))));
}
