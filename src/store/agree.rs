//! Random sequences of operations, done to both backends, must be answered alike: what one of them gets wrong, the
//! other tells.

use super::contract::{SHELF, index, key};
use super::embedded::{Embedded, Options};
use super::memory::Memory;
use super::*;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Commit(Vec<Planned>, bool),
    Get(u8),
    List(Option<u8>, Option<u8>, usize),
    Sweep(usize),
    Reopen,
    Later(u64),
}

/// A change before it is known which versions there are.
#[derive(Clone, Debug)]
struct Planned {
    id: u8,
    kind: Kind,
    expect: Wanted,
}

#[derive(Clone, Debug)]
enum Kind {
    Put { value: u8, lives: Option<u64>, dead: bool, owners: Vec<u8> },
    Delete,
    Check,
}

#[derive(Clone, Copy, Debug)]
enum Wanted {
    Current,
    Stale,
    Other(Expect),
}

fn planned() -> impl Strategy<Value = Planned> {
    let put = (any::<u8>(), prop::option::of(0u64..40), any::<bool>(), prop::collection::vec(0u8..3, 0..3));
    let put = put.prop_map(|(value, lives, dead, owners)| Kind::Put { value, lives, dead, owners });
    let kind = prop_oneof![4 => put, 2 => Just(Kind::Delete), 1 => Just(Kind::Check)];
    let expect = prop_oneof![
        3 => Just(Wanted::Other(Expect::Anything)),
        1 => Just(Wanted::Other(Expect::Absent)),
        1 => Just(Wanted::Other(Expect::Alive)),
        1 => Just(Wanted::Other(Expect::NotDead)),
        2 => Just(Wanted::Current),
        1 => Just(Wanted::Stale),
    ];
    (0u8..6, kind, expect).prop_map(|(id, kind, expect)| Planned { id, kind, expect })
}

fn step() -> impl Strategy<Value = Step> {
    let commit = (prop::collection::vec(planned(), 1..4), prop::bool::weighted(0.1));
    prop_oneof![
        10 => commit.prop_map(|(changes, durable)| Step::Commit(changes, durable)),
        3 => (0u8..6).prop_map(Step::Get),
        3 => (prop::option::of(0u8..3), prop::option::of(0u8..6), 0usize..4).prop_map(|(o, a, l)| Step::List(o, a, l)),
        1 => (0usize..4).prop_map(Step::Sweep),
        1 => Just(Step::Reopen),
        2 => (1u64..20).prop_map(Step::Later),
    ]
}

/// Some of them are the beginning of others.
fn id(number: u8) -> Key {
    key(["", "a", "a\0", "aa", "ab", "b"][usize::from(number)])
}

async fn change(store: &dyn Store, planned: &Planned, now: Timestamp) -> Change {
    let key = id(planned.id);
    let version = store.get(&key, now).await.unwrap().map_or(7_000_000, |entry| entry.version);
    let expect = match planned.expect {
        Wanted::Current => Expect::Version(version),
        Wanted::Stale => Expect::Version(version + 1_000_000),
        Wanted::Other(expect) => expect,
    };
    match &planned.kind {
        Kind::Put { value, lives, dead, owners } => Change::Put {
            key,
            value: Bytes::from(vec![*value; usize::from(*value)]),
            expires: lives.map_or(Timestamp::NEVER, |lives| Timestamp(now.0 + lives)),
            dead: *dead,
            index: owners.iter().map(|owner| index(&owner.to_string())).collect(),
            expect,
        },
        Kind::Delete => Change::Delete { key, expect },
        Kind::Check => Change::Check { key, expect },
    }
}

/// The answer to a step, without the versions: they may differ.
async fn answer(store: &dyn Store, step: &Step, now: Timestamp) -> String {
    match step {
        Step::Commit(planned, durable) => {
            let durability = if *durable { Durability::Durable } else { Durability::Soon };
            let mut changes = Vec::new();
            for planned in planned {
                changes.push(change(store, planned, now).await);
            }
            format!("{:?}", store.commit(changes, durability, now).await.map(|_| ()))
        }
        Step::Get(number) => {
            let entry = store.get(&id(*number), now).await.unwrap();
            format!("{:?}", entry.map(|entry| (entry.value, entry.expires, entry.dead)))
        }
        Step::List(owner, after, limit) => {
            let range = owner.map_or(Range::Shelf(SHELF), |owner| Range::Index(index(&owner.to_string())));
            let after = after.map(|after| id(after).id);
            let listed = store.list(&range, after.as_deref(), *limit, now).await.unwrap();
            let shown: Vec<_> =
                listed.iter().map(|row| (&row.key, &row.entry.value, row.entry.dead)).collect();
            format!("{shown:?}")
        }
        Step::Sweep(budget) => format!("{:?}", store.sweep(now, *budget).await.unwrap()),
        Step::Reopen | Step::Later(_) => String::new(),
    }
}

async fn next(watch: &mut Watch, count: usize) -> Vec<Event> {
    let mut events = Vec::new();
    while events.len() < count {
        events.extend(watch.next().await);
    }
    events
}

async fn agree(steps: &[Step]) {
    // What is compared here does not depend on the disk, so it need not wait for one.
    let directory = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let path = directory.path().join("store.redb");
    let open = || Embedded::open(&path, Options { cache: 1 << 20 }).unwrap();
    let (memory, mut embedded) = (Memory::new(), open());
    let mut watches = (memory.watch(), embedded.watch());
    let mut now = Timestamp(1_000);
    for (at, step) in steps.iter().enumerate() {
        match step {
            Step::Reopen => {
                drop(embedded);
                embedded = open();
                watches = (memory.watch(), embedded.watch());
            }
            Step::Later(seconds) => now.0 += seconds,
            step => {
                let answers = (answer(&memory, step, now).await, answer(&embedded, step, now).await);
                assert_eq!(answers.0, answers.1, "step {at}, {step:?}");
            }
        }
    }
    let end = || vec![Change::Delete { key: key("end"), expect: Expect::Anything }];
    let put = super::contract::put("end", "", Expect::Absent);
    let stores: [&dyn Store; 2] = [&memory, &embedded];
    for store in stores {
        store.commit(vec![put.clone()], Durability::Soon, now).await.unwrap();
        store.commit(end(), Durability::Soon, now).await.unwrap();
    }
    loop {
        let event = next(&mut watches.0, 1).await;
        assert_eq!(event, next(&mut watches.1, 1).await);
        if matches!(&event[..], [Event::Changed { key: last, deleted: true, .. }] if *last == key("end")) {
            break;
        }
    }
    let shelf = Range::Shelf(SHELF);
    let lists = (
        memory.list(&shelf, None, 100, Timestamp(0)).await.unwrap(),
        embedded.list(&shelf, None, 100, Timestamp(0)).await.unwrap(),
    );
    let ids = |listed: &[Listed]| listed.iter().map(|row| row.key.clone()).collect::<Vec<_>>();
    assert_eq!(ids(&lists.0), ids(&lists.1));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_backends_answer_every_sequence_alike(steps in prop::collection::vec(step(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(agree(&steps));
    }
}
