//! What is told about people beyond what requests ask for: always, to single clients, and in the words of others
//! (OpenID Connect Core §5.4, §5.6).

use super::faults::Found;
use super::{Scope, Settings};
use crate::base::uri;
use crate::op::claims::is_reserved;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};

const MAX_SOURCES: usize = 16;

/// Claims that are told whether a client asks for them or not. The consent page names them.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Told {
    /// In every ID token.
    pub id_token: Vec<String>,
    /// At userinfo.
    pub userinfo: Vec<String>,
    /// In the introspection of a person's access token.
    pub introspection: Vec<String>,
    /// The claims of the granted scopes are in every ID token too, not only where no userinfo can follow.
    pub id_token_by_scope: bool,
    /// The claims of the granted scopes are in introspection answers too.
    pub introspection_by_scope: bool,
}

/// What holds for one client only.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ClientRules {
    /// What scopes release to it, instead of what they release to others; scopes that nobody else has.
    pub scopes: BTreeMap<String, Scope>,
    /// The scopes it may be granted, of those it registered; without this, all of them.
    pub allowed_scopes: Option<Vec<String>>,
    /// Instead of `op.claims`.
    pub claims: Option<Told>,
}

/// Somebody else who says something about people (OpenID Connect Core §5.6). Clients get it at userinfo, as
/// `_claim_names` and `_claim_sources`, where a scope or a request releases the claims and the person's own record has
/// none of that name.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClaimSource {
    /// What answers call it.
    pub name: String,
    /// The claims it makes.
    pub claims: Vec<String>,
    /// It gives a JWT, which is passed on as it is. If it cannot be had, the claims are left out.
    #[serde(default)]
    pub aggregated: Option<Aggregated>,
    /// Clients ask it themselves.
    #[serde(default)]
    pub distributed: Option<Distributed>,
}

/// Where the JWT comes from: one of the two.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Aggregated {
    /// The claim of the person's record that holds it.
    pub record: Option<String>,
    /// An https URL that answers with it; `{account}` stands for the person. Fetched under `fetch`'s rules for every
    /// answer.
    pub url: Option<String>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Distributed {
    /// Where clients ask: an https URL.
    pub endpoint: String,
    /// The claim of the person's record that holds the access token for it; without this, clients need their own.
    #[serde(default)]
    pub access_token: Option<String>,
}

impl Settings {
    /// Every scope there is for everybody.
    pub(crate) fn known_scopes(&self) -> Vec<&str> {
        let standard = ["openid", "profile", "email", "address", "phone", "offline_access"];
        let mut scopes: Vec<&str> = standard.to_vec();
        let own = self.scopes.keys().map(String::as_str);
        let resources = self.resources.iter().flat_map(|resource| resource.scopes.iter().map(String::as_str));
        for scope in own.chain(resources) {
            if !scopes.contains(&scope) {
                scopes.push(scope);
            }
        }
        scopes
    }

    /// OpenID Connect Core §5.6.
    pub(crate) fn claim_types(&self) -> Vec<&'static str> {
        let sources = &self.claim_sources;
        let aggregated = sources.iter().any(|source| source.aggregated.is_some()).then_some("aggregated");
        let distributed = sources.iter().any(|source| source.distributed.is_some()).then_some("distributed");
        ["normal"].into_iter().chain(aggregated).chain(distributed).collect()
    }

    /// What is told to `client_id` unasked.
    pub(crate) fn told_to(&self, client_id: &str) -> &Told {
        let own = self.clients.get(client_id).and_then(|rules| rules.claims.as_ref());
        own.unwrap_or(&self.claims)
    }
}

pub(super) fn scope_faults(place: &str, scopes: &BTreeMap<String, Scope>, found: &mut Found) {
    for (name, scope) in scopes {
        reserved(&format!("{place}.{name}.claims"), &scope.claims, found);
    }
}

impl Told {
    pub(super) fn faults(&self, place: &str, found: &mut Found) {
        for (name, claims) in [
            ("id_token", &self.id_token),
            ("userinfo", &self.userinfo),
            ("introspection", &self.introspection),
        ] {
            reserved(&format!("{place}.{name}"), claims, found);
        }
    }
}

impl ClientRules {
    /// `known`: the scopes there are for everybody.
    pub(super) fn faults(&self, place: &str, known: &[&str], found: &mut Found) {
        scope_faults(&format!("{place}.scopes"), &self.scopes, found);
        for (nth, scope) in self.allowed_scopes.iter().flatten().enumerate() {
            if !known.contains(&scope.as_str()) && !self.scopes.contains_key(scope) {
                found.push((format!("{place}.allowed_scopes[{nth}]"), format!("`{scope}` is not a scope")));
            }
        }
        if let Some(claims) = &self.claims {
            claims.faults(&format!("{place}.claims"), found);
        }
    }
}

fn reserved(place: &str, claims: &[String], found: &mut Found) {
    for (nth, claim) in claims.iter().enumerate().filter(|(_, claim)| is_reserved(claim)) {
        let says = format!("`{claim}` is not about the person: the provider says it or not");
        found.push((format!("{place}[{nth}]"), says));
    }
}

pub(super) fn source_faults(sources: &[ClaimSource], found: &mut Found) {
    if sources.len() > MAX_SOURCES {
        found.push(("claim_sources".into(), format!("may have {MAX_SOURCES} members at most")));
    }
    let (mut names, mut claims) = (HashSet::new(), HashSet::new());
    for (nth, source) in sources.iter().enumerate() {
        let place = format!("claim_sources[{nth}]");
        if source.name.is_empty() || !names.insert(&source.name) {
            found
                .push((format!("{place}.name"), "must be there, and another than that of the others".into()));
        }
        reserved(&format!("{place}.claims"), &source.claims, found);
        for (at, claim) in source.claims.iter().enumerate().filter(|(_, claim)| !claims.insert(*claim)) {
            found.push((format!("{place}.claims[{at}]"), format!("`{claim}` is named twice")));
        }
        source.faults(&place, found);
    }
}

impl ClaimSource {
    fn faults(&self, place: &str, found: &mut Found) {
        let not_url = |url: &str| !uri::is_https_url(url) || uri::has_fragment(url);
        match (&self.aggregated, &self.distributed) {
            (Some(Aggregated { record: Some(_), url: None }), None) => {}
            (Some(Aggregated { record: None, url: Some(url) }), None) => {
                // The person stands in the path or the query: in the host it would choose who is asked.
                let host = url.split('/').nth(2).unwrap_or_default();
                if not_url(&url.replace("{account}", "x")) || host.contains(['{', '}']) {
                    found.push((
                        format!("{place}.aggregated.url"),
                        "must be an https URL without fragment".into(),
                    ));
                }
            }
            (Some(_), None) => {
                found.push((format!("{place}.aggregated"), "takes record or url".into()));
            }
            (None, Some(distributed)) if not_url(&distributed.endpoint) => {
                let says = "must be an https URL without fragment";
                found.push((format!("{place}.distributed.endpoint"), says.into()));
            }
            (None, Some(_)) => {}
            _ => found.push((place.to_owned(), "takes aggregated or distributed".into())),
        }
    }
}
