//! Clients, sign-ins and token requests for tests, and a store whose answers come in random order. Compiled for tests
//! only.

use super::introspect::{Presented, Verdict};
use super::mint::{self, FrontAnswer, FrontGrant};
use crate::base::clock::Timestamp;
use crate::base::encode::base64url;
use crate::base::secret::sha256;
use crate::op::fixture::{body, form};
use crate::op::record::client::{Client, Metadata};
use crate::op::record::family::Authorization;
use crate::op::record::session::Session;
use crate::op::response_type::find;
use crate::op::{Op, fixture};
use crate::store::memory::Memory;
use crate::store::record::put;
use crate::store::{Change, Durability, Entry, Expect, Fault, Key, Listed, Range, Store, Watch};
use async_trait::async_trait;
use bytes::Bytes;
use http::Response;
use serde_json::{Map, Value};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

pub(crate) const SECRET: &str = "a secret of full entropy";
pub(crate) const REDIRECT: &str = "https://rp.example/cb?x=1";

/// Registers a confidential client (`client_secret_post`, every grant), changed by `change`.
pub(crate) async fn client(op: &Op, id: &str, change: impl FnOnce(&mut Client)) {
    let mut client = Client {
        client_id: id.into(),
        secret_digest: Some(base64url(&sha256(SECRET.as_bytes()))),
        metadata: Metadata {
            redirect_uris: vec![REDIRECT.into()],
            grant_types: ["authorization_code", "refresh_token", "client_credentials"].map(Into::into).into(),
            token_endpoint_auth_method: "client_secret_post".into(),
            ..Metadata::default()
        },
        ..Client::default()
    };
    change(&mut client);
    commit(op, vec![put(&client, Expect::Anything).unwrap()]).await;
}

pub(crate) async fn commit(op: &Op, changes: Vec<Change>) {
    op.store().commit(changes, Durability::Durable, op.now()).await.unwrap();
}

/// Signs `account` in: a session of twelve hours, by its sid.
pub(crate) async fn session(op: &Op, account: &str) -> String {
    let (sid, now) = (op.random().id().unwrap(), op.now());
    let session = Session {
        sid: sid.clone(),
        handle_digest: String::new(),
        account: account.into(),
        created: now,
        auth_time: now,
        acr: Some("pwd".into()),
        amr: vec!["pwd".into()],
        last_seen: now,
        expires: now.plus(Duration::from_secs(12 * 3_600)),
        clients: Vec::new(),
        ended: false,
    };
    commit(op, vec![put(&session, Expect::Absent).unwrap()]).await;
    sid
}

/// What a person at `sid` grants `client_id`.
pub(crate) fn grant(op: &Op, client_id: &str, sid: &str, scope: &str) -> FrontGrant {
    let scope: Vec<String> = scope.split(' ').map(str::to_owned).collect();
    let resources = super::audience::select(&op.settings, [].into_iter(), &scope).unwrap();
    FrontGrant {
        response_type: find("code").unwrap(),
        authorization: Authorization {
            client_id: client_id.into(),
            account: "diana".into(),
            subject: "subject-of-diana".into(),
            offline: scope.iter().any(|scope| scope == "offline_access"),
            scope,
            resources,
            sid: Some(sid.into()),
            auth_time: op.now(),
            acr: Some("pwd".into()),
            amr: vec!["pwd".into()],
            wants_auth_time: true,
            ..Authorization::default()
        },
        redirect_uri: REDIRECT.into(),
        code_challenge: None,
        nonce: Some("n-1".into()),
        dpop_jkt: None,
        changes: Vec::new(),
    }
}

pub(crate) async fn code(op: &Op, client_id: &str, sid: &str, scope: &str) -> String {
    give(op, grant(op, client_id, sid, scope)).await.unwrap().code.unwrap()
}

/// What the authorization endpoint gives out for `grant`.
pub(crate) async fn give(op: &Op, grant: FrontGrant) -> crate::op::error::Result<FrontAnswer> {
    let client = op.client(&grant.authorization.client_id, op.now()).await?.unwrap();
    mint::front(op, &client, grant, op.now()).await
}

/// Posts a token request of `client_id` with its secret.
pub(crate) async fn ask(op: &Op, client_id: &str, pairs: &[(&str, &str)]) -> Response<Bytes> {
    post(op, "/oidcop/token", client_id, pairs).await
}

pub(crate) async fn post(op: &Op, path: &str, client_id: &str, pairs: &[(&str, &str)]) -> Response<Bytes> {
    let mut all = vec![("client_id", client_id), ("client_secret", SECRET)];
    all.extend(pairs);
    form(op, path, &[], &all).await
}

pub(crate) async fn redeem(op: &Op, client_id: &str, code: &str) -> Response<Bytes> {
    ask(op, client_id, &[("grant_type", "authorization_code"), ("code", code), ("redirect_uri", REDIRECT)])
        .await
}

pub(crate) async fn refresh(op: &Op, client_id: &str, token: &str) -> Response<Bytes> {
    ask(op, client_id, &[("grant_type", "refresh_token"), ("refresh_token", token)]).await
}

/// Tokens of a whole code flow.
pub(crate) async fn tokens(op: &Op, client_id: &str, sid: &str, scope: &str) -> Value {
    let code = code(op, client_id, sid, scope).await;
    let answer = body(&redeem(op, client_id, &code).await);
    assert!(answer["access_token"].is_string(), "{answer}");
    answer
}

pub(crate) fn text<'a>(answer: &'a Value, name: &str) -> &'a str {
    answer[name].as_str().unwrap_or_else(|| panic!("no {name} in {answer}"))
}

/// The `error` member; panics if it is none, or the status is not the one that belongs to it.
pub(crate) fn error(response: &Response<Bytes>) -> String {
    assert!(response.status().is_client_error() || response.status().is_server_error(), "{response:?}");
    text(&body(response), "error").to_owned()
}

pub(crate) async fn active(op: &Op, token: &str) -> bool {
    let verdict = op.introspect(Presented { token }).await.unwrap();
    let seen = op.seen(Presented { token });
    let active = matches!(verdict, Verdict::Active(_));
    // Who asks the memory gets the same answer, or none.
    assert!(seen.is_none_or(|seen| matches!(seen, Verdict::Active(_)) == active));
    active
}

/// The claims of a token of ours, checked for its signature only.
pub(crate) fn claims(op: &Op, token: &str) -> Map<String, Value> {
    use crate::jose::{Algorithm, KeySource, Rules, verify};
    let rules = Rules::new(&Algorithm::ALL, op.now());
    verify(token, &KeySource::Ring(&op.ring()), &rules).unwrap().claims
}

pub(crate) fn advance(op: &Op, seconds: u64) {
    op.shared.kit.clock.advance(Duration::from_secs(seconds));
}

/// A store that lets others go first, some random number of times, before it does anything; or that is broken.
pub(crate) struct Unruly {
    inner: Memory,
    state: AtomicU64,
    broken: AtomicBool,
}

impl Unruly {
    pub(crate) fn new(seed: u64) -> Arc<Unruly> {
        let state = AtomicU64::new(seed.wrapping_mul(2) + 1);
        Arc::new(Unruly { inner: Memory::new(), state, broken: AtomicBool::new(false) })
    }

    pub(crate) fn breaks(&self, broken: bool) {
        self.broken.store(broken, Ordering::SeqCst);
    }

    async fn turn(&self) -> Result<(), Fault> {
        // Knuth's MMIX generator; its upper bits are random enough.
        let next = |state: u64| {
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407)
        };
        let state = self.state.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |state| Some(next(state)));
        for _ in 0..(state.unwrap_or(0) >> 33) % 7 {
            tokio::task::yield_now().await;
        }
        match self.broken.load(Ordering::SeqCst) {
            true => Err(Fault::Unavailable("broken by a test".into())),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl Store for Unruly {
    async fn get(&self, key: &Key, now: Timestamp) -> Result<Option<Entry>, Fault> {
        self.turn().await?;
        let found = self.inner.get(key, now).await;
        self.turn().await?;
        found
    }
    async fn list(
        &self,
        range: &Range,
        after: Option<&[u8]>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<Listed>, Fault> {
        self.turn().await?;
        self.inner.list(range, after, limit, now).await
    }
    async fn commit(
        &self,
        changes: Vec<Change>,
        durability: Durability,
        now: Timestamp,
    ) -> Result<u64, Fault> {
        self.turn().await?;
        let done = self.inner.commit(changes, durability, now).await;
        self.turn().await?;
        done
    }
    async fn sweep(&self, now: Timestamp, budget: usize) -> Result<usize, Fault> {
        self.turn().await?;
        self.inner.sweep(now, budget).await
    }
    fn watch(&self) -> Watch {
        self.inner.watch()
    }
}

/// A provider over an [`Unruly`] store.
pub(crate) async fn unruly_op(seed: u64) -> (Op, Arc<Unruly>) {
    let store = Unruly::new(seed);
    let op = Op::open(fixture::kit_over(store.clone()), fixture::settings("{}")).await.unwrap();
    (op, store)
}

/// Another process over the same store and clock: nothing in memory.
pub(crate) async fn restarted(op: &Op) -> Op {
    let mut kit = op.shared.kit.clone();
    // A process that starts again does not repeat its random numbers.
    kit.random = crate::base::random::Random::scripted(op.random().bytes::<1>().unwrap()[0].into());
    Op::open(kit, op.settings().clone()).await.unwrap()
}
