//! What the program says of itself on the standard error stream, for reading or as JSON. pingora logs through `log`:
//! it is bridged, and its noise about what clients did wrong (scanners, broken handshakes; the request line is theirs)
//! goes to `debug`. Lines with the target `audit` go to the audit log as well.

use crate::observe::audit::{Actor, Audit};
use parking_lot::Mutex;
use serde_json::{Map, Value};
use std::fmt;
use std::sync::Arc;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt as written};

/// The target under which security events are traced.
pub const AUDIT: &str = "audit";

/// Turns what is written up or down while the program runs, and takes the audit log once it is open.
#[derive(Clone)]
pub struct Trace {
    filter: Handle<Targets, Registry>,
    audit: Arc<Mutex<Option<Audit>>>,
}

impl Trace {
    /// Begins tracing, once a process. `RUST_LOG`-like directives are not read: the level is a setting.
    pub fn begin(level: Level, json: bool) -> Trace {
        let (filter, handle) = reload::Layer::new(targets(level));
        let audit = Arc::<Mutex<Option<Audit>>>::default();
        let to_audit = ToAudit(audit.clone()).with_filter(Targets::new().with_target(AUDIT, Level::TRACE));
        let lines: Box<dyn Layer<Registry> + Send + Sync> = if json {
            Box::new(
                written::layer().json().flatten_event(true).with_writer(std::io::stderr).with_filter(filter),
            )
        } else {
            Box::new(written::layer().with_ansi(false).with_writer(std::io::stderr).with_filter(filter))
        };
        // A test binary or an embedding program may have begun already: then its choice stands.
        let _ = tracing_subscriber::registry().with(lines).with(to_audit).try_init();
        bridge(level);
        Trace { filter: handle, audit }
    }

    pub fn set_level(&self, level: Level) {
        let _ = self.filter.reload(targets(level));
        bridge(level);
    }

    pub fn set_audit(&self, audit: Audit) {
        *self.audit.lock() = Some(audit);
    }
}

/// What `log` lets through to the bridge. pingora says some twenty things of a request at `trace`; left to the filter,
/// each would be looked up there, which costs a request a seventh of its time.
fn bridge(level: Level) {
    log::set_max_level(tracing_log::AsLog::as_log(&level).to_level_filter());
}

fn targets(level: Level) -> Targets {
    let ours = LevelFilter::from_level(level);
    // What pingora and the TLS library report as errors is mostly what strangers sent. Ours is told by the access log.
    let theirs = if level >= Level::DEBUG { ours } else { LevelFilter::OFF };
    let startup = if level >= Level::DEBUG { ours } else { LevelFilter::ERROR };
    Targets::new()
        .with_default(ours)
        .with_target("pingora_core", startup)
        .with_target("pingora_core::apps", theirs)
        .with_target("pingora_core::protocols", theirs)
        .with_target("pingora_core::services::listening", theirs)
        .with_target("pingora_proxy", theirs)
        .with_target("pingora_pool", theirs)
        .with_target("rustls", theirs)
        .with_target("h2", LevelFilter::OFF)
        .with_target("hyper", startup)
        .with_target("hyper_util", startup)
}

struct ToAudit(Arc<Mutex<Option<Audit>>>);

impl<S: Subscriber> Layer<S> for ToAudit {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let audit = self.0.lock().clone();
        if let Some(audit) = audit {
            let mut fields = Fields::default();
            event.record(&mut fields);
            let name = fields.message.unwrap_or_else(|| "event".into());
            audit.record(&name, &Actor::Server, Ok(()), fields.others);
        }
    }
}

#[derive(Default)]
struct Fields {
    message: Option<String>,
    others: Map<String, Value>,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.message = Some(value.to_owned());
        } else {
            self.others.insert(field.name().to_owned(), value.into());
        }
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.others.insert(field.name().to_owned(), value.into());
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.others.insert(field.name().to_owned(), value.into());
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.others.insert(field.name().to_owned(), value.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::{Clock, Timestamp};

    #[test]
    fn security_events_reach_the_audit_log() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.log");
        let audit = Audit::open(&path, Clock::scripted(Timestamp(0))).unwrap();
        let layer = ToAudit(Arc::new(Mutex::new(Some(audit))));
        let layer = layer.with_filter(Targets::new().with_target(AUDIT, Level::TRACE));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            tracing::info!(target: AUDIT, client = "web", count = 2, "code reuse");
            tracing::info!("chatter");
        });
        let line: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(
            line,
            serde_json::json!({ "time": "1970-01-01T00:00:00Z", "event": "code reuse", "by": "server",
                                "outcome": "done", "client": "web", "count": 2 })
        );
    }

    #[test]
    fn what_strangers_sent_is_no_error_of_ours() {
        let targets = targets(Level::INFO);
        assert!(targets.would_enable("oidcop_proxy::server", &Level::INFO));
        assert!(!targets.would_enable("pingora_proxy::proxy_h1", &Level::ERROR));
        assert!(targets.would_enable("pingora_core::server", &Level::ERROR));
        assert!(!targets.would_enable("pingora_core::server", &Level::INFO));
    }
}
