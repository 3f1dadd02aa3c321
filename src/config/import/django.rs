//! Django's tables as `manage.py dumpdata` prints them: a list of `{model, pk, fields}`. Users, relying parties with
//! their rows in other tables, and sessions, of which only the subjects matter. Names of applications do not count.

use super::clients::{Record, Records};
use super::draft::Draft;
use super::people::{Password, People, Person};
use super::report::Outcome;
use super::source::Document;
use super::subjects::Public;
use crate::op;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

/// Rows by model (`oidcrelyingparty`), with their place in the file.
#[derive(Clone, Debug, Default)]
pub struct Dump {
    rows: BTreeMap<String, Vec<Row>>,
}

#[derive(Clone, Debug)]
struct Row {
    file: PathBuf,
    /// As it is written, with its application.
    model: String,
    place: String,
    pk: Value,
    fields: Map<String, Value>,
}

/// What a relying party's other tables hold: model, column, and the member they are the values of.
const LISTS: [(&str, &str, &str); 4] = [
    ("oidcrpgranttype", "grant_type", "grant_types"),
    ("oidcrpresponsetype", "response_type", "response_types"),
    ("oidcrpcontact", "contact", "contacts"),
    ("oidcrpscope", "scope", "allowed_scopes"),
];

/// Columns of the relying-party table that say nothing about the client.
const BOOKKEEPING: [&str; 4] = ["id", "created", "modified", "last_seen"];

/// Reads the files; one that cannot be read is said.
pub fn read(draft: &mut Draft<'_>, files: &[PathBuf]) -> Option<Dump> {
    let mut dump = Dump::default();
    for file in files {
        match Document::read(file).and_then(|document| dump.add(file, &document.root)) {
            Ok(()) => {}
            Err(says) => draft.report.say(file, "", Outcome::Faulty, says),
        }
    }
    (!dump.rows.is_empty()).then(|| {
        dump.describe(draft);
        dump
    })
}

impl Dump {
    fn add(&mut self, file: &Path, root: &Value) -> Result<(), String> {
        let rows = root.as_array().ok_or("is no dump: `manage.py dumpdata` prints a list")?;
        for (nth, row) in rows.iter().enumerate() {
            let (Some(model), Some(fields)) =
                (row.get("model").and_then(Value::as_str), row.get("fields").and_then(Value::as_object))
            else {
                return Err(format!("[{nth}] is no row: it has no model and fields"));
            };
            let name = model.rsplit('.').next().unwrap_or(model).to_ascii_lowercase();
            let row = Row {
                file: file.to_owned(),
                model: model.to_owned(),
                place: format!("[{nth}].fields"),
                pk: row.get("pk").cloned().unwrap_or_default(),
                fields: fields.clone(),
            };
            self.rows.entry(name).or_default().push(row);
        }
        Ok(())
    }

    /// One line for each table.
    fn describe(&self, draft: &mut Draft<'_>) {
        let known: Vec<&str> =
            LISTS.iter().map(|(model, ..)| *model).chain(["oidcrelyingparty", "oidcrpredirecturi"]).collect();
        for (name, rows) in &self.rows {
            let Some(first) = rows.first() else { continue };
            let columns: BTreeSet<&str> =
                rows.iter().flat_map(|row| row.fields.keys()).map(String::as_str).collect();
            let columns = columns.into_iter().collect::<Vec<_>>().join(", ");
            let (outcome, says) = match name.as_str() {
                "oidcsession" => (
                    Outcome::Changed,
                    "only the subjects in it count; the sessions have ended: everybody signs in once more"
                        .to_owned(),
                ),
                "oidcissuedtoken" => (Outcome::Ignored, "the old provider's tokens end with it".to_owned()),
                _ if known.contains(&name.as_str()) => {
                    (Outcome::Taken, format!("{} rows, in clients.yaml", rows.len()))
                }
                _ if is_user_table(rows) => (
                    Outcome::Taken,
                    format!(
                        "{} rows, in users.yaml: username, password, is_active and what claims_map names, of {columns}",
                        rows.len()
                    ),
                ),
                _ => (Outcome::Ignored, format!("{} rows that say nothing about sign-in", rows.len())),
            };
            draft.report.say(&first.file, &first.model, outcome, says);
        }
    }

    fn of(&self, model: &str) -> &[Row] {
        self.rows.get(model).map(Vec::as_slice).unwrap_or_default()
    }
}

fn is_user_table(rows: &[Row]) -> bool {
    rows.iter().all(|row| row.fields.contains_key("username") && row.fields.contains_key("password"))
}

/// The relying parties, in the form of oidc-op's own client database.
pub fn clients(dump: &Dump, records: &mut Records) {
    for row in dump.of("oidcrelyingparty") {
        let Some(id) = row.fields.get("client_id").and_then(Value::as_str) else { continue };
        let mut members: Map<String, Value> = row.fields.clone();
        members
            .retain(|name, value| !BOOKKEEPING.contains(&name.as_str()) && !value.is_null() && value != "");
        for time in ["client_id_issued_at", "client_secret_expires_at"] {
            if let Some(seconds) = members.get(time).and_then(Value::as_str).and_then(seconds) {
                members.insert(time.into(), seconds.into());
            }
        }
        for (model, column, member) in LISTS {
            let values: Vec<Value> =
                children(dump, model, row).filter_map(|child| child.fields.get(column).cloned()).collect();
            if !values.is_empty() {
                members.insert(member.into(), Value::Array(values));
            }
        }
        for child in children(dump, "oidcrpredirecturi", row) {
            let Some(kind) = child.fields.get("type").and_then(Value::as_str) else { continue };
            let uri = child.fields.get("uri").cloned().unwrap_or_default();
            if kind.ends_with("_uris") {
                let pair = json!([uri, child.fields.get("values")]);
                let list = members.entry(kind).or_insert_with(|| json!([]));
                list.as_array_mut().into_iter().for_each(|list| list.push(pair.clone()));
            } else {
                members.insert(kind.into(), uri);
            }
        }
        let record = Record { file: row.file.clone(), place: row.place.clone(), members };
        records.insert(id.to_owned(), record);
    }
}

/// The rows of another table that belong to this one: by primary key, or by natural key.
fn children<'a>(dump: &'a Dump, model: &str, parent: &'a Row) -> impl Iterator<Item = &'a Row> {
    let natural = parent.fields.get("client_id").map(|id| json!([id]));
    dump.of(model).iter().filter(move |row| {
        let of = row.fields.get("client");
        of == Some(&parent.pk) || of.is_some() && of == natural.as_ref()
    })
}

/// RFC 3339, as Django prints times.
fn seconds(text: &str) -> Option<i64> {
    let format = time::format_description::well_known::Rfc3339;
    time::OffsetDateTime::parse(text, &format).ok().map(time::OffsetDateTime::unix_timestamp)
}

/// The users, with the claims that `map` fills from their columns.
pub fn people(
    draft: &mut Draft<'_>,
    dump: &Dump,
    map: Option<&HashMap<String, String>>,
    public: &Public,
    people: &mut People,
) {
    let tables = dump.rows.values().filter(|rows| is_user_table(rows));
    let users: Vec<&Row> = tables.flatten().collect();
    for row in &users {
        let Some(uid) = row.fields.get("username").and_then(Value::as_str) else { continue };
        let mut person = Person { place: (row.file.clone(), row.place.clone()), ..Person::default() };
        person.password = password(draft, row);
        for (claim, column) in map.into_iter().flatten() {
            if let Some(value) = row.fields.get(column).filter(|value| !value.is_null() && *value != "") {
                person.claims.insert(claim.clone(), value.clone());
            }
        }
        person.subject = subject(draft, dump, row, uid, public);
        people.insert(uid.to_owned(), person);
    }
    for (claim, column) in map.into_iter().flatten() {
        if !users.is_empty() && users.iter().all(|row| !row.fields.contains_key(column)) {
            let (file, model) =
                users.first().map_or((Path::new(""), ""), |row| (row.file.as_path(), row.model.as_str()));
            let says = format!(
                "`{claim}` came from a method of the user, which a dump does not hold: it is left out"
            );
            draft.report.say(file, &format!("{model}.{column}"), Outcome::Changed, says);
        }
    }
}

fn password(draft: &mut Draft<'_>, row: &Row) -> Option<Password> {
    let at = format!("{}.password", row.place);
    let mut refuse = |outcome, says: &str| draft.report.say(&row.file, &at, outcome, says);
    if row.fields.get("is_active") == Some(&Value::Bool(false)) {
        refuse(
            Outcome::Changed,
            "inactive: without a password nobody signs in as them; `user passwd` gives one",
        );
        return None;
    }
    let hash = row.fields.get("password").and_then(Value::as_str).unwrap_or_default();
    // Django writes what argon2 does, with a word in front.
    let hash = hash.strip_prefix("argon2").filter(|phc| phc.starts_with("$argon2")).unwrap_or(hash);
    if hash.is_empty() || hash.starts_with('!') {
        refuse(Outcome::Ignored, "they had no usable password");
        return None;
    }
    if op::password_fault(hash).is_some() {
        let kind = hash.split('$').next().unwrap_or_default();
        refuse(
            Outcome::Faulty,
            &format!(
                "a hash of the kind `{kind}` is not known here: they need a new password (`user passwd`)"
            ),
        );
        return None;
    }
    Some(Password::Hash(hash.to_owned()))
}

/// The subject of somebody's sessions, if the formula does not give it.
fn subject(draft: &mut Draft<'_>, dump: &Dump, row: &Row, uid: &str, public: &Public) -> Option<String> {
    let theirs = dump.of("oidcsession").iter().filter(|session| {
        let user = session.fields.get("user");
        session.fields.get("user_uid").and_then(Value::as_str) == Some(uid)
            || user == Some(&row.pk)
            || user == Some(&json!([uid]))
    });
    let known: BTreeSet<&str> = theirs
        .filter_map(|session| session.fields.get("sub")?.as_str())
        .filter(|sub| !sub.is_empty())
        .collect();
    let formula = public.of(uid);
    let other: Vec<&str> = known.into_iter().filter(|sub| formula.as_deref() != Some(*sub)).collect();
    match other.as_slice() {
        [] => None,
        [one] => {
            let says = format!("`subject: {one}`, which their sessions had");
            draft.report.say(&row.file, &format!("{}.sub", row.place), Outcome::Taken, says);
            Some((*one).to_owned())
        }
        several => {
            let says = format!("their sessions had {} subjects: they get the provider's", several.len());
            draft.report.say(&row.file, &format!("{}.sub", row.place), Outcome::Changed, says);
            None
        }
    }
}
