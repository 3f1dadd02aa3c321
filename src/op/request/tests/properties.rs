//! Properties: whatever is asked, and in whatever order things happen.

use crate::op::Op;
use crate::op::fixture::{body, header};
use crate::op::response_type::find;
use crate::op::token::fixture::{self as tokens, Unruly, active, give, grant, redeem, refresh, text};
use crate::op::token::mint::FrontGrant;
use crate::op::token::revoke;
use crate::op::walk::{self, ALICE, BOB, CHALLENGE, CLIENT, REDIRECT, Walk, request};
use crate::op::{Settings, fixture};
use futures_util::future::join;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestRunner;
use serde_json::json;
use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use tokio::runtime::{Builder, Runtime};

const OTHER: &str = "https://rp.example/other";

fn runtime() -> Runtime {
    Builder::new_current_thread().build().unwrap()
}

fn cases(cases: u32) -> TestRunner {
    TestRunner::new(ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() })
}

const NAMES: &[&str] = &[
    "client_id",
    "redirect_uri",
    "response_type",
    "response_mode",
    "scope",
    "state",
    "nonce",
    "prompt",
    "max_age",
    "display",
    "ui_locales",
    "claims_locales",
    "id_token_hint",
    "login_hint",
    "acr_values",
    "claims",
    "request",
    "request_uri",
    "registration",
    "resource",
    "code_challenge",
    "code_challenge_method",
    "dpop_jkt",
    "authorization_details",
    "audience",
    "unknown",
];

const VALUES: &[&str] = &[
    CLIENT,
    "app",
    "nobody",
    REDIRECT,
    OTHER,
    "https://evil.example/cb?kept=1",
    "https://rp.example/cb",
    "javascript:alert(1)",
    "code",
    "id_token",
    "token id_token",
    "code token",
    "none",
    "id_token code",
    "query",
    "fragment",
    "form_post",
    "jwt",
    "query.jwt",
    "form_post.jwt",
    "openid",
    "openid profile offline_access",
    "api",
    "login",
    "consent",
    "select_account",
    "create",
    "login consent",
    "none login",
    "0",
    "-1",
    "99999999999999999999",
    "S256",
    "plain",
    CHALLENGE,
    "{}",
    "[]",
    "{\"id_token\":{\"acr\":{\"essential\":true,\"values\":[\"x\"]}}}",
    "x.y.z",
    "e30.e30.",
    "eyJhbGciOiJub25lIn0.eyJyZWRpcmVjdF91cmkiOiJodHRwczovL2V2aWwuZXhhbXBsZS8ifQ.",
    "a.b.c.d.e",
    "urn:ietf:params:oauth:request_uri:x",
    "https://rp.example/request.jwt",
    "https://api.example/",
    "en de",
    "page",
    "%00",
    "\u{202e}",
    "\r\nSet-Cookie: a=b",
    "<script>",
    "",
];

/// Parameters in random number, order and repetition, their values from what means something and what does not; more
/// often than not around a request that is in order.
fn soup() -> impl Strategy<Value = Vec<(String, String)>> {
    let name = prop_oneof![9 => select(NAMES).prop_map(str::to_owned), 1 => ".{0,12}"];
    let value = prop_oneof![9 => select(VALUES).prop_map(str::to_owned), 1 => ".{0,40}"];
    let base = prop_oneof![
        1 => Just(Vec::new()),
        3 => Just(vec![
            ("client_id", CLIENT), ("redirect_uri", REDIRECT), ("response_type", "code"), ("scope", "openid"),
        ]),
    ];
    (base, prop::collection::vec((name, value), 0..8)).prop_map(|(base, more)| {
        let mut all: Vec<(String, String)> = base
            .into_iter()
            .filter(|(name, _)| more.len() < 3 || !more.iter().any(|(known, _)| known == name))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        all.extend(more);
        all
    })
}

/// Classes 1 to 3, 26, 36, 43 and 47 of the attacks.
#[test]
fn whatever_is_asked_the_answer_is_a_page_or_goes_to_a_registered_address() {
    let runtime = runtime();
    let walks = runtime.block_on(async {
        let settings = "
response_types: [code, id_token, token id_token, code id_token, code token, none]
request_object: { unsigned: true }
throttle: { interactions: 1000000 }";
        let op = walk::op(settings).await;
        let types = ["code", "id_token", "id_token token", "code token", "none"];
        walk::client(&op, CLIENT, json!({"response_types": types})).await;
        let mut known = Walk::at(op.clone());
        known.through(&request(&[("scope", "openid profile")]), ALICE).await;
        RefCell::new([Walk::at(op), known])
    });
    let asked = (soup(), any::<bool>(), any::<bool>());
    let result = cases(1_000).run(&asked, |(pairs, signed_in, by_post)| {
        let mut walks = walks.borrow_mut();
        let walk = &mut walks[usize::from(signed_in)];
        let pairs: Vec<(&str, &str)> = pairs.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(&pairs).finish();
        let response = runtime.block_on(async {
            match by_post {
                true => walk.post("/oidcop/authorization", &pairs).await,
                false => walk.get(&format!("/oidcop/authorization?{query}")).await,
            }
        });
        let status = response.status().as_u16();
        prop_assert!([200, 303, 400, 403, 413, 429].contains(&status), "{} {:?}", status, response);
        let location = header(&response, "location");
        let registered = [REDIRECT, OTHER]
            .iter()
            .any(|uri| location.strip_prefix(uri).is_some_and(|rest| rest.starts_with(['?', '&', '#'])));
        let ours = location.starts_with("/oidcop/interaction/");
        prop_assert_eq!(status == 303, registered || ours, "{}", location);
        let html = String::from_utf8(response.body().to_vec()).unwrap();
        prop_assert!(!html.contains("<script>alert") && !html.contains("javascript:alert"));
        for action in html.split("action=\"").skip(1) {
            let there = action.starts_with("https:&#x2f;&#x2f;rp.example&#x2f;");
            prop_assert!(there || action.starts_with("&#x2f;oidcop&#x2f;"), "{}", action);
        }
        Ok(())
    });
    result.unwrap();
}

/// One thing that happens to a person's consent.
#[derive(Clone, Debug)]
enum Visit {
    Asks { scope: BTreeSet<&'static str>, prompt: &'static str, kind: &'static str, allows: bool },
    SignsIn(bool),
    Forgets,
}

fn visit() -> impl Strategy<Value = Visit> {
    let scopes =
        prop::collection::btree_set(select(&["profile", "email", "phone", "api", "api.write"][..]), 0..4);
    let prompt = select(&["", "", "", "none", "login", "consent"][..]);
    let kind = select(&["code", "id_token", "code id_token"][..]);
    prop_oneof![
        8 => (scopes, prompt, kind, any::<bool>())
            .prop_map(|(scope, prompt, kind, allows)| Visit::Asks { scope, prompt, kind, allows }),
        2 => any::<bool>().prop_map(Visit::SignsIn),
        1 => Just(Visit::Forgets),
    ]
}

/// Class 35 of the attacks.
#[test]
fn nothing_is_given_out_that_the_person_did_not_allow() {
    let runtime = runtime();
    let result = cases(48).run(&prop::collection::vec(visit(), 1..14), |visits| {
        runtime.block_on(async {
            let mut walk = Walk::new().await;
            let types = ["code", "id_token", "code id_token"];
            walk::client(&walk.op, CLIENT, json!({"response_types": types})).await;
            let (mut person, mut allowed) = (ALICE, HashMap::<&str, BTreeSet<&str>>::new());
            for visit in visits {
                let (scope, prompt, kind, allows) = match visit {
                    Visit::SignsIn(alice) => {
                        person = if alice { ALICE } else { BOB };
                        walk.cookies.clear();
                        continue;
                    }
                    Visit::Forgets => {
                        walk.cookies.clear();
                        continue;
                    }
                    Visit::Asks { scope, prompt, kind, allows } => (scope, prompt, kind, allows),
                };
                let words = format!("openid {}", scope.iter().copied().collect::<Vec<_>>().join(" "));
                let asked =
                    [("scope", words.trim()), ("prompt", prompt), ("response_type", kind), ("max_age", "")];
                let mut sight = walk.open(&request(&asked)).await;
                if sight.has("sign-in") {
                    sight = walk.sign_in(&sight, person).await;
                }
                let mine = allowed.entry(person.0).or_default();
                let shown = sight.has("allow");
                if shown {
                    let action = if allows { "allow" } else { "deny" };
                    sight = walk.submit(&sight, &[("action", action)]).await;
                    if allows {
                        mine.insert("openid");
                        mine.extend(&scope);
                    }
                }
                let got = sight.answer();
                let given = got.params.contains_key("code") || got.params.contains_key("id_token");
                prop_assert_eq!(given, got.error().is_empty());
                if given {
                    let covered = mine.contains("openid") && scope.is_subset(mine);
                    prop_assert!(covered && (!shown || allows), "{:?} of {:?}", scope, mine);
                    prop_assert!(prompt != "consent" || shown, "prompt=consent asks each time");
                } else {
                    prop_assert!(
                        ["access_denied", "login_required", "consent_required"].contains(&got.error())
                    );
                }
            }
            Ok(())
        })
    });
    result.unwrap();
}

/// One thing that happens to what was given out; numbers pick one of what there is.
#[derive(Clone, Copy, Debug)]
enum Event {
    Authorizes { session: usize, kind: &'static str, offline: bool },
    Redeems(usize),
    RedeemsTwiceAtOnce(usize),
    Refreshes(usize),
    RefreshesTwiceAtOnce(usize),
    Revokes(usize),
    LogsOut(usize),
    Waits(u64),
}

fn event() -> impl Strategy<Value = Event> {
    let kind = select(&["code", "code token", "code id_token token", "token", "id_token"][..]);
    prop_oneof![
        4 => (0..2_usize, kind, any::<bool>())
            .prop_map(|(session, kind, offline)| Event::Authorizes { session, kind, offline }),
        4 => any::<usize>().prop_map(Event::Redeems),
        1 => any::<usize>().prop_map(Event::RedeemsTwiceAtOnce),
        4 => any::<usize>().prop_map(Event::Refreshes),
        1 => any::<usize>().prop_map(Event::RefreshesTwiceAtOnce),
        1 => any::<usize>().prop_map(Event::Revokes),
        1 => (0..2_usize).prop_map(Event::LogsOut),
        2 => select(&[1_u64, 9, 11, 30, 61][..]).prop_map(Event::Waits),
    ]
}

/// What should be true of one authorization.
#[derive(Default)]
struct Family {
    session: usize,
    offline: bool,
    code: Option<String>,
    redeemed: bool,
    issued: u64,
    /// Every refresh token, oldest first.
    refresh: Vec<String>,
    /// When each was rotated away.
    rotated: HashMap<String, u64>,
    /// Access tokens, and whether they are of the session.
    access: Vec<(String, bool)>,
    dead: bool,
}

struct Model {
    op: Op,
    sessions: Vec<(String, bool)>,
    families: Vec<Family>,
}

impl Model {
    async fn new(seed: u64) -> Model {
        let all = "response_types: [code, id_token, token, code token, code id_token token]";
        let settings: Settings = fixture::settings(all);
        let op = Op::open(fixture::kit_over(Unruly::new(seed)), settings).await.unwrap();
        tokens::client(&op, "rp", |_| {}).await;
        let sessions =
            vec![(tokens::session(&op, "diana").await, true), (tokens::session(&op, "diana").await, true)];
        Model { op, sessions, families: Vec::new() }
    }

    fn pick(&self, nth: usize, fits: impl Fn(&Family) -> bool) -> Option<usize> {
        let fitting: Vec<usize> = (0..self.families.len()).filter(|at| fits(&self.families[*at])).collect();
        fitting.get(nth.checked_rem(fitting.len())?).copied()
    }

    async fn apply(&mut self, event: Event) {
        match event {
            Event::Waits(seconds) => tokens::advance(&self.op, seconds),
            Event::LogsOut(at) => {
                revoke::session(&self.op, &self.sessions[at].0, self.op.now()).await.unwrap();
                self.sessions[at].1 = false;
            }
            Event::Authorizes { session, kind, offline } => self.authorize(session, kind, offline).await,
            Event::Redeems(nth) => self.redeem(nth, false).await,
            Event::RedeemsTwiceAtOnce(nth) => self.redeem(nth, true).await,
            Event::Refreshes(nth) => self.refresh(nth, false).await,
            Event::RefreshesTwiceAtOnce(nth) => self.refresh(nth, true).await,
            Event::Revokes(nth) => {
                let Some(at) = self.pick(nth, |family| !family.refresh.is_empty()) else { return };
                let token = self.families[at].refresh[nth % self.families[at].refresh.len()].clone();
                let response = tokens::post(&self.op, "/oidcop/revocation", "rp", &[("token", &token)]).await;
                assert_eq!(response.status(), 200);
                self.families[at].dead = true;
            }
        }
    }

    async fn authorize(&mut self, session: usize, kind: &'static str, offline: bool) {
        let scope = if offline { "openid api offline_access" } else { "openid api" };
        let grant = FrontGrant {
            response_type: find(kind).unwrap(),
            ..grant(&self.op, "rp", &self.sessions[session].0, scope)
        };
        let given = give(&self.op, grant).await;
        assert_eq!(given.is_ok(), self.sessions[session].1, "a session that has ended authorizes nothing");
        let Ok(given) = given else { return };
        let issued = self.op.now().0;
        let access = given.access.into_iter().map(|access| (access.token, true)).collect();
        let code = given.code;
        self.families.push(Family { session, offline, code, issued, access, ..Family::default() });
    }

    async fn redeem(&mut self, nth: usize, twice: bool) {
        let Some(at) = self.pick(nth, |family| family.code.is_some()) else { return };
        let (op, code) = (&self.op, self.families[at].code.clone().unwrap());
        let answers = match twice {
            false => vec![redeem(op, "rp", &code).await],
            true => {
                let both = join(redeem(op, "rp", &code), redeem(op, "rp", &code)).await;
                vec![both.0, both.1]
            }
        };
        let now = self.op.now().0;
        let family = &mut self.families[at];
        let good =
            !family.dead && !family.redeemed && now < family.issued + 60 && self.sessions[family.session].1;
        let won: Vec<_> = answers.iter().filter(|answer| answer.status() == 200).map(body).collect();
        assert_eq!(won.len(), usize::from(good), "one winner, or none");
        for answer in won {
            family.access.push((text(&answer, "access_token").to_owned(), true));
            family.refresh.extend(answer["refresh_token"].as_str().map(str::to_owned));
        }
        // Whoever comes second ends it.
        family.dead |= family.redeemed || (good && twice);
        family.redeemed |= good;
    }

    async fn refresh(&mut self, nth: usize, twice: bool) {
        let Some(at) = self.pick(nth, |family| !family.refresh.is_empty()) else { return };
        let which = nth / 7 % self.families[at].refresh.len();
        let (op, token) = (&self.op, self.families[at].refresh[which].clone());
        let answers = match twice {
            false => vec![refresh(op, "rp", &token).await],
            true => {
                let both = join(refresh(op, "rp", &token), refresh(op, "rp", &token)).await;
                vec![both.0, both.1]
            }
        };
        let now = self.op.now().0;
        let family = &mut self.families[at];
        let (current, last) = (which + 1 == family.refresh.len(), which + 2 == family.refresh.len());
        let in_grace = last && family.rotated.get(&token).is_some_and(|used| now < used + 10);
        let bound = self.sessions[family.session].1;
        let good = !family.dead && (current || in_grace) && (bound || family.offline);
        let won: Vec<_> = answers.iter().filter(|answer| answer.status() == 200).map(body).collect();
        assert_eq!(won.len(), if good { answers.len() } else { 0 }, "{which} of {}", family.refresh.len());
        // However many came: one successor.
        let next: BTreeSet<_> = won.iter().map(|answer| text(answer, "refresh_token").to_owned()).collect();
        assert_eq!(next.len(), usize::from(good));
        family.access.extend(won.iter().map(|answer| (text(answer, "access_token").to_owned(), bound)));
        if good && current {
            family.rotated.insert(token, now);
            family.refresh.extend(next);
        } else if good {
            assert_eq!(next.first(), family.refresh.last(), "a retry gives the same again");
        }
        // One that was rotated away is theft, also where the session has ended meanwhile.
        family.dead |= !current && !in_grace;
    }

    /// No token outlives what it hangs on, and none ends for nothing.
    async fn check(&self) {
        for family in &self.families {
            for (token, bound) in &family.access {
                let lives = !family.dead && (!bound || self.sessions[family.session].1);
                assert_eq!(active(&self.op, token).await, lives);
            }
        }
    }
}

/// Classes 26, 28 and 29 of the attacks.
#[test]
fn in_whatever_order_things_happen_there_is_one_winner_and_no_token_outlives_its_parents() {
    let runtime = runtime();
    let asked = (any::<u64>(), prop::collection::vec(event(), 1..40));
    let result = cases(96).run(&asked, |(seed, events)| {
        runtime.block_on(async {
            let mut model = Model::new(seed).await;
            for event in events {
                model.apply(event).await;
                model.check().await;
            }
        });
        Ok(())
    });
    result.unwrap();
}
