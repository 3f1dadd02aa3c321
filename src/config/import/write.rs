//! The files: our configuration as YAML, and what it names, written for their owner alone.

use super::Import;
use super::draft::Draft;
use super::front::demo;
use serde_json::{Map, Value, json};
use std::fs::{DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// The longest path of a control socket (sun_path of unix(7), with room).
const MAX_SOCKET: usize = 100;

/// A document with a line of what it is.
pub fn yaml(what: &str, value: &Value) -> String {
    format!("# {what}\n{}", serde_yaml::to_string(value).unwrap_or_default())
}

/// The configuration.
pub fn configuration(draft: &Draft<'_>) -> String {
    let state = |name: &str| draft.output("state").join(name).display().to_string();
    let mut all = Map::new();
    all.insert("front".into(), Value::Object(draft.front.clone()));
    let mut op = draft.op.clone();
    op.insert("at_rest_key_file".into(), state("at-rest.key").into());
    all.insert("op".into(), Value::Object(op));
    all.insert("store".into(), json!({ "embedded": { "path": state("oidcop-proxy.redb") } }));
    let mut server = Map::new();
    server.insert("audit_log".into(), state("audit.log").into());
    let socket = state("control.sock");
    if socket.len() <= MAX_SOCKET {
        server.insert("control".into(), socket.into());
    }
    all.insert("server".into(), Value::Object(server));
    all.extend(demo(draft).map(|demo| ("demo".to_owned(), demo)));
    yaml(
        "What oidc-op was, as oidcop-proxy understands it. conf/REFERENCE.md explains every key.",
        &Value::Object(all),
    )
}

/// Writes everything into `folder`, which is made.
///
/// # Errors
/// Something is there already and `force` is not given, or the disk refuses.
pub fn write(import: &Import, folder: &Path, force: bool) -> Result<(), String> {
    let failed = |file: &Path, error: std::io::Error| format!("{}: {error}", file.display());
    if !force
        && let Some(there) = import.files.iter().map(|made| folder.join(made.name)).find(|file| file.exists())
    {
        return Err(format!("{} is there already: --force writes over it", there.display()));
    }
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|error| failed(folder, error))?;
    for made in &import.files {
        let file = folder.join(made.name);
        // Written anew, so that it never has another's mode or is a link to elsewhere.
        match std::fs::remove_file(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(&file, error)),
            _ => {}
        }
        let mut open = OpenOptions::new();
        let open = open.write(true).create_new(true).mode(0o600).open(&file);
        open.and_then(|mut open| open.write_all(made.text.as_bytes()))
            .map_err(|error| failed(&file, error))?;
    }
    Ok(())
}
