//! What the embedded store does in a second: durable commits of a grant with four index rows by 1, 16 and 256
//! waiting writers, and reading an entry. `cargo bench --bench store`; figures stand in `benches/README.md`.

#![allow(clippy::unwrap_used, reason = "a bench may fail by panicking")]

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use oidcop_proxy::base::clock::Timestamp;
use oidcop_proxy::store::embedded::{Embedded, Options};
use oidcop_proxy::store::{Change, Durability, Expect, IndexKey, Key, Store};
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

const NOW: Timestamp = Timestamp(1_000);

fn grant(number: u64) -> Change {
    let index = ["by-user", "by-client", "by-session", "by-family"];
    let value = Bytes::from((number % 1_000).to_string());
    Change::Put {
        key: Key { shelf: "bench", id: Bytes::copy_from_slice(&spread(number)) },
        value: Bytes::from(vec![b'v'; 300]),
        expires: Timestamp(2_000 + number % 600),
        dead: false,
        index: index.into_iter().map(|index| IndexKey { index, value: value.clone() }).collect(),
        expect: Expect::Absent,
    }
}

/// Identifiers that look random, as digests do.
fn spread(number: u64) -> [u8; 32] {
    oidcop_proxy::base::secret::sha256(&number.to_be_bytes())
}

fn durable_commits(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let directory = tempfile::tempdir_in(std::env::current_dir().unwrap().join("target")).unwrap();
    let store = Embedded::open(&directory.path().join("store.redb"), Options::default()).unwrap();
    let (store, next) = (Arc::new(store), Arc::new(AtomicU64::new(0)));
    let mut group = criterion.benchmark_group("durable commits");
    group.sample_size(10).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(3));
    group.throughput(Throughput::Elements(1));
    for writers in [1, 16, 256] {
        group.bench_function(format!("{writers} writers"), |bencher| {
            bencher.iter_custom(|commits| {
                runtime.block_on(commit_all(Arc::clone(&store), Arc::clone(&next), writers, commits))
            });
        });
    }
    group.finish();
}

/// The time `writers` take to make `commits` together, each waiting for its own.
async fn commit_all(store: Arc<Embedded>, next: Arc<AtomicU64>, writers: u64, commits: u64) -> Duration {
    let left = Arc::new(AtomicU64::new(commits));
    let mut tasks = JoinSet::new();
    let begun = Instant::now();
    for _ in 0..writers.min(commits) {
        let (store, next, left) = (Arc::clone(&store), Arc::clone(&next), Arc::clone(&left));
        tasks.spawn(async move {
            let take = |left: u64| left.checked_sub(1);
            while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok() {
                let change = grant(next.fetch_add(1, Ordering::Relaxed));
                store.commit(vec![change], Durability::Durable, NOW).await.unwrap();
            }
        });
    }
    while tasks.join_next().await.is_some() {}
    begun.elapsed()
}

fn reads(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let directory = tempfile::tempdir_in(std::env::current_dir().unwrap().join("target")).unwrap();
    let store = Embedded::open(&directory.path().join("store.redb"), Options::default()).unwrap();
    for page in 0..80 {
        let changes = (0..250).map(|row| grant(page * 250 + row)).collect();
        runtime.block_on(store.commit(changes, Durability::Durable, NOW)).unwrap();
    }
    let mut group = criterion.benchmark_group("get");
    group.sample_size(20).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    let mut number = 0;
    group.bench_function("one of 20,000", |bencher| {
        bencher.iter(|| {
            number = (number + 7_919) % 20_000;
            let key = Key { shelf: "bench", id: Bytes::copy_from_slice(&spread(number)) };
            black_box(runtime.block_on(store.get(&key, NOW)).unwrap().unwrap())
        });
    });
    group.finish();
}

criterion_group!(benches, durable_commits, reads);
criterion_main!(benches);
