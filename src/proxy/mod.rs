//! The edge: an exchange's phases, in the order of its life. What each of them decides stands in a file of its own.

pub mod admin;
mod admit;
mod answer;
mod authority;
mod context;
mod cors;
mod deadline;
mod denial;
mod explain;
mod forward_auth;
pub mod front;
mod head;
mod header;
mod identity;
mod intercept;
mod limit;
mod path;
mod phases;
mod policy;
mod respond;
mod route;
pub mod settings;
mod state;
mod upstream;
mod verifier;

pub use context::Context;
pub use explain::Explanation;
pub use settings::Settings;
pub use state::Fault;
pub use upstream::settings::Upstream;

use crate::base::clock::Clock;
use crate::base::fetch::Fetch;
use crate::base::random::Random;
use crate::base::secret::AtRestKey;
use crate::base::work::Work;
use crate::observe::access_log::AccessLog;
use crate::observe::metrics::Metrics;
use crate::op::Op;
use crate::store::Store;
use arc_swap::ArcSwap;
use authority::Authority;
use deadline::Deadlines;
use denial::Denial;
use path::Checked;
use pingora::proxy::HttpProxy;
use pingora::server::configuration::ServerConf;
use state::State;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// Attempts to reach an upstream: the first and two more.
const ATTEMPTS: u32 = 3;

/// How often names are resolved anew.
const RESOLVE_EVERY: u32 = 30;

/// What the edge runs on. It survives a reload.
pub struct Kit {
    pub clock: Clock,
    pub random: Random,
    pub access_log: AccessLog,
    pub metrics: Arc<Metrics>,
    /// Where the edge keeps what must outlive the process: its sessions, keys and certificates.
    pub store: Arc<dyn Store>,
    pub at_rest: AtRestKey,
    /// For what other parties publish.
    pub fetch: Fetch,
    /// For what blocks.
    pub work: Work,
    /// Subjects stand in the access log as a hash under this key.
    pub subject_key: [u8; 32],
}

/// The edge under its current configuration. Clones are the same edge.
#[derive(Clone)]
pub struct Edge(Arc<Shared>);

struct Shared {
    state: ArcSwap<State>,
    kit: Arc<Kit>,
    deadlines: Deadlines,
    reloaded: Notify,
    own: identity::Own,
}

impl Edge {
    /// Reads the files the settings name. `op`: `None` for an edge without a provider. Upstream names are resolved by [`Edge::keep`].
    ///
    /// # Errors
    /// Everything that is wrong with the settings.
    pub fn new(settings: &Settings, op: Option<Op>, kit: Kit) -> Result<Edge, Vec<Fault>> {
        let state = State::new(settings, op, None)?;
        Ok(Edge(Arc::new(Shared {
            state: ArcSwap::from_pointee(state),
            kit: Arc::new(kit),
            deadlines: Deadlines::default(),
            reloaded: Notify::new(),
            own: identity::Own::default(),
        })))
    }

    /// Takes over other settings, or none of them. Requests under way end under those they began with; upstreams that
    /// did not change keep their connections and their health.
    ///
    /// # Errors
    /// Everything that is wrong with the settings; the old ones stay in force.
    pub fn reload(&self, settings: &Settings, op: Option<Op>) -> Result<(), Vec<Fault>> {
        let state = State::new(settings, op, Some(&self.0.state.load()))?;
        self.0.state.store(Arc::new(state));
        self.0.reloaded.notify_one();
        Ok(())
    }

    /// Makes the keys that these settings sign with, so that requests need not wait for them. Before [`Edge::reload`], and
    /// before the first request.
    ///
    /// # Errors
    /// The store or the at-rest key does not give them: a sentence for the operator.
    pub async fn make_keys(&self, settings: &Settings) -> Result<(), String> {
        self.0.own.keys.tend(&self.0.kit, &identity::Plan::of(settings)).await
    }

    /// The edge's own keys, for `key list`.
    pub fn list_keys(&self) -> Vec<serde_json::Value> {
        self.0.own.keys.list(&self.0.state.load().plan)
    }

    /// `key revoke KID`: a key of the edge's is compromised. It is forgotten, and what it signed is sent no more. False: it is
    /// none of the edge's.
    ///
    /// # Errors
    /// The store does not take the change: a sentence for the operator.
    pub async fn revoke_key(&self, kid: &str) -> Result<bool, String> {
        self.0.own.keys.revoke(&self.0.kit, kid).await
    }

    /// What `check` asks: the settings compiled, files and all, and thrown away.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn check(settings: &Settings, op: Option<Op>) -> Result<(), Vec<Fault>> {
        State::new(settings, op, None).map(drop)
    }

    /// Which route a request would take, and why. `url` is absolute, or a path on the issuer's host.
    pub fn explain(&self, method: &str, url: &str) -> Explanation {
        explain::explain(&self.0.state.load(), method, url)
    }

    /// The upkeep: ends streams whose token has expired, resolves upstream names, rotates the edge's keys. Runs until it is dropped; nothing
    /// else does these things.
    pub async fn keep(&self) {
        loop {
            let state = self.0.state.load_full();
            for pool in state.pools.values() {
                pool.resolve().await;
            }
            if let Err(fault) = self.0.own.keys.tend(&self.0.kit, &state.plan).await {
                tracing::error!(%fault, "the upkeep of the edge's keys failed");
            }
            self.0.own.issued.tidy(self.0.kit.clock.now());
            drop(state);
            for _ in 0..RESOLVE_EVERY {
                self.0.deadlines.pass(self.0.kit.clock.now()).await;
                let second = tokio::time::sleep(Duration::from_secs(1));
                tokio::select! {
                    () = self.0.reloaded.notified() => break,
                    () = second => {}
                }
            }
        }
    }
}

/// The proxy to put behind the front door. Not generic: `HttpProxy<Edge>` is compiled here and nowhere else.
pub fn http_proxy(conf: &Arc<ServerConf>, edge: Edge) -> HttpProxy<Edge> {
    pingora::proxy::http_proxy(conf, edge)
}

/// A path on the issuer's host that only resembles one of the provider's must not reach a route.
fn shadow(state: &State, authority: &Authority, path: &str, checked: Checked) -> Option<Denial> {
    let op = state.issuers(authority).filter(|_| checked.foldable)?;
    if op.owns(path) {
        let odd = checked.semicolon || checked.encoded_slash;
        return odd.then_some(Denial::Malformed("The path holds a semicolon or an escaped slash"));
    }
    let resembles = op.owns(&path::fold(path, true));
    resembles.then_some(Denial::Malformed("The path resembles a protected one"))
}

#[cfg(test)]
mod tests;
