//! Minting, verifying and looking up a token: what a request costs before any of its own work. Figures and the lines
//! they must not cross stand in `benches/README.md`.

#![allow(clippy::expect_used, reason = "a bench may fail by panicking")]

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use oidcop_proxy::base::cache::Cache;
use oidcop_proxy::base::clock::Timestamp;
use oidcop_proxy::base::secret::{Digest, sha256};
use oidcop_proxy::jose::{
    Algorithm, Audience, JwkSet, KeyRing, KeySource, RingKey, Rules, SigningKey, State, Typ, verify,
};
use std::hint::black_box;
use std::sync::Arc;

const NOW: Timestamp = Timestamp(1_800_000_000);
/// As long as an RFC 9068 access token usually is.
const CLAIMS: &[u8] = br#"{"iss":"https://op.example","sub":"f3b1c2a4-5d6e-4f80-9a1b-2c3d4e5f6071","aud":"https://api.example","client_id":"mB5vJk2XqW7cT0zR9yNf3A","scope":"openid profile email api","jti":"3Jp8sXw1QbZr6LkT2mVn9A","iat":1800000000,"exp":1800000600,"auth_time":1799999000,"sid":"kQ7rW2xZ5pL8vB1nM4tY6A"}"#;

fn ring(alg: Algorithm) -> KeyRing {
    let key = SigningKey::generate(alg).expect("a key");
    KeyRing::new(vec![RingKey { key: key.into(), state: State::Current, created: NOW, since: NOW }])
        .expect("a ring")
}

fn mint(bench: &mut Criterion) {
    for alg in [Algorithm::ES256, Algorithm::EdDSA, Algorithm::RS256, Algorithm::PS256] {
        let ring = ring(alg);
        let key = ring.signer(alg).expect("a signer");
        bench.bench_function(&format!("sign {alg}"), |b| b.iter(|| key.sign("at+jwt", black_box(CLAIMS))));
    }
}

fn judge(bench: &mut Criterion) {
    for alg in [Algorithm::ES256, Algorithm::EdDSA, Algorithm::RS256] {
        let ring = ring(alg);
        let token = ring.signer(alg).expect("a signer").sign("at+jwt", CLAIMS).expect("a token");
        let allowed = [alg];
        let rules = Rules {
            typ: Typ::Required(&["at+jwt"]),
            issuer: Some("https://op.example"),
            audience: Audience::Includes(&["https://api.example"]),
            ..Rules::new(&allowed, NOW)
        };
        bench.bench_function(&format!("verify {alg}"), |b| {
            b.iter(|| verify(black_box(&token), &KeySource::Ring(&ring), &rules).expect("verified"));
        });
    }
    let set = ring(Algorithm::ES256).jwks().clone();
    bench.bench_function("parse a key set", |b| b.iter(|| JwkSet::parse(black_box(&set)).expect("a set")));
}

fn look_up(bench: &mut Criterion) {
    let cache = Cache::new(100_000);
    let digests: Vec<Digest> = (0_u32..20_000).map(|n| sha256(&n.to_be_bytes())).collect();
    for digest in &digests {
        cache.insert(*digest, Arc::new(*digest));
    }
    let mut turn = digests.iter().cycle();
    bench.bench_function("cache hit, 20000 in rotation", |b| {
        b.iter_batched(
            || turn.next().expect("a cycle"),
            |digest| cache.get(digest).expect("a hit"),
            BatchSize::SmallInput,
        );
    });
    let token = "x".repeat(600);
    bench.bench_function("digest of a token", |b| b.iter(|| sha256(black_box(token.as_bytes()))));
}

criterion_group!(benches, mint, judge, look_up);
criterion_main!(benches);
