//! What is said about people, and to whom: by scope (OpenID Connect Core §5.4), by the `claims` parameter (§5.5), in
//! the languages asked for (§5.2). What stands in a token for other reasons (`acr`, `sid` …) is not decided here.

mod language;
#[cfg(test)]
mod tests;

use super::Op;
use super::directory::of_scope;
use super::error::Result;
use super::record::client::Client;
use super::settings::Settings;
use crate::base::clock::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// Claims that say something about a token or a sign-in: no directory, scope or request puts anything else there.
const RESERVED: [&str; 22] = [
    "iss",
    "sub",
    "aud",
    "exp",
    "iat",
    "nbf",
    "jti",
    "nonce",
    "auth_time",
    "acr",
    "amr",
    "azp",
    "sid",
    "at_hash",
    "c_hash",
    "s_hash",
    "cnf",
    "act",
    "events",
    "_claim_names",
    "_claim_sources",
    "sub_jwk",
];

/// The `claims` parameter (OpenID Connect Core §5.5): what is asked for by name, in each of the two places.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ClaimsRequest {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub userinfo: Wishes,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub id_token: Wishes,
}

/// By the claim's name, which may carry a language tag (`name#de`).
pub type Wishes = BTreeMap<String, Wish>;

/// How a claim is asked for (OpenID Connect Core §5.5.1). A claim that is not there is no error, essential or not.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Wish {
    pub essential: bool,
    /// `value`, or `values`: the claim is wanted only if it is one of these. Empty: whatever it is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<Value>,
}

impl Wish {
    fn takes(&self, value: &Value) -> bool {
        self.values.is_empty() || self.values.contains(value)
    }
}

impl ClaimsRequest {
    /// The person meant, where the request says so: other subjects will not do (OpenID Connect Core §5.5.1).
    pub fn accepts_subject(&self, subject: &str) -> bool {
        let wishes = [self.userinfo.get("sub"), self.id_token.get("sub")];
        wishes.into_iter().flatten().all(|wish| wish.takes(&subject.into()))
    }

    /// Whether the ID token is to say when the person signed in.
    pub fn wants_auth_time(&self) -> bool {
        self.id_token.contains_key("auth_time")
    }

    /// The `acr` values asked for, and whether one of them is essential (OpenID Connect Core §5.5.1.1).
    pub fn acr(&self) -> (Vec<String>, bool) {
        let Some(wish) = self.id_token.get("acr") else { return (Vec::new(), false) };
        (wish.values.iter().filter_map(Value::as_str).map(str::to_owned).collect(), wish.essential)
    }

    /// The claims about the person that are asked for by name, in either place, without language tags.
    pub fn personal(&self) -> BTreeSet<&str> {
        let names = self.userinfo.keys().chain(self.id_token.keys());
        names.map(|name| plain(name)).filter(|name| !RESERVED.contains(name)).collect()
    }
}

/// A claim's name without its language tag.
pub(super) fn plain(name: &str) -> &str {
    name.split('#').next().unwrap_or(name)
}

/// What may be told.
#[derive(Clone, Copy, Debug)]
pub struct Disclosure<'a> {
    /// To whom.
    #[expect(dead_code, reason = "what a client is told beyond scopes and wishes comes with its settings")]
    pub client_id: &'a str,
    /// Scopes whose claims are told.
    pub scope: &'a [String],
    /// Claims asked for by name.
    pub wishes: &'a Wishes,
    /// Languages by preference; empty: all there are.
    pub locales: &'a [String],
}

impl Op {
    /// The claims about `account` that `disclosure` allows, without `sub`. Empty if there is no such person.
    pub(super) async fn tell(
        &self,
        account: &str,
        disclosure: Disclosure<'_>,
        now: Timestamp,
    ) -> Result<Map<String, Value>> {
        let Some(person) = self.person(account, now).await? else { return Ok(Map::new()) };
        Ok(told(&self.settings, &person.claims, disclosure))
    }

    /// The claims `client` may ask for by name: those of the scopes it may ask for. A registration that has only some
    /// scopes is not widened by a parameter.
    pub(super) fn claims_open_to(&self, client: &Client) -> BTreeSet<&str> {
        let allowed = client.metadata.scope.as_deref();
        let may = |scope: &&str| allowed.is_none_or(|allowed| allowed.split(' ').any(|own| own == *scope));
        let scopes = self.scopes_supported().into_iter().filter(may);
        scopes
            .flat_map(|scope| of_scope(&self.settings, scope))
            .filter(|name| !RESERVED.contains(name))
            .collect()
    }

    /// The claims about the person that `request` asks for by name and `scope` would not release to the client.
    pub(super) fn beyond_scope<'a>(&self, request: &'a ClaimsRequest, scope: &[String]) -> Vec<&'a str> {
        let released: BTreeSet<&str> =
            scope.iter().flat_map(|scope| of_scope(&self.settings, scope)).collect();
        request.personal().into_iter().filter(|name| !released.contains(name)).collect()
    }
}

fn told(settings: &Settings, known: &Map<String, Value>, disclosure: Disclosure<'_>) -> Map<String, Value> {
    let by_scope: BTreeSet<&str> =
        disclosure.scope.iter().flat_map(|scope| of_scope(settings, scope)).collect();
    let mut told = Map::new();
    let mut tell = |asked: &str, takes: &dyn Fn(&Value) -> bool| {
        if RESERVED.contains(&plain(asked)) {
            return;
        }
        for (name, value) in language::variants(known, asked, disclosure.locales) {
            if !value.is_null() && takes(value) {
                told.insert(name, value.clone());
            }
        }
    };
    for name in by_scope {
        tell(name, &|_| true);
    }
    for (name, wish) in disclosure.wishes {
        tell(name, &|value| wish.takes(value));
    }
    told
}
