//! What one value alone cannot show to be wrong, all of it at once, each with the path of its value.

mod identity;

use super::{Bearer, Cors, Policy, Rate, Respond, Route, Settings};
use crate::base::uri;
use crate::op;
use crate::proxy::authority::{Authority, Pattern};
use crate::proxy::path::check;
use crate::proxy::state::Fault;
use crate::proxy::upstream::settings::{Http, Upstream};
use http::{HeaderName, HeaderValue, Method};
use rustls_pki_types::ServerName;
use std::collections::HashMap;

/// Where faults gather.
pub(super) struct Found {
    pub(super) faults: Vec<Fault>,
    pub(super) at: String,
}

impl Found {
    pub(super) fn say(&mut self, below: &str, says: impl Into<String>) {
        let dot = if self.at.is_empty() || below.is_empty() || below.starts_with('[') { "" } else { "." };
        self.faults.push((format!("{}{dot}{below}", self.at), says.into()));
    }
}

impl Settings {
    /// Everything that is wrong with these settings beside the provider's (`None`: there is no provider). Paths begin below the edge's own settings
    /// (`routes[2].policy.bearer.scopes`).
    pub fn faults(&self, op: Option<&op::Settings>) -> Vec<Fault> {
        let mut found = Found { faults: Vec::new(), at: String::new() };
        let mut seen: HashMap<String, usize> = HashMap::new();
        for (nth, route) in self.routes.iter().enumerate() {
            found.at = format!("routes[{nth}]");
            route.faults(self, op, &mut found);
            for key in route.keys() {
                if let Some(first) = seen.insert(key, nth).filter(|first| *first != nth) {
                    found.say("path", format!("routes[{first}] already is for this path, host and method"));
                    break;
                }
            }
        }
        for (name, upstream) in &self.upstreams {
            found.at = format!("upstreams.{name}");
            upstream.faults(&mut found);
        }
        found.at = String::new();
        for (nth, host) in self.hosts.iter().enumerate() {
            host_fault(host, &format!("hosts[{nth}]"), &mut found);
        }
        self.identity_faults(op, &mut found);
        self.forward_auth_faults(op, &mut found);
        if self.limits.head.0 > 64 << 10 {
            found.say("limits.head", "heads beyond 64KiB are never read: at most 64KiB");
        }
        found.faults
    }
}

impl Route {
    fn faults(&self, settings: &Settings, op: Option<&op::Settings>, found: &mut Found) {
        self.path_faults(op, found);
        self.target_faults(settings, found);
        if let Policy::Bearer(rule) = &self.policy {
            rule.faults(op, found);
        }
        for (nth, method) in self.methods.iter().enumerate() {
            if matches!(method.as_str(), "TRACE" | "CONNECT") {
                found.say(&format!("methods[{nth}]"), format!("{method} is taken nowhere"));
            } else if method.parse::<Method>().is_err() || method.chars().any(|c| c.is_ascii_lowercase()) {
                found.say(
                    &format!("methods[{nth}]"),
                    format!("`{method}` is no method; methods are in capitals"),
                );
            }
        }
        for (nth, host) in self.hosts.iter().enumerate() {
            host_fault(host, &format!("hosts[{nth}]"), found);
        }
        for (name, value) in &self.headers {
            if name.parse::<HeaderName>().is_err() || value.parse::<HeaderValue>().is_err() {
                found.say(&format!("headers.{name}"), "this cannot be a header");
            }
        }
        if let Some(cors) = &self.cors {
            cors.faults(found);
        }
        for (nth, rate) in self.rates.iter().enumerate() {
            rate.faults(&format!("rates[{nth}]"), &self.policy, found);
        }
    }

    fn path_faults(&self, op: Option<&op::Settings>, found: &mut Found) {
        let prefix = self.path.trim_end_matches('/');
        match check(self.path.as_bytes()) {
            Err(says) => return found.say("path", format!("no request can have this path: {says}")),
            Ok(checked) if checked.semicolon => {
                return found.say("path", "no request can have this path: it holds a semicolon");
            }
            Ok(_) => {}
        }
        let Some(op) = op.filter(|op| self.meets_issuer(op)) else { return };
        if op.answers_at(prefix) {
            found.say("path", "the provider answers here: on the issuer's host this route is never reached");
        }
    }

    /// Whether all its hosts are the issuer's, or it has none.
    fn meets_issuer(&self, op: &op::Settings) -> bool {
        let host = op.issuer.split_once("://").map_or("", |(_, rest)| rest.split('/').next().unwrap_or(""));
        let Ok(issuer) = Authority::parse(host) else { return false };
        self.hosts.iter().all(|host| Pattern::parse(host).is_ok_and(|host| host.matches(&issuer).is_some()))
    }

    fn target_faults(&self, settings: &Settings, found: &mut Found) {
        match (&self.upstream, &self.respond) {
            (Some(_), Some(_)) => {
                found.say("respond", "a route forwards or answers, not both: leave out one")
            }
            (Some(name), None) if !settings.upstreams.contains_key(name) => {
                found.say("upstream", format!("there is no upstream `{name}`"));
            }
            (None, None) if self.policy != Policy::Deny => {
                found.say("", "a route needs an `upstream` to forward to or a `respond` to answer with");
            }
            (None, Some(respond)) => respond.faults(found),
            _ => {}
        }
    }

    /// What must be there once: host, path and method together.
    fn keys(&self) -> Vec<String> {
        let prefix = self.path.trim_end_matches('/');
        let any = || vec!["*".to_owned()];
        let hosts = if self.hosts.is_empty() { any() } else { self.hosts.clone() };
        let methods = if self.methods.is_empty() { any() } else { self.methods.clone() };
        let pairs = hosts.iter().flat_map(|host| methods.iter().map(move |method| (host, method)));
        pairs.map(|(host, method)| format!("{method} {}{prefix}", host.to_ascii_lowercase())).collect()
    }
}

impl Bearer {
    fn faults(&self, op: Option<&op::Settings>, found: &mut Found) {
        let Some(op) = op else {
            return found.say(
                "policy.bearer",
                "there is no provider whose tokens could be asked for: configure `op`",
            );
        };
        if !op.resources.iter().any(|resource| resource.uri == self.resource) {
            let known: Vec<_> = op.resources.iter().map(|resource| resource.uri.as_str()).collect();
            let known = if known.is_empty() { "there is none".to_owned() } else { known.join(", ") };
            found.say(
                "policy.bearer.resource",
                format!("`{}` is not among op.resources ({known}): no token can be for it", self.resource),
            );
        }
        for (field, scopes) in [("scopes", &self.scopes), ("any_scope", &self.any_scope)] {
            for (nth, scope) in scopes.iter().enumerate() {
                // RFC 6749 §3.3: scope-token.
                let good = |byte: u8| (0x21..=0x7e).contains(&byte) && byte != b'"' && byte != b'\\';
                if scope.is_empty() || !scope.bytes().all(good) {
                    found.say(&format!("policy.bearer.{field}[{nth}]"), format!("`{scope}` is no scope"));
                }
            }
        }
    }
}

impl Respond {
    fn faults(&self, found: &mut Found) {
        if self.body.is_some() && self.file.is_some() {
            found.say("respond.file", "`body` and `file` are both given: leave out one");
        }
        if !(200..=599).contains(&self.status) {
            found.say("respond.status", format!("{} is no status of an answer", self.status));
        }
    }
}

impl Cors {
    fn faults(&self, found: &mut Found) {
        let star = self.origins.iter().any(|origin| origin == "*");
        if self.origins.is_empty() {
            found.say("cors.origins", "name an origin, or leave out `cors`");
        }
        if star && self.origins.len() > 1 {
            found.say("cors.origins", "`*` stands alone");
        }
        if star && self.credentials {
            found.say(
                "cors.credentials",
                "with `*` browsers send no credentials (Fetch §3.2.5): name the origins",
            );
        }
        for (nth, origin) in self.origins.iter().enumerate() {
            if origin != "*" && uri::origin(origin).as_deref() != Some(origin.as_str()) {
                let says = format!("`{origin}` is no origin such as https://app.example.com");
                found.say(&format!("cors.origins[{nth}]"), says);
            }
        }
    }
}

impl Rate {
    fn faults(&self, at: &str, policy: &Policy, found: &mut Found) {
        if self.within.0.is_zero() {
            found.say(&format!("{at}.within"), "a rate needs a time");
        }
        let of_token = matches!(self.per, super::Per::Subject | super::Per::Client);
        if of_token && !matches!(policy, Policy::Bearer(_)) {
            found.say(&format!("{at}.per"), "only a `bearer` route knows a subject and a client");
        }
    }
}

impl Upstream {
    fn faults(&self, found: &mut Found) {
        if let Some(tls) = &self.tls {
            // pingora takes an empty name for "do not verify".
            let named = ServerName::try_from(tls.server_name.as_str());
            if tls.server_name.is_empty() || named.is_err() {
                found.say(
                    "tls.server_name",
                    "name what the certificate must be for: without it nothing is verified",
                );
            }
        } else if self.http == Http::Auto {
            found.say("http", "`auto` is negotiated in the TLS handshake: set `tls`, or say `h1` or `h2`");
        }
        let times = &self.timeouts;
        for (field, span) in [
            ("connect", times.connect),
            ("total_connect", times.total_connect),
            ("read", times.read),
            ("write", times.write),
            ("websocket", times.websocket),
        ] {
            if span.0.is_zero() {
                found.say(&format!("timeouts.{field}"), "0 would wait for nothing: give a time");
            }
        }
        if let Some(host) = &self.host
            && Authority::parse(host).is_err()
        {
            found.say("host", format!("`{host}` is no host"));
        }
    }
}

pub(super) fn host_fault(host: &str, at: &str, found: &mut Found) {
    if let Err(says) = Pattern::parse(host) {
        found.say(at, format!("`{host}`: {says}"));
    }
}
