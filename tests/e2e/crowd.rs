//! Many people at once, and the end of the process in the middle of them.

use crate::harness::party::nonce;
use crate::harness::server::long;
use crate::harness::{Client, House, Party, Person, Server, Tokens};
use crate::walkthrough::ALICE;
use futures_util::FutureExt;
use serde_json::json;
use std::collections::HashSet;
use std::fmt::Write as _;
use std::fs;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

const CROWD: usize = 200;
const SCOPE: &str = "openid profile api offline_access";

/// A quickstart whose user file holds `count` people more, all with the password of the demo person.
fn crowded(count: usize) -> House {
    let house = House::new("quickstart");
    let file = house.path("conf/users.yaml");
    let mut text = fs::read_to_string(&file).unwrap();
    let hash_at = text.find("$argon2id$").expect("an argon2id hash in the demo file");
    let hash: String =
        text[hash_at..].chars().take_while(|c| !c.is_whitespace() && !"\"'}".contains(*c)).collect();
    for number in 0..count {
        write!(
            text,
            "\n  - username: person-{number}\n    password: \"{hash}\"\n    claims: {{ name: Person {number} }}\n"
        )
        .unwrap();
    }
    fs::write(file, text).unwrap();
    house
}

fn person(client: &Client, number: usize) -> Person {
    Person::new(client.fresh(), &format!("person-{number}"), ALICE.1)
}

/// Everything one person does with one client; panics at the first thing that is not as it should be.
async fn whole_flow(client: Client, issuer: String, number: usize) -> String {
    let party = Party::register_at(&client, &issuer, json!({})).await;
    let mut person = person(&client, number);
    let tokens = party.sign_in(&mut person, SCOPE).await;
    let subject = party.userinfo(&tokens.access).await.expect(200).json()["sub"].as_str().unwrap().to_owned();
    let api = format!("{issuer}/api/");
    let who = party.client.get(&api).bearer(&tokens.access).send().await.expect(200);
    assert!(who.text().contains(&subject), "somebody else's request: {}", who.text());
    let next = Tokens::of(&party.refresh(tokens.refresh_token()).await.expect(200));
    assert_eq!(party.introspect(&next.access).await["sub"], subject);
    party.client.get(&api).bearer(&next.access).send().await.expect(200);
    party.revoke(&next.access).await.expect(200);
    party.client.get(&api).bearer(&next.access).send().await.expect(401);
    party.sign_out(&mut person, &tokens, &nonce()).await;
    party.client.get(&api).bearer(&tokens.access).send().await.expect(401);
    subject
}

#[tokio::test(flavor = "multi_thread")]
async fn crowd_of_two_hundred_runs_the_whole_flow_without_an_error() {
    let server = crowded(CROWD).start();
    for _ in 0..if long() { 10 } else { 1 } {
        let flows: Vec<_> = (0..CROWD)
            .map(|number| tokio::spawn(whole_flow(server.client().clone(), server.issuer(), number)))
            .collect();
        let mut subjects = HashSet::new();
        for flow in flows {
            subjects.insert(flow.await.unwrap());
        }
        assert_eq!(subjects.len(), CROWD, "everybody is somebody else");
    }
}

/// What the server has answered for, and must know after any crash.
#[derive(Default)]
struct Acknowledged {
    registered: Vec<Party>,
    consented: Vec<(Party, usize)>,
    /// Refresh tokens that nobody has presented yet.
    held: Vec<(Party, String)>,
    revoked: Vec<(Party, Tokens)>,
}

struct Crash {
    acknowledged: Mutex<Acknowledged>,
    count: watch::Sender<usize>,
    killed: AtomicBool,
}

impl Crash {
    fn note(&self, fact: impl FnOnce(&mut Acknowledged)) {
        fact(&mut self.acknowledged.lock().unwrap());
        self.count.send_modify(|count| *count += 1);
    }

    fn take_held(&self, token: &str) {
        self.acknowledged.lock().unwrap().held.retain(|(_, held)| held != token);
    }

    /// Registers, allows, refreshes and revokes, over and over; ends by a panic when the server is gone.
    async fn work(&self, client: Client, issuer: String, number: usize) {
        loop {
            let party = Party::register_at(&client, &issuer, json!({})).await;
            self.note(|all| all.registered.push(party.clone()));
            let mut person = person(&client, number);
            let plain = party.sign_in(&mut person, "openid api").await;
            self.note(|all| all.consented.push((party.clone(), number)));
            let first = party.sign_in(&mut person, SCOPE).await;
            self.note(|all| all.held.push((party.clone(), first.refresh_token().to_owned())));
            self.take_held(first.refresh_token());
            let next = Tokens::of(&party.refresh(first.refresh_token()).await.expect(200));
            self.note(|all| all.held.push((party.clone(), next.refresh_token().to_owned())));
            party.revoke(&plain.access).await.expect(200);
            self.note(|all| all.revoked.push((party.clone(), plain)));
        }
    }

    /// The work, whose end before the kill is a failure and after it is what is wanted.
    async fn work_until_killed(self: Arc<Self>, client: Client, issuer: String, number: usize) {
        let end = AssertUnwindSafe(self.work(client, issuer, number)).catch_unwind().await;
        if let Err(panic) = end
            && !self.killed.load(Ordering::SeqCst)
        {
            resume_unwind(panic);
        }
    }

    async fn verify(&self, server: &Server) {
        let all = std::mem::take(&mut *self.acknowledged.lock().unwrap());
        assert!(!all.registered.is_empty() && !all.consented.is_empty());
        assert!(!all.held.is_empty() && !all.revoked.is_empty());
        for party in &all.registered {
            let text = |name: &str| party.registered[name].as_str().unwrap().to_owned();
            let read = server.client().get(text("registration_client_uri"));
            let known = read.bearer(&text("registration_access_token")).send().await.expect(200).json();
            assert_eq!(known["client_id"], party.id);
        }
        for (party, token) in &all.held {
            party.refresh(token).await.expect(200);
        }
        for (party, tokens) in &all.revoked {
            server.client().get(server.url("/api/")).bearer(&tokens.access).send().await.expect(401);
            assert_eq!(party.introspect(&tokens.access).await, json!({"active": false}));
        }
        for (party, number) in &all.consented {
            let mut person = person(server.client(), *number);
            let asked = party.ask("openid api", &[]);
            let page = person.visit(&asked.url).await.page();
            // Signed in, and not asked again.
            let answer = person.sign_in(&page).await.elsewhere();
            party.code(&asked, &answer);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn crash_in_the_middle_loses_nothing_acknowledged() {
    const WORKERS: usize = 24;
    let mut server = crowded(WORKERS).start();
    for round in 0..if long() { 25 } else { 2 } {
        let crash = Arc::new(Crash {
            acknowledged: Mutex::default(),
            count: watch::Sender::new(0),
            killed: AtomicBool::new(false),
        });
        let workers: Vec<_> = (0..WORKERS)
            .map(|number| {
                let (client, issuer) = (server.client().clone(), server.issuer());
                tokio::spawn(crash.clone().work_until_killed(client, issuer, number))
            })
            .collect();
        let enough = 150 + 17 * round;
        let mut count = crash.count.subscribe();
        count.wait_for(|count| *count >= enough || workers.iter().any(|w| w.is_finished())).await.unwrap();
        crash.killed.store(true, Ordering::SeqCst);
        server.kill();
        for worker in workers {
            worker.await.unwrap();
        }
        server.begin();
        assert!(!server.printed().contains("walked as a whole"), "it started with a full repair");
        crash.verify(&server).await;
    }
}
