//! One configuration, compiled. A request keeps the state it began under; a reload puts another in its place, which
//! takes over the upstreams that did not change.

use super::authority::{Authority, Pattern};
use super::forward_auth::Gate;
use super::header::Names;
use super::identity::{self, JWKS_PATH, Plan};
use super::limit::Places;
use super::respond::Page;
use super::route::{Route, Routes, Target};
use super::settings::{self, Limits, Settings};
use super::upstream::Pool;
use super::verifier::Verifier;
use crate::op::Op;
use http::HeaderValue;
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is wrong with the settings: where (`routes[2].policy.bearer.scopes`) and what.
pub type Fault = (String, String);

pub(super) struct State {
    /// `None`: an edge without a provider.
    pub op: Option<Op>,
    /// Who judges access tokens; `None`: no route asks for one.
    pub verifier: Option<Verifier>,
    /// Host and port of the provider's issuer.
    pub issuer: Option<Authority>,
    /// The same of its endpoints that take client certificates.
    mtls: Option<Authority>,
    pub routes: Routes,
    pub pools: BTreeMap<String, Arc<Pool>>,
    pub trusted: Vec<IpNet>,
    pub names: Names,
    pub limits: Limits,
    pub hsts: Option<HeaderValue>,
    pub places: Places,
    /// What the edge signs with.
    pub plan: Plan,
    pub gates: Vec<Gate>,
}

impl State {
    /// Reads the files the settings name. `before`: the state this one follows.
    pub fn new(settings: &Settings, op: Option<Op>, before: Option<&State>) -> Result<State, Vec<Fault>> {
        let mut faults = settings.faults(op.as_ref().map(Op::settings));
        let pools = pools(settings, before, &mut faults);
        let issuer = identity_issuer(settings, op.as_ref());
        let mut routes = Vec::with_capacity(settings.routes.len());
        for (nth, written) in settings.routes.iter().enumerate() {
            let target = match target(written, &pools) {
                Ok(target) => target,
                Err((below, says)) => {
                    faults.push((format!("routes[{nth}].{below}"), says));
                    continue;
                }
            };
            match Route::new(written, target, &settings.identity, &issuer) {
                Ok(route) => routes.push(route),
                Err(says) => faults.push((format!("routes[{nth}]"), says)),
            }
        }
        let mut gates = Vec::with_capacity(settings.forward_auth.len());
        for (nth, written) in settings.forward_auth.iter().enumerate() {
            gates.extend(keep(Gate::new(written), &format!("forward_auth[{nth}]"), &mut faults));
        }
        let names = keep(Names::new(&settings.identity), "identity", &mut faults);
        let names = names.map(|names| names.reserving(identity::names(&settings.identity, &settings.routes)));
        let issuer = op.as_ref().and_then(|op| keep(authority(op), "op.issuer", &mut faults));
        let mtls = op.as_ref().and_then(|op| keep(mtls(op).transpose(), "op.mtls.origin", &mut faults)?);
        let mut hosts = vec![];
        for (nth, host) in settings.hosts.iter().enumerate() {
            hosts.extend(keep(
                Pattern::parse(host).map_err(str::to_owned),
                &format!("hosts[{nth}]"),
                &mut faults,
            ));
        }
        let (Some(names), true) = (names, faults.is_empty()) else {
            faults.sort();
            faults.dedup();
            return Err(faults);
        };
        // The issuer's own authority, with its port: no other port of that host is ours to answer for.
        hosts.extend(issuer.iter().chain(&mtls).map(Pattern::only));
        hosts.extend(gates.iter().flat_map(|gate| gate.hosts.iter().cloned()));
        let places = match before {
            Some(before) => before.places.limited(settings.limits.in_flight),
            None => Places::new(settings.limits.in_flight),
        };
        Ok(State {
            verifier: op.clone().map(Verifier::Local),
            op,
            issuer,
            mtls,
            routes: Routes::new(routes, hosts),
            pools,
            trusted: settings.trusted_proxies.clone(),
            names,
            limits: settings.limits,
            hsts: hsts(settings),
            places,
            plan: Plan::of(settings),
            gates,
        })
    }

    /// Whether a request to `authority` for `path` is the provider's to answer.
    pub fn is_ops(&self, authority: &Authority, path: &str) -> bool {
        let aliased = || self.op.as_ref().filter(|_| self.mtls.as_ref() == Some(authority));
        self.issuers(authority).is_some_and(|op| op.owns(path))
            || aliased().is_some_and(|op| op.owns_at_mtls(path))
    }

    /// The provider, if `authority` is its issuer's.
    pub fn issuers(&self, authority: &Authority) -> Option<&Op> {
        self.op.as_ref().filter(|_| self.issuer.as_ref() == Some(authority))
    }

    /// Whether the edge's key set is at `path` of `authority`: on the issuer's host, or, without one, wherever a route
    /// signs.
    pub fn is_key_set(&self, authority: &Authority, path: &str) -> bool {
        path == JWKS_PATH
            && self.plan.signs()
            && match &self.issuer {
                Some(issuer) => issuer == authority,
                None => self.routes.signs_for(authority),
            }
    }

    /// The endpoint at which another proxy asks, if this is one.
    pub fn gate(&self, authority: &Authority, path: &str) -> Option<&Gate> {
        self.gates.iter().find(|gate| gate.is_at(authority, path))
    }

    /// Strict-Transport-Security for a host that is a name. RFC 6797 §8.1.1: never for addresses.
    pub fn hsts_for(&self, authority: &Authority) -> Option<HeaderValue> {
        self.hsts.clone().filter(|_| !authority.is_bare())
    }
}

/// The `iss` of identity tokens. `faults` has refused tokens without one.
fn identity_issuer(settings: &Settings, op: Option<&Op>) -> String {
    let derived = || op.map(|op| format!("{}/.well-known/oidcop-edge", op.origin()));
    settings.identity.issuer.clone().or_else(derived).unwrap_or_default()
}

fn keep<T>(result: Result<T, String>, path: &str, faults: &mut Vec<Fault>) -> Option<T> {
    result.map_err(|says| faults.push((path.to_owned(), says))).ok()
}

fn authority(op: &Op) -> Result<Authority, String> {
    let host = op.origin().split_once("://").map_or("", |(_, host)| host);
    Authority::parse(host).map_err(|says| format!("the issuer's host: {says}"))
}

fn mtls(op: &Op) -> Option<Result<Authority, String>> {
    let mtls = op.settings().mtls.as_ref()?;
    Some(Authority::parse(mtls.host()).map_err(|says| format!("the host: {says}")))
}

fn hsts(settings: &Settings) -> Option<HeaderValue> {
    let seconds = settings.hsts.0.0.as_secs();
    (seconds > 0).then(|| HeaderValue::from_str(&format!("max-age={seconds}")).ok()).flatten()
}

fn pools(
    settings: &Settings,
    before: Option<&State>,
    faults: &mut Vec<Fault>,
) -> BTreeMap<String, Arc<Pool>> {
    let mut pools = BTreeMap::new();
    for (name, written) in &settings.upstreams {
        let known = before.and_then(|before| before.pools.get(name)).filter(|pool| pool.is_still(written));
        let pool = match known {
            Some(pool) => pool.clone(),
            None => match Pool::new(name, written) {
                Ok(pool) => Arc::new(pool),
                Err((below, says)) => {
                    faults.push((format!("upstreams.{name}.{below}"), says));
                    continue;
                }
            },
        };
        pools.insert(name.clone(), pool);
    }
    pools
}

/// Faults that concern more than one value were found by [`Settings::faults`].
fn target(
    written: &settings::Route,
    pools: &BTreeMap<String, Arc<Pool>>,
) -> Result<Target, (String, String)> {
    if let Some(respond) = &written.respond {
        return Page::new(respond).map(Target::Page).map_err(|says| ("respond".into(), says));
    }
    Ok(match written.upstream.as_ref().and_then(|name| pools.get(name)) {
        Some(pool) => Target::Upstream(pool.clone()),
        None => Target::Nowhere,
    })
}
