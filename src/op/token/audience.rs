//! Which resources an access token is for (RFC 8707, RFC 9068 §3), and what follows from them: its form and lifetime.

use crate::op::error::{Code, Error, Result};
use crate::op::settings::{Format, Resource, Settings};
use std::time::Duration;

/// The resources that `asked` names, or else those that `scope` selects, by `uri`; duplicates count once. Empty: the
/// request selects none.
///
/// # Errors
/// `invalid_target`: one of `asked` is not a resource of this provider (RFC 8707 §2).
pub fn select<'a>(
    settings: &Settings,
    asked: impl Iterator<Item = &'a str>,
    scope: &[String],
) -> Result<Vec<String>> {
    let mut selected: Vec<String> = Vec::new();
    for uri in asked {
        if find(settings, uri).is_none() {
            return Err(unknown());
        }
        if !selected.iter().any(|known| known == uri) {
            selected.push(uri.to_owned());
        }
    }
    if selected.is_empty() {
        let by_scope = |resource: &&Resource| resource.scopes.iter().any(|own| scope.contains(own));
        selected = settings.resources.iter().filter(by_scope).map(|resource| resource.uri.clone()).collect();
    }
    Ok(selected)
}

/// The part of `granted` that `asked` names; all of it if nothing is asked.
///
/// # Errors
/// `invalid_target`: something else was asked for (RFC 8707 §2.2).
pub fn narrow<'a>(granted: &[String], asked: impl Iterator<Item = &'a str>) -> Result<Vec<String>> {
    let mut narrowed: Vec<String> = Vec::new();
    for uri in asked {
        if !granted.iter().any(|known| known == uri) {
            return Err(unknown());
        }
        if !narrowed.iter().any(|known| known == uri) {
            narrowed.push(uri.to_owned());
        }
    }
    Ok(if narrowed.is_empty() { granted.to_vec() } else { narrowed })
}

/// What the resources of one token make of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Target {
    /// The `aud`: never empty.
    pub audience: Vec<String>,
    pub format: Format,
    pub lifetime: Duration,
}

/// The target of a token for `resources` with `scope`. `openid` adds the issuer, which stands for userinfo; a token
/// that would be for nobody is for the default resource, or else for the issuer alone.
pub fn target(settings: &Settings, resources: &[String], scope: &[String]) -> Target {
    let mut audience = resources.to_vec();
    let openid = scope.iter().any(|scope| scope == "openid");
    if audience.is_empty() && !openid {
        audience.extend(settings.default_resource.clone());
    }
    if openid || audience.is_empty() {
        audience.push(settings.issuer.clone());
    }
    let known: Vec<_> = audience.iter().filter_map(|uri| find(settings, uri)).collect();
    // Whoever wants to keep its tokens unreadable, and short-lived, gets its way for those it shares, too.
    let opaque = known.iter().any(|resource| resource.format == Format::Opaque);
    let lifetimes = known.iter().filter_map(|resource| resource.lifetime).map(|span| span.0);
    let lifetime = lifetimes.min().unwrap_or(settings.lifetimes.access_token.0);
    Target { audience, format: if opaque { Format::Opaque } else { Format::Jwt }, lifetime }
}

pub fn find<'a>(settings: &'a Settings, uri: &str) -> Option<&'a Resource> {
    settings.resources.iter().find(|resource| resource.uri == uri)
}

fn unknown() -> Error {
    Error::new(Code::InvalidTarget, "The resource is unknown, or was not granted")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::fixture::settings;

    fn owned(list: &[&str]) -> Vec<String> {
        list.iter().map(|text| (*text).to_owned()).collect()
    }

    fn several() -> Settings {
        settings(
            "
resources:
  - { uri: 'https://a.example', scopes: [a] }
  - { uri: 'https://b.example', scopes: [b, a], format: opaque, lifetime: 5m }
default_resource: 'https://a.example'",
        )
    }

    #[test]
    fn scopes_select_resources_unless_some_are_named() {
        let settings = several();
        let select = |asked: &[&str], scope: &[&str]| select(&settings, asked.iter().copied(), &owned(scope));
        assert_eq!(select(&[], &["a"]).unwrap(), ["https://a.example", "https://b.example"]);
        assert_eq!(select(&[], &["b"]).unwrap(), ["https://b.example"]);
        assert_eq!(select(&[], &["openid"]).unwrap(), [""; 0]);
        let twice = ["https://a.example", "https://a.example"];
        assert_eq!(select(&twice, &["b"]).unwrap(), ["https://a.example"]);
        assert_eq!(select(&["https://c.example"], &["a"]).unwrap_err().code, Code::InvalidTarget);
    }

    #[test]
    fn a_token_request_only_narrows() {
        let granted = owned(&["x", "y"]);
        assert_eq!(narrow(&granted, [].into_iter()).unwrap(), granted);
        assert_eq!(narrow(&granted, ["y", "y"].into_iter()).unwrap(), ["y"]);
        assert_eq!(narrow(&granted, ["z"].into_iter()).unwrap_err().code, Code::InvalidTarget);
    }

    #[test]
    fn the_strictest_resource_decides_about_form_and_lifetime() {
        let settings = several();
        let both = target(&settings, &owned(&["https://a.example", "https://b.example"]), &owned(&["a"]));
        assert_eq!((both.format, both.lifetime), (Format::Opaque, Duration::from_secs(300)));
        let none = target(&settings, &[], &[]);
        assert_eq!((none.audience, none.format), (owned(&["https://a.example"]), Format::Jwt));
        let userinfo = target(&settings, &[], &owned(&["openid"]));
        assert_eq!(userinfo.audience, ["https://op.example"]);
        let bare = target(&crate::op::fixture::settings("{}"), &[], &[]);
        assert_eq!(bare.audience, ["https://op.example"]);
    }
}
