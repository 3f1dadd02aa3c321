//! The process itself: threads, control socket, logs, draining. Settings of `server/`, which stands above this room
//! and so cannot own them.

use crate::base::scalar::Span;
use crate::observe::sink::Sink;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;

/// The process: threads, control socket, logs, stopping.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Process {
    /// Threads that serve connections; 0 = one a core. Changing it needs a restart.
    pub threads: u16,
    /// The UNIX socket the command line talks to; only the server's own user and root may. Its directory is made
    /// readable by the owner only. Changing it needs a restart.
    pub control: PathBuf,
    /// An address on loopback for `/livez`, `/readyz`, `/metrics` and `/version`, such as `127.0.0.1:9090`. Changing
    /// it needs a restart.
    pub admin: Option<SocketAddr>,
    /// Where the access log goes, one JSON line a request: `stdout`, `off`, or `{ file: PATH }`. USR1 opens the file
    /// anew.
    pub access_log: LogTarget,
    /// Where administrative commands and security events are recorded, one JSON line each; only ever appended to.
    /// USR1 opens the file anew.
    pub audit_log: PathBuf,
    /// What the program says of itself, on the standard error stream.
    pub log: Log,
    /// Stopping.
    pub drain: Drain,
    /// A file that holds the process id while it runs.
    pub pid_file: Option<PathBuf>,
}

impl Default for Process {
    fn default() -> Process {
        Process {
            threads: 0,
            control: "var/run/control.sock".into(),
            admin: None,
            access_log: LogTarget::Stdout,
            audit_log: "var/audit.log".into(),
            log: Log::default(),
            drain: Drain::default(),
            pid_file: None,
        }
    }
}

/// Where lines go.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogTarget {
    /// To the standard output.
    #[default]
    Stdout,
    /// Nowhere.
    Off,
    /// To a file, made readable by its owner and group.
    File(PathBuf),
}

impl LogTarget {
    /// # Errors
    /// The file cannot be opened for appending.
    pub fn open(&self) -> std::io::Result<Sink> {
        match self {
            LogTarget::Stdout => Ok(Sink::stdout()),
            LogTarget::Off => Ok(Sink::off()),
            LogTarget::File(path) => Sink::file(path),
        }
    }
}

/// What the program says of itself.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// The least level that is written.
    pub level: Level,
    /// `human` or `json`.
    pub format: Format,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
    Trace,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For reading.
    #[default]
    Human,
    /// One JSON object a line.
    Json,
}

impl From<Level> for tracing::Level {
    fn from(level: Level) -> tracing::Level {
        match level {
            Level::Error => tracing::Level::ERROR,
            Level::Warn => tracing::Level::WARN,
            Level::Info => tracing::Level::INFO,
            Level::Debug => tracing::Level::DEBUG,
            Level::Trace => tracing::Level::TRACE,
        }
    }
}

/// How the server stops on TERM.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Drain {
    /// How long `/readyz` says 503 while connections are still accepted, so that a load balancer can turn away.
    pub delay: Span,
    /// How long requests that are under way may still take.
    pub grace: Span,
}

impl Default for Drain {
    fn default() -> Drain {
        Drain { delay: Span::secs(0), grace: Span::secs(30) }
    }
}

/// Things to try the edge with. Not for a machine that others can reach.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Demo {
    /// Serves an upstream called `whoami` at this loopback address, which shows the request that reached it (port 0 =
    /// any free one). Routes name it as `upstream: whoami`; `…/ws` echoes WebSocket messages, `…/sse` sends events.
    /// Changing it needs a restart.
    pub whoami: Option<SocketAddr>,
    /// Makes a development certificate authority (`ca.pem`) and a certificate for 127.0.0.1, localhost, ::1 and every
    /// host named in the configuration where the first of `front.tls.certificates` says, if they are not there or are
    /// about to expire.
    pub certificate: bool,
    /// Whether to greet with addresses, a demo login and what to try.
    pub banner: bool,
}
