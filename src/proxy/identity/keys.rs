//! The edge's own keys: one record of the store, each key sealed under the at-rest key; in memory one snapshot that is
//! swapped whole. When which key does what is decided in `jose::rotation`. RFC 7517 §5, RFC 8725 §3.12.

use crate::base::clock::Timestamp;
use crate::base::encode::{base64url, from_base64url};
use crate::jose::{KeyRing, Note, OwnKey, Purpose, RingKey, RotationPolicy, State, Step, rotation};
use crate::observe::stamp;
use crate::proxy::Kit;
use crate::proxy::denial::Denial;
use crate::proxy::settings::Settings;
use crate::store::record::{self, Record, put};
use crate::store::{Durability, Expect};
use arc_swap::{ArcSwapOption, Guard};
use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Response, StatusCode};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// Where upstreams find the keys.
pub(in crate::proxy) const JWKS_PATH: &str = "/.well-known/oidcop-edge-jwks.json";

/// How often a change of the ring is tried again after another process changed it first.
const ATTEMPTS: usize = 5;

/// What an upstream may keep the key set for at most.
const FRESH: Duration = Duration::from_secs(3_600);

/// What there must be keys for, and when they change.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::proxy) struct Plan {
    wanted: Vec<Purpose>,
    policy: RotationPolicy,
}

impl Plan {
    pub fn of(settings: &Settings) -> Plan {
        let tokens = || settings.routes.iter().filter_map(|route| route.identity_token.as_ref());
        let mut wanted: Vec<Purpose> = Vec::new();
        for token in tokens() {
            if !wanted.iter().any(|purpose| purpose.is(token.algorithm.into())) {
                wanted.push(token.algorithm.into());
            }
        }
        let keys = settings.identity.keys;
        let policy = RotationPolicy {
            every: keys.rotate_every.0,
            publish_ahead: keys.publish_ahead.0,
            // Who fetched the set just before may still verify with it, and who did not may still have tokens to verify.
            retire_for: tokens()
                .map(|token| token.lifetime.0)
                .max()
                .unwrap_or_default()
                .saturating_add(FRESH),
            verify_for: Duration::ZERO,
        };
        Plan { wanted, policy }
    }

    pub fn signs(&self) -> bool {
        !self.wanted.is_empty()
    }
}

/// The ring in use.
#[derive(Default)]
pub(in crate::proxy) struct Keys {
    ring: ArcSwapOption<KeyRing>,
    /// The store's version of it: a revoked key must not come back.
    version: Mutex<u64>,
}

impl Keys {
    pub fn ring(&self) -> Guard<Option<Arc<KeyRing>>> {
        self.ring.load()
    }

    /// Makes what is missing and does what is due; also learns what other processes have changed. The error is for the log.
    pub async fn tend(&self, kit: &Kit, plan: &Plan) -> Result<(), String> {
        if !plan.signs() && self.ring().is_none() {
            return Ok(());
        }
        let now = kit.clock.now();
        self.change(kit, |notes| Some(rotation::due(notes, &plan.wanted, &plan.policy, now))).await.map(drop)
    }

    /// The key is compromised: it is forgotten at once, and so is what it signed. False: no such key.
    pub async fn revoke(&self, kit: &Kit, kid: &str) -> Result<bool, String> {
        let known = self.ring().as_ref().is_some_and(|ring| ring.verify_key(kid).is_some());
        Ok(known && self.change(kit, |notes| rotation::revoke(notes, kid)).await?)
    }

    /// What an operator is told of the keys; the form of the provider's `key list`.
    pub fn list(&self, plan: &Plan) -> Vec<Value> {
        let ring = self.ring();
        let notes = ring.as_ref().map(|ring| ring.notes()).unwrap_or_default();
        let row = |note: &Note| {
            let next = rotation::outlook(note, &notes, &plan.policy);
            json!({
                "kid": note.kid,
                "use": "edge",
                "alg": note.purpose.name(),
                "state": note.state,
                "created": note.created.0,
                "since": note.since.0,
                "next": next.map(|(fate, at)| format!("{} {}", fate.name(), stamp(at).get(..10).unwrap_or("never"))),
                "next_change": next.map(|(_, at)| at.0),
            })
        };
        notes.iter().map(row).collect()
    }

    /// Takes the steps that `decide` names for the ring as it is stored. False: it had nothing to decide about.
    async fn change(
        &self,
        kit: &Kit,
        decide: impl Fn(&[Note]) -> Option<Vec<Step>> + Send,
    ) -> Result<bool, String> {
        let now = kit.clock.now();
        for _ in 0..ATTEMPTS {
            let stored =
                record::get::<Ring>(&*kit.store, Ring::ID, now).await.map_err(|fault| fault.to_string())?;
            let (mut ring, version) =
                stored.map_or((Ring::default(), None), |it| (it.record, Some(it.version)));
            let keys = ring.open(kit)?;
            let notes: Vec<_> = keys.iter().map(RingKey::note).collect();
            let Some(steps) = decide(&notes) else { return Ok(false) };
            if steps.is_empty() {
                return self.install(keys, version.unwrap_or_default()).map(|()| true);
            }
            let keys = take(kit, keys, steps, now).await?;
            ring.keys = keys.iter().map(|key| seal(kit, key)).collect::<Result<_, _>>()?;
            let expect = version.map_or(Expect::Absent, Expect::Version);
            let change = put(&ring, expect).map_err(|fault| fault.to_string())?;
            match kit.store.commit(vec![change], Durability::Durable, now).await {
                Ok(version) => return self.install(keys, version).map(|()| true),
                Err(fault) if fault.is_conflict() => {}
                Err(fault) => return Err(fault.to_string()),
            }
        }
        Err("the edge's keys are changed by others all the time".into())
    }

    fn install(&self, keys: Vec<RingKey>, version: u64) -> Result<(), String> {
        let ring = KeyRing::new(keys).map_err(|fault| fault.to_string())?;
        let mut known = self.version.lock();
        if version >= *known {
            *known = version;
            self.ring.store(Some(Arc::new(ring)));
        }
        Ok(())
    }
}

async fn take(
    kit: &Kit,
    mut keys: Vec<RingKey>,
    steps: Vec<Step>,
    now: Timestamp,
) -> Result<Vec<RingKey>, String> {
    for step in steps {
        match step {
            Step::Generate(purpose, state) => {
                let made = kit.work.run(move || OwnKey::generate(purpose)).await;
                let key = made.map_err(|busy| busy.to_string())?.map_err(|fault| fault.to_string())?;
                keys.push(RingKey { key, state, created: now, since: now });
            }
            Step::Move { kid, to } => {
                for key in keys.iter_mut().filter(|key| key.key.kid() == kid) {
                    (key.state, key.since) = (to, now);
                }
            }
            Step::Drop { kid } => keys.retain(|key| key.key.kid() != kid),
        }
    }
    Ok(keys)
}

/// The ring as it is stored. There is exactly one.
#[derive(Default, Serialize, Deserialize)]
struct Ring {
    keys: Vec<Key>,
}

#[derive(Serialize, Deserialize)]
struct Key {
    /// Also what the sealing is bound to.
    kid: String,
    alg: Purpose,
    state: State,
    created: Timestamp,
    since: Timestamp,
    /// base64url of its PKCS#8 form, sealed.
    sealed: String,
}

impl Ring {
    const ID: &str = "ring";

    fn open(&self, kit: &Kit) -> Result<Vec<RingKey>, String> {
        let open = |key: &Key| {
            let sealed = from_base64url(&key.sealed).unwrap_or_default();
            let der = kit.at_rest.open(key.kid.as_bytes(), &sealed).map_err(|_| {
                format!(
                    "the edge's key {} does not open: the at-rest key is not the one it was sealed under",
                    key.kid
                )
            })?;
            let own = OwnKey::from_pkcs8(key.alg, &key.kid, &der).map_err(|fault| fault.to_string())?;
            Ok(RingKey { key: own, state: key.state, created: key.created, since: key.since })
        };
        self.keys.iter().map(open).collect()
    }
}

fn seal(kit: &Kit, key: &RingKey) -> Result<Key, String> {
    let kid = key.key.kid().to_owned();
    let der = key.key.to_pkcs8().map_err(|fault| fault.to_string())?;
    let sealed = kit.at_rest.seal(&kit.random, kid.as_bytes(), &der).map_err(|fault| fault.to_string())?;
    let (alg, sealed) = (key.key.purpose(), base64url(&sealed));
    Ok(Key { kid, alg, state: key.state, created: key.created, since: key.since, sealed })
}

impl Record for Ring {
    const SHELF: &'static str = "edge_key_ring";

    fn id(&self) -> Bytes {
        Ring::ID.into()
    }
    fn expires(&self) -> Timestamp {
        Timestamp::NEVER
    }
}

/// The answer at [`JWKS_PATH`].
pub(in crate::proxy) fn key_set(
    keys: &Keys,
    plan: &Plan,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Response<Bytes>, Denial> {
    if !matches!(*method, Method::GET | Method::HEAD) {
        return Err(Denial::Method("GET, HEAD".into()));
    }
    let ring = keys.ring();
    let ring = ring.as_ref().ok_or_else(|| Denial::Undecided("the edge has no keys yet".into()))?;
    let known =
        headers.get_all(header::IF_NONE_MATCH).iter().any(|tag| tag.as_bytes() == ring.jwks_tag().as_bytes());
    let mut response = Response::new(if known { Bytes::new() } else { ring.jwks().clone() });
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    // A set that is kept longer than keys are published ahead would miss one that signs.
    let fresh = FRESH.min(plan.policy.publish_ahead / 2).as_secs();
    let answer = response.headers_mut();
    answer.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/jwk-set+json"));
    for (name, text) in [
        (header::CACHE_CONTROL, format!("public, max-age={fresh}")),
        (header::ETAG, ring.jwks_tag().to_owned()),
    ] {
        if let Ok(value) = HeaderValue::from_str(&text) {
            answer.insert(name, value);
        }
    }
    Ok(response)
}
