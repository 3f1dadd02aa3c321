//! What the provider does in a second, through its face: minting a token for a client, judging one that was seen and
//! one that was not, answering introspection, discovery and JWKS. No socket, memory store. `cargo bench --bench op`;
//! figures stand in benches/README.md.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a bench may fail by panicking"
)]

use bytes::Bytes;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use http::{Method, Request, Response, StatusCode};
use oidcop_proxy::base::clock::Clock;
use oidcop_proxy::base::encode::{base64, base64url};
use oidcop_proxy::base::fetch::{Fault, Fetch};
use oidcop_proxy::base::random::Random;
use oidcop_proxy::base::secret::{AtRestKey, sha256};
use oidcop_proxy::base::work::Work;
use oidcop_proxy::op::{Kit, Op, Peer, Presented, Settings, Verdict};
use oidcop_proxy::store::Store;
use oidcop_proxy::store::memory::Memory;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;
use tempfile::NamedTempFile;
use tokio::runtime::Runtime;

const SECRET: &str = "a-secret-for-the-bench-only";

/// Providers over one store, as two nodes would be: each has verdicts of its own.
struct Bench {
    runtime: Runtime,
    op: Op,
    other: Op,
    peer: Peer,
    _clients: NamedTempFile,
}

impl Bench {
    fn new() -> Bench {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let clients = NamedTempFile::new().unwrap();
        let digest = base64url(&sha256(SECRET.as_bytes()));
        let text = format!(
            "clients: [{{ client_id: load, client_secret_sha256: {digest}, scope: api, redirect_uris: [], \
             response_types: [], grant_types: [client_credentials] }}]"
        );
        std::fs::write(clients.path(), text).unwrap();
        let settings: Settings = serde_json::from_value(serde_json::json!({
            "issuer": "https://op.example",
            "clients_file": clients.path(),
            "resources": [{ "uri": "https://api.example/", "scopes": ["api"] }],
        }))
        .unwrap();
        let store: Arc<dyn Store> = Arc::new(Memory::new());
        let open = || runtime.block_on(Op::open(kit(store.clone()), settings.clone())).unwrap();
        let (op, other) = (open(), open());
        let peer = Peer {
            address: [192, 0, 2, 7].into(),
            certificate: None,
            chain: Vec::new(),
            host: "op.example".into(),
            request_id: "bench".into(),
        };
        Bench { runtime, op, other, peer, _clients: clients }
    }

    fn handle(&self, request: Request<Bytes>) -> Response<Bytes> {
        let response = self.runtime.block_on(self.op.handle(request, &self.peer));
        assert_eq!(response.status(), StatusCode::OK, "{response:?}");
        response
    }

    fn mint(&self) -> String {
        let answer: serde_json::Value = serde_json::from_slice(self.handle(token_request()).body()).unwrap();
        answer.get("access_token").and_then(|token| token.as_str()).unwrap().to_owned()
    }
}

fn kit(store: Arc<dyn Store>) -> Kit {
    Kit {
        store,
        clock: Clock::system(),
        random: Random::system(),
        at_rest: AtRestKey::new([9; 32]),
        work: Work::system(1).unwrap(),
        fetch: Fetch::scripted(|_| Err(Fault::Refused)),
    }
}

fn get(path: &str) -> Request<Bytes> {
    Request::builder().uri(path).body(Bytes::new()).unwrap()
}

fn form(path: &str, body: String) -> Request<Bytes> {
    let credentials = base64(format!("load:{SECRET}").as_bytes());
    Request::builder()
        .method(Method::POST)
        .uri(path)
        .header("authorization", format!("Basic {credentials}"))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body.into())
        .unwrap()
}

fn token_request() -> Request<Bytes> {
    form("/oidcop/token", "grant_type=client_credentials&scope=api".into())
}

fn judging(criterion: &mut Criterion) {
    let bench = Bench::new();
    let mut group = criterion.benchmark_group("op");
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(3));
    group.bench_function("mint: client_credentials, ES256 JWT", |bencher| {
        bencher.iter(|| bench.handle(token_request()));
    });
    let token = bench.mint();
    let seen = |token: &str| matches!(bench.op.seen(Presented { token }), Some(Verdict::Active(_)));
    group.bench_function("seen: a token judged before", |bencher| {
        bencher.iter(|| assert!(black_box(seen(black_box(&token)))));
    });
    group.bench_function("introspect: a JWT never seen here", |bencher| {
        let judge = |token: String| {
            bench.runtime.block_on(bench.other.introspect(Presented { token: &token })).unwrap()
        };
        bencher.iter_batched(
            || bench.mint(),
            |token| assert!(matches!(judge(token), Verdict::Active(_))),
            BatchSize::SmallInput,
        );
    });
    group.bench_function("introspection endpoint: a token judged before", |bencher| {
        let body = format!("token={token}");
        bencher.iter(|| bench.handle(form("/oidcop/introspection", body.clone())));
    });
    group.finish();
}

fn documents(criterion: &mut Criterion) {
    let bench = Bench::new();
    let mut group = criterion.benchmark_group("op");
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    for (name, path) in [("discovery", "/.well-known/openid-configuration"), ("JWKS", "/oidcop/jwks")] {
        group.bench_function(name, |bencher| bencher.iter(|| bench.handle(get(path))));
    }
    group.bench_function("owns: a path of a route", |bencher| {
        bencher.iter(|| assert!(!bench.op.owns(black_box("/api/orders/17"))));
    });
    group.finish();
}

criterion_group!(benches, judging, documents);
criterion_main!(benches);
