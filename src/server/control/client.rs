//! The other end of the control socket: one command, one answer, blocking. For the command line.

use super::{MAX_LINE, Refusal};
use serde_json::Value;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// Longer than the server's own patience, so that its answer is seen.
const PATIENCE: Duration = Duration::from_secs(70);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// No server runs: nobody listens at the socket.
    #[error("no server is running")]
    NotRunning,
    /// A server runs and does not answer as it should.
    #[error("the control socket: {0}")]
    Broken(std::io::Error),
    /// The server refused the command.
    #[error("{}", .0.says)]
    Refused(Refusal),
}

/// Sends `command` to the server at `path` and gives its answer.
///
/// # Errors
/// See [`Fault`].
pub fn ask(path: &Path, command: &Value) -> Result<Value, Fault> {
    let mut stream = UnixStream::connect(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => Fault::NotRunning,
        _ => Fault::Broken(error),
    })?;
    let answer = exchange(&mut stream, command).map_err(Fault::Broken)?;
    if answer.get("ok") == Some(&Value::Bool(true)) {
        return Ok(answer.get("result").cloned().unwrap_or_default());
    }
    let says = answer.get("error").and_then(Value::as_str).unwrap_or("the server gave no reason");
    let faults = answer.get("faults").and_then(Value::as_array).into_iter().flatten();
    let faults = faults.filter_map(|fault| fault.as_str().map(str::to_owned)).collect();
    Err(Fault::Refused(Refusal { says: says.to_owned(), faults }))
}

fn exchange(stream: &mut UnixStream, command: &Value) -> std::io::Result<Value> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(format!("{command}\n").as_bytes())?;
    let mut line = String::new();
    // An answer may be a long list; it is bounded all the same.
    BufReader::new(stream.take(64 * MAX_LINE)).read_line(&mut line)?;
    serde_json::from_str(&line).map_err(std::io::Error::from)
}
