//! Other parties' key sets: given in their metadata, or behind a `jwks_uri`. An unknown key is a reason to fetch again,
//! but seldom: tokens with made-up `kid`s must not turn us into somebody's traffic. One fetch at a time per URI,
//! however many wait for it.

use super::Fault;
use super::jwe::{EncryptionKey, JweAlg};
use super::jwk::{JwkSet, MAX_SET};
use super::jws::{Jws, KeySource, Rules, Verified, verify};
use crate::base::cache::Cache;
use crate::base::clock::{Clock, Timestamp};
use crate::base::fetch::{Fetch, Fetched};
use crate::base::secret::sha256;
use futures_util::future::{BoxFuture, FutureExt, Shared};
use http::StatusCode;
use parking_lot::Mutex;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// URIs, and inline sets, that are remembered; the one not used for longest goes.
const MAX_SOURCES: usize = 512;
/// Between two fetches for the sake of an unknown key. The first fetch of a URI does not count.
const REFETCH_GAP: Duration = Duration::from_secs(30);
/// After a failure nobody is asked again for this long.
const FAILURE_GAP: Duration = Duration::from_secs(10);
/// How long a set is fresh: what its server says, within these.
const FRESH_LEAST: Duration = Duration::from_secs(60);
const FRESH_MOST: Duration = Duration::from_secs(24 * 3_600);
const FRESH_UNSAID: Duration = Duration::from_secs(3_600);
/// A set that cannot be renewed is used for this long after it was last fetched.
const STALE_MOST: Duration = Duration::from_secs(24 * 3_600);

/// Where a party's keys are, as its metadata says (RFC 7591 §2: one or the other).
#[derive(Clone, Copy, Debug)]
pub enum KeysOf<'a> {
    /// `jwks`
    Inline(&'a Value),
    /// `jwks_uri`
    Uri(&'a str),
}

/// Remembers key sets. Clones share what they remember.
#[derive(Clone)]
pub struct RemoteKeys(Arc<Inner>);

struct Inner {
    fetch: Fetch,
    clock: Clock,
    inline: Cache<Arc<JwkSet>>,
    slots: Mutex<HashMap<String, Remembered>>,
}

struct Remembered {
    used: Timestamp,
    slot: Arc<Mutex<Slot>>,
}

/// What is known of one URI.
#[derive(Default)]
struct Slot {
    set: Option<Arc<JwkSet>>,
    fetched: Timestamp,
    fresh_until: Timestamp,
    refetched: Option<Timestamp>,
    failed: Option<(Timestamp, Fault)>,
    flight: Option<Flight>,
}

type Flight = Shared<BoxFuture<'static, Result<Arc<JwkSet>, Fault>>>;

impl RemoteKeys {
    pub fn new(fetch: Fetch, clock: Clock) -> RemoteKeys {
        RemoteKeys(Arc::new(Inner {
            fetch,
            clock,
            inline: Cache::new(MAX_SOURCES),
            slots: Mutex::new(HashMap::new()),
        }))
    }

    /// The party's keys, from memory or fetched.
    pub async fn key_set(&self, of: KeysOf<'_>) -> Result<Arc<JwkSet>, Fault> {
        match of {
            KeysOf::Inline(value) => self.0.inline(value),
            KeysOf::Uri(uri) => self.0.remembered(uri, false).await,
        }
    }

    /// The party's keys, fetched again if that is allowed now: for a token whose key was not in the set.
    /// [`Fault::UnknownKey`] if nothing newer may be had.
    pub async fn newer_key_set(&self, of: KeysOf<'_>) -> Result<Arc<JwkSet>, Fault> {
        match of {
            KeysOf::Inline(_) => Err(Fault::UnknownKey),
            KeysOf::Uri(uri) => self.0.remembered(uri, true).await,
        }
    }

    /// The party's key to encrypt to with `alg` ([`JwkSet::encryption_key`]). If its set has none, it is fetched again, as
    /// seldom as that is allowed.
    pub async fn encryption_key(&self, of: KeysOf<'_>, alg: JweAlg) -> Result<EncryptionKey, Fault> {
        if let Some(key) = self.key_set(of).await?.encryption_key(alg) {
            return Ok(key.clone());
        }
        self.newer_key_set(of).await?.encryption_key(alg).cloned().ok_or(Fault::UnknownKey)
    }

    /// Verifies `token` with the party's keys. If none fits (or, for a token that names no key, none verifies) they are
    /// fetched again, as seldom as that is allowed.
    pub async fn verify(&self, token: &str, of: KeysOf<'_>, rules: &Rules<'_>) -> Result<Verified, Fault> {
        // What is malformed must not cost a fetch.
        let nameless = Jws::parse(token)?.header().kid.is_none();
        let set = self.key_set(of).await?;
        let fault = match verify(token, &KeySource::Set(&set), rules) {
            Err(fault @ Fault::UnknownKey) => fault,
            Err(fault @ Fault::Signature) if nameless => fault,
            other => return other,
        };
        match self.newer_key_set(of).await {
            Ok(newer) => verify(token, &KeySource::Set(&newer), rules),
            Err(Fault::UnknownKey) => Err(fault),
            Err(unavailable) => Err(unavailable),
        }
    }
}

impl Inner {
    fn inline(&self, value: &Value) -> Result<Arc<JwkSet>, Fault> {
        let digest = sha256(value.to_string().as_bytes());
        if let Some(set) = self.inline.get(&digest) {
            return Ok(set);
        }
        let set = Arc::new(JwkSet::from_value(value)?);
        self.inline.insert(digest, set.clone());
        Ok(set)
    }

    async fn remembered(&self, uri: &str, newer: bool) -> Result<Arc<JwkSet>, Fault> {
        let slot = self.slot(uri);
        let flight = {
            let mut known = slot.lock();
            match known.answer(self.clock.now(), newer) {
                Some(answer) => return answer,
                None => match &known.flight {
                    Some(flight) => flight.clone(),
                    None => {
                        let flight = self.flight(uri, Arc::downgrade(&slot));
                        known.flight = Some(flight.clone());
                        flight
                    }
                },
            }
        };
        let fetched = flight.await;
        match fetched {
            // Keys that were good a moment ago are better than none, unless newer ones were the point.
            Err(fault) if !newer => slot.lock().usable(self.clock.now()).ok_or(fault),
            other => other,
        }
    }

    /// The slot of `uri`, made if it is new; the least recently used one makes room.
    fn slot(&self, uri: &str) -> Arc<Mutex<Slot>> {
        let now = self.clock.now();
        let mut slots = self.slots.lock();
        if let Some(remembered) = slots.get_mut(uri) {
            remembered.used = now;
            return remembered.slot.clone();
        }
        if slots.len() >= MAX_SOURCES {
            let oldest =
                slots.iter().min_by_key(|(_, remembered)| remembered.used).map(|(uri, _)| uri.clone());
            if let Some(oldest) = oldest {
                slots.remove(&oldest);
            }
        }
        let slot = Arc::new(Mutex::new(Slot::default()));
        slots.insert(uri.to_owned(), Remembered { used: now, slot: slot.clone() });
        slot
    }

    /// A fetch that many can wait for. It writes down its own result, so that it counts even if they all went away:
    /// the next who asks carries it on.
    fn flight(&self, uri: &str, slot: Weak<Mutex<Slot>>) -> Flight {
        let (fetch, clock, uri) = (self.fetch.clone(), self.clock.clone(), uri.to_owned());
        async move {
            let fetched = fetch.get(&uri, "application/jwk-set+json, application/json", MAX_SET).await;
            let result = fetched.map_err(Fault::from).and_then(|fetched| read(&fetched));
            if let Some(slot) = slot.upgrade() {
                slot.lock().landed(&result, clock.now());
            }
            result.map(|(set, _)| set)
        }
        .boxed()
        .shared()
    }
}

impl Slot {
    /// What can be said without fetching; `None`: fetch, or join the fetch that is under way.
    fn answer(&mut self, now: Timestamp, newer: bool) -> Option<Result<Arc<JwkSet>, Fault>> {
        if !newer
            && now < self.fresh_until
            && let Some(set) = &self.set
        {
            return Some(Ok(set.clone()));
        }
        if self.flight.is_some() {
            return None;
        }
        if let Some((at, fault)) = &self.failed
            && now < at.plus(FAILURE_GAP)
        {
            let fault = fault.clone();
            return Some(if newer { Err(fault) } else { self.usable(now).ok_or(fault) });
        }
        if newer && self.set.is_some() {
            if self.refetched.is_some_and(|at| now < at.plus(REFETCH_GAP)) {
                return Some(Err(Fault::UnknownKey));
            }
            self.refetched = Some(now);
        }
        None
    }

    fn usable(&self, now: Timestamp) -> Option<Arc<JwkSet>> {
        self.set.clone().filter(|_| now < self.fetched.plus(STALE_MOST))
    }

    fn landed(&mut self, result: &Result<(Arc<JwkSet>, Option<Duration>), Fault>, now: Timestamp) {
        self.flight = None;
        match result {
            Ok((set, max_age)) => {
                let fresh = max_age.map_or(FRESH_UNSAID, |age| age.clamp(FRESH_LEAST, FRESH_MOST));
                self.set = Some(set.clone());
                self.fetched = now;
                self.fresh_until = now.plus(fresh);
                self.failed = None;
            }
            Err(fault) => self.failed = Some((now, fault.clone())),
        }
    }
}

/// The media type is not insisted on: key sets are served as all kinds of JSON.
fn read(fetched: &Fetched) -> Result<(Arc<JwkSet>, Option<Duration>), Fault> {
    if fetched.status != StatusCode::OK {
        return Err(Fault::Unavailable(format!("the server answered {}", fetched.status.as_u16())));
    }
    Ok((Arc::new(JwkSet::parse(&fetched.body)?), fetched.max_age))
}

#[cfg(test)]
mod tests;
