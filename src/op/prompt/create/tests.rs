//! Tests of self-registration.

use crate::base::clock::Timestamp;
use crate::op::fixture::{body, header};
use crate::op::record::code::Code;
use crate::op::record::mark::Mark;
use crate::op::walk::{self, ALICE, Sight, Walk, request};
use crate::store::record::{get, put};
use crate::store::{Durability, Expect};
use http::StatusCode;
use serde_json::json;

const CREATE: &[(&str, &str)] = &[("prompt", "create")];
const CARA: [(&str, &str); 6] = [
    ("username", "Cara"),
    ("name", "Cara <C>"),
    ("email", "cara@people.example"),
    ("password", "a long enough one"),
    ("password-again", "a long enough one"),
    ("action", "create"),
];

async fn walk(more: &str) -> Walk {
    Walk::at(walk::op(&format!("{{ self_registration: {{ enabled: true }}{more} }}")).await)
}

/// CARA's form with some fields changed.
fn form<'a>(changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut all = CARA.to_vec();
    for (name, value) in changes {
        all.retain(|(known, _)| known != name);
        all.push((name, value));
    }
    all
}

async fn subject(walk: &Walk, sight: &Sight) -> String {
    let id = Code::digest_of(sight.answer().get("code"));
    let code = get::<Code>(walk.op.store(), id, walk.op.now()).await.unwrap().unwrap().record;
    code.authorization.subject
}

/// Initiating User Registration via OpenID Connect 1.0 §4.
#[tokio::test]
async fn it_is_off_and_not_advertised_unless_the_operator_turns_it_on() {
    let mut off = Walk::new().await;
    let metadata = body(&off.get("/.well-known/openid-configuration").await);
    assert_eq!(metadata["prompt_values_supported"].as_array().unwrap().len(), 4);
    assert_eq!(off.open(&request(CREATE)).await.answer().error(), "invalid_request");
    let login = off.open(&request(&[])).await;
    assert!(!login.has("create"));
    let forced = off.submit(&login, &[("action", "create")]).await;
    assert!(forced.has("sign-in") && forced.has("problem"), "{forced:?}");
    let mut on = walk("").await;
    let metadata = body(&on.get("/.well-known/openid-configuration").await);
    assert!(metadata["prompt_values_supported"].as_array().unwrap().contains(&json!("create")));
}

#[tokio::test]
async fn a_person_makes_an_account_and_is_signed_in_with_it() {
    let mut walk = walk("").await;
    let page = walk.open(&request(CREATE)).await;
    for part in ["username", "name", "email", "new-password"] {
        assert!(page.html.contains(&format!("autocomplete=\"{part}\"")), "{part}");
    }
    let consent = walk.submit(&page, &CARA).await;
    assert!(consent.has("allow") && consent.html.contains("Cara &lt;C&gt;"), "{consent:?}");
    assert!(walk.allow(&consent).await.answer().has_code());
    let person = walk.op.person("cara", walk.op.now()).await.unwrap().unwrap();
    assert_eq!(
        serde_json::to_value(&*person.claims).unwrap(),
        json!({"name": "Cara <C>", "preferred_username": "cara", "email": "cara@people.example", "email_verified": false})
    );
    // It is an account like any other.
    let mut elsewhere = Walk::at(walk.op.clone());
    assert!(elsewhere.through(&request(&[]), ("cara", "a long enough one")).await.has_code());
}

#[tokio::test]
async fn the_sign_in_page_leads_there_and_back() {
    let mut walk = walk("").await;
    let login = walk.open(&request(&[])).await;
    let page = walk.submit(&login, &[("action", "create")]).await;
    assert!(page.has("password-again"));
    let login = walk.submit(&page, &[("action", "sign-in")]).await;
    let page = walk.submit(&login, &[("action", "create")]).await;
    assert!(page.has("password-again"));
    let login = walk.submit(&page, &[("action", "sign-in")]).await;
    assert!(walk.sign_in(&login, ALICE).await.has("allow"));
    let page = walk.open(&request(CREATE)).await;
    assert!(page.has("password-again"), "also for somebody who is signed in");
    assert_eq!(walk.submit(&page, &[("action", "cancel")]).await.answer().error(), "access_denied");
}

#[tokio::test]
async fn what_does_not_do_is_said_and_nothing_is_made() {
    let mut walk = walk(", passwords: { min_length: 12 }").await;
    let page = walk.open(&request(CREATE)).await;
    let long = "x".repeat(300);
    for (field, value, says) in [
        ("username", "", "cannot be a user name"),
        ("username", "client:x", "cannot be a user name"),
        ("username", "..", "cannot be a user name"),
        ("username", "c ara", "cannot be a user name"),
        // A Cyrillic letter that looks like a Latin one.
        ("username", "c\u{430}ra", "cannot be a user name"),
        ("username", &long, "cannot be a user name"),
        ("username", "ALICE", "has this user name already"),
        ("name", "", "Enter a name"),
        ("name", "\u{202e}", "Enter a name"),
        ("name", &long, "Enter a name"),
        ("email", "cara", "not an e-mail address"),
        ("email", "a@b@c", "not an e-mail address"),
        ("email", "<a@b>", "not an e-mail address"),
        ("email", "a b@c.example", "not an e-mail address"),
        ("password", "eleven byte", "at least 12 characters"),
        ("password-again", "another password", "not the same"),
        ("password-again", "", "not the same"),
    ] {
        let again = walk.submit(&page, &form(&[(field, value)])).await;
        assert!(again.has("problem") && again.html.contains(says), "{field} {value}: {}", again.html);
        assert!(!again.html.contains("a long enough one"), "a password is never shown again");
    }
    assert!(walk.op.person("cara", walk.op.now()).await.unwrap().is_none());
}

#[tokio::test]
async fn an_e_mail_address_links_to_nobody() {
    let mut walk = walk("").await;
    let login = walk.open(&request(&[])).await;
    let consent = walk.sign_in(&login, ALICE).await;
    let allowed = walk.allow(&consent).await;
    let alice = subject(&walk, &allowed).await;
    let mut stranger = Walk::at(walk.op.clone());
    let page = stranger.open(&request(CREATE)).await;
    let consent = stranger.submit(&page, &form(&[("email", "alice@people.example")])).await;
    let allowed = stranger.allow(&consent).await;
    assert_ne!(subject(&walk, &allowed).await, alice);
    // Not even as a user name.
    let page = stranger.open(&request(CREATE)).await;
    let named = [("username", "alice@people.example"), ("email", "alice@people.example")];
    let consent = stranger.submit(&page, &form(&named)).await;
    let allowed = stranger.allow(&consent).await;
    assert_ne!(subject(&walk, &allowed).await, alice);
}

#[tokio::test]
async fn a_name_that_was_marked_is_not_given_away_and_old_sessions_do_not_come_back() {
    let mut walk = walk("").await;
    let page = walk.open(&request(CREATE)).await;
    let mark = Mark { of: Mark::of_account("cara"), dead_since: Timestamp(1), disabled: true };
    let change = vec![put(&mark, Expect::Absent).unwrap()];
    walk.op.store().commit(change, Durability::Durable, walk.op.now()).await.unwrap();
    assert!(walk.submit(&page, &CARA).await.html.contains("has this user name already"));
    let dora = walk.submit(&page, &form(&[("username", "dora")])).await;
    assert!(dora.has("allow"));
    let mark = get::<Mark>(walk.op.store(), Mark::of_account("dora"), walk.op.now()).await.unwrap().unwrap();
    assert_eq!(mark.record.dead_since.0, walk.op.now().0 - 1);
}

#[tokio::test]
async fn one_address_asks_for_so_many_accounts_only() {
    let mut walk = walk(", throttle: { self_registrations: 3 }").await;
    let page = walk.open(&request(CREATE)).await;
    for _ in 0..3 {
        assert!(
            walk.submit(&page, &form(&[("username", "alice")])).await.html.contains("has this user name")
        );
    }
    for name in ["alice", "nobody-yet"] {
        let waits = walk.submit(&page, &form(&[("username", name)])).await;
        assert_eq!(waits.response.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(header(&waits.response, "retry-after"), "900");
        assert!(!waits.html.contains("has this user name"));
    }
}

#[tokio::test]
async fn whoever_the_request_names_signs_in_instead() {
    let mut walk = walk("").await;
    let claims = json!({"id_token": {"sub": {"value": "somebody"}}}).to_string();
    let sight = walk.open(&request(&[("prompt", "create"), ("claims", &claims)])).await;
    assert!(sight.has("sign-in") && !sight.has("password-again"));
}
