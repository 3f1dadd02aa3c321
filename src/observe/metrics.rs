//! Counters for Prometheus: names with units, labels that only the configuration can multiply. No globals.

use parking_lot::RwLock;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Seconds: from a local answer to a slow upstream.
const DURATIONS: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfRequest {
    route: Arc<str>,
    /// `2xx` and so on; `none` if nothing was answered.
    status: &'static str,
    verdict: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfRoute {
    route: Arc<str>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfUpstream {
    upstream: Arc<str>,
    failure: &'static str,
}

/// What the edge counts.
pub struct Metrics {
    registry: RwLock<Registry>,
    requests: Family<OfRequest, Counter>,
    durations: Family<OfRoute, Histogram, fn() -> Histogram>,
    upstream_failures: Family<OfUpstream, Counter>,
    /// Requests under way.
    pub in_flight: Gauge,
    /// Requests that made us panic: bugs.
    pub panics: Counter,
    /// Bytes of request and response bodies.
    pub received: Counter,
    pub sent: Counter,
}

/// How a number that somebody else counts is to be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Only grows.
    Counter,
    Gauge,
}

impl Default for Metrics {
    fn default() -> Metrics {
        let metrics = Metrics {
            registry: RwLock::new(Registry::with_prefix("oidcop")),
            requests: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(DURATIONS)),
            upstream_failures: Family::default(),
            in_flight: Gauge::default(),
            panics: Counter::default(),
            received: Counter::default(),
            sent: Counter::default(),
        };
        let mut registry = metrics.registry.write();
        registry.register(
            "http_requests",
            "Requests by route, class of status and verdict",
            metrics.requests.clone(),
        );
        registry.register(
            "http_request_duration_seconds",
            "From the head of a request to the end of its answer",
            metrics.durations.clone(),
        );
        registry.register(
            "upstream_failures",
            "Requests that an upstream did not answer properly",
            metrics.upstream_failures.clone(),
        );
        registry.register("http_requests_in_flight", "Requests under way", metrics.in_flight.clone());
        registry.register("panics", "Requests that ended in a panic", metrics.panics.clone());
        registry.register("http_received_bytes", "Bytes of request bodies", metrics.received.clone());
        registry.register("http_sent_bytes", "Bytes of response bodies", metrics.sent.clone());
        drop(registry);
        metrics
    }
}

impl Metrics {
    /// A request ended. `route` must come from the configuration, never from the request.
    pub fn request(&self, route: Arc<str>, status: u16, verdict: &'static str, took: Duration) {
        self.durations.get_or_create(&OfRoute { route: route.clone() }).observe(took.as_secs_f64());
        self.requests.get_or_create(&OfRequest { route, status: class(status), verdict }).inc();
    }

    pub fn upstream_failed(&self, upstream: &str, failure: &'static str) {
        self.upstream_failures.get_or_create(&OfUpstream { upstream: upstream.into(), failure }).inc();
    }

    /// Shows a number that somebody else counts. The name has no prefix and no `_total`.
    pub fn show(
        &self,
        name: &'static str,
        help: &'static str,
        kind: Kind,
        read: impl Fn() -> u64 + Send + Sync + 'static,
    ) {
        let shown = Shown { name, help, kind, read: Box::new(read) };
        self.registry.write().register_collector(Box::new(shown));
    }

    /// The text format, version OpenMetrics 1.0.
    pub fn text(&self) -> String {
        let mut text = String::new();
        if encode(&mut text, &self.registry.read()).is_err() {
            text.clear();
        }
        text
    }
}

fn class(status: u16) -> &'static str {
    match status {
        100..=199 => "1xx",
        200..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        500..=599 => "5xx",
        _ => "none",
    }
}

struct Shown {
    name: &'static str,
    help: &'static str,
    kind: Kind,
    read: Box<dyn Fn() -> u64 + Send + Sync>,
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl Collector for Shown {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let number = (self.read)();
        match self.kind {
            Kind::Counter => {
                let counter = ConstCounter::new(number);
                let encoder = encoder.encode_descriptor(self.name, self.help, None, counter.metric_type())?;
                counter.encode(encoder)
            }
            Kind::Gauge => {
                let gauge = ConstGauge::new(i64::try_from(number).unwrap_or(i64::MAX));
                let encoder = encoder.encode_descriptor(self.name, self.help, None, gauge.metric_type())?;
                gauge.encode(encoder)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_shown_with_its_labels() {
        let metrics = Metrics::default();
        metrics.request("/api".into(), 200, "permit", Duration::from_millis(3));
        metrics.request("/api".into(), 204, "permit", Duration::from_millis(3));
        metrics.request("/api".into(), 401, "invalid_token", Duration::from_millis(1));
        metrics.upstream_failed("whoami", "connect");
        metrics.show("connections", "Open connections", Kind::Gauge, || 7);
        metrics.show("accepted", "Accepted connections", Kind::Counter, || 9);
        let text = metrics.text();
        for expected in [
            "oidcop_http_requests_total{route=\"/api\",status=\"2xx\",verdict=\"permit\"} 2",
            "oidcop_http_requests_total{route=\"/api\",status=\"4xx\",verdict=\"invalid_token\"} 1",
            "oidcop_http_request_duration_seconds_count{route=\"/api\"} 3",
            "oidcop_upstream_failures_total{upstream=\"whoami\",failure=\"connect\"} 1",
            "oidcop_connections 7",
            "oidcop_accepted_total 9",
            "# EOF",
        ] {
            assert!(text.contains(expected), "{expected}\n{text}");
        }
    }
}
