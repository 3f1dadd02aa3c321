//! The audit log: administrative commands and security events, one JSON line each, only ever appended to. Passwords,
//! secrets and tokens have no way into it: who records names the fields. It is no access log.

use crate::base::clock::Clock;
use crate::observe::sink::Sink;
use crate::observe::stamp;
use serde_json::{Map, Value};
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Clones write to the same file.
#[derive(Clone)]
pub struct Audit {
    sink: Arc<Sink>,
    clock: Clock,
}

/// Who did what is recorded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Actor {
    /// A local user at the control socket, by user id and process id.
    Local { uid: u32, pid: Option<i32> },
    /// The command line, working on the store itself while no server ran.
    Direct { uid: u32 },
    /// A signal, or the program's own schedule.
    Server,
}

impl Audit {
    /// # Errors
    /// The file cannot be opened for appending.
    pub fn open(path: &Path, clock: Clock) -> io::Result<Audit> {
        Ok(Audit { sink: Arc::new(Sink::file(path)?), clock })
    }

    /// Records one event. `detail` must hold nothing secret.
    pub fn record(&self, event: &str, actor: &Actor, outcome: Result<(), &str>, detail: Map<String, Value>) {
        let mut line = Map::new();
        line.insert("time".into(), stamp(self.clock.now()).into());
        line.insert("event".into(), event.into());
        match actor {
            Actor::Local { uid, pid } => {
                line.insert("by".into(), "control".into());
                line.insert("uid".into(), (*uid).into());
                if let Some(pid) = pid {
                    line.insert("pid".into(), (*pid).into());
                }
            }
            Actor::Direct { uid } => {
                line.insert("by".into(), "command line".into());
                line.insert("uid".into(), (*uid).into());
            }
            Actor::Server => {
                line.insert("by".into(), "server".into());
            }
        }
        match outcome {
            Ok(()) => line.insert("outcome".into(), "done".into()),
            Err(why) => {
                line.insert("outcome".into(), "refused".into());
                line.insert("why".into(), why.into())
            }
        };
        line.extend(detail);
        self.sink.line(&Value::Object(line).to_string());
    }

    /// # Errors
    /// The file cannot be opened; the old one stays in use.
    pub fn reopen(&self) -> io::Result<()> {
        self.sink.reopen()
    }

    /// Events that could not be written.
    pub fn lost(&self) -> u64 {
        self.sink.lost()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::Timestamp;
    use serde_json::json;

    #[test]
    fn an_event_is_one_line_with_who_when_and_how_it_ended() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.log");
        let audit = Audit::open(&path, Clock::scripted(Timestamp(1_790_000_000))).unwrap();
        let detail = json!({ "object": "ann\nx" }).as_object().unwrap().clone();
        audit.record("user disable", &Actor::Local { uid: 0, pid: Some(7) }, Ok(()), detail);
        audit.record("reload", &Actor::Server, Err("restart needed"), Map::new());
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(
            lines,
            [
                json!({ "time": "2026-09-21T14:13:20Z", "event": "user disable", "by": "control", "uid": 0, "pid": 7,
                        "outcome": "done", "object": "ann\nx" }),
                json!({ "time": "2026-09-21T14:13:20Z", "event": "reload", "by": "server", "outcome": "refused",
                        "why": "restart needed" }),
            ]
        );
    }
}
