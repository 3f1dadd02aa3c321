//! What a token says, how long it is used, and the keys that sign it.

use super::*;
use crate::base::clock::Clock;
use crate::base::fetch::Fetch;
use crate::base::random::Random;
use crate::base::secret::AtRestKey;
use crate::base::work::Work;
use crate::jose::{Audience, KeySource, Rules, State, Typ, verify};
use crate::observe::access_log::AccessLog;
use crate::op::Life;
use crate::proxy::identity::Plan;
use crate::proxy::settings::Settings;
use crate::store::memory::Memory;
use serde_json::json;

const START: Timestamp = Timestamp(100);

pub(in crate::proxy::identity) fn facts() -> Facts {
    Facts {
        client_id: "client-1".into(),
        subject: "Grüße 100%".into(),
        account: Some("alice".into()),
        username: Some("alice".into()),
        scope: vec!["api".into(), "read".into()],
        audience: vec![],
        jti: "jti-1".into(),
        family: None,
        sid: Some("sid-1".into()),
        issued: Timestamp(0),
        expires: Timestamp(1_000),
        auth_time: Some(Timestamp(7)),
        acr: None,
        confirmation: Default::default(),
        authorization_details: Vec::new(),
        act: None,
        life: Life::root(),
    }
}

fn kit(clock: &Clock, store: &Arc<Memory>) -> Kit {
    Kit {
        clock: clock.clone(),
        random: Random::system(),
        access_log: AccessLog::off(),
        metrics: Arc::default(),
        store: store.clone(),
        at_rest: AtRestKey::new([7; 32]),
        fetch: Fetch::scripted(|asked| panic!("nobody scripted {}", asked.url)),
        work: Work::scripted(clock.clone()),
        subject_key: [1; 32],
    }
}

struct World {
    clock: Clock,
    store: Arc<Memory>,
    kit: Kit,
    own: Own,
    plan: Plan,
    mint: Mint,
}

fn settings() -> Settings {
    serde_json::from_value(json!({
        "routes": [{ "path": "/", "policy": { "bearer": { "resource": "https://api.example" } },
            "identity_token": { "audience": "https://app.internal" } }],
        "identity": { "issuer": "https://edge.example" },
    }))
    .unwrap()
}

impl World {
    async fn new() -> World {
        let clock = Clock::scripted(START);
        let store = Arc::new(Memory::new());
        let kit = kit(&clock, &store);
        let own = Own::default();
        let settings = settings();
        let plan = Plan::of(&settings);
        own.keys.tend(&kit, &plan).await.unwrap();
        let token = settings.routes[0].identity_token.clone().unwrap();
        let mint = Mint::new(&token, "https://edge.example", "app").unwrap();
        World { clock, store, kit, own, plan, mint }
    }

    async fn value(&self, facts: &Arc<Facts>) -> String {
        self.mint.value(&self.own, &self.kit, facts).await.unwrap().to_str().unwrap().to_owned()
    }

    fn claims(&self, token: &str) -> Map<String, Value> {
        let rules = Rules {
            typ: Typ::Required(&[TYP]),
            issuer: Some("https://edge.example"),
            audience: Audience::Exactly("https://app.internal"),
            ..Rules::new(&[Algorithm::ES256], self.clock.now())
        };
        let ring = self.own.keys.ring().clone().unwrap();
        verify(token, &KeySource::Ring(&ring), &rules).unwrap().claims
    }
}

#[tokio::test]
async fn a_token_says_who_calls_and_verifies_under_the_published_keys() {
    let world = World::new().await;
    let token = world.value(&Arc::new(facts())).await;
    let mut claims = world.claims(&token);
    assert!(claims.remove("jti").is_some());
    assert_eq!(
        Value::Object(claims),
        json!({
            "iss": "https://edge.example", "sub": "Grüße 100%", "aud": "https://app.internal", "iat": 100, "exp": 160,
            "client_id": "client-1", "scope": "api read", "username": "alice", "auth_time": 7, "sid": "sid-1",
        })
    );
    let client = Facts { account: None, username: None, ..facts() };
    let claims = world.claims(&world.value(&Arc::new(client)).await);
    assert!(!claims.contains_key("sub"), "a client that acts for itself is no person");
}

#[tokio::test]
async fn a_token_is_signed_once_until_two_thirds_of_it_are_over() {
    let world = World::new().await;
    let facts = Arc::new(facts());
    let first = world.value(&facts).await;
    world.clock.advance(Duration::from_secs(40));
    assert_eq!(world.value(&facts).await, first);
    world.clock.advance(Duration::from_secs(1));
    let second = world.value(&facts).await;
    assert_ne!(second, first);
    assert_eq!(world.claims(&second)["exp"], 201);
}

#[tokio::test]
async fn a_token_never_outlives_what_the_caller_showed() {
    let world = World::new().await;
    let facts = Arc::new(Facts { expires: Timestamp(110), ..facts() });
    let token = world.value(&facts).await;
    assert_eq!(world.claims(&token)["exp"], 110);
    world.clock.advance(Duration::from_secs(9));
    assert_eq!(world.value(&facts).await, token, "nothing would be gained by another");
}

#[tokio::test]
async fn what_is_known_otherwise_is_signed_otherwise() {
    let world = World::new().await;
    let first = world.value(&Arc::new(facts())).await;
    assert_eq!(world.value(&Arc::new(facts())).await, first, "the same said anew");
    let less = Arc::new(Facts { scope: vec!["read".into()], ..facts() });
    assert_eq!(world.claims(&world.value(&less).await)["scope"], "read");
    let sooner = Arc::new(Facts { expires: Timestamp(120), ..facts() });
    assert_eq!(world.claims(&world.value(&sooner).await)["exp"], 120);
}

#[tokio::test]
async fn a_revoked_key_signs_no_more_and_its_tokens_are_sent_no_more() {
    let world = World::new().await;
    let facts = Arc::new(facts());
    let first = world.value(&facts).await;
    let ring = world.own.keys.ring().clone().unwrap();
    let kid = ring.signer(Algorithm::ES256).unwrap().kid().to_owned();
    assert_eq!(world.own.keys.list(&world.plan)[0]["kid"], kid);
    assert!(!world.own.keys.revoke(&world.kit, "nobody's").await.unwrap());
    assert!(world.own.keys.revoke(&world.kit, &kid).await.unwrap());
    let second = world.value(&facts).await;
    assert_ne!(second, first);
    world.claims(&second);
    assert!(world.own.keys.ring().as_ref().unwrap().verify_key(&kid).is_none());
}

#[tokio::test]
async fn keys_outlive_the_process_and_are_published_before_they_sign() {
    let world = World::new().await;
    let kids = |own: &Own| {
        let ring = own.keys.ring().clone().unwrap();
        ring.keys().iter().map(|key| (key.key.kid().to_owned(), key.state)).collect::<Vec<_>>()
    };
    let before = kids(&world.own);
    assert_eq!(before.iter().map(|(_, state)| *state).collect::<Vec<_>>(), [State::Current, State::Next]);
    let again = Own::default();
    again.keys.tend(&world.kit, &world.plan).await.unwrap();
    assert_eq!(kids(&again), before);
    let next = before[1].0.clone();
    let text = String::from_utf8(again.keys.ring().as_ref().unwrap().jwks().to_vec()).unwrap();
    assert!(text.contains(&next) && !text.contains("\"d\""), "{text}");
    world.clock.advance(Duration::from_secs(91 * 86_400));
    again.keys.tend(&world.kit, &world.plan).await.unwrap();
    assert_eq!(kids(&again)[0], (next, State::Current));
    let other = Kit { at_rest: AtRestKey::new([8; 32]), ..kit(&world.clock, &world.store) };
    let said = Own::default().keys.tend(&other, &world.plan).await.unwrap_err();
    assert!(said.contains("does not open"), "{said}");
}
