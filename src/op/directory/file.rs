//! The people of `users_file`: read once, never written. The file is strict: what it says beyond the form is a fault.

use super::django::Pbkdf2;
use super::{Directory, Elsewhere, Entry, MAX_USERNAME, account_of, claims, password};
use crate::base::clock::Timestamp;
use crate::base::secret::Secret;
use crate::op::clients::{SeedFault, read};
use crate::op::error::Result;
use crate::op::settings::Settings;
use async_trait::async_trait;
use serde_json::{Map, Value};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

const MAX_PEOPLE: usize = 100_000;
const MEMBERS: [&str; 5] = ["username", "password", "claims", "uid", "subject"];

/// By account.
#[derive(Default)]
pub struct Seeds {
    people: HashMap<String, Entry>,
    /// Those whose entry says something of another provider.
    pub(super) elsewhere: HashMap<String, Elsewhere>,
}

/// Where in the file, and what is wrong there.
type Faults = Vec<(String, String)>;

/// Everything that is wrong with the user file `settings` name. For `check`.
pub fn faults(settings: &Settings) -> Vec<SeedFault> {
    Seeds::load(settings).err().unwrap_or_default()
}

impl Seeds {
    pub fn load(settings: &Settings) -> std::result::Result<Seeds, Vec<SeedFault>> {
        let Some(file) = &settings.users_file else { return Ok(Seeds::default()) };
        let fault = |path: String, message: String| SeedFault { file: file.clone(), path, message };
        let text = read(file).map_err(|message| vec![fault(String::new(), message)])?;
        let parsed = parse(&text);
        parsed.map_err(|faults| faults.into_iter().map(|(path, message)| fault(path, message)).collect())
    }

    /// The most PBKDF2 iterations any password takes; 0 if all are ours.
    pub(super) fn iterations(&self) -> u32 {
        let passwords = self.people.values().filter_map(|entry| entry.password.as_ref());
        let django = passwords.filter_map(|hash| Pbkdf2::parse(hash.expose()));
        django.map(|hash| hash.iterations.get()).max().unwrap_or(0)
    }
}

/// What is wrong with one entry, at its place below it.
pub fn entry_faults(entry: &Map<String, Value>) -> Vec<(String, String)> {
    let mut faults = Faults::new();
    person("", entry, &mut faults);
    elsewhere("", entry, &mut faults);
    faults
}

/// `users:` is a list; each entry has a `username`, a `password` (argon2id, PHC; or PBKDF2 as Django writes it),
/// `claims`, and what another provider knew somebody by: `uid`, `subject`.
pub(super) fn parse(text: &str) -> std::result::Result<Seeds, Faults> {
    let whole = |message: String| vec![(String::new(), message)];
    // By way of YAML's own value: it refuses a key that stands twice.
    let document: serde_yaml::Value = serde_yaml::from_str(text).map_err(|error| whole(error.to_string()))?;
    let document = serde_json::to_value(document).map_err(|error| whole(error.to_string()))?;
    let list = match document.as_object().filter(|map| map.len() == 1).and_then(|map| map.get("users")) {
        Some(Value::Array(list)) => list,
        _ => return Err(whole("must have one member, users: a list".into())),
    };
    if list.len() > MAX_PEOPLE {
        return Err(whole(format!("holds more than {MAX_PEOPLE} people")));
    }
    let (mut seeds, mut faults, mut subjects) = (Seeds::default(), Faults::new(), HashSet::new());
    let mut names = HashSet::new();
    for (at, entry) in list.iter().enumerate() {
        let place = format!("users[{at}]");
        let before = faults.len();
        let Some(members) = entry.as_object() else {
            faults.push((place, "must be a map".into()));
            continue;
        };
        let (account, entry) = person(&place, members, &mut faults);
        let known = elsewhere(&place, members, &mut faults);
        if known.subject.as_ref().is_some_and(|subject| !subjects.insert(subject.clone())) {
            faults.push((format!("{place}.subject"), "is somebody else's already".into()));
        }
        if faults.len() == before {
            // What subjects are made from: two of one name would be one person to every client.
            let name = known.uid.clone().unwrap_or_else(|| account.clone());
            if seeds.people.insert(account.clone(), entry).is_some() {
                faults.push((format!("{place}.username"), format!("{account} is there twice")));
            } else if !names.insert(name) {
                faults.push((format!("{place}.uid"), "is somebody else's already".into()));
            }
        }
        if known != Elsewhere::default() {
            seeds.elsewhere.insert(account, known);
        }
    }
    if faults.is_empty() { Ok(seeds) } else { Err(faults) }
}

fn person(place: &str, members: &Map<String, Value>, faults: &mut Faults) -> (String, Entry) {
    for name in members.keys().filter(|name| !MEMBERS.contains(&name.as_str())) {
        let says = "is not known: a person has username, password, claims, and perhaps uid and subject";
        faults.push((format!("{place}.{name}"), says.into()));
    }
    let account = members.get("username").and_then(Value::as_str).map(account_of).unwrap_or_default();
    if account.is_empty() || account.len() > MAX_USERNAME || account.chars().any(char::is_control) {
        faults.push((format!("{place}.username"), format!("must be a text of 1 to {MAX_USERNAME} bytes")));
    }
    let secret = match members.get("password") {
        None => None,
        Some(Value::String(hash)) => {
            faults.extend(
                password::fault(hash).map(|message| (format!("{place}.password"), message.to_owned())),
            );
            Some(Secret::new(hash.as_str()))
        }
        Some(_) => {
            faults.push((format!("{place}.password"), "must be a text".into()));
            None
        }
    };
    let claims = personal(place, members.get("claims"), faults);
    (account, Entry { password: secret, instead_of: None, claims: Some(Arc::new(claims)) })
}

/// What another provider knew them by.
fn elsewhere(place: &str, members: &Map<String, Value>, faults: &mut Faults) -> Elsewhere {
    let mut text = |name: &str, fits: fn(&str) -> bool, says: &str| match members.get(name) {
        None => None,
        Some(Value::String(text)) if fits(text) => Some(text.clone()),
        Some(_) => {
            faults.push((format!("{place}.{name}"), says.to_owned()));
            None
        }
    };
    let is_name = |uid: &str| !uid.is_empty() && uid.len() <= MAX_USERNAME;
    // OpenID Connect Core §2: at most 255 ASCII characters. A colon would be a client's.
    let is_subject = |subject: &str| {
        (1..=255).contains(&subject.len())
            && subject.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':')
    };
    Elsewhere {
        uid: text("uid", is_name, "must be a text of 1 to 256 bytes"),
        subject: text("subject", is_subject, "must be 1 to 255 visible ASCII characters without a colon"),
    }
}

fn personal(place: &str, claims: Option<&Value>, faults: &mut Faults) -> Map<String, Value> {
    let map = match claims {
        None | Some(Value::Null) => return Map::new(),
        Some(Value::Object(map)) => map,
        Some(_) => {
            faults.push((format!("{place}.claims"), "must be a map".into()));
            return Map::new();
        }
    };
    for (name, value) in map {
        faults.extend(
            claims::fault(name, value).map(|message| (format!("{place}.claims.{name}"), message.to_owned())),
        );
    }
    map.clone()
}

#[async_trait]
impl Directory for Seeds {
    async fn find(&self, account: &str, _: Timestamp) -> Result<Option<Entry>> {
        Ok(self.people.get(account).cloned())
    }

    async fn accounts(&self, _: Timestamp) -> Result<Vec<String>> {
        Ok(self.people.keys().cloned().collect())
    }

    fn origin(&self) -> &'static str {
        "file"
    }
}
