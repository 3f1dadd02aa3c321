//! Which backend, and what it needs to know: the part `store:` of the configuration.

use crate::base::scalar::Size;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Where everything that must outlive a request is kept. Changing it needs a restart.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "StoreSettings")]
pub enum Settings {
    /// In memory: everybody logs in again after a restart, and clients that registered themselves are gone. For
    /// tests and demonstrations.
    #[default]
    Memory,
    /// In one file on a local disk, for one process.
    Embedded(EmbeddedSettings),
}

/// A file on a local disk (not on a network file system). What was answered to a client is on disk before the answer;
/// counters and replay memory may lose the last 50 ms in a crash. Should the disk be full or fail, whatever has to be
/// written is refused until a restart, and reading goes on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EmbeddedSettings {
    /// The file. It is created readable by its owner only, as is its directory if it is missing. One process holds
    /// it; a second one that is given the same file refuses to start.
    pub path: PathBuf,
    /// How much of the file is kept in memory.
    #[serde(default = "cache")]
    pub cache: Size,
}

fn cache() -> Size {
    Size::mib(64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::BACKENDS;

    fn read(json: &str) -> Result<Settings, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn a_backend_is_a_word_or_a_map_with_one_key() {
        assert_eq!(read(r#""memory""#).unwrap(), Settings::Memory);
        let embedded = |cache| Settings::Embedded(EmbeddedSettings { path: "var/oidcop.redb".into(), cache });
        let written = r#"{ "embedded": { "path": "var/oidcop.redb" } }"#;
        assert_eq!(read(written).unwrap(), embedded(Size::mib(64)));
        let written = r#"{ "embedded": { "path": "var/oidcop.redb", "cache": "8MiB" } }"#;
        assert_eq!(read(written).unwrap(), embedded(Size::mib(8)));
    }

    #[test]
    fn an_unknown_backend_or_field_is_refused() {
        for wrong in [
            r#""embedded""#,
            r#""redis""#,
            r#"{ "embedded": {} }"#,
            r#"{ "embedded": { "path": "x", "caché": 1 } }"#,
            r#"{ "memory": {}, "embedded": { "path": "x" } }"#,
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_backend_opens_by_its_word() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store.redb");
        for settings in [Settings::Memory, Settings::Embedded(EmbeddedSettings { path, cache: cache() })] {
            let written = serde_json::to_value(&settings).unwrap();
            let word = written.as_str().or_else(|| Some(written.as_object()?.keys().next()?.as_str()));
            assert!(BACKENDS.iter().any(|backend| Some(backend.name) == word), "{written}");
            crate::store::open(&settings).unwrap();
        }
    }
}
