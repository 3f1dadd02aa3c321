//! Which route a request would take, which policy would judge it, and why: for `oidcop-proxy explain`. It asks the
//! same code that decides.

use super::authority::Authority;
use super::path;
use super::route::Target;
use super::settings::{Binding, Policy};
use super::state::State;
use http::{Method, Uri};
use serde::Serialize;

/// What would become of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// Host and path as the edge reads them.
    pub host: String,
    pub path: String,
    /// The route's name; `op` if the provider answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// `public`, `bearer` or `deny`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<&'static str>,
    /// The upstream it would be forwarded to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
    /// The status if it ends here, whatever it brings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// In words.
    pub why: String,
}

impl Explanation {
    fn ends(host: &str, path: &str, status: u16, why: impl Into<String>) -> Explanation {
        Explanation {
            host: host.to_owned(),
            path: path.to_owned(),
            route: None,
            policy: None,
            upstream: None,
            status: Some(status),
            why: why.into(),
        }
    }
}

/// `url` is absolute (`https://host/path`); a path alone means the issuer's host.
pub(super) fn explain(state: &State, method: &str, url: &str) -> Explanation {
    let (host, target) = match url.split_once("://") {
        Some((_, rest)) => rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len())),
        None => (state.issuer.as_ref().map_or("", Authority::as_str), url),
    };
    let path = target.split('?').next().unwrap_or_default();
    let path = if path.is_empty() { "/" } else { path };
    let Ok(method) = method.to_ascii_uppercase().parse::<Method>() else {
        return Explanation::ends(host, path, 400, format!("`{method}` is no method"));
    };
    if matches!(method, Method::TRACE | Method::CONNECT) {
        return Explanation::ends(host, path, 405, "TRACE and CONNECT are taken nowhere");
    }
    let authority = match Authority::parse(host) {
        Ok(authority) => authority,
        Err(says) => return Explanation::ends(host, path, 400, says),
    };
    let host = authority.as_str();
    let checked = match path::check(path.as_bytes()) {
        Ok(checked) if path.parse::<Uri>().is_ok() => checked,
        Ok(_) => return Explanation::ends(host, path, 400, "The path is malformed"),
        Err(says) => return Explanation::ends(host, path, 400, says),
    };
    if !state.routes.knows(&authority) {
        return Explanation::ends(host, path, 421, "no route names this host, and it is not the issuer's");
    }
    if state.gate(&authority, path).is_some() {
        return Explanation {
            status: None,
            ..Explanation::ends(host, path, 0, "another proxy asks here whether a request may pass")
        };
    }
    if state.is_key_set(&authority, path) {
        return Explanation {
            status: None,
            ..Explanation::ends(host, path, 0, "the edge's own key set is here")
        };
    }
    if let Some(denial) = super::shadow(state, &authority, path, checked) {
        return Explanation::ends(host, path, denial.status().as_u16(), denial.says());
    }
    if state.is_ops(&authority, path) {
        return Explanation {
            route: Some(super::context::OP.into()),
            status: None,
            ..Explanation::ends(host, path, 0, "the provider answers its own paths on the issuer's host")
        };
    }
    match state.routes.find(&authority, path, checked, &method) {
        Err(denial) => Explanation::ends(host, path, denial.status().as_u16(), denial.says()),
        Ok(route) => Explanation {
            host: host.to_owned(),
            path: path.to_owned(),
            route: Some(route.name.to_string()),
            policy: Some(route.policy.name()),
            upstream: match &route.target {
                Target::Upstream(pool) => Some(pool.name.clone()),
                Target::Page(_) | Target::Nowhere => None,
            },
            status: matches!(route.rule, Policy::Deny).then_some(403),
            why: because(&route.rule, &route.target, route.prefix()),
        },
    }
}

fn because(rule: &Policy, target: &Target, prefix: &str) -> String {
    let longest =
        format!("the longest path that matches is `{}`", if prefix.is_empty() { "/" } else { prefix });
    let who = match rule {
        Policy::Public => "everybody may pass".to_owned(),
        Policy::Deny => "nobody may pass".to_owned(),
        Policy::Bearer(rule) => {
            let mut needs = format!("an access token for {} is needed", rule.resource);
            if !rule.scopes.is_empty() {
                needs.push_str(&format!(" with scope {}", rule.scopes.join(" ")));
            }
            if !rule.any_scope.is_empty() {
                needs.push_str(&format!(" with one of {}", rule.any_scope.join(", ")));
            }
            if rule.binding == Binding::Required {
                needs.push_str(", bound to its sender");
            }
            needs
        }
    };
    let then = match target {
        Target::Upstream(pool) => format!("; then it is forwarded to `{}`", pool.name),
        Target::Page(_) => "; then the edge answers itself".to_owned(),
        Target::Nowhere => String::new(),
    };
    format!("{longest}; {who}{then}")
}
