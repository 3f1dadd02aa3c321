//! What deciding costs the edge: host, path check, the guard against look-alikes and the longest of many prefixes,
//! through `explain`, which asks the code that routes requests. No socket. `cargo bench --bench edge`; figures stand
//! in benches/README.md.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a bench may fail by panicking")]

use criterion::{Criterion, criterion_group, criterion_main};
use oidcop_proxy::base::clock::Clock;
use oidcop_proxy::base::fetch::Fetch;
use oidcop_proxy::base::random::Random;
use oidcop_proxy::base::secret::AtRestKey;
use oidcop_proxy::base::work::Work;
use oidcop_proxy::observe::access_log::AccessLog;
use oidcop_proxy::observe::metrics::Metrics;
use oidcop_proxy::proxy::{Edge, Kit, Settings};
use oidcop_proxy::store::memory::Memory;
use serde_json::json;
use std::hint::black_box;
use std::sync::Arc;

/// `count` routes of two segments each, every third of them denied, on one host.
fn edge(count: usize) -> Edge {
    let routes: Vec<_> = (0..count)
        .map(|n| match n % 3 {
            0 => json!({ "path": format!("/app{n}/v1"), "policy": "deny" }),
            _ => json!({ "path": format!("/app{n}/v1"), "policy": "public", "respond": { "body": "x" } }),
        })
        .collect();
    let settings: Settings =
        serde_json::from_value(json!({ "routes": routes, "hosts": ["a.example"] })).unwrap();
    let kit = Kit {
        clock: Clock::system(),
        random: Random::system(),
        access_log: AccessLog::off(),
        metrics: Arc::new(Metrics::default()),
        store: Arc::new(Memory::new()),
        at_rest: AtRestKey::new([0; 32]),
        fetch: Fetch::scripted(|asked| panic!("nobody scripted {}", asked.url)),
        work: Work::scripted(Clock::system()),
        subject_key: [0; 32],
    };
    Edge::new(&settings, None, kit).unwrap_or_else(|faults| panic!("{faults:?}"))
}

fn routing(criterion: &mut Criterion) {
    for count in [10, 1_000] {
        let edge = edge(count);
        for (name, url, found) in [
            ("plain path", "https://a.example/app1/v1/orders/17", true),
            ("path with capitals, looked at for look-alikes", "https://a.example/app1/v1/Orders/17", true),
            ("refused look-alike", "https://a.example/APP0/v1", false),
        ] {
            assert_eq!(edge.explain("GET", url).status.is_none(), found, "{url}");
            criterion.bench_function(&format!("routing among {count}: {name}"), |bencher| {
                bencher.iter(|| edge.explain("GET", black_box(url)));
            });
        }
    }
}

criterion_group!(benches, routing);
criterion_main!(benches);
