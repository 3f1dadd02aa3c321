//! Many at once: exactly one of them wins, nobody loses sight of what was committed, nobody sees half a commit.

use super::*;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Runs to its end on the calling thread.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn alternating(number: usize) -> Durability {
    if number.is_multiple_of(2) { Durability::Durable } else { Durability::Soon }
}

/// A hundred threads commit at once; returns how many of them succeeded. The others must conflict.
fn race(store: &Opened, changes: impl Fn(usize) -> Vec<Change> + Sync) -> usize {
    let (start, winners) = (Barrier::new(100), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for number in 0..100 {
            let (start, winners, changes) = (&start, &winners, &changes);
            scope.spawn(move || {
                let changes = changes(number);
                start.wait();
                match block_on(store.commit(changes, alternating(number), NOW)) {
                    Ok(_) => drop(winners.fetch_add(1, Ordering::SeqCst)),
                    Err(fault) => assert!(fault.is_conflict(), "{fault}"),
                }
            });
        }
    });
    winners.into_inner()
}

pub(super) async fn one_of_a_hundred_takes_what_can_be_taken_once(store: Opened) {
    for _ in 0..3 {
        commit(&store, vec![put("code", "v", Expect::Absent)]).await.unwrap();
        assert_eq!(race(&store, |_| vec![delete("code", Expect::Alive)]), 1);
        assert_eq!(value(&store, "code").await, None);
    }
}

pub(super) async fn one_of_a_hundred_inserts_what_can_be_inserted_once(store: Opened) {
    let insert = |number: usize| {
        vec![
            put("jti", &number.to_string(), Expect::Absent),
            put(&format!("by {number}"), "", Expect::Absent),
        ]
    };
    assert_eq!(race(&store, insert), 1);
    let winner = String::from_utf8(value(&store, "jti").await.unwrap().to_vec()).unwrap();
    assert_eq!(ids(&store, &Range::Shelf(SHELF), NOW).await, [format!("by {winner}"), "jti".into()]);
}

pub(super) async fn one_of_a_hundred_swaps_the_same_version(store: Opened) {
    let mut version = commit(&store, vec![put("grant", "0", Expect::Absent)]).await.unwrap();
    for _ in 0..3 {
        assert_eq!(race(&store, |at| vec![put("grant", &at.to_string(), Expect::Version(version))]), 1);
        let next = store.get(&key("grant"), NOW).await.unwrap().unwrap().version;
        assert_ne!(next, version);
        version = next;
    }
}

pub(super) async fn what_was_committed_stays_seen_while_others_commit(store: Opened) {
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let store = &store;
            scope.spawn(move || {
                let id = format!("writer {writer}");
                for round in 0..50 {
                    let change = put(&id, &round.to_string(), Expect::Anything);
                    let commit = store.commit(vec![change], alternating(round + writer), NOW);
                    let version = block_on(commit).unwrap();
                    // Across the moments when it moves from memory to the file.
                    for _ in 0..20 {
                        let entry = block_on(store.get(&key(&id), NOW)).unwrap().unwrap();
                        assert_eq!(entry.version, version);
                    }
                }
            });
        }
    });
}

pub(super) async fn a_list_sees_whole_commits_only(store: Opened) {
    commit(&store, vec![owned("0", &["alice"])]).await.unwrap();
    std::thread::scope(|scope| {
        let mover = scope.spawn(|| {
            for round in 0..100 {
                // The one entry moves on: there is never none, and never two.
                let moved = vec![
                    delete(&round.to_string(), Expect::Alive),
                    owned(&(round + 1).to_string(), &["alice"]),
                ];
                block_on(store.commit(moved, alternating(round), NOW)).unwrap();
            }
        });
        let store = &store;
        scope.spawn(move || {
            while !mover.is_finished() {
                for range in [Range::Shelf(SHELF), Range::Index(index("alice"))] {
                    assert_eq!(block_on(store.list(&range, None, 10, NOW)).unwrap().len(), 1);
                }
            }
        });
    });
}
