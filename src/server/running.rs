//! A server that runs: what signals and the control socket ask of it. What was pinned at the start stays; the rest
//! changes as a whole or not at all.

use super::control::{Obey, Obeyed, Refusal};
use super::kit::Kit;
use super::reload::needs_restart;
use crate::base::clock::{Clock, Timestamp};
use crate::config::process::Drain;
use crate::config::{self, Config, Faults, Loaded};
use crate::observe::access_log::AccessLog;
use crate::observe::audit::{Actor, Audit};
use crate::observe::metrics::{Kind, Metrics};
use crate::observe::stamp;
use crate::observe::trace::Trace;
use crate::op::{self, Op};
use crate::proxy::Edge;
use crate::proxy::front::Door;
use arc_swap::ArcSwap;
use futures_util::FutureExt;
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Records removed by one turn of the upkeep, at most.
const SWEEP: usize = 1_000;
/// Logout tokens under way at once.
const DELIVERIES: usize = 16;

/// Where what is told goes.
pub struct Logs {
    pub trace: Trace,
    pub audit: Audit,
    pub access_log: AccessLog,
    pub metrics: Arc<Metrics>,
}

pub struct Running {
    file: PathBuf,
    /// What a reload is compared with.
    started: Config,
    whoami: Option<SocketAddr>,
    op: Option<ArcSwap<Op>>,
    edge: Edge,
    door: Arc<Door>,
    clock: Clock,
    logs: Logs,
    drain: Mutex<Drain>,
    /// The hosts the configuration names, without ports.
    hosts: ArcSwap<Vec<String>>,
    draining: AtomicBool,
    /// One reload at a time.
    reloading: tokio::sync::Mutex<()>,
    reloads: Mutex<Reloads>,
    since: Timestamp,
}

/// For `status`.
#[derive(Default)]
struct Reloads {
    done: u64,
    last: Option<Timestamp>,
    last_fault: Option<String>,
}

/// Why a reload changed nothing.
enum Unchanged {
    Faults(Faults),
    Restart(Vec<&'static str>),
    Said(String),
}

impl From<Unchanged> for Refusal {
    fn from(unchanged: Unchanged) -> Refusal {
        match unchanged {
            Unchanged::Faults(faults) => Refusal {
                says: "the configuration has faults; nothing was changed".into(),
                faults: faults.iter().map(ToString::to_string).collect(),
            },
            Unchanged::Restart(names) => Refusal {
                says: "restart needed; nothing was changed".into(),
                faults: names.iter().map(|name| format!("{name}: changed, restart needed")).collect(),
            },
            Unchanged::Said(says) => Refusal::new(format!("{says}; nothing was changed")),
        }
    }
}

impl Running {
    pub fn new(
        loaded: &Loaded,
        op: Option<Op>,
        edge: Edge,
        door: Arc<Door>,
        clock: Clock,
        logs: Logs,
        whoami: Option<SocketAddr>,
    ) -> Running {
        Running {
            file: loaded.file.clone(),
            started: loaded.config.clone(),
            whoami,
            op: op.map(ArcSwap::from_pointee),
            edge,
            door,
            since: clock.now(),
            clock,
            logs,
            hosts: ArcSwap::from_pointee(loaded.config.named_hosts()),
            drain: Mutex::new(loaded.config.server.drain.clone()),
            draining: AtomicBool::new(false),
            reloading: tokio::sync::Mutex::default(),
            reloads: Mutex::default(),
        }
    }

    pub fn started(&self) -> &Config {
        &self.started
    }
    pub fn edge(&self) -> &Edge {
        &self.edge
    }
    pub fn door(&self) -> &Arc<Door> {
        &self.door
    }
    pub fn audit(&self) -> &Audit {
        &self.logs.audit
    }
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.logs.metrics
    }
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }
    pub fn whoami(&self) -> Option<SocketAddr> {
        self.whoami
    }
    pub fn drain(&self) -> Drain {
        self.drain.lock().clone()
    }

    /// Whether `host`, without port, is one of ours, on whichever port: named exactly, or by a pattern at `port`.
    pub fn knows(&self, host: &str, port: u16) -> bool {
        let bare = host.trim_matches(['[', ']']);
        if self.hosts.load().iter().any(|named| named == bare) {
            return true;
        }
        // An unknown host is one that the edge itself would answer with 421.
        let url = if port == 443 { format!("https://{host}/") } else { format!("https://{host}:{port}/") };
        !matches!(self.edge.explain("GET", &url).status, Some(400 | 421))
    }

    /// Readiness says no from here on.
    pub fn begin_draining(&self) {
        self.draining.store(true, Ordering::SeqCst);
    }

    /// The tasks of ours that run as long as the server does.
    pub fn keep(self: &Arc<Running>, kit: &Kit) {
        let edge = self.edge.clone();
        kit.handle().spawn(async move { edge.keep().await });
        for _ in 0..DELIVERIES {
            let running = self.clone();
            kit.handle().spawn(async move { running.deliver().await });
        }
        let running = self.clone();
        kit.handle().spawn(async move {
            while let Some(op) = &running.op {
                if let Err(fault) = op.load_full().tend(running.clock.now(), SWEEP).await {
                    tracing::error!(%fault, "the provider's upkeep failed");
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
    }

    /// Tells clients of logouts, one at a time.
    async fn deliver(&self) {
        while let Some(op) = &self.op {
            let op = op.load_full();
            let delivered = op.deliver().await.unwrap_or_else(|fault| {
                tracing::error!(%fault, "a logout token could not be looked after");
                false
            });
            if !delivered {
                // What falls due does not ring.
                let _ = tokio::time::timeout(Duration::from_secs(1), op.until_notice()).await;
            }
        }
    }

    /// Shows what others count.
    pub fn show_counts(self: &Arc<Running>) {
        type Read = fn(&Running) -> u64;
        let shown: [(&str, &str, Kind, Read); 16] = [
            ("connections", "Open connections", Kind::Gauge, |it| count(it.door.connections().count())),
            ("front_accepted", "Connections accepted", Kind::Counter, |it| it.door.tally().accepted.read()),
            ("front_full", "Connections closed: too many", Kind::Counter, |it| it.door.tally().full.read()),
            ("front_crowded", "Connections closed: too many of one address", Kind::Counter, |it| {
                it.door.tally().crowded.read()
            }),
            ("front_handshakes_failed", "TLS handshakes that failed", Kind::Counter, |it| {
                it.door.tally().handshake_failed.read()
            }),
            ("front_handshakes_late", "TLS handshakes that took too long", Kind::Counter, |it| {
                it.door.tally().handshake_late.read()
            }),
            ("front_streams_refused", "HTTP/2 requests refused", Kind::Counter, |it| {
                it.door.tally().streams_refused.read()
            }),
            ("front_panics", "Exchanges that panicked", Kind::Counter, |it| it.door.tally().panics.read()),
            ("access_log_lost", "Lines of the access log that were lost", Kind::Counter, |it| {
                it.logs.access_log.lost()
            }),
            ("audit_log_lost", "Lines of the audit log that were lost", Kind::Counter, |it| {
                it.logs.audit.lost()
            }),
            ("logout_tokens_delivered", "Logout tokens that clients took", Kind::Counter, |it| it.notices(0)),
            ("logout_tokens_refused", "Logout tokens that clients refused", Kind::Counter, |it| {
                it.notices(1)
            }),
            ("logout_tokens_given_up", "Logout tokens that clients never took", Kind::Counter, |it| {
                it.notices(2)
            }),
            ("logout_tokens_waiting", "Logout tokens that wait to be delivered", Kind::Gauge, |it| {
                it.notices(3)
            }),
            ("reloads", "Reloads that were taken over", Kind::Counter, |it| it.reloads.lock().done),
            ("reload_failed", "Whether the last reload was refused", Kind::Gauge, |it| {
                u64::from(it.reloads.lock().last_fault.is_some())
            }),
        ];
        for (name, help, kind, read) in shown {
            // Weak: the metrics belong to what they show.
            let running = Arc::downgrade(self);
            let read = move || running.upgrade().map_or(0, |running| read(&running));
            self.logs.metrics.show(name, help, kind, read);
        }
    }

    fn notices(&self, which: usize) -> u64 {
        let counts = self.op.as_ref().map(|op| op.load().notice_counts());
        counts.and_then(|counts| counts.get(which).copied()).unwrap_or(0)
    }

    /// What waits in the logs is written.
    pub fn close(&self) {
        self.logs.access_log.flush();
    }

    /// What the control socket asks.
    pub fn obey(self: &Arc<Running>) -> Obey {
        let running = self.clone();
        Arc::new(move |command| {
            let running = running.clone();
            async move { running.obeyed(command).await }.boxed()
        })
    }

    async fn obeyed(&self, command: Value) -> Obeyed {
        let text = |key: &str| command.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let name = text("command");
        match name.as_str() {
            "reload" => {
                let outcome = self.reload().await.map_err(Refusal::from);
                Obeyed { name, audited: Some(Map::new()), outcome }
            }
            "reopen-logs" => {
                let outcome = self.reopen().map(|()| Value::Null).map_err(Refusal::new);
                Obeyed { name, audited: Some(Map::new()), outcome }
            }
            "status" => Obeyed { name, audited: None, outcome: Ok(self.status()) },
            "explain" => {
                let explanation = self.edge.explain(&text("method"), &text("url"));
                let outcome =
                    serde_json::to_value(explanation).map_err(|error| Refusal::new(error.to_string()));
                Obeyed { name, audited: None, outcome }
            }
            "key-list" => {
                let mut obeyed = self.administered(command).await;
                let rows = self.edge.list_keys();
                match &mut obeyed.outcome {
                    Ok(Value::Array(all)) => all.extend(rows),
                    Err(_) if self.op.is_none() => obeyed.outcome = Ok(Value::Array(rows)),
                    _ => {}
                }
                obeyed
            }
            "key-revoke" => match self.edge.revoke_key(&text("kid")).await {
                Ok(false) => self.administered(command).await,
                done => Obeyed {
                    name: "key revoke".into(),
                    audited: Some([("object".to_owned(), Value::from(text("kid")))].into_iter().collect()),
                    outcome: done.map(|_| Value::Array(self.edge.list_keys())).map_err(Refusal::new),
                },
            },
            _ => self.administered(command).await,
        }
    }

    /// What the provider is asked. `client show` and lists change nothing and are not recorded.
    async fn administered(&self, command: Value) -> Obeyed {
        let command: op::Command = match serde_json::from_value(command) {
            Ok(command) => command,
            Err(error) => {
                // What serde says may quote a value: it goes to the caller, not to the audit log.
                let says = "this is no command that this server knows".into();
                let outcome = Err(Refusal { says, faults: vec![error.to_string()] });
                return Obeyed { name: "unknown command".into(), audited: Some(Map::new()), outcome };
            }
        };
        let name = command.name().to_owned();
        let object = command.object().map(|object| ("object".to_owned(), Value::from(object)));
        let audited = (!command.only_reads()).then(|| object.into_iter().collect());
        let outcome = match &self.op {
            Some(op) => op.load_full().administer(command).await.map_err(|refused| Refusal::new(refused.0)),
            None => Err(Refusal::new("this configuration has no provider")),
        };
        Obeyed { name, audited, outcome }
    }

    fn status(&self) -> Value {
        let reloads = self.reloads.lock();
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "pid": std::process::id(),
            "config": self.file,
            "since": stamp(self.since),
            "reloads": reloads.done,
            "last_reload": reloads.last.map(stamp),
            "last_reload_fault": reloads.last_fault,
            "draining": self.is_draining(),
            "connections": self.door.connections().count(),
        })
    }

    /// New settings, routes, pages and certificates over the same store, lives, keys and connections; or, if anything
    /// is wrong with them, the old ones.
    async fn reload(&self) -> Result<Value, Unchanged> {
        let _turn = self.reloading.lock().await;
        let outcome = self.reload_in_turn().await;
        let mut reloads = self.reloads.lock();
        reloads.last = Some(self.clock.now());
        match &outcome {
            Ok(_) => {
                reloads.done += 1;
                reloads.last_fault = None;
            }
            Err(Unchanged::Faults(faults)) => reloads.last_fault = Some(faults.to_string()),
            Err(Unchanged::Restart(names)) => {
                reloads.last_fault = Some(format!("restart needed: {}", names.join(", ")))
            }
            Err(Unchanged::Said(says)) => reloads.last_fault = Some(says.clone()),
        }
        outcome
    }

    async fn reload_in_turn(&self) -> Result<Value, Unchanged> {
        let loaded = config::load(&self.file).map_err(Unchanged::Faults)?;
        let new = &loaded.config;
        let refused = needs_restart(&self.started, new);
        if !refused.is_empty() {
            return Err(Unchanged::Restart(refused));
        }
        let op = self.reconfigured(new).await.map_err(|fault| Unchanged::Said(fault.to_string()))?;
        let settings = new.edge(self.whoami);
        let faults = |found: Vec<(String, String)>| {
            Unchanged::Faults(Faults::new(
                found.iter().map(|(path, says)| loaded.fault(path, says)).collect(),
            ))
        };
        Edge::check(&settings, op.clone()).map_err(faults)?;
        self.edge.make_keys(&settings).await.map_err(Unchanged::Said)?;
        // The last step that may fail on its own comes first; what follows has been tried just now.
        self.door.reload(&new.front, self.clock.now()).map_err(|found| {
            faults(
                found
                    .into_iter()
                    .map(|fault| ("front.tls.certificates".to_owned(), fault.to_string()))
                    .collect(),
            )
        })?;
        self.edge.reload(&settings, op.clone()).map_err(faults)?;
        if let Some((place, op)) = self.op.as_ref().zip(op) {
            place.store(Arc::new(op));
        }
        self.logs.trace.set_level(new.server.log.level.into());
        *self.drain.lock() = new.server.drain.clone();
        self.hosts.store(Arc::new(new.named_hosts()));
        let warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
        tracing::info!(config = %self.file.display(), "reloaded");
        Ok(json!({ "warnings": warnings }))
    }

    async fn reconfigured(&self, new: &Config) -> Result<Option<Op>, op::Fault> {
        match self.op.as_ref().zip(new.op.clone()) {
            Some((op, settings)) => Ok(Some(op.load_full().reconfigured(settings).await?)),
            None => Ok(None),
        }
    }

    pub async fn reload_by_signal(&self) {
        let outcome = self.reload().await.map_err(Refusal::from);
        if let Err(refusal) = &outcome {
            tracing::error!("not reloaded: {}", refusal.says);
            for fault in &refusal.faults {
                tracing::error!("{fault}");
            }
        }
        let said = outcome.as_ref().map(drop).map_err(|refusal| refusal.says.as_str());
        self.logs.audit.record("reload", &Actor::Server, said, Map::new());
    }

    fn reopen(&self) -> Result<(), String> {
        let access = self.logs.access_log.reopen().map_err(|error| format!("the access log: {error}"));
        let audit = self.logs.audit.reopen().map_err(|error| format!("the audit log: {error}"));
        access.and(audit)
    }

    pub fn reopen_by_signal(&self) {
        match self.reopen() {
            Ok(()) => tracing::info!("log files opened anew"),
            Err(says) => tracing::error!("{says}; the old file stays in use"),
        }
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
