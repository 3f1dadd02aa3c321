//! When keys are made, published, promoted and retired.

use super::*;

const HOUR: u64 = 3_600;
const POLICY: RotationPolicy = RotationPolicy {
    every: Duration::from_secs(100 * HOUR),
    publish_ahead: Duration::from_secs(24 * HOUR),
    retire_for: Duration::from_secs(2 * HOUR),
    verify_for: Duration::from_secs(200 * HOUR),
};
const ALGS: &[Algorithm] = &[Algorithm::ES256, Algorithm::RS256];

/// Takes steps as the provider would.
struct Ring {
    keys: Vec<Note>,
    made: usize,
}

impl Ring {
    fn take(&mut self, steps: Vec<Step>, now: Timestamp) {
        for step in steps {
            match step {
                Step::Generate(alg, state) => {
                    self.made += 1;
                    let kid = format!("{alg}-{}", self.made);
                    self.keys.push(Note { kid, alg, state, created: now, since: now });
                }
                Step::Move { kid, to } => {
                    let key = self.keys.iter_mut().find(|key| key.kid == kid).unwrap();
                    (key.state, key.since) = (to, now);
                }
                Step::Drop { kid } => self.keys.retain(|key| key.kid != kid),
            }
        }
    }

    fn count(&self, alg: Algorithm, state: State) -> usize {
        self.keys.iter().filter(|key| key.alg == alg && key.state == state).count()
    }

    fn kid(&self, alg: Algorithm, state: State) -> String {
        find(&self.keys, alg, state).unwrap().kid.clone()
    }
}

fn fresh(now: Timestamp) -> Ring {
    let mut ring = Ring { keys: Vec::new(), made: 0 };
    ring.take(due(&[], ALGS, &POLICY, now), now);
    ring
}

#[test]
fn an_empty_ring_gets_a_current_and_a_next_key_per_algorithm() {
    let ring = fresh(Timestamp(0));
    for alg in ALGS {
        assert_eq!(ring.count(*alg, State::Current), 1);
        assert_eq!(ring.count(*alg, State::Next), 1);
    }
    assert_eq!(due(&ring.keys, ALGS, &POLICY, Timestamp(0)), []);
}

#[test]
fn over_a_year_every_key_goes_through_its_life_in_order() {
    let mut ring = fresh(Timestamp(0));
    let mut seen: std::collections::HashMap<String, Vec<(State, u64)>> = std::collections::HashMap::new();
    for hour in 0..24 * 365 {
        let now = Timestamp(hour * HOUR);
        let steps = due(&ring.keys, ALGS, &POLICY, now);
        ring.take(steps, now);
        assert_eq!(due(&ring.keys, ALGS, &POLICY, now), [], "taking the steps leaves nothing due");
        for alg in ALGS {
            assert_eq!(ring.count(*alg, State::Current), 1);
            assert_eq!(ring.count(*alg, State::Next), 1);
        }
        for key in &ring.keys {
            let states = seen.entry(key.kid.clone()).or_default();
            if states.last().is_none_or(|(state, _)| *state != key.state) {
                states.push((key.state, hour));
            }
        }
        assert!(ring.keys.len() <= 12, "bounded");
    }
    let complete: Vec<_> = seen.values().filter(|states| states.len() == 4).collect();
    assert!(complete.len() > 100);
    for states in complete {
        let [next, current, retiring, verify] = states[..] else { panic!("{states:?}") };
        assert_eq!((next.0, current.0), (State::Next, State::Current));
        assert_eq!((retiring.0, verify.0), (State::Retiring, State::VerifyOnly));
        assert!(current.1 - next.1 >= 24, "published ahead: {states:?}");
        assert_eq!(retiring.1 - current.1, 100);
        assert_eq!(verify.1 - retiring.1, 2);
    }
}

#[test]
fn a_next_key_does_not_sign_before_it_was_published_long_enough() {
    let mut ring = fresh(Timestamp(0));
    let end = Timestamp(100 * HOUR);
    ring.keys.retain(|key| key.state != State::Next);
    let late = Timestamp(99 * HOUR);
    ring.take(due(&ring.keys, ALGS, &POLICY, late), late);
    let next = ring.kid(Algorithm::ES256, State::Next);
    assert_eq!(due(&ring.keys, ALGS, &POLICY, end), []);
    let ripe = late.plus(POLICY.publish_ahead);
    ring.take(due(&ring.keys, ALGS, &POLICY, ripe), ripe);
    assert_eq!(ring.kid(Algorithm::ES256, State::Current), next);
}

#[test]
fn rotating_by_hand_promotes_the_published_next_key() {
    let mut ring = fresh(Timestamp(0));
    let (old, next) = (ring.kid(Algorithm::ES256, State::Current), ring.kid(Algorithm::ES256, State::Next));
    ring.take(rotate(&ring.keys, &[Algorithm::ES256]), Timestamp(5));
    assert_eq!(ring.kid(Algorithm::ES256, State::Current), next);
    assert_eq!(ring.kid(Algorithm::ES256, State::Retiring), old);
    assert_eq!(ring.count(Algorithm::ES256, State::Next), 1);
    assert_eq!(ring.count(Algorithm::RS256, State::Retiring), 0, "the other algorithm is left alone");
}

#[test]
fn a_revoked_key_is_gone_at_once_and_its_place_is_filled() {
    for state in [State::Current, State::Next] {
        let mut ring = fresh(Timestamp(0));
        let kid = ring.kid(Algorithm::ES256, state);
        ring.take(revoke(&ring.keys, &kid).unwrap(), Timestamp(5));
        assert!(ring.keys.iter().all(|key| key.kid != kid));
        assert_eq!(ring.count(Algorithm::ES256, State::Current), 1);
        assert_eq!(ring.count(Algorithm::ES256, State::Next), 1);
    }
    assert_eq!(revoke(&fresh(Timestamp(0)).keys, "another"), None);
}

#[test]
fn keys_of_an_algorithm_that_was_switched_off_retire() {
    let mut ring = fresh(Timestamp(0));
    let only = &[Algorithm::ES256];
    ring.take(due(&ring.keys, only, &POLICY, Timestamp(10)), Timestamp(10));
    assert_eq!(ring.count(Algorithm::RS256, State::Next), 0);
    assert_eq!(ring.count(Algorithm::RS256, State::Current), 0);
    assert_eq!(ring.count(Algorithm::RS256, State::Retiring), 1);
}

#[test]
fn without_a_schedule_only_hands_rotate() {
    let ring = fresh(Timestamp(0));
    let by_hand = RotationPolicy { every: Duration::ZERO, ..POLICY };
    assert_eq!(due(&ring.keys, ALGS, &by_hand, Timestamp(1_000_000 * HOUR)), []);
}
