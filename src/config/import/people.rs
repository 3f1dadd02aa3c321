//! People: passwords from `passwd.json` or a Django dump, claims from `users.json` or the user table, one file of ours.

use super::django::Dump;
use super::draft::Draft;
use super::report::Outcome;
use super::source::{At, Document};
use super::subjects::Public;
use crate::base::secret::Secret;
use crate::op;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

/// What somebody proves themselves with.
#[derive(Clone, Debug, PartialEq)]
pub enum Password {
    Plain(String),
    Hash(String),
}

/// Somebody, as they were.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Person {
    pub password: Option<Password>,
    pub claims: Map<String, Value>,
    /// A subject that follows from nothing.
    pub subject: Option<String>,
    /// Where they were found: file and place.
    pub place: (PathBuf, String),
    /// Where their claims were, if elsewhere.
    pub claims_place: Option<(PathBuf, String)>,
}

/// By the name they typed.
pub type People = BTreeMap<String, Person>;

pub fn translate(draft: &mut Draft<'_>, info: &At<'_>, dump: Option<&Dump>, public: &Public) {
    let mut people = People::new();
    authentication(draft, info, &mut people);
    for file in &draft.options.passwords.clone() {
        passwords_of(draft, None, file, &mut people);
    }
    let map = claims(draft, info, &mut people);
    for file in &draft.options.users.clone() {
        claims_of(draft, None, file, &mut people);
    }
    if let Some(dump) = dump {
        super::django::people(draft, dump, map.as_ref(), public, &mut people);
    }
    if *public == Public::Raw {
        for (uid, person) in &mut people {
            person.subject.get_or_insert_with(|| uid.clone());
        }
    }
    write(draft, people);
}

fn authentication(draft: &mut Draft<'_>, info: &At<'_>, people: &mut People) {
    let mut classes = Vec::new();
    for (_, at) in info.find(&["authentication"]).iter().flat_map(At::children) {
        let class = at.find(&["class"]).and_then(|at| at.text().map(str::to_owned)).unwrap_or_default();
        if class.ends_with("NoAuthn") || class.ends_with("SymKeyAuthn") {
            draft.changed(&at, "lets people in without a password: there is no such way here");
            continue;
        }
        if let Some(acr) = at.find(&["acr"]) {
            draft.taken(&acr, "`op.acr`: a sign-in by password satisfies it");
            classes.push(json!({ "name": acr.text().unwrap_or_default(), "needs": ["pwd"] }));
        }
        let named = at.find(&["kwargs", "db", "kwargs"]);
        let file = named.as_ref().and_then(|at| at.find(&["filename"]).or_else(|| at.find(&["json_path"])));
        if let Some(at) = file {
            let file = draft.beside(at.text().unwrap_or_default());
            passwords_of(draft, Some(&at), &file, people);
        }
        for inline in ["pwd", "db"] {
            let Some(at) = at.find(&["kwargs", inline]).filter(|at| at.get("class").is_none()) else {
                continue;
            };
            passwords_at(draft, &at, people);
        }
    }
    if !classes.is_empty() {
        draft.op.insert("acr".into(), Value::Array(classes));
    }
}

fn passwords_of(draft: &mut Draft<'_>, named: Option<&At<'_>>, file: &Path, people: &mut People) {
    if let Some(document) = beside(draft, named, file) {
        passwords_at(draft, &document.top(), people);
    }
}

fn passwords_at(draft: &mut Draft<'_>, at: &At<'_>, people: &mut People) {
    let Some(members) = at.map() else { return draft.faulty(at, "must be a map from user name to password") };
    for (uid, password) in members {
        let person = people.entry(uid.clone()).or_default();
        person.place = (at.file.to_owned(), uid.clone());
        person.password = password.as_str().map(|plain| Password::Plain(plain.to_owned()));
        if person.password.is_none() {
            draft.report.say(
                at.file,
                uid,
                Outcome::Faulty,
                "the password is no text: nobody signs in with it",
            );
        }
    }
    draft.changed(at, format!("{} passwords: users.yaml holds argon2id hashes of them", members.len()));
}

/// Where claims come from; the map from claim to attribute, if they come from Django.
fn claims(draft: &mut Draft<'_>, info: &At<'_>, people: &mut People) -> Option<HashMap<String, String>> {
    let kwargs = info.find(&["userinfo", "kwargs"])?;
    if let Some(at) = kwargs.find(&["db_file"]) {
        let file = draft.beside(at.text().unwrap_or_default());
        claims_of(draft, Some(&at), &file, people);
    }
    if let Some(at) = kwargs.find(&["db"]) {
        claims_at(draft, &at, people);
    }
    let map = kwargs.find(&["claims_map"])?;
    draft.taken(&map, "these claims are filled from the user table");
    let pairs = map.map()?.iter();
    Some(pairs.filter_map(|(claim, from)| Some((claim.clone(), from.as_str()?.to_owned()))).collect())
}

fn claims_of(draft: &mut Draft<'_>, named: Option<&At<'_>>, file: &Path, people: &mut People) {
    if let Some(document) = beside(draft, named, file) {
        claims_at(draft, &document.top(), people);
    }
}

fn claims_at(draft: &mut Draft<'_>, at: &At<'_>, people: &mut People) {
    let Some(members) = at.map() else { return draft.faulty(at, "must be a map from user name to claims") };
    for (uid, claims) in members {
        let Some(claims) = claims.as_object() else {
            draft.report.say(at.file, uid, Outcome::Faulty, "must be a map of claims");
            continue;
        };
        let person = people.entry(uid.clone()).or_default();
        if person.place.1.is_empty() {
            person.place = (at.file.to_owned(), uid.clone());
        }
        person.claims_place = Some((at.file.to_owned(), uid.clone()));
        person.claims = claims.clone();
    }
    draft.taken(at, format!("the claims of {} people, in users.yaml", members.len()));
}

fn beside(draft: &mut Draft<'_>, named: Option<&At<'_>>, file: &Path) -> Option<Document> {
    match (Document::read(file), named) {
        (Ok(document), Some(at)) => {
            draft.taken(at, format!("read: {}", file.display()));
            Some(document)
        }
        (Ok(document), None) => Some(document),
        (Err(says), Some(at)) => {
            draft.faulty(at, format!("{} {says}", file.display()));
            None
        }
        (Err(says), None) => {
            draft.report.say(file, "", Outcome::Faulty, says);
            None
        }
    }
}

/// The file, with every person who can be taken.
fn write(draft: &mut Draft<'_>, people: People) {
    let (mut entries, mut accounts) = (Vec::new(), HashMap::new());
    for (uid, person) in people {
        let (file, place) = person.place.clone();
        let account = op::account_of(&uid);
        if let Some(other) = accounts.insert(account.clone(), uid.clone()) {
            let says = format!("differs from {other} in case alone, which user names here do not: not taken");
            draft.report.say(&file, &place, Outcome::Faulty, says);
            continue;
        }
        match entry(draft, &uid, &account, person) {
            Ok(entry) => entries.push(Value::Object(entry)),
            Err(says) => draft.report.say(&file, &place, Outcome::Faulty, format!("not taken: {says}")),
        }
    }
    if !entries.is_empty() {
        let text = super::write::yaml("The people of the former provider.", &json!({ "users": entries }));
        let file = draft.file("users.yaml", text);
        draft.op.insert("users_file".into(), file);
    }
}

fn entry(
    draft: &mut Draft<'_>,
    uid: &str,
    account: &str,
    person: Person,
) -> Result<Map<String, Value>, String> {
    let mut entry = Map::new();
    entry.insert("username".into(), uid.into());
    if account != uid {
        // Subjects were made from the name as it was.
        entry.insert("uid".into(), uid.into());
    }
    if let Some(subject) = person.subject {
        entry.insert("subject".into(), subject.into());
    }
    match person.password {
        None => {}
        Some(Password::Hash(hash)) => {
            entry.insert("password".into(), hash.into());
        }
        Some(Password::Plain(plain)) if plain.is_empty() || plain.len() > 1_024 => {
            return Err("a password has 1 to 1024 bytes".into());
        }
        // A dry run need not take so long.
        Some(Password::Plain(_)) if draft.options.dry_run => {}
        Some(Password::Plain(plain)) => {
            let hash =
                op::hash_password(draft.random, &Secret::new(plain)).map_err(|fault| fault.to_string())?;
            entry.insert("password".into(), hash.into());
        }
    }
    let (file, place) = person.claims_place.unwrap_or(person.place);
    let mut claims = Map::new();
    for (name, value) in person.claims {
        let at = format!("{place}.{name}");
        match fitting(&name, value) {
            Ok((value, None)) => {
                claims.insert(name, value);
            }
            Ok((value, Some(says))) => {
                draft.report.say(&file, &at, Outcome::Changed, says);
                claims.insert(name, value);
            }
            Err(says) => draft.report.say(&file, &at, Outcome::Ignored, says),
        }
    }
    if !claims.is_empty() {
        entry.insert("claims".into(), Value::Object(claims));
    }
    match op::user_entry_faults(&entry).into_iter().next() {
        Some((place, says)) => Err(format!("{place} {says}")),
        None => Ok(entry),
    }
}

/// A claim as it may stand in our file, and what was done for it; or why it cannot.
fn fitting(name: &str, value: Value) -> Result<(Value, Option<&'static str>), String> {
    if value.is_null() {
        return Err("is null: left out".into());
    }
    let Some(fault) = op::claim_fault(name, &value) else { return Ok((value, None)) };
    if name == "sub" {
        return Err("was an identifier at home; the provider makes the subject".into());
    }
    let text = match &value {
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.clone()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    };
    let text = text.ok_or_else(|| format!("{fault}: left out"))?;
    let tries =
        [Value::from(text.as_str()), Value::from(text.parse::<u64>().ok()), flag(&text), address(&text)];
    let fits = tries.into_iter().find(|other| !other.is_null() && op::claim_fault(name, other).is_none());
    fits.map(|other| (other, Some("has the type now that OpenID Connect gives it")))
        .ok_or_else(|| format!("{fault}: left out"))
}

fn flag(text: &str) -> Value {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "1" => Value::Bool(true),
        "false" | "no" | "0" => Value::Bool(false),
        _ => Value::Null,
    }
}

/// OpenID Connect Core §5.1.1: an address that was one text is a formatted one.
fn address(text: &str) -> Value {
    json!({ "formatted": text })
}
