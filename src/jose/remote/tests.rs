//! Key sets of other parties: fetched once, again for an unknown key, and not too often.

use super::*;
use crate::jose::alg::Algorithm;
use crate::jose::key::SigningKey;
use serde_json::json;
use std::future::Future;
use std::sync::Mutex as Std;
use std::task::{Context, Poll, Waker};

const URI: &str = "https://rp.example/jwks";

/// A server of key sets that is played by a list, and the requests it got.
#[derive(Clone)]
struct Played {
    fetched: Arc<Std<usize>>,
    answer: Arc<Std<Result<Fetched, crate::base::fetch::Fault>>>,
    clock: Clock,
}

impl Played {
    fn new(keys: &[&SigningKey]) -> (Played, RemoteKeys) {
        let played = Played {
            fetched: Arc::default(),
            answer: Arc::new(Std::new(Ok(serve(keys)))),
            clock: Clock::scripted(Timestamp(1_000_000)),
        };
        let (fetched, answer) = (played.fetched.clone(), played.answer.clone());
        let fetch = Fetch::scripted(move |asked| {
            assert_eq!(asked.max, MAX_SET);
            *fetched.lock().unwrap() += 1;
            answer.lock().unwrap().clone()
        });
        let remote = RemoteKeys::new(fetch, played.clock.clone());
        (played, remote)
    }

    fn fetched(&self) -> usize {
        *self.fetched.lock().unwrap()
    }

    fn answers(&self, keys: &[&SigningKey]) {
        *self.answer.lock().unwrap() = Ok(serve(keys));
    }

    fn fails(&self) {
        *self.answer.lock().unwrap() = Err(crate::base::fetch::Fault::Late);
    }

    fn passes(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

fn serve(keys: &[&SigningKey]) -> Fetched {
    let keys: Vec<_> = keys.iter().map(|key| key.public().to_json()).collect();
    Fetched::ok("application/json", json!({ "keys": keys }).to_string())
}

/// Scripted fetches are never pending.
fn now<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("pending"),
    }
}

fn key() -> SigningKey {
    SigningKey::generate(Algorithm::ES256).unwrap()
}

fn judge(remote: &RemoteKeys, played: &Played, key: &SigningKey) -> Result<(), Fault> {
    let rules = Rules::new(&[Algorithm::ES256], played.clock.now());
    let claims = json!({ "exp": played.clock.now().0 + 60 }).to_string();
    let token = key.sign("JWT", claims.as_bytes()).unwrap();
    now(remote.verify(&token, KeysOf::Uri(URI), &rules)).map(|_| ())
}

#[test]
fn a_set_is_fetched_once_while_it_is_fresh() {
    let (a, b) = (key(), key());
    let (played, remote) = Played::new(&[&a]);
    for _ in 0..3 {
        assert_eq!(judge(&remote, &played, &a), Ok(()));
    }
    assert_eq!(played.fetched(), 1);
    played.passes(FRESH_UNSAID.as_secs());
    played.answers(&[&a, &b]);
    assert_eq!(judge(&remote, &played, &a), Ok(()));
    assert_eq!(played.fetched(), 2);
}

#[test]
fn an_unknown_key_is_fetched_at_once_and_then_seldom() {
    let (a, b, stranger) = (key(), key(), key());
    let (played, remote) = Played::new(&[&a]);
    assert_eq!(judge(&remote, &played, &a), Ok(()));
    // The party rotated right after we met it: the first fetch does not count against it.
    played.answers(&[&b]);
    assert_eq!(judge(&remote, &played, &b), Ok(()));
    assert_eq!(played.fetched(), 2);
    for _ in 0..100 {
        assert_eq!(judge(&remote, &played, &stranger), Err(Fault::UnknownKey));
    }
    assert_eq!(played.fetched(), 2, "a flood of unknown keys costs nothing");
    assert_eq!(judge(&remote, &played, &b), Ok(()), "and hinders nobody");
    played.passes(REFETCH_GAP.as_secs());
    played.answers(&[&stranger]);
    assert_eq!(judge(&remote, &played, &stranger), Ok(()));
    assert_eq!(played.fetched(), 3);
    assert_eq!(judge(&remote, &played, &a), Err(Fault::UnknownKey), "a key that was withdrawn");
}

#[test]
fn a_party_that_names_no_keys_may_rotate_them_too() {
    let (a, b) = (key(), key());
    let (played, remote) = Played::new(&[]);
    let nameless = |key: &SigningKey| {
        let mut members = key.public().to_json();
        members.remove("kid");
        Ok(Fetched::ok("application/json", json!({ "keys": [members] }).to_string()))
    };
    let rules =
        Rules { expiry: crate::jose::Expiry::Ignored, ..Rules::new(&[Algorithm::ES256], Timestamp(0)) };
    let judge = |key: &SigningKey| {
        let token = key.forge(r#"{"alg":"ES256"}"#, "{}");
        now(remote.verify(&token, KeysOf::Uri(URI), &rules)).map(|_| ())
    };
    *played.answer.lock().unwrap() = nameless(&a);
    assert_eq!(judge(&a), Ok(()));
    *played.answer.lock().unwrap() = nameless(&b);
    assert_eq!(judge(&b), Ok(()));
    assert_eq!(judge(&a), Err(Fault::Signature));
    assert_eq!(played.fetched(), 2);
}

#[test]
fn a_failure_is_remembered_for_a_moment_and_known_keys_go_on() {
    let a = key();
    let (played, remote) = Played::new(&[&a]);
    played.fails();
    for _ in 0..5 {
        assert!(matches!(judge(&remote, &played, &a), Err(Fault::Unavailable(_))));
    }
    assert_eq!(played.fetched(), 1);
    played.passes(FAILURE_GAP.as_secs());
    played.answers(&[&a]);
    assert_eq!(judge(&remote, &played, &a), Ok(()));
    played.fails();
    played.passes(FRESH_UNSAID.as_secs());
    assert_eq!(judge(&remote, &played, &a), Ok(()), "stale but known");
    assert_eq!(judge(&remote, &played, &a), Ok(()));
    assert_eq!(played.fetched(), 3);
    played.passes(STALE_MOST.as_secs());
    assert!(judge(&remote, &played, &a).is_err(), "not for ever");
}

#[test]
fn what_is_no_key_set_is_unavailable() {
    let a = key();
    let (played, remote) = Played::new(&[&a]);
    for (status, body) in [(404, "{\"keys\":[]}"), (302, ""), (500, ""), (200, "<html>"), (200, "{}")] {
        let status = StatusCode::from_u16(status).unwrap();
        *played.answer.lock().unwrap() = Ok(Fetched { status, ..Fetched::ok("text/html", body) });
        assert!(judge(&remote, &played, &a).is_err(), "{status} {body}");
        played.passes(FAILURE_GAP.as_secs());
    }
}

#[test]
fn freshness_follows_the_server_within_limits() {
    let a = key();
    let (played, remote) = Played::new(&[&a]);
    let fresh = |seconds| Ok(Fetched { max_age: Some(Duration::from_secs(seconds)), ..serve(&[&a]) });
    *played.answer.lock().unwrap() = fresh(0);
    assert_eq!(judge(&remote, &played, &a), Ok(()));
    played.passes(FRESH_LEAST.as_secs() - 1);
    assert_eq!(judge(&remote, &played, &a), Ok(()));
    assert_eq!(played.fetched(), 1, "never more often than once a minute");
    *played.answer.lock().unwrap() = fresh(1_000_000_000);
    played.passes(1);
    assert_eq!(judge(&remote, &played, &a), Ok(()));
    played.passes(FRESH_MOST.as_secs());
    assert_eq!(judge(&remote, &played, &a), Ok(()));
    assert_eq!(played.fetched(), 3, "never less often than once a day");
}

#[test]
fn a_malformed_token_costs_no_fetch() {
    let (played, remote) = Played::new(&[]);
    let rules = Rules::new(&[Algorithm::ES256], played.clock.now());
    assert!(now(remote.verify("x.y.z", KeysOf::Uri(URI), &rules)).is_err());
    assert_eq!(played.fetched(), 0);
}

#[test]
fn whoever_asks_during_a_fetch_waits_for_that_fetch() {
    type Waiting = std::pin::Pin<Box<dyn Future<Output = Result<Arc<JwkSet>, Fault>> + Send>>;
    let a = key();
    let remote: Arc<Std<Option<RemoteKeys>>> = Arc::default();
    let waiting: Arc<Std<Vec<Waiting>>> = Arc::default();
    let fetched = Arc::new(Std::new(0));
    let (inner, queue, count, answer) = (remote.clone(), waiting.clone(), fetched.clone(), serve(&[&a]));
    let fetch = Fetch::scripted(move |_| {
        *count.lock().unwrap() += 1;
        // Others ask while the fetch is under way: they find it and wait.
        let remote: RemoteKeys = inner.lock().unwrap().clone().unwrap();
        for _ in 0..10 {
            let remote = remote.clone();
            let mut other: Waiting = Box::pin(async move { remote.key_set(KeysOf::Uri(URI)).await });
            assert!(other.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            queue.lock().unwrap().push(other);
        }
        Ok(answer.clone())
    });
    let keys = RemoteKeys::new(fetch, Clock::scripted(Timestamp(5)));
    *remote.lock().unwrap() = Some(keys.clone());
    let first = now(keys.key_set(KeysOf::Uri(URI))).unwrap();
    for other in std::mem::take(&mut *waiting.lock().unwrap()) {
        assert!(Arc::ptr_eq(&first, &now(other).unwrap()));
    }
    assert_eq!(*fetched.lock().unwrap(), 1);
}

#[test]
fn inline_sets_are_parsed_once_and_never_fetched() {
    let (a, b) = (key(), key());
    let (played, remote) = Played::new(&[&b]);
    let value = json!({ "keys": [a.public().to_json()] });
    let first = now(remote.key_set(KeysOf::Inline(&value))).unwrap();
    assert!(Arc::ptr_eq(&first, &now(remote.key_set(KeysOf::Inline(&value))).unwrap()));
    let rules =
        Rules { expiry: crate::jose::Expiry::Ignored, ..Rules::new(&[Algorithm::ES256], Timestamp(0)) };
    let token = a.sign("JWT", b"{}").unwrap();
    assert!(now(remote.verify(&token, KeysOf::Inline(&value), &rules)).is_ok());
    let token = b.sign("JWT", b"{}").unwrap();
    assert_eq!(now(remote.verify(&token, KeysOf::Inline(&value), &rules)), Err(Fault::UnknownKey));
    assert_eq!(played.fetched(), 0);
}

#[test]
fn no_more_uris_are_remembered_than_the_limit() {
    let a = key();
    let (played, remote) = Played::new(&[&a]);
    for n in 0..MAX_SOURCES * 2 {
        let uri = format!("https://rp{n}.example/jwks");
        assert!(now(remote.key_set(KeysOf::Uri(&uri))).is_ok());
        played.passes(1);
    }
    assert_eq!(remote.0.slots.lock().len(), MAX_SOURCES);
    let fetched = played.fetched();
    let last = format!("https://rp{}.example/jwks", MAX_SOURCES * 2 - 1);
    assert!(now(remote.key_set(KeysOf::Uri(&last))).is_ok());
    assert_eq!(played.fetched(), fetched, "the newest is still there");
}
