//! What is said about people, and to whom: by scope (OpenID Connect Core §5.4), by the `claims` parameter (§5.5), in
//! the languages asked for (§5.2). What stands in a token for other reasons (`acr`, `sid` …) is not decided here.

mod language;
mod source;
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
        names.map(|name| plain(name)).filter(|name| !is_reserved(name)).collect()
    }
}

/// A claim's name without its language tag.
pub(super) fn plain(name: &str) -> &str {
    name.split('#').next().unwrap_or(name)
}

/// Whether `name` says something else than who the person is.
pub(super) fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&plain(name))
}

/// Where something is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    IdToken,
    /// An ID token beside which there is nothing that could ask userinfo (OpenID Connect Core §5.4).
    OnlyIdToken,
    Userinfo,
    Introspection,
}

/// What may be told.
#[derive(Clone, Copy, Debug)]
pub struct Disclosure<'a> {
    pub place: Place,
    /// To whom.
    pub client_id: &'a str,
    /// What was granted.
    pub scope: &'a [String],
    /// Claims asked for by name.
    pub wishes: &'a Wishes,
    /// Languages by preference; empty: all there are.
    pub locales: &'a [String],
}

impl Disclosure<'_> {
    /// The claims that are told without being asked for by name.
    fn unasked<'a>(&self, settings: &'a Settings) -> BTreeSet<&'a str> {
        let told = settings.told_to(self.client_id);
        let (always, by_scope) = match self.place {
            Place::IdToken => (&told.id_token, told.id_token_by_scope),
            Place::OnlyIdToken => (&told.id_token, true),
            Place::Userinfo => (&told.userinfo, true),
            Place::Introspection => (&told.introspection, told.introspection_by_scope),
        };
        let scopes = self.scope.iter().filter(|_| by_scope);
        let names = scopes.flat_map(|scope| of_scope(settings, self.client_id, scope));
        names.chain(always.iter().map(String::as_str)).collect()
    }
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
        let mut told = told(&self.settings, &person.claims, disclosure);
        if disclosure.place == Place::Userinfo && !self.settings.claim_sources.is_empty() {
            let mut wanted = disclosure.unasked(&self.settings);
            // What somebody else says cannot be compared with the value that is wanted.
            let wishes = disclosure.wishes.iter().filter(|(_, wish)| wish.values.is_empty());
            wanted.extend(wishes.map(|(name, _)| plain(name)));
            wanted.retain(|name| !told.keys().any(|known| plain(known) == *name));
            told.append(&mut self.referred(&person, &wanted).await);
        }
        Ok(told)
    }

    /// Whether `client` may be granted `scope`: it is known, registered (if it registered any), and not taken from it.
    pub(super) fn may_ask(&self, client: &Client, scope: &str) -> bool {
        let rules = self.settings.clients.get(&client.client_id);
        let own = rules.is_some_and(|rules| rules.scopes.contains_key(scope));
        let known = own || self.scopes_supported().contains(&scope);
        let registered = client.metadata.scope.as_deref();
        let registered = registered.is_none_or(|all| all.split(' ').any(|known| known == scope));
        let allowed = rules.and_then(|rules| rules.allowed_scopes.as_ref());
        known && registered && allowed.is_none_or(|allowed| allowed.iter().any(|known| known == scope))
    }

    /// The claims `client` may ask for by name: those of the scopes it may ask for. A registration that has only some
    /// scopes is not widened by a parameter.
    pub(super) fn claims_open_to(&self, client: &Client) -> BTreeSet<&str> {
        let id = client.client_id.as_str();
        let own = self.settings.clients.get(id).map(|rules| rules.scopes.keys());
        let scopes = self.scopes_supported().into_iter().chain(own.into_iter().flatten().map(String::as_str));
        let scopes = scopes.filter(|scope| self.may_ask(client, scope));
        let claims = scopes.flat_map(|scope| of_scope(&self.settings, id, scope));
        claims.chain(self.unasked(id, true)).filter(|name| !is_reserved(name)).collect()
    }

    /// The claims about the person that the client gets beyond those of `scope`: asked for by name, or told unasked.
    pub(super) fn beyond_scope(
        &self,
        client_id: &str,
        request: &ClaimsRequest,
        scope: &[String],
    ) -> BTreeSet<String> {
        let released: BTreeSet<&str> =
            scope.iter().flat_map(|scope| of_scope(&self.settings, client_id, scope)).collect();
        let openid = scope.iter().any(|scope| scope == "openid");
        let names = request.personal().into_iter().chain(self.unasked(client_id, openid));
        names.filter(|name| !released.contains(name)).map(str::to_owned).collect()
    }

    /// The claims that are told to the client anyhow.
    fn unasked(&self, client_id: &str, openid: bool) -> impl Iterator<Item = &str> {
        let told = self.settings.told_to(client_id);
        let openid = [&told.id_token, &told.userinfo].into_iter().flatten().filter(move |_| openid);
        openid.chain(&told.introspection).map(String::as_str)
    }
}

fn told(settings: &Settings, known: &Map<String, Value>, disclosure: Disclosure<'_>) -> Map<String, Value> {
    let mut told = Map::new();
    let mut tell = |asked: &str, takes: &dyn Fn(&Value) -> bool| {
        if is_reserved(asked) {
            return;
        }
        for (name, value) in language::variants(known, asked, disclosure.locales) {
            if !value.is_null() && takes(value) {
                told.insert(name, value.clone());
            }
        }
    };
    for name in disclosure.unasked(settings) {
        tell(name, &|_| true);
    }
    for (name, wish) in disclosure.wishes {
        tell(name, &|value| wish.takes(value));
    }
    told
}
