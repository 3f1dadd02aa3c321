//! What is wrong with what upstreams and asking proxies are told.

use super::{Found, host_fault};
use crate::base::uri;
use crate::op;
use crate::proxy::identity::{JWKS_PATH, Template, is_authorization};
use crate::proxy::path::check;
use crate::proxy::settings::{IdentityToken, Policy, Route, Settings};
use http::HeaderName;
use std::collections::{BTreeMap, HashMap};

/// Headers that mean something else, or that the edge sets itself.
const TAKEN: &[&str] = &[
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "dpop",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "proxy-connection",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-request-id",
    "cache-control",
    "location",
    "www-authenticate",
    "x-auth-redirect",
];

impl Settings {
    pub(super) fn identity_faults(&self, op: Option<&op::Settings>, found: &mut Found) {
        let mut seen: HashMap<String, &str> = HashMap::new();
        for (field, name) in self.identity.names() {
            if !name.is_empty() && name.parse::<HeaderName>().is_err() {
                found.say(&format!("identity.{field}"), format!("`{name}` is no header name"));
            }
            if !name.is_empty() {
                seen.insert(fold(name), field);
            }
        }
        templates("identity.headers", &self.identity.headers, &seen, found);
        for (nth, route) in self.routes.iter().enumerate() {
            found.at = format!("routes[{nth}]");
            templates("identity_headers", &route.identity_headers, &seen, found);
            route.token_faults(self, op, &seen, found);
        }
        found.at = String::new();
        if let Some(issuer) = &self.identity.issuer
            && uri::origin(issuer).is_none()
        {
            found.say(
                "identity.issuer",
                format!("`{issuer}` is no URL such as https://login.example.com/edge"),
            );
        }
    }

    pub(super) fn forward_auth_faults(&self, op: Option<&op::Settings>, found: &mut Found) {
        for (nth, asked) in self.forward_auth.iter().enumerate() {
            found.at = format!("forward_auth[{nth}]");
            let prefix = asked.path.trim_end_matches('/');
            match check(asked.path.as_bytes()) {
                Err(says) => found.say("path", format!("no request can have this path: {says}")),
                Ok(_) if prefix.is_empty() => {
                    found.say("path", "every request would be taken for a question: name a path")
                }
                Ok(_) if op.is_some_and(|op| op.answers_at(prefix)) => {
                    found.say("path", "the provider answers here");
                }
                Ok(_) => {}
            }
            if self.routes.iter().any(|route| route.path.trim_end_matches('/') == prefix) {
                found.say("path", "a route is for this path too: it would never be reached");
            }
            if asked.trusted.is_empty() {
                found.say("trusted", "name the networks of the proxies that may ask");
            }
            for (nth, host) in asked.hosts.iter().enumerate() {
                host_fault(host, &format!("hosts[{nth}]"), found);
            }
        }
        found.at = String::new();
    }
}

impl Route {
    fn token_faults(
        &self,
        settings: &Settings,
        op: Option<&op::Settings>,
        seen: &HashMap<String, &str>,
        found: &mut Found,
    ) {
        if self.pass_credentials && self.authorization_file.is_some() {
            found.say(
                "authorization_file",
                "the caller's own `Authorization` is passed on: leave out `pass_credentials`",
            );
        }
        let Some(token) = &self.identity_token else { return };
        if matches!(self.policy, Policy::Public | Policy::Deny) {
            found.say("identity_token", "nobody is known on such a route: there is nothing to say");
        }
        if op.is_none() && settings.identity.issuer.is_none() {
            found.say("identity_token", "who signs has no name: say `identity.issuer`");
        }
        if is_authorization(&token.header) {
            if self.pass_credentials {
                let says = "the caller's own `Authorization` is passed on: name another header, or leave out `pass_credentials`";
                found.say("identity_token.header", says);
            }
            if self.authorization_file.is_some() {
                found.say("identity_token.header", "`authorization_file` is sent in it: name another header");
            }
        } else {
            name_fault("identity_token.header", &token.header, seen, found);
        }
        if self.path.trim_end_matches('/') == JWKS_PATH {
            found.say("path", "the edge's own key set is here");
        }
        token.faults(found);
    }
}

impl IdentityToken {
    fn faults(&self, found: &mut Found) {
        if self.audience.is_empty() {
            found.say("identity_token.audience", "name whom it is for: without that anybody's would do");
        }
        if !(5..=3_600).contains(&self.lifetime.0.as_secs()) {
            found.say("identity_token.lifetime", "a token that says who calls lives 5s to 1h");
        }
    }
}

fn templates(at: &str, written: &BTreeMap<String, String>, seen: &HashMap<String, &str>, found: &mut Found) {
    let mut here: HashMap<String, &str> = HashMap::new();
    for (name, text) in written {
        let place = format!("{at}.{name}");
        name_fault(&place, name, seen, found);
        if let Some(twin) = here.insert(fold(name), name) {
            found.say(&place, format!("to some upstreams it is the same as `{twin}`"));
        }
        if let Err(says) = Template::parse(text) {
            found.say(&place, says);
        }
    }
}

fn name_fault(place: &str, name: &str, seen: &HashMap<String, &str>, found: &mut Found) {
    let folded = fold(name);
    if name.parse::<HeaderName>().is_err() {
        found.say(place, format!("`{name}` is no header name"));
    } else if TAKEN.contains(&folded.as_str()) || folded.starts_with("x-forwarded-") {
        found.say(place, format!("`{name}` has a meaning of its own: name another header"));
    } else if let Some(field) = seen.get(&folded) {
        found.say(place, format!("`identity.{field}` is sent under this name already"));
    }
}

fn fold(name: &str) -> String {
    name.to_ascii_lowercase().replace(['_', '.'], "-")
}
