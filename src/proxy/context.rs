//! What one request carries through its phases. Its destructor writes the access-log line and the counters, so that
//! an exchange that was cut is told of like all others.

use super::Kit;
use super::authority::Authority;
use super::denial::Denial;
use super::front::Scope;
use super::limit::Place;
use super::policy::Permit;
use super::route::Route;
use super::state::State;
use crate::base::encode::base64url;
use crate::base::secret::hmac_sha256;
use crate::observe::access_log::Line;
use crate::op::Life;
use http::{HeaderName, HeaderValue};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Instant;

/// The route of the provider's own paths, in logs and metrics.
pub(super) const OP: &str = "op";

/// Not yet routed, in metrics.
const NONE: &str = "none";

/// One request.
pub struct Context {
    /// The configuration this request began under; it never sees another.
    pub(super) state: Arc<State>,
    pub(super) kit: Arc<Kit>,
    began: Instant,
    pub(super) request_id: String,
    /// The caller, after trusted forwarding.
    pub(super) client: IpAddr,
    /// See [`super::head::Caller`].
    pub(super) chain: Option<String>,
    pub(super) authority: Option<Authority>,
    pub(super) route: Option<Arc<Route>>,
    pub(super) permit: Option<Permit>,
    /// The signed token that goes upstream, in its header.
    pub(super) token: Option<(HeaderName, HeaderValue)>,
    /// Why it ended early.
    pub(super) denial: Option<Denial>,
    pub(super) hsts: Option<HeaderValue>,
    /// A WebSocket.
    pub(super) upgrade: bool,
    /// Connections tried.
    pub(super) tries: u32,
    /// Ends this exchange when its token expires.
    pub(super) deadline: Option<Arc<Life>>,
    pub(super) places: Vec<Place>,
    /// Filled in as it happens: an exchange that is cut has no last phase.
    pub(super) line: Line,
    /// `logging` was reached, and whether there was an error.
    pub(super) finished: Option<bool>,
}

impl Context {
    pub(super) fn new(state: Arc<State>, kit: Arc<Kit>) -> Context {
        let request_id = kit.random.id().unwrap_or_default();
        let line = Line {
            time: kit.clock.now(),
            request_id: request_id.clone(),
            address: None,
            protocol: "h1",
            method: String::new(),
            host: String::new(),
            path: String::new(),
            status: 0,
            route: None,
            policy: None,
            verdict: "none",
            client_id: None,
            subject: None,
            upstream: None,
            bytes_in: 0,
            bytes_out: 0,
            duration_ms: 0.0,
            ended: "dropped",
            cause: None,
        };
        kit.metrics.in_flight.inc();
        Context {
            state,
            kit,
            began: Instant::now(),
            request_id,
            client: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            chain: None,
            authority: None,
            route: None,
            permit: None,
            token: None,
            denial: None,
            hsts: None,
            upgrade: false,
            tries: 0,
            deadline: None,
            places: Vec::new(),
            line,
            finished: None,
        }
    }

    /// The policy has said yes.
    pub(super) fn permitted(&mut self, permit: Permit) {
        self.line.verdict = "permit";
        if let Some(facts) = permit.facts() {
            self.line.client_id = Some(facts.client_id.clone());
            let hash = hmac_sha256(&self.kit.subject_key, &[facts.subject.as_bytes()]);
            self.line.subject = hash.get(..12).map(base64url);
        }
        self.permit = Some(permit);
    }

    pub(super) fn denied(&mut self, denial: Denial) {
        self.line.verdict = denial.word();
        self.line.status = denial.status().as_u16();
        if let Denial::Undecided(cause) | Denial::Upstream(cause) | Denial::UpstreamSlow(cause) = &denial {
            self.line.cause = Some(cause.clone());
        }
        if let Denial::Bug(cause) = &denial {
            tracing::error!(request_id = %self.request_id, cause, "a request met a mistake of ours");
            self.line.cause = Some((*cause).to_owned());
        }
        self.denial = Some(denial);
    }

    /// Whether its token has expired meanwhile.
    pub(super) fn expired(&self) -> bool {
        let facts = self.permit.as_ref().and_then(Permit::facts);
        facts.is_some_and(|facts| self.kit.clock.now() >= facts.expires)
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        let took = self.began.elapsed();
        let metrics = &self.kit.metrics;
        metrics.in_flight.dec();
        metrics.received.inc_by(self.line.bytes_in);
        metrics.sent.inc_by(self.line.bytes_out);
        let route = self.line.route.clone().unwrap_or_else(|| NONE.into());
        metrics.request(route, self.line.status, self.line.verdict, took);
        let cut = Scope::current().is_some_and(|scope| scope.is_cut()) || self.expired();
        self.line.ended = match self.finished {
            Some(false) => "done",
            _ if cut => "cut",
            Some(true) => "failed",
            None => "dropped",
        };
        self.line.duration_ms = (took.as_secs_f64() * 1e6).round() / 1e3;
        self.line.request_id.clone_from(&self.request_id);
        self.kit.access_log.write(&self.line);
    }
}
