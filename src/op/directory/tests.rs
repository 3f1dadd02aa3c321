//! Tests of the directories.

use super::file::parse;
use super::password::{self, NOBODY, fault};
use crate::base::clock::Timestamp;
use crate::base::secret::Secret;
use crate::op::claims::{Disclosure, Place, Wishes};
use crate::op::fixture::{kit, settings};
use crate::op::record::account::Account;
use crate::op::record::mark::Mark;
use crate::op::walk;
use crate::op::{Op, user_file_faults};
use crate::store::record::put;
use crate::store::{Durability, Expect};
use serde_json::{Map, Value, json};

const DEMO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/conf/users.yaml");

async fn demo() -> Op {
    let mut settings = settings("{ scopes: { hobby: { claims: [hobby, sub] } } }");
    settings.users_file = Some(DEMO.into());
    Op::open(kit(), settings).await.unwrap()
}

/// What `scopes` release about `account`.
async fn told(op: &Op, account: &str, scopes: &str) -> Map<String, Value> {
    let scope: Vec<String> = scopes.split(' ').map(str::to_owned).collect();
    let disclosure = Disclosure {
        place: Place::Userinfo,
        client_id: "",
        scope: &scope,
        wishes: &Wishes::new(),
        locales: &[],
    };
    op.tell(account, disclosure, op.now()).await.unwrap()
}

#[tokio::test]
async fn the_demo_people_sign_in_with_the_passwords_their_file_shows() {
    let op = demo().await;
    let text = std::fs::read_to_string(DEMO).unwrap();
    for (name, secret) in [
        ("alice", "correct horse battery staple"),
        ("Tomas", "three blind mice"),
        ("yuki", "rain on the pond"),
    ] {
        assert!(text.contains(secret));
        let person = op.person(name, op.now()).await.unwrap().unwrap();
        let work = &op.shared.kit.work;
        assert!(password::verify(work, Some(&person), Secret::new(secret), 0).await.unwrap(), "{name}");
        assert!(!password::verify(work, Some(&person), Secret::new("wrong"), 0).await.unwrap());
        assert_eq!(fault(person.password.unwrap().expose()), None);
    }
}

#[tokio::test]
async fn the_demo_people_have_every_standard_claim_and_scopes_release_theirs() {
    let op = demo().await;
    for name in ["alice", "tomas", "yuki"] {
        let all = told(&op, name, "openid profile email address phone").await;
        let mut names: Vec<_> = op.claim_names();
        names.retain(|claim| claim != "sub" && claim != "hobby");
        assert_eq!(names.len(), 19);
        for claim in names {
            assert!(all.contains_key(&claim), "{name} has no {claim}");
        }
        assert!(
            all["address"].is_object() && all["email_verified"].is_boolean() && all["updated_at"].is_u64()
        );
    }
    let some = told(&op, "alice", "openid email").await;
    assert_eq!(some.keys().collect::<Vec<_>>(), ["email", "email_verified"]);
    assert!(told(&op, "alice", "openid").await.is_empty());
    assert!(told(&op, "nobody", "profile").await.is_empty());
}

#[tokio::test]
async fn a_scope_of_the_operators_releases_its_claims_but_never_the_subject() {
    let op = demo().await;
    walk::person(&op, ("kim", "pw"), json!({"hobby": "chess", "hobby#de": "Schach", "sub": "kim", "x": 1}))
        .await;
    let claims = told(&op, "kim", "hobby").await;
    assert_eq!(claims.keys().collect::<Vec<_>>(), ["hobby", "hobby#de"]);
}

#[tokio::test]
async fn the_store_goes_before_the_file_and_a_mark_before_both() {
    let op = demo().await;
    let new = Account {
        id: "alice".into(),
        password: password::hash_cheaply("new"),
        created: Timestamp(1),
        ..Account::default()
    };
    let orphan = Account { id: "gone".into(), ..new.clone() };
    let mark = Mark { of: Mark::of_account("alice"), dead_since: Timestamp(1), disabled: true };
    let changes = vec![put(&new, Expect::Absent).unwrap(), put(&orphan, Expect::Absent).unwrap()];
    op.store().commit(changes, Durability::Durable, op.now()).await.unwrap();
    let person = op.person(" ALICE ", op.now()).await.unwrap().unwrap();
    let work = &op.shared.kit.work;
    assert!(password::verify(work, Some(&person), Secret::new("new"), 0).await.unwrap());
    assert_eq!(person.claims["given_name"], "Alice");
    assert!(op.person("gone", op.now()).await.unwrap().is_none(), "a password alone is nobody");
    let change = vec![put(&mark, Expect::Absent).unwrap()];
    op.store().commit(change, Durability::Durable, op.now()).await.unwrap();
    let person = op.person("alice", op.now()).await.unwrap().unwrap();
    assert!(person.disabled);
    assert!(!password::verify(work, Some(&person), Secret::new("new"), 0).await.unwrap());
}

#[tokio::test]
async fn nobody_costs_what_somebody_costs_and_is_never_right() {
    // The stand-in is a hash of the very parameters new hashes have.
    assert_eq!(fault(NOBODY), None);
    let mine = password::hash_with(&Secret::new("x"), &[7; 16]).unwrap();
    let parameters = |hash: &str| hash.split('$').take(4).collect::<Vec<_>>().join("$");
    assert_eq!(parameters(NOBODY), parameters(&mine));
    let work = kit().work;
    assert!(!password::verify(&work, None, Secret::new("x"), 0).await.unwrap());
    let long = Secret::new("x".repeat(password::MAX_PASSWORD + 1));
    assert!(!password::verify(&work, None, long, 0).await.unwrap());
}

#[test]
fn a_user_file_is_strict_and_tells_every_fault_at_its_place() {
    let text = r#"
users:
  - { username: a, passwrd: x }
  - { username: "", password: "$2b$12$abcdefghijklmnopqrstuv" }
  - username: b
    claims: { sub: b, email_verified: "yes", birthdate: 1988, address: { street: x }, updated_at: soon, hobby: [1] }
  - { username: C }
  - { username: c }
  - 7
"#;
    let faults = parse(text).err().unwrap();
    let places: Vec<_> = faults.iter().map(|(place, _)| place.as_str()).collect();
    assert_eq!(
        places,
        [
            "users[0].passwrd",
            "users[1].username",
            "users[1].password",
            "users[2].claims.sub",
            "users[2].claims.email_verified",
            "users[2].claims.birthdate",
            "users[2].claims.address",
            "users[2].claims.updated_at",
            "users[4].username",
            "users[5]",
        ]
    );
    for bad in
        ["", "users: 7", "people: []", "users: []\nmore: 1", "users: [", "users: [{username: a}]\nusers: []"]
    {
        assert!(parse(bad).is_err(), "{bad}");
    }
    for costly in [
        "$argon2id$v=19$m=4194304,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$MAavcwpAHbPoZd9LaFxIZYcR1qbuGrHgBcdh8lCo4eE",
        "$argon2id$v=19$m=19456,t=2000,p=1$c29tZXNhbHRzb21lc2FsdA$MAavcwpAHbPoZd9LaFxIZYcR1qbuGrHgBcdh8lCo4eE",
        "$argon2i$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$MAavcwpAHbPoZd9LaFxIZYcR1qbuGrHgBcdh8lCo4eE",
        "correct horse battery staple",
    ] {
        assert!(fault(costly).is_some(), "{costly}");
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_a_fault_of_the_settings() {
    let mut settings = settings("{}");
    settings.users_file = Some("no/such/file.yaml".into());
    assert_eq!(user_file_faults(&settings).len(), 1);
    assert!(Op::open(kit(), settings).await.is_err());
}

/// `moving house`, as Django hashes it, with few iterations.
const DJANGO: &str = "pbkdf2_sha256$3$Qx7wYfK2mZpL4uTn0aBcDe$fnfl+4V7QwfAHcg0L3lSYYu2QxviMGrHlO0OagDKNFU=";

#[tokio::test]
async fn a_hash_from_django_lets_in_and_is_then_replaced_by_ours() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("users.yaml");
    std::fs::write(&file, format!("users: [{{ username: kim, password: '{DJANGO}' }}, {{ username: no }}]"))
        .unwrap();
    let mut settings = settings("{}");
    settings.users_file = Some(file);
    let op = Op::open(kit(), settings).await.unwrap();
    let kim = || async { op.person("kim", op.now()).await.unwrap().unwrap() };
    let is = async |name: &str, password: &str| {
        let person = op.person(name, op.now()).await.unwrap();
        op.is_password(person.as_ref(), Secret::new(password)).await.unwrap()
    };
    assert!(!is("kim", "moving horse").await);
    assert_eq!(kim().await.password.unwrap().expose(), DJANGO, "a wrong password changes nothing");
    assert!(is("kim", "moving house").await);
    let replaced = kim().await.password.unwrap();
    assert!(replaced.expose().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", replaced.expose());
    assert!(is("kim", "moving house").await);
    assert!(!is("kim", "moving horse").await);
    assert!(!is("no", "moving house").await && !is("nobody", "moving house").await);
}

#[tokio::test]
async fn a_password_that_is_changed_in_the_file_counts_though_the_old_one_was_hashed_anew() {
    const NEW: &str = "a new one";
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("users.yaml");
    let mut settings = settings("{}");
    settings.users_file = Some(file.clone());
    let kit = kit();
    let open = async |hash: &str| {
        let entry = if hash.is_empty() { String::new() } else { format!(", password: '{hash}'") };
        std::fs::write(&file, format!("users: [{{ username: kim{entry} }}]")).unwrap();
        Op::open(kit.clone(), settings.clone()).await.unwrap()
    };
    let is = async |op: &Op, password: &str| {
        let person = op.person("kim", op.now()).await.unwrap();
        op.is_password(person.as_ref(), Secret::new(password)).await.unwrap()
    };
    assert!(is(&open(DJANGO).await, "moving house").await);
    let changed = open(&password::hash_cheaply(NEW)).await;
    assert!(!is(&changed, "moving house").await && is(&changed, NEW).await);
    let none = open("").await;
    assert!(!is(&none, "moving house").await && !is(&none, NEW).await);
    // Another of Django's making is hashed anew in its turn.
    let made = crate::base::secret::pbkdf2_sha256(std::num::NonZeroU32::MIN, b"salt", NEW.as_bytes());
    let again = open(&format!("pbkdf2_sha256$1$salt${}", crate::base::encode::base64(&made))).await;
    assert!(is(&again, NEW).await && is(&again, NEW).await && !is(&again, "moving house").await);
    let hash = again.person("kim", again.now()).await.unwrap().unwrap().password.unwrap();
    assert!(hash.expose().starts_with("$argon2id$"));
    // What the command line sets counts whatever is in the file.
    let command =
        serde_json::json!({ "command": "user-passwd", "username": "kim", "password": "set by hand" });
    again.administer(serde_json::from_value(command).unwrap()).await.unwrap();
    assert!(is(&open(&password::hash_cheaply(NEW)).await, "set by hand").await);
}

#[test]
fn a_hash_from_django_is_checked_when_it_is_read() {
    assert_eq!(fault(DJANGO), None);
    for bad in [
        "pbkdf2_sha256$260000$salt$c2hvcnQ=",
        "pbkdf2_sha256$0$salt$fnfl+4V7QwfAHcg0L3lSYYu2QxviMGrHlO0OagDKNFU=",
        "pbkdf2_sha256$many$salt$fnfl+4V7QwfAHcg0L3lSYYu2QxviMGrHlO0OagDKNFU=",
        "pbkdf2_sha256$260000$$fnfl+4V7QwfAHcg0L3lSYYu2QxviMGrHlO0OagDKNFU=",
        "pbkdf2_sha256$260000$salt",
        "pbkdf2_sha256$99999999$salt$fnfl+4V7QwfAHcg0L3lSYYu2QxviMGrHlO0OagDKNFU=",
        "pbkdf2_sha1$260000$salt$fnfl+4V7QwfAHcg0L3lSYYu2QxviMGrHlO0OagDKNFU=",
        "md5$salt$0123456789abcdef0123456789abcdef",
        "!0sGFmDZVYV4rWJ3ZrBQZ1ZrZrZrZrZrZrZrZrZr",
    ] {
        assert!(fault(bad).is_some(), "{bad}");
    }
}

#[test]
fn who_somebody_was_elsewhere_is_checked() {
    let text = r#"
users:
  - { username: a, uid: A, subject: s1 }
  - { username: b, subject: s1 }
  - { username: c, subject: "client:x" }
  - { username: d, uid: "" }
  - { username: e, subject: 7 }
  - { username: f, uid: a }
  - { username: g, uid: A }
"#;
    let places: Vec<_> = parse(text).err().unwrap().into_iter().map(|(place, _)| place).collect();
    let faults = ["users[1].subject", "users[2].subject", "users[3].uid", "users[4].subject", "users[6].uid"];
    assert_eq!(places, faults);
}
