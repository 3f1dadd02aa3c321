//! Text to settings, and every fault with its place.
//!
//! Each layer owns its settings; here they are summed. Relative paths, in the configuration and in the files it names,
//! are relative to the working directory of the process.

mod fault;
mod load;
mod locate;
mod path;
pub mod process;
mod recover;
mod schema;
mod semantic;
mod tree;
mod words;

pub use fault::{Fault, Faults};
pub use load::{Loaded, load, load_text};
pub use locate::Place;
pub use process::{Demo, Process};
pub use schema::{reference_md, schema_json};

use crate::{base, op, proxy, store};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Everything an operator may say, as it is written.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "oidcop-proxy")]
pub struct Config {
    /// The front door: where it listens, certificates, connection limits.
    #[serde(default)]
    pub front: proxy::front::Settings,
    /// The OpenID Provider. Left out: no provider.
    #[serde(default)]
    pub op: Option<op::Settings>,
    /// Where everything that must outlive a request is kept.
    #[serde(default)]
    pub store: store::Settings,
    /// Fetching what clients refer to.
    #[serde(default)]
    pub fetch: base::fetch::Settings,
    /// The process: threads, control socket, logs, stopping.
    #[serde(default)]
    pub server: Process,
    /// Things to try the edge with.
    #[serde(default)]
    pub demo: Demo,
}
