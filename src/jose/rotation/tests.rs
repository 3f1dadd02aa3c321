//! When keys are made, published, promoted and retired.

use super::*;

const HOUR: u64 = 3_600;
const POLICY: RotationPolicy = RotationPolicy {
    every: Duration::from_secs(100 * HOUR),
    publish_ahead: Duration::from_secs(24 * HOUR),
    retire_for: Duration::from_secs(2 * HOUR),
    verify_for: Duration::from_secs(200 * HOUR),
};
const ES256: Purpose = Purpose::Sign(Algorithm::ES256);
const RS256: Purpose = Purpose::Sign(Algorithm::RS256);
const P256: Purpose = Purpose::Decrypt(KeyKind::P256);
const ALGS: &[Purpose] = &[ES256, RS256];

/// Takes steps as the provider would.
struct Ring {
    keys: Vec<Note>,
    made: usize,
}

impl Ring {
    fn take(&mut self, steps: Vec<Step>, now: Timestamp) {
        for step in steps {
            match step {
                Step::Generate(purpose, state) => {
                    self.made += 1;
                    let kid = format!("{purpose}-{}", self.made);
                    self.keys.push(Note { kid, purpose, state, created: now, since: now });
                }
                Step::Move { kid, to } => {
                    let key = self.keys.iter_mut().find(|key| key.kid == kid).unwrap();
                    (key.state, key.since) = (to, now);
                }
                Step::Drop { kid } => self.keys.retain(|key| key.kid != kid),
            }
        }
    }

    fn count(&self, purpose: Purpose, state: State) -> usize {
        self.keys.iter().filter(|key| key.purpose == purpose && key.state == state).count()
    }

    fn kid(&self, purpose: Purpose, state: State) -> String {
        find(&self.keys, purpose, state).unwrap().kid.clone()
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
    let next = ring.kid(ES256, State::Next);
    assert_eq!(due(&ring.keys, ALGS, &POLICY, end), []);
    let ripe = late.plus(POLICY.publish_ahead);
    ring.take(due(&ring.keys, ALGS, &POLICY, ripe), ripe);
    assert_eq!(ring.kid(ES256, State::Current), next);
}

#[test]
fn rotating_by_hand_promotes_the_published_next_key() {
    let mut ring = fresh(Timestamp(0));
    let (old, next) = (ring.kid(ES256, State::Current), ring.kid(ES256, State::Next));
    ring.take(rotate(&ring.keys, &[ES256]), Timestamp(5));
    assert_eq!(ring.kid(ES256, State::Current), next);
    assert_eq!(ring.kid(ES256, State::Retiring), old);
    assert_eq!(ring.count(ES256, State::Next), 1);
    assert_eq!(ring.count(RS256, State::Retiring), 0, "the other algorithm is left alone");
}

#[test]
fn a_revoked_key_is_gone_at_once_and_its_place_is_filled() {
    for state in [State::Current, State::Next] {
        let mut ring = fresh(Timestamp(0));
        let kid = ring.kid(ES256, state);
        ring.take(revoke(&ring.keys, &kid).unwrap(), Timestamp(5));
        assert!(ring.keys.iter().all(|key| key.kid != kid));
        assert_eq!(ring.count(ES256, State::Current), 1);
        assert_eq!(ring.count(ES256, State::Next), 1);
    }
    assert_eq!(revoke(&fresh(Timestamp(0)).keys, "another"), None);
}

#[test]
fn keys_of_an_algorithm_that_was_switched_off_retire() {
    let mut ring = fresh(Timestamp(0));
    let only = &[ES256];
    ring.take(due(&ring.keys, only, &POLICY, Timestamp(10)), Timestamp(10));
    assert_eq!(ring.count(RS256, State::Next), 0);
    assert_eq!(ring.count(RS256, State::Current), 0);
    assert_eq!(ring.count(RS256, State::Retiring), 1);
}

#[test]
fn without_a_schedule_only_hands_rotate() {
    let ring = fresh(Timestamp(0));
    let by_hand = RotationPolicy { every: Duration::ZERO, ..POLICY };
    assert_eq!(due(&ring.keys, ALGS, &by_hand, Timestamp(1_000_000 * HOUR)), []);
}

#[test]
fn a_key_that_is_encrypted_to_is_replaced_at_once_and_decrypts_a_while_longer() {
    let mut ring = Ring { keys: Vec::new(), made: 0 };
    ring.take(due(&[], &[P256], &POLICY, Timestamp(0)), Timestamp(0));
    let first = ring.kid(P256, State::Current);
    assert_eq!(ring.keys.len(), 1, "no next one");
    let end = Timestamp(100 * HOUR);
    ring.take(due(&ring.keys, &[P256], &POLICY, end), end);
    assert_eq!(ring.kid(P256, State::Retiring), first);
    assert_eq!(ring.count(P256, State::Current), 1);
    // As long as a published set may be remembered, which is longer than a token lives here.
    let gone = end.plus(POLICY.publish_ahead);
    assert_eq!(due(&ring.keys, &[P256], &POLICY, Timestamp(gone.0 - 1)), []);
    ring.take(due(&ring.keys, &[P256], &POLICY, gone), gone);
    assert!(ring.keys.iter().all(|key| key.kid != first));
    ring.take(rotate(&ring.keys, &[P256]), gone);
    assert_eq!((ring.count(P256, State::Current), ring.count(P256, State::Retiring)), (1, 1));
    let kid = ring.kid(P256, State::Current);
    ring.take(revoke(&ring.keys, &kid).unwrap(), gone);
    assert!(ring.keys.iter().all(|key| key.kid != kid));
    assert_eq!(ring.count(P256, State::Current), 1);
    // Switched off, it decrypts a while longer.
    ring.take(due(&ring.keys, &[], &POLICY, gone), gone);
    assert_eq!((ring.count(P256, State::Current), ring.count(P256, State::Retiring)), (0, 2));
}

#[test]
fn the_outlook_is_what_then_happens() {
    let mut ring = fresh(Timestamp(0));
    ring.take(due(&ring.keys, &[ES256, RS256, P256], &POLICY, Timestamp(0)), Timestamp(0));
    let wanted = [ES256, RS256, P256];
    for hour in 1..24 * 60 {
        let now = Timestamp(hour * HOUR);
        let told: Vec<_> = ring
            .keys
            .iter()
            .map(|key| (key.kid.clone(), key.state, outlook(key, &ring.keys, &POLICY).unwrap()))
            .collect();
        ring.take(due(&ring.keys, &wanted, &POLICY, now), now);
        for (kid, state, (fate, at)) in told {
            let after = ring.keys.iter().find(|key| key.kid == kid).map(|key| key.state);
            if at > now {
                assert_eq!(after, Some(state), "{kid} before its time");
                continue;
            }
            let expected = match fate {
                Fate::Promotes => Some(State::Current),
                Fate::Retires => Some(State::Retiring),
                Fate::Withdraws => Some(State::VerifyOnly),
                Fate::Drops => None,
            };
            assert_eq!(after, expected, "{kid} {fate:?}");
        }
    }
    let by_hand = RotationPolicy { every: Duration::ZERO, ..POLICY };
    let current = find(&ring.keys, ES256, State::Current).unwrap();
    assert_eq!(outlook(current, &ring.keys, &by_hand), None);
}

#[test]
fn purposes_are_told_apart_by_their_names() {
    let all = Algorithm::ALL.map(Purpose::Sign).into_iter().chain(KeyKind::ALL.map(Purpose::Decrypt));
    for purpose in all {
        assert_eq!(Purpose::parse(purpose.name()), Some(purpose));
        let json = serde_json::to_string(&purpose).unwrap();
        assert_eq!(serde_json::from_str::<Purpose>(&json).unwrap(), purpose);
    }
    assert!(serde_json::from_str::<Purpose>("\"none\"").is_err());
}
