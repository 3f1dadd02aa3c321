//! `--ready-file`: where the server is to be found, once it is there.

use super::Fault;
use serde_json::Value;
use std::path::Path;

/// Writes `what` in one step: who sees the file sees all of it.
pub fn write(path: &Path, what: &Value) -> Result<(), Fault> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".part");
    let written = std::fs::write(&beside, format!("{what}\n")).and_then(|()| std::fs::rename(&beside, path));
    written.map_err(|error| Fault::io(path.display(), error))
}
