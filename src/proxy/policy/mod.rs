//! Who may pass. A policy is one row of [`POLICIES`]; its answer is a [`Permit`], which only this room can make: no
//! request reaches an upstream without one, and public routes get theirs like all others.

mod bearer;
mod challenge;
mod deny;
mod public;

pub(super) use challenge::Challenge;

use crate::op::{Dead, Facts};
use crate::proxy::denial::Denial;
use crate::proxy::front::Scope;
use crate::proxy::settings;
use crate::proxy::verifier::Verifier;
use futures_util::future::BoxFuture;
use http::{HeaderMap, Method, Uri};
use std::sync::Arc;

/// Every policy there is.
pub(super) const POLICIES: &[&dyn Policy] = &[&public::Public, &bearer::Bearer, &deny::Deny];

/// How one policy judges.
pub(super) trait Policy: Sync {
    /// The word of the configuration, of logs and of metrics.
    fn name(&self) -> &'static str;

    /// The specification it follows.
    fn spec(&self) -> &'static str;

    /// Whether this row judges what the route says.
    fn is_for(&self, rule: &settings::Policy) -> bool;

    /// Whether a path that resembles the route's is suspicious.
    fn protects(&self) -> bool {
        true
    }

    /// Judges a request. `Now` costs no boxed future.
    fn judge<'a>(&self, asked: Asked<'a>) -> Judged<'a>;
}

/// What a policy may look at. The query is here to be refused, never to decide by.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    /// `None`: an edge without an issuer; `faults` has refused policies that need one.
    pub verifier: Option<&'a Verifier>,
    pub rule: &'a settings::Policy,
    pub method: &'a Method,
    /// As the client wrote it: host, and port if it is not 443.
    pub authority: &'a str,
    pub uri: &'a Uri,
    pub headers: &'a HeaderMap,
    /// The connection is the caller's own: its client certificate speaks for the caller.
    pub direct: bool,
}

pub(super) enum Judged<'a> {
    Now(Result<Permit, Denial>),
    Later(BoxFuture<'a, Result<Permit, Denial>>),
}

/// The proof that a request may pass.
#[derive(Clone, Debug)]
pub(super) struct Permit {
    facts: Option<Arc<Facts>>,
    /// For the client's next DPoP proof.
    nonce: Option<String>,
}

impl Permit {
    /// Who calls, if the policy asked.
    pub fn facts(&self) -> Option<&Arc<Facts>> {
        self.facts.as_ref()
    }

    /// What the answer gives as `DPoP-Nonce` (RFC 9449 §8.2).
    pub fn nonce(&self) -> Option<&str> {
        self.nonce.as_deref()
    }

    #[cfg(test)]
    pub fn for_tests(facts: Arc<Facts>) -> Permit {
        Permit { facts: Some(facts), nonce: None }
    }
}

/// Judges a request and ties this exchange to what its permit rests on: when that ends, the exchange is cut.
pub(super) async fn judge(policy: &dyn Policy, asked: Asked<'_>) -> Result<Permit, Denial> {
    tracing::trace!(policy = policy.name(), spec = policy.spec(), "a request is judged");
    let permit = match policy.judge(asked) {
        Judged::Now(result) => result?,
        Judged::Later(future) => future.await?,
    };
    if let Some(facts) = permit.facts() {
        let scope = Scope::current().ok_or(Denial::Bug("no scope to bind a permit to"))?;
        // Dead between the judgement and now: the answer is as if it had been dead before.
        scope.bind(&facts.life).map_err(|Dead| bearer::ended(asked))?;
    }
    Ok(permit)
}

/// A CORS preflight is forwarded without judgement: it carries no token (Fetch §3.2.2), and the route said so.
pub(super) fn preflight() -> Permit {
    Permit { facts: None, nonce: None }
}

/// The row that judges what a route says.
pub(super) fn row(rule: &settings::Policy) -> &'static dyn Policy {
    POLICIES.iter().copied().find(|policy| policy.is_for(rule)).unwrap_or(&deny::Deny)
}

#[cfg(test)]
mod tests;
