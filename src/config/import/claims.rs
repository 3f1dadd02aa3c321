//! Claims that oidc-op's modules released unasked, for every client and for single ones: `op.claims`, `op.clients`.

use super::clients::Record;
use super::draft::Draft;
use super::report::Outcome;
use super::source::At;
use crate::op;
use serde_json::{Map, Value, json};

/// Where oidc-op configures a release point, its name in a client's `add_claims`, and ours.
const POINTS: [(&[&str], &str); 3] = [
    (&["token_handler_args", "id_token", "kwargs"], "id_token"),
    (&["endpoint", "introspection", "kwargs"], "introspection"),
    (&["endpoint", "userinfo", "kwargs"], "userinfo"),
];

pub fn translate(draft: &mut Draft<'_>, info: &At<'_>) {
    for (path, point) in POINTS {
        let Some(kwargs) = info.find(path) else { continue };
        let mut told: Vec<String> = Vec::new();
        for name in ["base_claims", "always_add_claims"] {
            // `false` is said of the second, too.
            let Some(at) = kwargs.find(&[name]).filter(|at| at.value.is_array() || at.value.is_object())
            else {
                continue;
            };
            told.extend(names(at.value));
            draft.taken(&at, format!("`op.claims.{point}`: told without being asked for"));
        }
        if !told.is_empty() {
            draft.set("claims", point, json!(told));
        }
        let by_scope = kwargs.find(&["add_claims_by_scope"]).filter(|_| point != "userinfo");
        if let Some(at) = by_scope {
            let on = at.value.as_bool().unwrap_or(false);
            draft.taken(&at, format!("`op.claims.{point}_by_scope: {on}`"));
            draft.set("claims", &format!("{point}_by_scope"), on.into());
        }
    }
}

/// The claims a list or a map of constraints names, without those that are the provider's to say.
fn names(value: &Value) -> Vec<String> {
    let all: Vec<String> = match value {
        Value::Object(map) => map.keys().cloned().collect(),
        other => {
            other.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
        }
    };
    all.into_iter().filter(|claim| !op::is_reserved_claim(claim)).collect()
}

/// What a client's record says of claims: `scopes_to_claims`, `add_claims`.
pub fn of_client(draft: &mut Draft<'_>, id: &str, record: &Record) {
    let mut rules = Map::new();
    if let Some(scopes) = record.members.get("scopes_to_claims").and_then(Value::as_object) {
        // `openid` releases the subject, which is always there.
        let own = scopes.iter().filter(|(scope, _)| *scope != "openid" && *scope != "offline_access");
        let own = own.map(|(scope, claims)| (scope.clone(), json!({ "claims": names(claims) })));
        rules.insert("scopes".into(), Value::Object(own.collect()));
        say(draft, record, "scopes_to_claims", &format!("`op.clients.{id}.scopes`"));
    }
    if let Some(add) = record.members.get("add_claims").and_then(Value::as_object) {
        let mut told = draft.op.get("claims").and_then(Value::as_object).cloned().unwrap_or_default();
        for (_, point) in POINTS {
            if let Some(always) = add.get("always").and_then(|always| always.get(point)) {
                let list = told.entry(point).or_insert_with(|| json!([]));
                let known: Vec<String> = names(list);
                let more =
                    names(always).into_iter().filter(|claim| !known.contains(claim)).map(Value::String);
                list.as_array_mut().into_iter().for_each(|list| list.extend(more.clone()));
            }
            // A falsy entry left the module's own setting in place.
            let by_scope = add.get("by_scope").and_then(|by| by.get(point)) == Some(&Value::Bool(true));
            if by_scope && point != "userinfo" {
                told.insert(format!("{point}_by_scope"), true.into());
            }
        }
        rules.insert("claims".into(), Value::Object(told));
        say(draft, record, "add_claims", &format!("`op.clients.{id}.claims`; access tokens carry none"));
    }
    if !rules.is_empty() {
        draft.set("clients", id, Value::Object(rules));
    }
}

fn say(draft: &mut Draft<'_>, record: &Record, member: &str, says: &str) {
    let place =
        if record.place.is_empty() { member.to_owned() } else { format!("{}.{member}", record.place) };
    draft.report.say(&record.file, &place, Outcome::Taken, says);
}
