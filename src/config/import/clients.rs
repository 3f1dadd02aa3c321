//! Clients: oidc-op's records (from a file, a folder with one file each, or a Django dump) as registration metadata
//! with the digest of their secret. What the provider would refuse is taken out and said.

use super::draft::Draft;
use super::report::Outcome;
use super::source::{At, Document};
use crate::base::clock::Timestamp;
use crate::base::encode::base64url;
use crate::base::secret::sha256;
use crate::op;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A record and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    pub file: PathBuf,
    pub place: String,
    pub members: Map<String, Value>,
}

/// By client id.
pub type Records = BTreeMap<String, Record>;

/// How often one client is put right before it is given up.
const ATTEMPTS: usize = 30;

/// Members that need no counterpart, and why.
const NEEDLESS: [(&str, &str); 9] = [
    ("client_salt", "salts belong to the provider"),
    ("registration_access_token", "a client in a file is changed in the file"),
    ("registration_client_uri", "a client in a file is changed in the file"),
    ("client_id_issued_at", "is not kept for a client in a file"),
    ("auth_method", "a client authenticates by the one method it registered"),
    ("si_redirects", "follows from the redirect URIs"),
    ("sector_id", "follows from the redirect URIs"),
    ("dpop_jkt", "belongs to a session"),
    ("is_active", "an inactive client is not taken"),
];

/// Members that meant something there and mean something else here.
const DIFFERENT: [(&str, &str); 5] = [
    ("pkce_essential", "PKCE is required of public clients; others may use it"),
    ("revoke_refresh_on_issue", "a refresh token is always replaced when it is used"),
    ("token_usage_rules", "lifetimes are the provider's (`op.lifetimes`) or a resource's"),
    ("scopes_supported", "see allowed_scopes"),
    ("response_types_supported", "see response_types"),
];

/// Finds every record: in the database the configuration names, and in what was given besides.
pub fn gather(draft: &mut Draft<'_>, info: &At<'_>, records: &mut Records) {
    if let Some(at) = info.find(&["client_db", "kwargs", "fdir"]) {
        let folder = draft.beside(at.text().unwrap_or_default());
        match of_folder(draft, &folder, records) {
            Ok(count) => draft.taken(&at, format!("{count} clients in clients.yaml")),
            Err(says) => draft.faulty(&at, format!("{} {says}", folder.display())),
        }
    } else if let Some(at) = info.find(&["client_db"]) {
        let says = "is a store this program does not read: print the clients as JSON, {client_id: record}, and give the file with --clients";
        draft.faulty(&at, says);
    }
    for at in ["cdb", "clients"].iter().filter_map(|name| info.find(&[name])) {
        of_map(draft, &at, records);
        draft.taken(&at, "the clients, in clients.yaml");
    }
    for file in &draft.options.clients.clone() {
        let done = match file.is_dir() {
            true => of_folder(draft, file, records).map(|_| ()),
            false => of_file(draft, file, records),
        };
        if let Err(says) = done {
            draft.report.say(file, "", Outcome::Faulty, says);
        }
    }
}

/// oidcmsg's AbstractFileSystem: a file for each client, named by its id in percent-encoding.
fn of_folder(draft: &mut Draft<'_>, folder: &Path, records: &mut Records) -> Result<usize, String> {
    let listed = std::fs::read_dir(folder).map_err(|error| format!("cannot be read: {error}"))?;
    let mut files: Vec<PathBuf> = listed.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.sort();
    files.retain(|file| file.is_file() && file.extension().is_none_or(|it| it != "lock"));
    for file in &files {
        let named = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let decoded =
            percent_encoding::percent_decode_str(&named.replace('+', " ")).decode_utf8_lossy().into_owned();
        match Document::read(file) {
            Ok(document) => add(draft, &decoded, &document.top(), records),
            Err(says) => draft.report.say(file, "", Outcome::Faulty, says),
        }
    }
    Ok(files.len())
}

/// `{client_id: record}`, the same under `cdb` (a dump of the provider's state), or one record.
fn of_file(draft: &mut Draft<'_>, file: &Path, records: &mut Records) -> Result<(), String> {
    let document = Document::read(file)?;
    let top = document.top();
    if let Some(id) = top.find(&["client_id"]).as_ref().and_then(At::text) {
        add(draft, id, &top, records);
    } else if let Some(at) = top.find(&["cdb"]) {
        of_map(draft, &at, records);
        draft
            .report
            .complete(&Document { file: file.to_owned(), root: without(&document.root, "cdb") }, |_| {
                Some((Outcome::Ignored, "the rest of a dump is sessions and copies of the configuration"))
            });
    } else if top.map().is_some() {
        of_map(draft, &top, records);
    } else {
        return Err("must be a map from client id to its record".into());
    }
    Ok(())
}

fn without(root: &Value, name: &str) -> Value {
    let members = root.as_object().into_iter().flatten().filter(|(member, _)| *member != name);
    Value::Object(members.map(|(name, value)| (name.clone(), value.clone())).collect())
}

fn of_map(draft: &mut Draft<'_>, at: &At<'_>, records: &mut Records) {
    for (id, record) in at.children() {
        // An id may stand for another one.
        let other = record.text().and_then(|other| at.get(other));
        add(draft, id, other.as_ref().unwrap_or(&record), records);
    }
}

fn add(draft: &mut Draft<'_>, id: &str, at: &At<'_>, records: &mut Records) {
    match at.map() {
        Some(members) => {
            let record =
                Record { file: at.file.to_owned(), place: at.path.clone(), members: members.clone() };
            if records.insert(id.to_owned(), record).is_some() {
                draft.changed(at, format!("{id} was there before: this record counts"));
            }
        }
        None => draft.faulty(at, "must be a map: a client's record"),
    }
}

/// Writes the file, with every client that can be taken.
pub fn translate(draft: &mut Draft<'_>, info: &At<'_>, settings: &op::Settings, records: Records) {
    let default = info.find(&["allowed_scopes"]);
    if let Some(at) = &default {
        draft.taken(at, "`scope` of every client without allowed_scopes of its own");
    }
    let default: Option<Vec<&str>> = default.as_ref().map(At::texts);
    let mut entries = Vec::new();
    for (id, record) in records {
        let mut client = Client { id: &id, record: &record, draft: &mut *draft, taken: Vec::new() };
        match client.entry(settings, default.as_deref()) {
            Ok(entry) => {
                super::claims::of_client(client.draft, &id, &record);
                let says = format!("client {id}: {}", client.taken.join(", "));
                draft.report.say(&record.file, &record.place, Outcome::Taken, says);
                entries.push(Value::Object(entry));
            }
            Err(says) => {
                let says = format!("client {id} is not taken: {says}");
                draft.report.say(&record.file, &record.place, Outcome::Faulty, says);
            }
        }
    }
    if !entries.is_empty() {
        let text = super::write::yaml("The clients of the former provider.", &json!({ "clients": entries }));
        let file = draft.file("clients.yaml", text);
        draft.op.insert("clients_file".into(), file);
    }
}

struct Client<'a, 'b> {
    id: &'a str,
    record: &'a Record,
    draft: &'a mut Draft<'b>,
    /// The names of what was taken as it is.
    taken: Vec<String>,
}

impl Client<'_, '_> {
    fn entry(
        &mut self,
        settings: &op::Settings,
        scopes: Option<&[&str]>,
    ) -> Result<Map<String, Value>, String> {
        let record = &self.record.members;
        if record.get("is_active") == Some(&Value::Bool(false)) {
            return Err("it is inactive".into());
        }
        self.expiry()?;
        let mut entry = Map::new();
        entry.insert("client_id".into(), self.id.into());
        self.secret(&mut entry);
        for (name, value) in record.iter().filter(|(_, value)| !value.is_null()) {
            self.member(name, value, &mut entry);
        }
        self.method(&mut entry);
        if let (false, Some(scopes)) = (entry.contains_key("scope"), scopes) {
            entry.insert("scope".into(), scopes.join(" ").into());
        }
        self.put_right(settings, entry)
    }

    fn say(&mut self, member: &str, outcome: Outcome, says: &str) {
        let place = if self.record.place.is_empty() {
            member.to_owned()
        } else {
            format!("{}.{member}", self.record.place)
        };
        self.draft.report.say(&self.record.file, &place, outcome, says);
    }

    /// A secret that has expired was refused there, and must not come back to life here.
    fn expiry(&mut self) -> Result<(), String> {
        let Some(expires) = self.record.members.get("client_secret_expires_at").and_then(Value::as_i64)
        else {
            return Ok(());
        };
        if expires == 0 {
            return Ok(());
        }
        let now = self.draft.options.now;
        let expires = Timestamp(expires.unsigned_abs());
        match (expires > now, self.draft.options.expired_secrets) {
            (true, _) => self.say(
                "client_secret_expires_at",
                Outcome::Changed,
                "the secret of a client in a file does not expire",
            ),
            (false, true) => self.say(
                "client_secret_expires_at",
                Outcome::Changed,
                "it had expired; with --expired-secrets it is good again",
            ),
            (false, false) => {
                return Err("its secret has expired; with --expired-secrets it would be good again".into());
            }
        }
        Ok(())
    }

    fn secret(&mut self, entry: &mut Map<String, Value>) {
        if let Some(secret) =
            self.record.members.get("client_secret").and_then(Value::as_str).filter(|it| !it.is_empty())
        {
            entry.insert("client_secret_sha256".into(), base64url(&sha256(secret.as_bytes())).into());
        }
    }

    fn member(&mut self, name: &str, value: &Value, entry: &mut Map<String, Value>) {
        let row = |rows: &[(&str, &'static str)]| {
            rows.iter().find(|(known, _)| *known == name).map(|(_, says)| *says)
        };
        match name {
            "client_id" | "client_secret" => self.taken.push(name.into()),
            // Told of when the client is taken.
            "client_secret_expires_at" | "scopes_to_claims" | "add_claims" => {}
            "redirect_uris" | "post_logout_redirect_uris" | "request_uris" | "post_logout_redirect_uri" => {
                let listed = matches!(value, Value::Array(items) if name != "post_logout_redirect_uri" || items.first().is_some_and(Value::is_array));
                let items =
                    if listed { value.as_array().cloned().unwrap_or_default() } else { vec![value.clone()] };
                let plain = |item: &Value| if name == "request_uris" { request_uri(item) } else { uri(item) };
                let uris: Vec<_> = items.iter().filter_map(plain).collect();
                if uris.len() != items.len() {
                    self.say(name, Outcome::Changed, "what is no address there is left out");
                }
                self.taken.push(name.into());
                let plural =
                    if name == "post_logout_redirect_uri" { "post_logout_redirect_uris" } else { name };
                let known = entry.entry(plural).or_insert_with(|| json!([]));
                if let Some(known) = known.as_array_mut() {
                    known.extend(uris.into_iter().map(Value::String));
                }
            }
            "allowed_scopes" => {
                let scopes: Vec<_> =
                    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
                entry.insert("scope".into(), scopes.join(" ").into());
                self.say(name, Outcome::Taken, "`scope`");
            }
            "grant_types_supported" => {
                let types: Vec<_> = match value {
                    Value::Object(map) => map.keys().cloned().map(Value::String).collect(),
                    other => other.as_array().cloned().unwrap_or_default(),
                };
                entry.insert("grant_types".into(), Value::Array(types));
                self.say(name, Outcome::Taken, "`grant_types`");
            }
            "grant_types" if entry.contains_key("grant_types") => {
                self.say(name, Outcome::Ignored, "grant_types_supported went before it");
            }
            "subject_type" if value == "pairwise" => {
                // Whatever a client registered, oidc-op gave it public subjects.
                entry.insert(name.into(), "public".into());
                self.say(
                    name,
                    Outcome::Changed,
                    "`public`: oidc-op gave every client public subjects, and they have to stay the same",
                );
            }
            _ if row(&NEEDLESS).is_some() => {
                self.say(name, Outcome::Ignored, row(&NEEDLESS).unwrap_or_default())
            }
            _ if row(&DIFFERENT).is_some() => {
                self.say(name, Outcome::Changed, row(&DIFFERENT).unwrap_or_default())
            }
            _ if op::is_client_member(name) => {
                self.taken.push(name.into());
                entry.insert(name.into(), value.clone());
            }
            _ => self.say(name, Outcome::Unknown, "is no registration member this provider knows"),
        }
    }

    /// oidc-op took any method from any client; here the registered one counts. What the client was seen using is
    /// nearer the truth than what it registered.
    fn method(&mut self, entry: &mut Map<String, Value>) {
        const METHOD: &str = "token_endpoint_auth_method";
        let seen = self.record.members.get("auth_method").and_then(Value::as_object);
        let used = ["AccessTokenRequest", "RefreshAccessTokenRequest", "TokenIntrospectionRequest"];
        let used = used.iter().find_map(|request| seen?.get(*request)?.as_str().map(str::to_owned));
        let offered = op::Offered::new();
        let used = used.filter(|method| offered.client_auth.contains(&method.as_str()));
        match (entry.get(METHOD).and_then(Value::as_str).map(str::to_owned), used) {
            (Some(registered), Some(used)) if registered != used => {
                let says = format!("`{used}`: that is what it used, whatever it registered");
                self.say("auth_method", Outcome::Changed, &says);
                entry.insert(METHOD.into(), used.into());
            }
            (None, Some(used)) => {
                entry.insert(METHOD.into(), used.into());
            }
            (None, None) if !entry.contains_key("client_secret_sha256") => {
                let says = "`none`: it has no secret";
                self.say("client_id", Outcome::Changed, says);
                entry.insert(METHOD.into(), "none".into());
            }
            _ => {}
        }
        const ALG: &str = "token_endpoint_auth_signing_alg";
        if entry.get(METHOD).is_some_and(|method| method == "client_secret_jwt") && !entry.contains_key(ALG) {
            // What cryptojwt signs with unless it is told otherwise. Any of them would ask for a longer secret than
            // oidc-op gave out (RFC 7518 §3.2).
            entry.insert(ALG.into(), "HS256".into());
            self.say(
                ALG,
                Outcome::Changed,
                "`HS256`, as oidc-op's relying parties do it unless they are told otherwise",
            );
        }
    }

    /// Takes out what the provider refuses, until it refuses nothing.
    fn put_right(
        &mut self,
        settings: &op::Settings,
        mut entry: Map<String, Value>,
    ) -> Result<Map<String, Value>, String> {
        for _ in 0..ATTEMPTS {
            if op::needs_secret_itself(settings, &entry)
                && entry.shift_remove("client_secret_sha256").is_some()
            {
                let secret = self.record.members.get("client_secret").cloned().unwrap_or_default();
                entry.insert("client_secret".into(), secret);
                let says = "stands in clients.yaml itself: something is signed or encrypted with it";
                self.say("client_secret", Outcome::Changed, says);
            }
            let faults = op::client_entry_faults(settings, &entry);
            let Some((member, says)) = faults.into_iter().next() else { return Ok(entry) };
            let kept = entry.get(&member).and_then(Value::as_array).cloned();
            let fine = |one: &Value| {
                let mut alone = entry.clone();
                alone.insert(member.clone(), json!([one]));
                op::client_entry_faults(settings, &alone).iter().all(|(other, _)| *other != member)
            };
            let fine: Option<Vec<Value>> =
                kept.map(|all| all.iter().filter(|one| fine(one)).cloned().collect());
            let says = says.strip_prefix(&format!("{member}: ")).unwrap_or(&says).to_owned();
            match fine {
                Some(fine) if !fine.is_empty() => {
                    entry.insert(member.clone(), Value::Array(fine));
                }
                _ if member.is_empty() || ["client_id", "redirect_uris"].contains(&member.as_str()) => {
                    return Err(says);
                }
                _ => {
                    entry.shift_remove(&member);
                }
            }
            self.taken.retain(|name| *name != member);
            self.say(&member, Outcome::Changed, &format!("in part or whole left out: {says}"));
        }
        Err("too much of it is refused".into())
    }
}

/// A stored address: a text, or `[base, {parameter: [values]}]`, where the query may also be a text of JSON or empty.
fn uri(value: &Value) -> Option<String> {
    let (base, query) = match value {
        Value::String(uri) => return Some(uri.clone()),
        Value::Array(pair) => (pair.first()?.as_str()?, pair.get(1).cloned().unwrap_or_default()),
        _ => return None,
    };
    let query = match query {
        Value::String(text) => serde_json::from_str(&text).unwrap_or(Value::String(text)),
        other => other,
    };
    let pairs: Vec<(String, String)> = match &query {
        Value::Object(map) => map.iter().flat_map(|(name, values)| pairs_of(name, values)).collect(),
        Value::String(text) if !text.is_empty() => return Some(format!("{base}?{text}")),
        _ => Vec::new(),
    };
    if pairs.is_empty() {
        return Some(base.to_owned());
    }
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    Some(format!("{base}?{query}"))
}

fn pairs_of(name: &str, values: &Value) -> Vec<(String, String)> {
    let texts: Vec<&str> = match values {
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
        other => other.as_str().into_iter().collect(),
    };
    texts.into_iter().map(|value| (name.to_owned(), value.to_owned())).collect()
}

/// `[base, fragment]`.
fn request_uri(value: &Value) -> Option<String> {
    let Value::Array(pair) = value else { return uri(value) };
    let base = pair.first()?.as_str()?;
    match pair.get(1).and_then(Value::as_str).filter(|fragment| !fragment.is_empty()) {
        Some(fragment) => Some(format!("{base}#{fragment}")),
        None => Some(base.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_addresses_become_plain_ones() {
        for (stored, plain) in [
            (json!("https://a/cb"), "https://a/cb"),
            (json!(["https://a/cb", {}]), "https://a/cb"),
            (json!(["https://a/cb", ""]), "https://a/cb"),
            (json!(["https://a/cb", null]), "https://a/cb"),
            (json!(["https://a/cb", {"x": ["1", "2 3"]}]), "https://a/cb?x=1&x=2+3"),
            (json!(["https://a/cb", r#"{"x": ["1"]}"#]), "https://a/cb?x=1"),
            (json!(["https://a/cb", "[]"]), "https://a/cb"),
        ] {
            assert_eq!(uri(&stored).unwrap(), plain, "{stored}");
        }
        assert_eq!(request_uri(&json!(["https://a/r", "x"])).unwrap(), "https://a/r#x");
        assert!(uri(&json!(7)).is_none() && uri(&json!([])).is_none());
    }
}
