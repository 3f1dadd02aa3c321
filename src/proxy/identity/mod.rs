//! How an upstream learns who calls: headers by template, and a token signed with the edge's own keys. The four headers
//! with fixed contents, and the removal of what a caller could have forged, stand in header.rs.

mod keys;
mod template;
mod token;

pub(super) use keys::{JWKS_PATH, Keys, Plan, key_set};
pub(super) use template::{Caller, Template};
pub(super) use token::{Issued, Mint};

use super::settings::{Identity, Route};
use http::HeaderName;
use std::collections::BTreeMap;

/// A header and what makes its value.
pub(super) type Told = (HeaderName, Template);

/// What the edge signs with, and what it has signed. Survives a reload.
#[derive(Default)]
pub(super) struct Own {
    pub keys: Keys,
    pub issued: Issued,
}

/// The templates of a route: the edge's, and its own in place of those of the same name.
pub(super) fn told(identity: &Identity, route: &Route) -> Result<Vec<Told>, String> {
    let mut all: BTreeMap<String, &str> = BTreeMap::new();
    for (name, text) in identity.headers.iter().chain(&route.identity_headers) {
        all.insert(name.to_ascii_lowercase(), text);
    }
    let compiled = all.into_iter().filter(|(_, text)| !text.is_empty()).map(|(name, text)| {
        let header = name.parse().map_err(|_| format!("`{name}` is no header name"))?;
        Template::parse(text).map(|template| (header, template))
    });
    compiled.collect()
}

/// Every header name that says who calls, whichever route says it.
pub(super) fn names<'a>(identity: &'a Identity, routes: &'a [Route]) -> impl Iterator<Item = &'a str> {
    let tokens = routes.iter().filter_map(|route| route.identity_token.as_ref());
    // On a route whose caller may bring credentials, `Authorization` is the caller's.
    let tokens = tokens.map(|token| token.header.as_str()).filter(|name| !is_authorization(name));
    let own = routes.iter().flat_map(|route| route.identity_headers.keys());
    identity.headers.keys().chain(own).map(String::as_str).chain(tokens)
}

pub(super) fn is_authorization(name: &str) -> bool {
    name.eq_ignore_ascii_case("authorization")
}
