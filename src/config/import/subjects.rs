//! How oidc-op made subjects, so that they stay the same: `session_params.sub_func`.

use super::draft::Draft;
use super::source::{At, text};
use crate::base::encode::hex;
use crate::base::secret::sha256;
use serde_json::{Map, json};

/// How public subjects were made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Public {
    /// SHA-256 over the user name and this.
    Salted(String),
    /// The user name itself.
    Raw,
    /// From nothing that is left.
    Lost,
}

impl Public {
    /// The subject `uid` had, if it can be said.
    pub fn of(&self, uid: &str) -> Option<String> {
        match self {
            Public::Salted(salt) => Some(hex(&sha256(format!("{uid}{salt}").as_bytes()))),
            Public::Raw => Some(uid.to_owned()),
            Public::Lost => None,
        }
    }
}

pub fn translate(draft: &mut Draft<'_>, info: &At<'_>) -> Public {
    let session = info.find(&["session_params"]);
    let mut files = Map::new();
    let function = |kind: &str| session.as_ref()?.find(&["sub_func", kind]);
    let public = match function("public") {
        Some(at) => public(draft, &at),
        None => unsaid(draft, info, session.as_ref()),
    };
    if let Public::Salted(salt) = &public {
        let file = draft.file("public-subjects.salt", salt.clone());
        files.insert("public_salt_file".into(), file);
    }
    if let Some(at) = function("pairwise")
        && let Some(salt) = salt(draft, &at)
    {
        let file = draft.file("pairwise-subjects.salt", salt);
        files.insert("pairwise_salt_file".into(), file);
    }
    if let Some(at) = function("ephemeral") {
        draft.ignored(&at, "subjects that change with every grant are not made here");
    }
    if !files.is_empty() {
        draft.op.insert("subjects".into(), json!({ "oidc-op": files }));
    }
    public
}

fn public(draft: &mut Draft<'_>, at: &At<'_>) -> Public {
    let class = at.find(&["class"]).or_else(|| at.find(&["function"]));
    let class = class.as_ref().and_then(At::text).unwrap_or_default();
    if class.ends_with("RawID") {
        draft.taken(at, "the user name was the subject: `subject` in users.yaml, for everybody there is now");
        return Public::Raw;
    }
    match salt(draft, at) {
        Some(salt) => Public::Salted(salt),
        None => Public::Lost,
    }
}

/// The salt of a `PublicID` or `PairWiseID`: given, or in a file, which oidc-op read as it stands.
fn salt(draft: &mut Draft<'_>, at: &At<'_>) -> Option<String> {
    let says = "`op.subjects`: the same salt, the same formula, the same subjects";
    if let Some(given) = at.find(&["kwargs", "salt"])
        && let Some(salt) = given.text().filter(|salt| !salt.is_empty())
    {
        draft.taken(&given, says);
        return Some(salt.to_owned());
    }
    let Some(named) = at.find(&["kwargs", "filename"]) else {
        draft.changed(at, "there was no salt but one of the process: subjects are our own from now on");
        return None;
    };
    match text(&draft.beside(named.text().unwrap_or_default())) {
        Ok(salt) => {
            draft.taken(&named, says);
            Some(salt)
        }
        Err(says) => {
            draft.faulty(&named, format!("the salt file {says}: without it subjects change"));
            None
        }
    }
}

/// Without `sub_func` the salt was the sessions' password; without that, it was drawn at every start.
fn unsaid(draft: &mut Draft<'_>, info: &At<'_>, session: Option<&At<'_>>) -> Public {
    if let Some(at) = session.and_then(|at| at.find(&["password"]))
        && let Some(password) = at.text()
    {
        draft.taken(&at, "`op.subjects`: oidc-op salted subjects with it, as no `sub_func` said otherwise");
        return Public::Salted(password.to_owned());
    }
    let says = "subjects are our own from now on: oidc-op drew their salt at every start, so they were never the same for long";
    draft.report.say(
        info.file,
        &format!("{}.session_params", info.path),
        super::report::Outcome::Changed,
        says,
    );
    Public::Lost
}
