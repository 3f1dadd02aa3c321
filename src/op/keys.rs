//! The provider's keys, to sign and to decrypt with: kept in the store, sealed; held in memory as one snapshot that is swapped whole. When
//! which key does what is decided in `jose::rotation`; this carries it out, one compare-and-swap at a time.

mod import;

use super::error::Error;
use super::record::key::{Key, RingVersion};
use super::token::life::Parent;
use super::{Fault, Kit, Op, Settings};
use crate::base::clock::Timestamp;
use crate::base::encode::{base64url, from_base64url};
use crate::jose::jwe::{self, Allowed};
use crate::jose::{
    self, KeyKind, KeyRing, Note, OwnKey, Purpose, RingKey, RotationPolicy, State, Step, rotation,
};
use crate::store::record::{self, delete, put};
use crate::store::{Change, Durability, Expect, MAX_PAGE, Range};
use arc_swap::{ArcSwap, Guard};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;

/// What others may encrypt request objects to: for both RSA-OAEPs, and for every ECDH-ES.
const DECRYPTION: [KeyKind; 2] = [KeyKind::Rsa, KeyKind::P256];

/// How often a change of the ring is tried again after another process changed it first.
const ATTEMPTS: usize = 5;

/// The ring in use. Survives a reload.
pub(super) struct Keys {
    ring: ArcSwap<KeyRing>,
    /// The number of the change that made it. Changes are committed in order, but may return in any.
    changes: Mutex<u64>,
}

/// The ring as it is stored: with the version a compare-and-swap needs.
struct Loaded {
    ring: KeyRing,
    records: Vec<record::Stored<Key>>,
    changes: u64,
    version: Option<u64>,
}

impl Keys {
    /// Loads the ring, and makes what is missing.
    pub(super) async fn open(kit: &Kit, settings: &Settings) -> Result<Keys, Fault> {
        let policy = policy(settings);
        let now = kit.clock.now();
        if let Some(file) = &settings.keys.import {
            import::adopt(kit, file, &settings.keys.algorithms, now).await?;
        }
        let wanted = wanted(settings);
        let decide = |notes: &[Note]| Some(rotation::due(notes, &wanted, &policy, now));
        let (ring, changes) = match change(kit, now, decide).await? {
            Some(changed) => changed,
            None => (KeyRing::new(Vec::new())?, 0),
        };
        Ok(Keys { ring: ArcSwap::from_pointee(ring), changes: Mutex::new(changes) })
    }

    /// Puts `ring` into use, unless a later one is: a revoked key must not come back.
    fn install(&self, ring: KeyRing, changes: u64) {
        let mut known = self.changes.lock();
        if changes >= *known {
            *known = changes;
            self.ring.store(Arc::new(ring));
        }
    }

    /// The ring at this moment.
    pub(super) fn ring(&self) -> Guard<Arc<KeyRing>> {
        self.ring.load()
    }
}

impl Op {
    pub(super) fn ring(&self) -> Guard<Arc<KeyRing>> {
        self.shared.keys.ring()
    }

    /// The text in `token`, which somebody encrypted to a key of ours, in any state. Anybody may ask for that, and RSA takes
    /// about a millisecond: it is a worker's business.
    ///
    /// # Errors
    /// `temporarily_unavailable` where the workers are busy; within, as [`jwe::decrypt`].
    pub(super) async fn decrypt(&self, token: &str) -> Result<Result<String, jose::Fault>, Error> {
        let (ring, token) = (Arc::clone(&self.ring()), token.to_owned());
        let opened =
            self.shared.kit.work.run(move || jwe::decrypt(&token, ring.decryption_keys(), Allowed::ALL));
        let text = |opened: jwe::Decrypted| {
            String::from_utf8(opened.payload).map_err(|_| jose::Fault::Malformed("not text"))
        };
        Ok(opened.await?.and_then(text))
    }

    /// What time has made due: promotions, retirements, keys that may go.
    pub(super) async fn tend_keys(&self, now: Timestamp) -> Result<(), Fault> {
        let (policy, wanted) = (policy(&self.settings), wanted(&self.settings));
        if rotation::due(&self.ring().notes(), &wanted, &policy, now).is_empty() {
            return Ok(());
        }
        self.change_ring(now, |notes| Some(rotation::due(notes, &wanted, &policy, now))).await.map(|_| ())
    }

    /// The timetable of our keys.
    pub(super) fn rotation_policy(&self) -> RotationPolicy {
        policy(&self.settings)
    }

    /// `key rotate`: the published next key of `purpose` (of every one, if none is named) takes over now.
    pub(super) async fn rotate_keys(&self, purpose: Option<Purpose>, now: Timestamp) -> Result<(), Fault> {
        let only = purpose.map_or_else(|| wanted(&self.settings), |purpose| vec![purpose]);
        self.change_ring(now, |notes| Some(rotation::rotate(notes, &only))).await.map(|_| ())
    }

    /// `key revoke KID`: the key is compromised. Every token it signed ends before this returns. False: no such key.
    pub(super) async fn revoke_key(&self, kid: &str, now: Timestamp) -> Result<bool, Fault> {
        let known = self.change_ring(now, |notes| rotation::revoke(notes, kid)).await?;
        // After the swap: whoever obtained the key's life before must look at the ring again.
        self.lives().end(&Parent::Key(kid.to_owned())).await;
        Ok(known)
    }

    async fn change_ring(
        &self,
        now: Timestamp,
        steps: impl Fn(&[Note]) -> Option<Vec<Step>> + Send,
    ) -> Result<bool, Fault> {
        match change(&self.shared.kit, now, steps).await? {
            Some((ring, changes)) => {
                self.shared.keys.install(ring, changes);
                Ok(true)
            }
            None => Ok(false),
        }
    }
}

/// What there are keys for.
fn wanted(settings: &Settings) -> Vec<Purpose> {
    let signs = settings.keys.algorithms.iter().copied().map(Purpose::Sign);
    signs.chain(DECRYPTION.map(Purpose::Decrypt)).collect()
}

/// How long what matters for keys lives under `settings`.
fn policy(settings: &Settings) -> RotationPolicy {
    let lifetimes = &settings.lifetimes;
    let resources = settings.resources.iter().filter_map(|resource| resource.lifetime);
    let longest = resources.chain([lifetimes.access_token, lifetimes.id_token]).map(|span| span.0).max();
    RotationPolicy {
        every: settings.keys.rotate_every.0,
        publish_ahead: settings.keys.publish_ahead.0,
        retire_for: longest.unwrap_or(Duration::ZERO),
        verify_for: lifetimes.session.0.max(lifetimes.refresh_token_total.0),
    }
}

/// Takes the steps that `decide` names for the ring as it is stored, and returns the ring that came of it, with its
/// number. `None`: `decide` had nothing to decide about. If another process changes the ring meanwhile, it is looked at again.
async fn change(
    kit: &Kit,
    now: Timestamp,
    decide: impl Fn(&[Note]) -> Option<Vec<Step>> + Send,
) -> Result<Option<(KeyRing, u64)>, Fault> {
    for _ in 0..ATTEMPTS {
        let loaded = load(kit, now).await?;
        let Some(steps) = decide(&loaded.ring.notes()) else { return Ok(None) };
        if steps.is_empty() {
            return Ok(Some((loaded.ring, loaded.changes)));
        }
        let (keys, mut changes) = take(kit, &loaded, steps, now).await?;
        let expect = loaded.version.map_or(Expect::Absent, Expect::Version);
        changes.push(put(&RingVersion { changes: loaded.changes + 1 }, expect)?);
        match kit.store.commit(changes, Durability::Durable, now).await {
            Ok(_) => return Ok(Some((KeyRing::new(keys)?, loaded.changes + 1))),
            Err(fault) if fault.is_conflict() => {}
            Err(fault) => return Err(fault.into()),
        }
    }
    Err(Fault::Store(crate::store::Fault::Overloaded))
}

async fn load(kit: &Kit, now: Timestamp) -> Result<Loaded, Fault> {
    // The version first: whatever is read after it, a change in between is noticed at the commit.
    let version = record::get::<RingVersion>(&*kit.store, RingVersion::ID, now).await?;
    let records = record::list::<Key>(&*kit.store, &Range::Shelf("key"), None, MAX_PAGE, now).await?;
    let mut keys = Vec::new();
    for stored in &records {
        let key = &stored.record;
        let sealed = from_base64url(&key.sealed).unwrap_or_default();
        let der = kit.at_rest.open(key.kid.as_bytes(), &sealed).map_err(|_| {
            Fault::Setting(format!(
                "the key {} does not open: the at-rest key is not the one it was sealed under",
                key.kid
            ))
        })?;
        let own = OwnKey::from_pkcs8(key.purpose, &key.kid, &der)?;
        keys.push(RingKey { key: own, state: key.state, created: key.created, since: key.since });
    }
    let (changes, version) =
        version.map_or((0, None), |stored| (stored.record.changes, Some(stored.version)));
    Ok(Loaded { ring: KeyRing::new(keys)?, records, changes, version })
}

async fn take(
    kit: &Kit,
    loaded: &Loaded,
    steps: Vec<Step>,
    now: Timestamp,
) -> Result<(Vec<RingKey>, Vec<Change>), Fault> {
    let mut keys = loaded.ring.keys().to_vec();
    let mut changes = Vec::new();
    let stored = |kid: &str| loaded.records.iter().find(|stored| stored.record.kid == kid);
    for step in steps {
        match step {
            Step::Generate(purpose, state) => {
                let known = loaded.ring.keys().iter().chain(&keys);
                let taken: Vec<_> = known.map(|key| key.key.kid().to_owned()).collect();
                let made = kit.work.run(move || generate(purpose, &taken)).await;
                let key = made.map_err(|_| Fault::Store(crate::store::Fault::Overloaded))??;
                changes.push(put(&seal(kit, &key, state, now)?, Expect::Absent)?);
                keys.push(RingKey { key, state, created: now, since: now });
            }
            Step::Move { kid, to } => {
                for key in keys.iter_mut().filter(|key| key.key.kid() == kid) {
                    (key.state, key.since) = (to, now);
                }
                if let Some(stored) = stored(&kid) {
                    let moved = Key { state: to, since: now, ..stored.record.clone() };
                    changes.push(put(&moved, Expect::Version(stored.version))?);
                }
            }
            Step::Drop { kid } => {
                keys.retain(|key| key.key.kid() != kid);
                changes.push(delete::<Key>(kid, Expect::Anything));
            }
        }
    }
    Ok((keys, changes))
}

fn seal(kit: &Kit, key: &OwnKey, state: State, now: Timestamp) -> Result<Key, Fault> {
    let kid = key.kid().to_owned();
    let sealed = kit.at_rest.seal(&kit.random, kid.as_bytes(), &key.to_pkcs8()?)?;
    let sealed = base64url(&sealed);
    Ok(Key { kid, purpose: key.purpose(), state, created: now, since: now, sealed })
}

#[cfg(not(test))]
fn generate(purpose: Purpose, _taken: &[String]) -> Result<OwnKey, jose::Fault> {
    OwnKey::generate(purpose)
}

/// Making RSA keys is slow: the providers of the tests share them, though never two in one ring.
#[cfg(test)]
fn generate(purpose: Purpose, taken: &[String]) -> Result<OwnKey, jose::Fault> {
    static MADE: Mutex<Vec<OwnKey>> = Mutex::new(Vec::new());
    let mut made = MADE.lock();
    let fits = |key: &&OwnKey| key.purpose() == purpose && taken.iter().all(|kid| kid != key.kid());
    let spare = made.iter().find(fits).cloned();
    match spare {
        Some(key) => Ok(key),
        None => {
            let key = OwnKey::generate(purpose)?;
            made.push(key.clone());
            Ok(key)
        }
    }
}

#[cfg(test)]
mod tests;
