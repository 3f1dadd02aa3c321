//! When a key is made, signs, retires and goes. Pure: notes about keys in, steps to take out. A key is published
//! before it signs, so that nobody meets a token whose key they could not have fetched; it stays published until the
//! last token it signed has expired; then it still verifies hints and offline sessions, unpublished; then it is gone.
//! A key that others encrypt to is published at once, and decrypts for a while after another has taken its place.

use super::alg::Algorithm;
use super::jwe::KeyKind;
use crate::base::clock::Timestamp;
use serde::de::{Deserializer, Error};
use serde::{Deserialize, Serialize, Serializer};
use std::fmt;
use std::time::Duration;

/// What a key is for. The rules go by this: each purpose has its own row of keys.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Purpose {
    Sign(Algorithm),
    /// Others encrypt to it.
    Decrypt(KeyKind),
}

impl Purpose {
    /// The same, perhaps under its algorithm's other name.
    pub fn is(self, other: Purpose) -> bool {
        match (self, other) {
            (Purpose::Sign(one), Purpose::Sign(other)) => one.is(other),
            _ => self == other,
        }
    }

    /// The signature algorithm, or the kind of key. No two are the same.
    pub const fn name(self) -> &'static str {
        match self {
            Purpose::Sign(alg) => alg.name(),
            Purpose::Decrypt(kind) => kind.name(),
        }
    }

    pub fn parse(name: &str) -> Option<Purpose> {
        let kind = || KeyKind::ALL.into_iter().find(|kind| kind.name() == name).map(Purpose::Decrypt);
        Algorithm::parse(name).map(Purpose::Sign).or_else(kind)
    }
}

impl From<Algorithm> for Purpose {
    fn from(alg: Algorithm) -> Purpose {
        Purpose::Sign(alg)
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Purpose {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Purpose {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Purpose, D::Error> {
        let name = String::deserialize(deserializer)?;
        Purpose::parse(&name).ok_or_else(|| D::Error::custom("neither an algorithm nor a kind of key"))
    }
}

/// Where in its life a key is. Ordered as key sets and lists show them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Published, signs.
    Current,
    /// Published, does not sign yet.
    Next,
    /// Published, signs no more; tokens it signed may be alive.
    Retiring,
    /// Not published; old ID tokens still serve as hints.
    VerifyOnly,
}

impl State {
    pub fn is_published(self) -> bool {
        self != State::VerifyOnly
    }
}

/// What the rules need to know of a key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Note {
    pub kid: String,
    pub purpose: Purpose,
    pub state: State,
    pub created: Timestamp,
    /// When it came into its present state.
    pub since: Timestamp,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RotationPolicy {
    /// How long a key signs; zero: until it is rotated by hand.
    pub every: Duration,
    /// How long a key is published before it may be promoted by schedule: longer than anyone caches a key set.
    pub publish_ahead: Duration,
    /// The longest lifetime of a token that is signed: how long a retiring key stays published.
    pub retire_for: Duration,
    /// The longest session or offline lifetime: how long a key verifies after that.
    pub verify_for: Duration,
}

/// One thing to do. Steps are to be taken together, in one commit, in their order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// Make a key for this purpose and put it into the ring in this state.
    Generate(Purpose, State),
    /// Put the key into this state, as of now.
    Move { kid: String, to: State },
    /// Forget the key.
    Drop { kid: String },
}

/// What happens to a key next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// It begins to sign.
    Promotes,
    /// It signs no more, or is no longer encrypted to.
    Retires,
    /// It leaves the published set.
    Withdraws,
    /// It is forgotten.
    Drops,
}

impl Fate {
    pub const fn name(self) -> &'static str {
        match self {
            Fate::Promotes => "promotes",
            Fate::Retires => "retires",
            Fate::Withdraws => "withdraws",
            Fate::Drops => "drops",
        }
    }
}

/// What time has made necessary: missing keys, promotions that are due, keys whose time is over, keys of purposes
/// that are no longer wanted. Empty when there is nothing to do; taking the steps makes it empty.
pub fn due(keys: &[Note], wanted: &[Purpose], policy: &RotationPolicy, now: Timestamp) -> Vec<Step> {
    let mut steps = Vec::new();
    for purpose in wanted {
        let (current, next) = (find(keys, *purpose, State::Current), find(keys, *purpose, State::Next));
        match (purpose, current, next) {
            (Purpose::Decrypt(_), Some(current), _) => {
                if over(current, None, policy).is_some_and(|at| at <= now) {
                    steps.extend(replace(current));
                }
            }
            (Purpose::Decrypt(_), None, _) => steps.push(Step::Generate(*purpose, State::Current)),
            (_, None, None) => {
                steps.push(Step::Generate(*purpose, State::Current));
                steps.push(Step::Generate(*purpose, State::Next));
            }
            // No key to sign with is worse than one that was published too short a time.
            (_, None, Some(next)) => {
                steps.push(Step::Move { kid: next.kid.clone(), to: State::Current });
                steps.push(Step::Generate(*purpose, State::Next));
            }
            (_, Some(_), None) => steps.push(Step::Generate(*purpose, State::Next)),
            (_, Some(current), Some(next)) => {
                if over(current, Some(next), policy).is_some_and(|at| at <= now) {
                    steps.extend(promote(current, next));
                }
            }
        }
    }
    steps.extend(keys.iter().filter_map(|key| aged(key, wanted, policy, now)));
    steps
}

/// `key rotate`: promotes the published next key and makes a new one, now. For a signature algorithm without a next
/// key only that is made: a key is never promoted unpublished. A key to decrypt with is replaced.
pub fn rotate(keys: &[Note], wanted: &[Purpose]) -> Vec<Step> {
    let mut steps = Vec::new();
    for purpose in wanted {
        match (purpose, find(keys, *purpose, State::Current), find(keys, *purpose, State::Next)) {
            (Purpose::Decrypt(_), Some(current), _) => steps.extend(replace(current)),
            (Purpose::Decrypt(_), None, _) => steps.push(Step::Generate(*purpose, State::Current)),
            (_, Some(current), Some(next)) => steps.extend(promote(current, next)),
            (_, None, Some(next)) => {
                steps.push(Step::Move { kid: next.kid.clone(), to: State::Current });
                steps.push(Step::Generate(*purpose, State::Next));
            }
            (_, _, None) => steps.push(Step::Generate(*purpose, State::Next)),
        }
    }
    steps
}

/// `key revoke KID`: the key is compromised. It is forgotten at once, whatever it signed is worthless, and its place is
/// filled. `None` if there is no such key.
pub fn revoke(keys: &[Note], kid: &str) -> Option<Vec<Step>> {
    let revoked = keys.iter().find(|key| key.kid == kid)?;
    let mut steps = vec![Step::Drop { kid: kid.to_owned() }];
    match (revoked.state, revoked.purpose, find(keys, revoked.purpose, State::Next)) {
        (State::Current, Purpose::Decrypt(_), _) => {
            steps.push(Step::Generate(revoked.purpose, State::Current));
        }
        (State::Current, _, Some(next)) => {
            steps.push(Step::Move { kid: next.kid.clone(), to: State::Current });
            steps.push(Step::Generate(revoked.purpose, State::Next));
        }
        (State::Current, _, None) => {
            steps.push(Step::Generate(revoked.purpose, State::Current));
            steps.push(Step::Generate(revoked.purpose, State::Next));
        }
        (State::Next, _, _) => steps.push(Step::Generate(revoked.purpose, State::Next)),
        (State::Retiring | State::VerifyOnly, _, _) => {}
    }
    Some(steps)
}

/// What the timetable holds for a key, and the earliest moment for it. `None`: nothing, until it is rotated by hand.
pub fn outlook(key: &Note, keys: &[Note], policy: &RotationPolicy) -> Option<(Fate, Timestamp)> {
    match key.state {
        State::Current => {
            over(key, find(keys, key.purpose, State::Next), policy).map(|at| (Fate::Retires, at))
        }
        State::Next => match find(keys, key.purpose, State::Current) {
            Some(current) => over(current, Some(key), policy).map(|at| (Fate::Promotes, at)),
            None => Some((Fate::Promotes, key.created)),
        },
        State::Retiring => Some(match key.purpose {
            Purpose::Sign(_) => (Fate::Withdraws, key.since.plus(policy.retire_for)),
            Purpose::Decrypt(_) => (Fate::Drops, key.since.plus(policy.decrypt_for())),
        }),
        State::VerifyOnly => Some((Fate::Drops, key.since.plus(policy.verify_for))),
    }
}

impl RotationPolicy {
    /// How long a key is decrypted with after another took its place: as long as somebody may not have seen that one.
    fn decrypt_for(&self) -> Duration {
        self.publish_ahead.max(self.retire_for)
    }
}

fn find(keys: &[Note], purpose: Purpose, state: State) -> Option<&Note> {
    keys.iter().find(|key| key.purpose.is(purpose) && key.state == state)
}

/// When the time of the current key is over: its own, and not before its successor was published long enough.
fn over(current: &Note, next: Option<&Note>, policy: &RotationPolicy) -> Option<Timestamp> {
    let own = (!policy.every.is_zero()).then(|| current.since.plus(policy.every))?;
    Some(next.map_or(own, |next| own.max(next.created.plus(policy.publish_ahead))))
}

fn promote(current: &Note, next: &Note) -> [Step; 3] {
    [
        Step::Move { kid: current.kid.clone(), to: State::Retiring },
        Step::Move { kid: next.kid.clone(), to: State::Current },
        Step::Generate(next.purpose, State::Next),
    ]
}

/// A key to decrypt with has no next one: nobody has to know it before it is used.
fn replace(current: &Note) -> [Step; 2] {
    [
        Step::Move { kid: current.kid.clone(), to: State::Retiring },
        Step::Generate(current.purpose, State::Current),
    ]
}

/// What has become of a key by its age alone, or because its purpose went.
fn aged(key: &Note, wanted: &[Purpose], policy: &RotationPolicy, now: Timestamp) -> Option<Step> {
    let wanted = wanted.iter().any(|purpose| purpose.is(key.purpose));
    let kid = key.kid.clone();
    match (key.state, key.purpose) {
        (State::Next, _) if !wanted => Some(Step::Drop { kid }),
        (State::Current, _) if !wanted => Some(Step::Move { kid, to: State::Retiring }),
        (State::Retiring, Purpose::Decrypt(_)) => {
            (key.since.plus(policy.decrypt_for()) <= now).then_some(Step::Drop { kid })
        }
        (State::Retiring, _) if key.since.plus(policy.retire_for) <= now => {
            Some(Step::Move { kid, to: State::VerifyOnly })
        }
        (State::VerifyOnly, _) if key.since.plus(policy.verify_for) <= now => Some(Step::Drop { kid }),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
