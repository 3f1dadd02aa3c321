//! When a key is made, signs, retires and goes. Pure: notes about keys in, steps to take out. A key is published
//! before it signs, so that nobody meets a token whose key they could not have fetched; it stays published until the
//! last token it signed has expired; then it still verifies hints and offline sessions, unpublished; then it is gone.

use super::alg::Algorithm;
use crate::base::clock::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

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
    pub alg: Algorithm,
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
    /// Make a key for this algorithm and put it into the ring in this state.
    Generate(Algorithm, State),
    /// Put the key into this state, as of now.
    Move { kid: String, to: State },
    /// Forget the key.
    Drop { kid: String },
}

/// What time has made necessary: missing keys, promotions that are due, keys whose time is over, keys of algorithms
/// that are no longer wanted. Empty when there is nothing to do; taking the steps makes it empty.
pub fn due(keys: &[Note], algorithms: &[Algorithm], policy: &RotationPolicy, now: Timestamp) -> Vec<Step> {
    let mut steps = Vec::new();
    for alg in algorithms {
        let (current, next) = (find(keys, *alg, State::Current), find(keys, *alg, State::Next));
        match (current, next) {
            (None, None) => {
                steps.push(Step::Generate(*alg, State::Current));
                steps.push(Step::Generate(*alg, State::Next));
            }
            // No key to sign with is worse than one that was published too short a time.
            (None, Some(next)) => {
                steps.push(Step::Move { kid: next.kid.clone(), to: State::Current });
                steps.push(Step::Generate(*alg, State::Next));
            }
            (Some(_), None) => steps.push(Step::Generate(*alg, State::Next)),
            (Some(current), Some(next)) => {
                let over = !policy.every.is_zero() && current.since.plus(policy.every) <= now;
                if over && next.created.plus(policy.publish_ahead) <= now {
                    steps.extend(promote(current, next));
                }
            }
        }
    }
    steps.extend(keys.iter().filter_map(|key| aged(key, algorithms, policy, now)));
    steps
}

/// `key rotate`: promotes the published next key and makes a new one, now. For an algorithm without a next key only
/// that is made: a key is never promoted unpublished.
pub fn rotate(keys: &[Note], algorithms: &[Algorithm]) -> Vec<Step> {
    let mut steps = Vec::new();
    for alg in algorithms {
        match (find(keys, *alg, State::Current), find(keys, *alg, State::Next)) {
            (Some(current), Some(next)) => steps.extend(promote(current, next)),
            (None, Some(next)) => {
                steps.push(Step::Move { kid: next.kid.clone(), to: State::Current });
                steps.push(Step::Generate(*alg, State::Next));
            }
            (_, None) => steps.push(Step::Generate(*alg, State::Next)),
        }
    }
    steps
}

/// `key revoke KID`: the key is compromised. It is forgotten at once, whatever it signed is worthless, and its place is
/// filled. `None` if there is no such key.
pub fn revoke(keys: &[Note], kid: &str) -> Option<Vec<Step>> {
    let revoked = keys.iter().find(|key| key.kid == kid)?;
    let mut steps = vec![Step::Drop { kid: kid.to_owned() }];
    match (revoked.state, find(keys, revoked.alg, State::Next)) {
        (State::Current, Some(next)) => {
            steps.push(Step::Move { kid: next.kid.clone(), to: State::Current });
            steps.push(Step::Generate(revoked.alg, State::Next));
        }
        (State::Current, None) => {
            steps.push(Step::Generate(revoked.alg, State::Current));
            steps.push(Step::Generate(revoked.alg, State::Next));
        }
        (State::Next, _) => steps.push(Step::Generate(revoked.alg, State::Next)),
        (State::Retiring | State::VerifyOnly, _) => {}
    }
    Some(steps)
}

fn find(keys: &[Note], alg: Algorithm, state: State) -> Option<&Note> {
    keys.iter().find(|key| key.alg.is(alg) && key.state == state)
}

fn promote(current: &Note, next: &Note) -> [Step; 3] {
    [
        Step::Move { kid: current.kid.clone(), to: State::Retiring },
        Step::Move { kid: next.kid.clone(), to: State::Current },
        Step::Generate(next.alg, State::Next),
    ]
}

/// What has become of a key by its age alone, or because its algorithm went.
fn aged(key: &Note, algorithms: &[Algorithm], policy: &RotationPolicy, now: Timestamp) -> Option<Step> {
    let wanted = algorithms.iter().any(|alg| alg.is(key.alg));
    let kid = key.kid.clone();
    match key.state {
        State::Next if !wanted => Some(Step::Drop { kid }),
        State::Current if !wanted => Some(Step::Move { kid, to: State::Retiring }),
        State::Retiring if key.since.plus(policy.retire_for) <= now => {
            Some(Step::Move { kid, to: State::VerifyOnly })
        }
        State::VerifyOnly if key.since.plus(policy.verify_for) <= now => Some(Step::Drop { kid }),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
