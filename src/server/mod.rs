//! The composition root: Config → Kit → Op → Edge → pingora. With proxy/, the only user of pingora.

pub mod banner;
pub mod control;
pub mod demo;
pub mod dev_cert;
pub mod end;
pub mod kit;
pub mod ports;
pub mod ready;
pub mod reload;

use crate::config::Faults;
use crate::{op, proxy, store};
use std::path::PathBuf;

/// Why the server did not start, or not stay.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error("{0}")]
    Config(#[from] Faults),
    #[error(transparent)]
    Op(#[from] op::Fault),
    #[error(transparent)]
    Store(#[from] store::Fault),
    #[error(transparent)]
    Randomness(#[from] crate::base::random::NoRandomness),
    #[error(transparent)]
    DevCert(#[from] dev_cert::Fault),
    #[error("{}", lines(.0))]
    Certificates(Vec<proxy::front::Fault>),
    #[error("{what}: {error}")]
    Io { what: String, error: std::io::Error },
    #[error("{0}")]
    Said(String),
}

impl Fault {
    fn io(what: impl ToString, error: std::io::Error) -> Fault {
        Fault::Io { what: what.to_string(), error }
    }
}

fn lines<T: ToString>(many: &[T]) -> String {
    many.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// What the command line adds to the configuration.
#[derive(Clone, Default, Debug)]
pub struct Options {
    /// Written once every address is bound: a JSON object with them (tests wait for it).
    pub ready_file: Option<PathBuf>,
    /// No banner.
    pub quiet: bool,
}
