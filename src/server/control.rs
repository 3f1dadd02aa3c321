//! The control socket: how the command line speaks to a running server. A UNIX socket, 0600 in a directory of its
//! owner's, the peer's user id checked; one JSON object a line each way. Every command that changes something is
//! audited. It is no network interface.

pub mod client;

#[cfg(test)]
mod tests;

use crate::observe::audit::{Actor, Audit};
use crate::observe::sink::private_directory;
use futures_util::future::BoxFuture;
use serde_json::{Map, Value, json};
use std::io::{Error, ErrorKind};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

/// The longest command and the longest answer a client reads, in bytes.
pub const MAX_LINE: u64 = 1 << 20;

/// Connections served at once; more wait.
const CONNECTIONS: usize = 16;

/// How long a connection may be silent, and how long a command may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a command came to: a value, or a sentence and perhaps the faults in detail.
#[derive(Clone, PartialEq, Debug)]
pub struct Refusal {
    pub says: String,
    /// Lines such as `conf/edge.yaml:41:9: …`.
    pub faults: Vec<String>,
}

impl Refusal {
    pub fn new(says: impl Into<String>) -> Refusal {
        Refusal { says: says.into(), faults: Vec::new() }
    }
}

/// Carries out commands.
pub type Obey = Arc<dyn Fn(Value) -> BoxFuture<'static, Obeyed> + Send + Sync>;

/// A command and what came of it.
pub struct Obeyed {
    pub name: String,
    /// What goes to the audit log besides; nothing secret. `None`: a command that only reads is not recorded.
    pub audited: Option<Map<String, Value>>,
    pub outcome: Result<Value, Refusal>,
}

/// The socket's file, removed when the server ends.
pub struct Socket(PathBuf);

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Listens at `path` on `runtime`, for as long as that lives.
///
/// # Errors
/// The directory cannot be made private, or another server listens there.
pub fn listen(path: &Path, runtime: &Handle, obey: Obey, audit: Audit) -> Result<Socket, Error> {
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
    if let Some(directory) = directory {
        private_directory(directory)?;
        let mode = std::fs::metadata(directory)?.permissions().mode();
        // Others could put a socket of their own in the place of ours.
        if mode & 0o022 != 0 {
            let says = format!("{} is writable by others than its owner: make it 0700", directory.display());
            return Err(Error::new(ErrorKind::PermissionDenied, says));
        }
    }
    clear(path)?;
    let listener = {
        let _guard = runtime.enter();
        UnixListener::bind(path)?
    };
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    let socket = Socket(path.to_owned());
    let tasks = runtime.clone();
    runtime.spawn(async move {
        let slots = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            let Ok(slot) = slots.clone().acquire_owned().await else { return };
            let Ok((stream, _)) = listener.accept().await else { continue };
            let (obey, audit) = (obey.clone(), audit.clone());
            tasks.spawn(async move {
                let _slot = slot;
                let _ = serve(stream, &obey, &audit).await;
            });
        }
    });
    Ok(socket)
}

/// Removes the socket of a server that was killed; refuses if one answers.
fn clear(path: &Path) -> Result<(), Error> {
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => {
            let says = format!("another server answers at {}", path.display());
            Err(Error::new(ErrorKind::AddrInUse, says))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => std::fs::remove_file(path),
        Err(error) => Err(error),
    }
}

/// Whether `uid` may command: the server's own user, and root.
fn may(uid: u32) -> bool {
    uid == 0 || uid == rustix::process::geteuid().as_raw()
}

async fn serve(stream: UnixStream, obey: &Obey, audit: &Audit) -> Result<(), Error> {
    let peer = stream.peer_cred()?;
    let actor = Actor::Local { uid: peer.uid(), pid: peer.pid() };
    let (read, mut write) = stream.into_split();
    if !may(peer.uid()) {
        audit.record("control connection", &actor, Err("another user"), Map::new());
        return answer(&mut write, &Err(Refusal::new("this socket is for the server's own user"))).await;
    }
    let mut read = BufReader::new(read);
    loop {
        let mut line = Vec::new();
        let mut capped = (&mut read).take(MAX_LINE);
        let length = tokio::time::timeout(PATIENCE, capped.read_until(b'\n', &mut line)).await??;
        if length == 0 {
            return Ok(());
        }
        if line.last() != Some(&b'\n') {
            let says = format!("a command is one line of at most {MAX_LINE} bytes");
            return answer(&mut write, &Err(Refusal::new(says))).await;
        }
        let outcome = match serde_json::from_slice::<Value>(&line) {
            Err(error) => Err(Refusal::new(format!("a command is a JSON object: {error}"))),
            Ok(command) => obeyed(command, obey, audit, &actor).await,
        };
        answer(&mut write, &outcome).await?;
    }
}

async fn obeyed(command: Value, obey: &Obey, audit: &Audit, actor: &Actor) -> Result<Value, Refusal> {
    let Ok(obeyed) = tokio::time::timeout(PATIENCE, obey(command)).await else {
        audit.record("command", actor, Err("took too long"), Map::new());
        return Err(Refusal::new("the command took too long; it may still take effect"));
    };
    if let Some(detail) = obeyed.audited {
        let outcome = obeyed.outcome.as_ref().map(|_| ()).map_err(|refusal| refusal.says.as_str());
        audit.record(&obeyed.name, actor, outcome, detail);
    }
    obeyed.outcome
}

async fn answer(
    write: &mut (impl AsyncWriteExt + Unpin),
    outcome: &Result<Value, Refusal>,
) -> Result<(), Error> {
    let answer = match outcome {
        Ok(result) => json!({ "ok": true, "result": result }),
        Err(refusal) => json!({ "ok": false, "error": refusal.says, "faults": refusal.faults }),
    };
    write.write_all(format!("{answer}\n").as_bytes()).await
}
