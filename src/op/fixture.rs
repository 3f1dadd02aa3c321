//! A provider for tests: memory store, scripted clock, randomness, work and fetch. Compiled for tests only.

use super::{Kit, Op, Peer, Settings};
use crate::base::clock::{Clock, Timestamp};
use crate::base::fetch::{self, Fetch, Fetched};
use crate::base::random::Random;
use crate::base::secret::AtRestKey;
use crate::base::work::Work;
use crate::store::Store;
use crate::store::memory::Memory;
use bytes::Bytes;
use http::{Request, Response};
use serde_json::Value;
use std::sync::Arc;

/// Where the scripted clock begins: 2027-01-15T08:00:00Z.
pub(crate) const START: Timestamp = Timestamp(1_800_000_000);

/// The kit of a provider in a test.
pub(crate) fn kit() -> Kit {
    kit_over(Arc::new(Memory::new()))
}

pub(crate) fn kit_over(store: Arc<dyn Store>) -> Kit {
    let clock = Clock::scripted(START);
    let work = Work::scripted(clock.clone());
    Kit {
        store,
        clock,
        random: Random::scripted(1),
        at_rest: AtRestKey::new([9; 32]),
        work,
        fetch: nothing_fetched(),
    }
}

fn nothing_fetched() -> Fetch {
    Fetch::scripted(|asked| -> Result<Fetched, fetch::Fault> { panic!("nobody scripted {}", asked.url) })
}

/// Settings as a file would give them: `extra` is YAML merged over an open issuer with one resource.
pub(crate) fn settings(extra: &str) -> Settings {
    let mut all: Value = serde_yaml::from_str(
        "
issuer: https://op.example
registration: open
resources: [{ uri: 'https://api.example/', scopes: [api, api.write] }]
",
    )
    .unwrap();
    let extra: Value = serde_yaml::from_str(extra).unwrap();
    if let (Some(all), Some(extra)) = (all.as_object_mut(), extra.as_object()) {
        all.extend(extra.clone());
    }
    serde_json::from_value(all).unwrap()
}

pub(crate) async fn op() -> Op {
    op_with("{}").await
}

pub(crate) async fn op_with(extra: &str) -> Op {
    Op::open(kit(), settings(extra)).await.unwrap()
}

pub(crate) fn peer() -> Peer {
    Peer {
        address: [192, 0, 2, 7].into(),
        certificate: None,
        chain: Vec::new(),
        host: "op.example".into(),
        request_id: "request-1".into(),
    }
}

/// Sends a request without a body.
pub(crate) async fn send(op: &Op, method: &str, path: &str, headers: &[(&str, &str)]) -> Response<Bytes> {
    exchange(op, method, path, headers, Bytes::new()).await
}

/// Sends a form.
pub(crate) async fn form(
    op: &Op,
    path: &str,
    headers: &[(&str, &str)],
    pairs: &[(&str, &str)],
) -> Response<Bytes> {
    let body: String = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    let mut headers = headers.to_vec();
    headers.push(("content-type", "application/x-www-form-urlencoded"));
    exchange(op, "POST", path, &headers, body.into()).await
}

/// Sends JSON.
pub(crate) async fn post_json(
    op: &Op,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &Value,
) -> Response<Bytes> {
    let mut headers = headers.to_vec();
    headers.push(("content-type", "application/json"));
    exchange(op, method, path, &headers, body.to_string().into()).await
}

pub(crate) async fn exchange(
    op: &Op,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Bytes,
) -> Response<Bytes> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    op.handle(request.body(body).unwrap(), &peer()).await
}

pub(crate) fn body(response: &Response<Bytes>) -> Value {
    serde_json::from_slice(response.body()).unwrap_or(Value::Null)
}

/// A header's text; empty if it is not there.
pub(crate) fn header<'a>(response: &'a Response<Bytes>, name: &str) -> &'a str {
    response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
}
