//! From host, path and method to a compiled route. The longest prefix wins, whatever the method; a path that only
//! resembles a protected route's is refused. Nothing is decided by the query.

use super::authority::{Authority, Pattern};
use super::cors::Cors;
use super::denial::Denial;
use super::identity::{self, Mint, Told};
use super::limit::Limiter;
use super::path::{Checked, fold, under};
use super::policy;
use super::respond::Page;
use super::settings::{self, Case};
use super::upstream::Pool;
use http::{HeaderName, HeaderValue, Method};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// A route, ready to be used.
pub(super) struct Route {
    pub name: Arc<str>,
    hosts: Vec<Pattern>,
    /// Without a slash at its end.
    prefix: String,
    methods: Vec<Method>,
    case: Case,
    pub rule: settings::Policy,
    pub policy: &'static dyn policy::Policy,
    pub target: Target,
    pub allow_encoded_slash: bool,
    pub allow_semicolon: bool,
    pub cors: Option<Cors>,
    pub body_limit: u64,
    pub read_timeout: Option<Duration>,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub pass_credentials: bool,
    pub websocket: bool,
    pub limiter: Limiter,
    pub told: Vec<Told>,
    /// What signs a token about who calls.
    pub mint: Option<Mint>,
}

/// Where a request that may pass goes.
pub(super) enum Target {
    Upstream(Arc<Pool>),
    Page(Page),
    /// Only `deny` has none.
    Nowhere,
}

impl Route {
    /// `issuer`: what signs tokens about who calls says so.
    pub fn new(
        written: &settings::Route,
        target: Target,
        identity: &settings::Identity,
        issuer: &str,
    ) -> Result<Route, String> {
        let hosts: Vec<Pattern> =
            written.hosts.iter().map(|host| Pattern::parse(host)).collect::<Result<_, _>>()?;
        let methods: Vec<Method> = written
            .methods
            .iter()
            .map(|method| method.parse().map_err(|_| format!("`{method}` is no method")))
            .collect::<Result<_, _>>()?;
        let mut headers = Vec::with_capacity(written.headers.len());
        for (name, value) in &written.headers {
            let name: HeaderName = name.parse().map_err(|_| format!("`{name}` is no header name"))?;
            let value: HeaderValue =
                value.parse().map_err(|_| format!("the value of `{name}` is no header value"))?;
            headers.push((name, value));
        }
        if let Some(file) = &written.authorization_file {
            headers.push((http::header::AUTHORIZATION, authorization(file)?));
        }
        let mint = written.identity_token.as_ref();
        let mint = mint.map(|token| Mint::new(token, issuer, &name(written))).transpose()?;
        Ok(Route {
            name: name(written).into(),
            hosts,
            prefix: written.path.trim_end_matches('/').to_owned(),
            methods,
            case: written.case,
            rule: written.policy.clone(),
            policy: policy::row(&written.policy),
            target,
            allow_encoded_slash: written.allow_encoded_slash,
            allow_semicolon: written.allow_semicolon,
            cors: written.cors.as_ref().map(Cors::new).transpose()?,
            body_limit: written.body_limit.0,
            read_timeout: written.read_timeout.map(|span| span.0),
            headers,
            pass_credentials: written.pass_credentials,
            websocket: written.websocket,
            limiter: Limiter::new(&written.rates, written.in_flight),
            told: identity::told(identity, written)?,
            mint,
        })
    }

    /// Without a slash at its end; empty for `/`.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// How well its hosts match: named exactly 2, by wildcard 1, not named 0.
    pub fn serves(&self, authority: &Authority) -> Option<u8> {
        if self.hosts.is_empty() {
            return Some(0);
        }
        self.hosts.iter().filter_map(|pattern| pattern.matches(authority)).max()
    }

    fn takes(&self, method: &Method) -> bool {
        self.methods.is_empty()
            || self.methods.contains(method)
            // RFC 9110 §9.3.2: HEAD is GET without the body.
            || (*method == Method::HEAD && self.methods.contains(&Method::GET))
    }
}

/// The text of a file, as a header that is never logged.
fn authorization(file: &std::path::Path) -> Result<HeaderValue, String> {
    let shown = file.display();
    let text =
        std::fs::read_to_string(file).map_err(|error| format!("authorization_file: {shown}: {error}"))?;
    let value = HeaderValue::from_str(text.trim()).ok().filter(|value| !value.is_empty());
    let mut value =
        value.ok_or_else(|| format!("authorization_file: {shown} does not hold one line of text"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// What logs and metrics call a route.
pub(super) fn name(written: &settings::Route) -> String {
    match &written.name {
        Some(name) => name.clone(),
        None => format!("{}{}", written.hosts.join(","), written.path),
    }
}

/// All routes of a configuration.
#[derive(Default)]
pub(super) struct Routes {
    by_prefix: HashMap<String, Vec<Arc<Route>>, ahash::RandomState>,
    longest: usize,
    protected: Vec<Arc<Route>>,
    hosts: Vec<Pattern>,
}

impl Routes {
    /// `hosts` are answered for even if no route names them.
    pub fn new(routes: Vec<Route>, mut hosts: Vec<Pattern>) -> Routes {
        let mut by_prefix: HashMap<String, Vec<Arc<Route>>, ahash::RandomState> = HashMap::default();
        let mut protected = Vec::new();
        for route in routes.into_iter().map(Arc::new) {
            hosts.extend(route.hosts.iter().cloned());
            if route.policy.protects() && !route.prefix.is_empty() {
                protected.push(route.clone());
            }
            by_prefix.entry(route.prefix.clone()).or_default().push(route);
        }
        let longest = by_prefix.keys().map(String::len).max().unwrap_or(0);
        Routes { by_prefix, longest, protected, hosts }
    }

    pub fn knows(&self, authority: &Authority) -> bool {
        self.hosts.iter().any(|pattern| pattern.matches(authority).is_some())
    }

    /// Whether a route for `authority` signs tokens.
    pub fn signs_for(&self, authority: &Authority) -> bool {
        let mut routes = self.by_prefix.values().flatten();
        routes.any(|route| route.mint.is_some() && route.serves(authority).is_some())
    }

    pub fn find(
        &self,
        authority: &Authority,
        path: &str,
        checked: Checked,
        method: &Method,
    ) -> Result<&Arc<Route>, Denial> {
        if checked.foldable {
            self.guard(authority, path)?;
        }
        let route = self.longest_match(authority, path, method)?;
        if checked.encoded_slash && !route.allow_encoded_slash {
            return Err(Denial::Malformed("The path holds an escaped slash"));
        }
        if checked.semicolon && !route.allow_semicolon {
            return Err(Denial::Malformed("The path holds a semicolon"));
        }
        Ok(route)
    }

    /// A path that a lax upstream would read as a protected one must be that one.
    fn guard(&self, authority: &Authority, path: &str) -> Result<(), Denial> {
        let (lower, exact) = (fold(path, true), fold(path, false));
        for route in &self.protected {
            let (folded, prefix) = match route.case {
                Case::Guarded => (&lower, fold(&route.prefix, true)),
                Case::Exact => (&exact, fold(&route.prefix, false)),
            };
            if under(folded, &prefix) && !under(path, &route.prefix) && route.serves(authority).is_some() {
                return Err(Denial::Malformed("The path resembles a protected one"));
            }
        }
        Ok(())
    }

    fn longest_match(
        &self,
        authority: &Authority,
        path: &str,
        method: &Method,
    ) -> Result<&Arc<Route>, Denial> {
        // From the longest prefix that could match down to the empty one; no further than routes reach.
        let mut end = path.len();
        loop {
            if end <= self.longest
                && let Some(routes) = path.get(..end).and_then(|prefix| self.by_prefix.get(prefix))
                && let Some(found) = best(routes, authority, method)
            {
                return found;
            }
            match path.get(..end).and_then(|rest| rest.rfind('/')) {
                Some(slash) => end = slash,
                None => return Err(Denial::NoRoute),
            }
        }
    }
}

/// Among the routes of one prefix: the best host, then one that takes the method, if any of that host does.
fn best<'a>(
    routes: &'a [Arc<Route>],
    authority: &Authority,
    method: &Method,
) -> Option<Result<&'a Arc<Route>, Denial>> {
    let serving = || routes.iter().filter_map(|route| Some((route.serves(authority)?, route)));
    let level = serving().map(|(level, _)| level).max()?;
    let candidates = || serving().filter(|(at, _)| *at == level).map(|(_, route)| route);
    // One that names the method goes before one that takes all.
    let found =
        candidates().filter(|route| route.takes(method)).max_by_key(|route| !route.methods.is_empty());
    Some(found.ok_or_else(|| {
        let mut allowed: Vec<&str> =
            candidates().flat_map(|route| &route.methods).map(Method::as_str).collect();
        allowed.sort_unstable();
        allowed.dedup();
        Denial::Method(allowed.join(", "))
    }))
}

#[cfg(test)]
mod tests;
