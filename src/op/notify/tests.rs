//! Tests of back-channel logout.

use super::*;
use crate::base::encode::from_base64url;
use crate::base::fetch::{self, Asked, Fetch, Fetched};
use crate::jose::{Algorithm, KeySource, Rules, Typ, verify};
use crate::op::administer::Command;
use crate::op::fixture::{self, settings};
use crate::op::token::fixture::{restarted, session, unruly_op};
use crate::op::walk::{ALICE, BOB, Walk, client, person, request};
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// The relying parties' end.
#[derive(Clone, Default)]
struct World {
    heard: Arc<Mutex<Vec<Asked>>>,
    /// By what a URL begins with: the status instead of 200, or nobody there.
    moods: Arc<Mutex<Vec<Mood>>>,
}

type Mood = (&'static str, Option<u16>);

impl World {
    fn fetch(&self) -> Fetch {
        let world = self.clone();
        Fetch::scripted(move |asked| {
            let mood =
                world.moods.lock().iter().find(|(url, _)| asked.url.starts_with(url)).map(|(_, mood)| *mood);
            world.heard.lock().push(asked.clone());
            match mood {
                None => Ok(Fetched::ok("text/plain", "")),
                Some(Some(status)) => {
                    Ok(Fetched { status: status.try_into().unwrap(), ..Fetched::ok("text/html", "x") })
                }
                Some(None) => Err(fetch::Fault::Unreachable("scripted".into())),
            }
        })
    }

    /// The URLs that were posted to since the last look, in order.
    fn urls(&self) -> Vec<String> {
        let mut urls: Vec<_> = self.heard.lock().drain(..).map(|asked| asked.url).collect();
        urls.sort();
        urls
    }
}

/// alice, signed in to `one` and `two` that want to be told, and `three` that does not.
async fn signed_in(world: &World, extra: &str) -> Walk {
    let kit = crate::op::Kit { fetch: world.fetch(), ..fixture::kit() };
    let op = Op::open(kit, settings(extra)).await.unwrap();
    person(&op, ALICE, json!({})).await;
    person(&op, BOB, json!({})).await;
    for (id, more) in [
        ("one", json!({"backchannel_logout_uri": "https://one.example/bye?x=1"})),
        (
            "two",
            json!({
                "backchannel_logout_uri": "https://two.example/bye",
                "backchannel_logout_session_required": true,
                "id_token_signed_response_alg": "ES256",
                "subject_type": "pairwise",
            }),
        ),
        ("three", json!({})),
    ] {
        client(&op, id, more).await;
    }
    let mut walk = Walk::at(op);
    for id in ["one", "two", "three"] {
        assert!(walk.through(&request(&[("client_id", id)]), ALICE).await.has_code());
    }
    walk
}

fn sid(walk: &Walk) -> String {
    walk.cookies["__Host-oidcop_session"].split('.').next().unwrap().to_owned()
}

async fn sign_out(walk: &mut Walk) {
    let page = walk.open("/oidcop/session").await;
    let done = walk.submit(&page, &[("action", "sign-out")]).await;
    assert!(done.html.contains("You are signed out"), "{done:?}");
}

/// Everything that is due now.
async fn deliver_all(op: &Op) {
    while op.deliver().await.unwrap() {}
}

fn pass(op: &Op, seconds: u64) {
    op.shared.kit.clock.advance(Duration::from_secs(seconds));
}

async fn left(op: &Op) -> usize {
    let all = Range::Shelf(Notice::SHELF);
    record::list::<Notice>(op.store(), &all, None, MAX_PAGE, op.now()).await.unwrap().len()
}

fn token(asked: &Asked) -> String {
    assert_eq!(asked.content_type.as_deref(), Some("application/x-www-form-urlencoded"));
    let pairs: Vec<_> = form_urlencoded::parse(&asked.body).into_owned().collect();
    assert_eq!(pairs.len(), 1);
    assert_eq!(pairs[0].0, "logout_token");
    pairs[0].1.clone()
}

/// The claims of a logout token, verified as OpenID Connect Back-Channel Logout §2.6 has it.
fn claims(op: &Op, client_id: &str, alg: Algorithm, token: &str) -> Map<String, Value> {
    let ring = op.ring();
    let algorithms = [alg];
    let rules = Rules {
        typ: Typ::Required(&["logout+jwt"]),
        issuer: Some("https://op.example"),
        required: &["iss", "aud", "iat", "exp", "jti", "events", "sub", "sid"],
        ..Rules::new(&algorithms, op.now())
    };
    let claims = verify(token, &KeySource::Ring(&ring), &rules).unwrap().claims;
    assert_eq!(claims["aud"], client_id);
    assert_eq!(claims["events"], json!({"http://schemas.openid.net/event/backchannel-logout": {}}));
    assert!(!claims.contains_key("nonce"));
    let life = claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap();
    assert!(life <= 120, "{life}");
    claims
}

/// OpenID Connect Back-Channel Logout §2.4, §2.5.
#[tokio::test]
async fn a_logout_tells_every_client_of_the_session_that_wants_to_know() {
    let world = World::default();
    let mut walk = signed_in(&world, "{}").await;
    let sid = sid(&walk);
    sign_out(&mut walk).await;
    assert!(world.heard.lock().is_empty(), "the answer waited for nobody");
    deliver_all(&walk.op).await;
    let heard = world.heard.lock().clone();
    assert_eq!(heard.len(), 2);
    for (id, url, alg) in [
        ("one", "https://one.example/bye?x=1", Algorithm::RS256),
        ("two", "https://two.example/bye", Algorithm::ES256),
    ] {
        let asked = heard.iter().find(|asked| asked.url == url).unwrap();
        let claims = claims(&walk.op, id, alg, &token(asked));
        let client = walk.op.client(id, walk.op.now()).await.unwrap().unwrap();
        assert_eq!(claims["sub"], walk.op.subject(&client, "alice").as_str());
        assert_eq!(claims["sid"], sid.as_str());
    }
    assert_eq!((left(&walk.op).await, walk.op.notice_counts()), (0, [2, 0, 0, 0]));
    // A second logout of the same session has nothing to tell.
    sign_out_again(&walk.op, &sid).await;
    assert_eq!(left(&walk.op).await, 0);
}

async fn sign_out_again(op: &Op, sid: &str) {
    assert!(crate::op::token::revoke::session(op, sid, op.now()).await.unwrap().is_none());
}

/// OpenID Connect Back-Channel Logout §2.4: not to be taken for an ID token, and an ID token not for one.
#[tokio::test]
async fn a_logout_token_is_no_hint() {
    let world = World::default();
    let mut walk = signed_in(&world, "{}").await;
    sign_out(&mut walk).await;
    deliver_all(&walk.op).await;
    let token = token(&world.heard.lock()[0]);
    let head = from_base64url(token.split('.').next().unwrap()).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&head).unwrap()["typ"], "logout+jwt");
    let hinted = walk.open(&format!("/oidcop/session?id_token_hint={token}")).await;
    assert!(hinted.refuses("is not an ID token of this provider"));
}

#[tokio::test]
async fn a_client_that_is_down_is_told_when_it_is_back_also_by_the_next_process() {
    let world = World::default();
    let mut walk = signed_in(&world, "{}").await;
    world.moods.lock().push(("https://two.example/", None));
    sign_out(&mut walk).await;
    deliver_all(&walk.op).await;
    assert_eq!(world.urls(), ["https://one.example/bye?x=1", "https://two.example/bye"]);
    assert_eq!(left(&walk.op).await, 1);
    deliver_all(&walk.op).await;
    assert_eq!(world.urls().len(), 0, "not before its time");
    pass(&walk.op, FIRST_PAUSE);
    deliver_all(&walk.op).await;
    let first = token(&world.heard.lock()[0]);
    assert_eq!(world.urls(), ["https://two.example/bye"]);
    // The process ends; the next one knows of it from the store alone.
    let next = restarted(&walk.op).await;
    world.moods.lock().clear();
    next.tend(next.now(), 10).await.unwrap();
    deliver_all(&next).await;
    assert_eq!(world.urls().len(), 0, "the pause is kept");
    pass(&next, 2 * FIRST_PAUSE);
    deliver_all(&next).await;
    let heard = world.heard.lock().clone();
    assert_eq!(heard.len(), 1);
    let [first, second] = [first, token(&heard[0])].map(|token| {
        let body = from_base64url(token.split('.').nth(1).unwrap()).unwrap();
        serde_json::from_slice::<Value>(&body).unwrap()
    });
    assert_ne!(first["jti"], second["jti"], "minted anew");
    assert_eq!((&first["sid"], &first["sub"]), (&second["sid"], &second["sub"]));
    assert!(first["iat"].as_u64() < second["iat"].as_u64());
    assert_eq!(left(&next).await, 0);
}

/// OpenID Connect Back-Channel Logout §2.8.
#[tokio::test]
async fn what_a_client_answers_decides_whether_it_is_asked_again() {
    for (status, again) in [
        (200, false),
        (204, false),
        (400, false),
        (201, true),
        (302, true),
        (404, true),
        (500, true),
        (501, true),
    ] {
        let world = World::default();
        let mut walk = signed_in(&world, "{}").await;
        world.moods.lock().push(("https://one.example/", Some(status)));
        sign_out(&mut walk).await;
        deliver_all(&walk.op).await;
        assert_eq!(left(&walk.op).await == 1, again, "{status}");
    }
}

#[tokio::test]
async fn a_client_that_never_takes_it_is_given_up() {
    for (extra, retries) in [("{}", 20..40), ("{ logout: { retry_for: 0 } }", 0..1)] {
        let world = World::default();
        let mut walk = signed_in(&world, extra).await;
        world.moods.lock().push(("https://one.example/", None));
        sign_out(&mut walk).await;
        deliver_all(&walk.op).await;
        world.urls();
        let mut tries = 0;
        for _ in 0..2_000 {
            pass(&walk.op, 60);
            deliver_all(&walk.op).await;
            tries += world.urls().len();
        }
        assert!(retries.contains(&tries), "{extra}: {tries}");
        assert_eq!((left(&walk.op).await, walk.op.notice_counts()), (0, [1, 0, 1, 0]), "{extra}");
    }
}

#[tokio::test]
async fn a_client_that_moved_is_told_where_it_is_now_and_one_that_is_gone_is_not() {
    let world = World::default();
    let mut walk = signed_in(&world, "{}").await;
    sign_out(&mut walk).await;
    client(&walk.op, "one", json!({"backchannel_logout_uri": "https://new.example/bye"})).await;
    walk.op.administer(Command::ClientRemove { client_id: "two".into() }).await.unwrap();
    deliver_all(&walk.op).await;
    assert_eq!(world.urls(), ["https://new.example/bye"]);
    assert_eq!(left(&walk.op).await, 0);
}

#[tokio::test]
async fn however_a_session_ends_its_clients_are_told() {
    let name = || "alice".to_owned();
    let commands: [fn(String, String) -> Command; 4] = [
        |_, username| Command::UserDisable { username },
        |_, username| Command::UserPasswd { username, password: "another one entirely".into() },
        |sid, _| Command::SessionEnd { sid: Some(sid), username: None },
        |_, username| Command::SessionEnd { sid: None, username: Some(username) },
    ];
    for command in commands {
        let world = World::default();
        let walk = signed_in(&world, "{}").await;
        let command = command(sid(&walk), name());
        walk.op.administer(command.clone()).await.unwrap();
        deliver_all(&walk.op).await;
        assert_eq!(world.urls().len(), 2, "{command:?}");
    }
    // Somebody else signs in where alice was.
    let world = World::default();
    let mut walk = signed_in(&world, "{}").await;
    let login = walk.open(&request(&[("client_id", "one"), ("prompt", "login")])).await;
    walk.sign_in(&login, BOB).await;
    deliver_all(&walk.op).await;
    assert_eq!(world.urls().len(), 2);
    // A session that was begun after the person's other ones were ended is none of them.
    let mut walk = signed_in(&world, "{}").await;
    pass(&walk.op, 10);
    walk.op.administer(Command::SessionEnd { sid: Some(sid(&walk)), username: None }).await.unwrap();
    walk.through(&request(&[("client_id", "one")]), ALICE).await;
    deliver_all(&walk.op).await;
    assert_eq!(world.urls().len(), 2);
    assert!(walk.open(&request(&[("client_id", "one"), ("prompt", "none")])).await.answer().has_code());
}

#[tokio::test]
async fn clients_that_are_signed_in_to_at_the_same_moment_are_all_told() {
    for seed in 0..5 {
        let (op, _store) = unruly_op(seed).await;
        let sid = session(&op, "alice").await;
        let ids: Vec<_> = (0..20).map(|n| format!("client-{n}")).collect();
        for id in &ids {
            client(&op, id, json!({"backchannel_logout_uri": format!("https://{id}.example/")})).await;
        }
        let stored = record::get::<Session>(op.store(), sid.clone(), op.now()).await.unwrap().unwrap();
        let touched = ids.iter().map(|id| op.touch_session(&stored, Some(id), op.now()));
        for each in futures_util::future::join_all(touched).await {
            each.unwrap();
        }
        crate::op::token::revoke::session(&op, &sid, op.now()).await.unwrap();
        assert_eq!(left(&op).await, 20, "seed {seed}");
    }
}

#[tokio::test]
async fn many_deliverers_deliver_each_notice_once() {
    let world = World::default();
    let walk = signed_in(&world, "{}").await;
    let op = &walk.op;
    for n in 0..40 {
        let session = Session {
            sid: format!("sid-{n}"),
            clients: vec!["one".into(), "two".into(), "three".into()],
            ..record::get::<Session>(op.store(), sid(&walk), op.now()).await.unwrap().unwrap().record
        };
        let change = put(&session, Expect::Absent).unwrap();
        op.store().commit(vec![change], Durability::Durable, op.now()).await.unwrap();
        crate::op::token::revoke::session(op, &session.sid, op.now()).await.unwrap();
        // Whoever reads the store too knows of them twice.
        op.notices().was_read(op.now());
        op.tend_notices(op.now()).await.unwrap();
    }
    futures_util::future::join_all((0..8).map(|_| deliver_all(op))).await;
    deliver_all(op).await;
    assert_eq!(world.urls().len(), 80);
    assert_eq!(left(op).await, 0);
}

#[test]
fn one_client_has_few_deliveries_under_way_and_the_others_have_theirs() {
    let queue = Queue::default();
    let notice = |client: &str, n: u32, due: u64| Notice {
        client_id: client.into(),
        sid: format!("sid-{n}"),
        subject: "s".into(),
        ended: Timestamp(1),
        attempts: 0,
        due: Timestamp(due),
        expires: Timestamp(9_999),
    };
    for n in 0..10 {
        queue.push(&notice("down", n, 5));
    }
    queue.push(&notice("up", 0, 6));
    queue.push(&notice("later", 0, 8));
    let now = Timestamp(7);
    let turns: Vec<_> = std::iter::from_fn(|| queue.turn(now)).collect();
    assert_eq!(turns.len(), 3, "two of one, one of the other, none that is not due");
    drop(turns);
    assert!(queue.turn(now).is_some());
    // A crowd that waits for long does not keep out what is due soon.
    for n in 0..10_000 {
        queue.push(&notice("down", n, 500));
    }
    queue.was_read(Timestamp(1_000));
    queue.push(&notice("new", 1, 1));
    assert_eq!(queue.turn(now).map(|turn| turn.id.clone()), Some(Notice::id_of("sid-1", "new")));
    assert!(queue.is_to_be_read(Timestamp(500)), "what had no room is read again in time");
}
