//! The access log: one JSON object a line, exactly one line a request, written by a thread of its own so that a slow
//! disk never holds a request up. Never in it: tokens, codes, cookies, queries.

use crate::base::clock::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Lines that may wait for the writer; beyond it they are counted as lost.
const WAITING: usize = 16_384;

/// Where the lines go.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// A file, created with mode 0640 and appended to; opened anew on USR1. Left out: standard output.
    pub file: Option<PathBuf>,
    /// Write nothing at all.
    pub off: bool,
}

/// One request, from its head to its end.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// When its head was read.
    #[serde(serialize_with = "rfc3339")]
    pub time: Timestamp,
    pub request_id: String,
    /// The caller, after trusted forwarding.
    pub address: Option<IpAddr>,
    /// `h1` or `h2`.
    pub protocol: &'static str,
    pub method: String,
    pub host: String,
    /// Without its query.
    pub path: String,
    /// 0: nothing was answered.
    pub status: u16,
    /// The route's name, or `op` for the provider's own paths.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<Arc<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<&'static str>,
    /// `permit`, or why not.
    pub verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// A keyed hash of the subject: the same person has the same one, and nobody can tell who it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Name and address of the server asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub duration_ms: f64,
    /// `done`, `failed`, `cut` (its token or session ended), `dropped` (the connection went away).
    pub ended: &'static str,
    /// Why, if it failed. For the operator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
}

fn rfc3339<S: serde::Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    let seconds = i64::try_from(time.0).unwrap_or(i64::MAX);
    let text = OffsetDateTime::from_unix_timestamp(seconds).ok().and_then(|time| time.format(&Rfc3339).ok());
    serializer.serialize_str(text.as_deref().unwrap_or("-"))
}

enum Order {
    Write(Box<Line>),
    /// Open the file anew; the answer says how it went.
    Reopen(SyncSender<io::Result<()>>),
    /// Everything sent before is on its way to the disk when it is answered.
    Flush(SyncSender<()>),
}

/// The log. Clones share the writer.
#[derive(Clone)]
pub struct AccessLog(Option<Arc<Inner>>);

struct Inner {
    /// Taken when the log is dropped, so that the writer sees the end.
    orders: Option<SyncSender<Order>>,
    lost: AtomicU64,
    writer: Option<JoinHandle<()>>,
}

impl AccessLog {
    /// Opens the log and starts its writer.
    ///
    /// # Errors
    /// The file cannot be opened, or the machine gives no thread.
    pub fn open(settings: &Settings) -> io::Result<AccessLog> {
        if settings.off {
            return Ok(AccessLog(None));
        }
        let sink = Sink::open(settings.file.as_ref())?;
        let (orders, received) = sync_channel(WAITING);
        let file = settings.file.clone();
        let writer = std::thread::Builder::new()
            .name("access-log".into())
            .spawn(move || serve(sink, file.as_ref(), &received))?;
        Ok(AccessLog(Some(Arc::new(Inner {
            orders: Some(orders),
            lost: AtomicU64::new(0),
            writer: Some(writer),
        }))))
    }

    /// Nothing is written.
    pub fn off() -> AccessLog {
        AccessLog(None)
    }

    /// Never waits: a line for which there is no room is counted as lost.
    pub fn write(&self, line: Box<Line>) {
        let Some(inner) = &self.0 else { return };
        let Some(orders) = &inner.orders else { return };
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) =
            orders.try_send(Order::Write(line))
        {
            inner.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// After log rotation: writes on into a new file of the same name. Blocks until it is open.
    ///
    /// # Errors
    /// The file cannot be opened; the old one stays in use.
    pub fn reopen(&self) -> io::Result<()> {
        let (answer, answered) = sync_channel(1);
        if !self.order(Order::Reopen(answer)) {
            return Ok(());
        }
        answered.recv().unwrap_or(Ok(()))
    }

    /// Blocks until everything written so far has left this process.
    pub fn flush(&self) {
        let (answer, answered) = sync_channel(1);
        if self.order(Order::Flush(answer)) {
            let _ = answered.recv();
        }
    }

    /// Lines that found no room.
    pub fn lost(&self) -> u64 {
        self.0.as_ref().map_or(0, |inner| inner.lost.load(Ordering::Relaxed))
    }

    fn order(&self, order: Order) -> bool {
        let orders = self.0.as_ref().and_then(|inner| inner.orders.as_ref());
        orders.is_some_and(|orders| orders.send(order).is_ok())
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

enum Sink {
    File(BufWriter<File>),
    Standard,
}

impl Sink {
    fn open(file: Option<&PathBuf>) -> io::Result<Sink> {
        use std::os::unix::fs::OpenOptionsExt;
        let Some(file) = file else { return Ok(Sink::Standard) };
        let file = OpenOptions::new().create(true).append(true).mode(0o640).open(file)?;
        Ok(Sink::File(BufWriter::with_capacity(64 << 10, file)))
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Sink::File(file) => file.write_all(bytes),
            Sink::Standard => io::stdout().lock().write_all(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Sink::File(file) => file.flush(),
            Sink::Standard => io::stdout().lock().flush(),
        }
    }
}

fn serve(mut sink: Sink, file: Option<&PathBuf>, orders: &Receiver<Order>) {
    let mut text = Vec::with_capacity(1_024);
    while let Ok(first) = orders.recv() {
        // One flush for all that has piled up: under load few system calls, in quiet times no delay.
        for order in std::iter::once(first).chain(orders.try_iter().take(256)) {
            match order {
                Order::Write(line) => {
                    text.clear();
                    if serde_json::to_writer(&mut text, &line).is_ok() {
                        text.push(b'\n');
                        report(sink.write(&text));
                    }
                }
                Order::Reopen(answer) => {
                    report(sink.flush());
                    let opened = Sink::open(file).map(|opened| sink = opened);
                    let _ = answer.send(opened);
                }
                Order::Flush(answer) => {
                    report(sink.flush());
                    let _ = answer.send(());
                }
            }
        }
        report(sink.flush());
    }
    report(sink.flush());
}

fn report(result: io::Result<()>) {
    if let Err(error) = result {
        tracing::error!(%error, "the access log cannot be written");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(path: &str) -> Box<Line> {
        Box::new(Line {
            time: Timestamp(1_700_000_000),
            request_id: "id".into(),
            address: Some("192.0.2.1".parse().unwrap()),
            protocol: "h1",
            method: "GET".into(),
            host: "a.example".into(),
            path: path.into(),
            status: 200,
            route: None,
            policy: Some("public"),
            verdict: "permit",
            client_id: None,
            subject: None,
            upstream: None,
            bytes_in: 0,
            bytes_out: 5,
            duration_ms: 1.5,
            ended: "done",
            cause: None,
        })
    }

    #[test]
    fn each_request_is_one_json_line_also_after_rotation() {
        let folder = tempfile::tempdir().unwrap();
        let (file, old) = (folder.path().join("access.log"), folder.path().join("access.log.1"));
        let log = AccessLog::open(&Settings { file: Some(file.clone()), off: false }).unwrap();
        log.write(line("/a\n{\"b"));
        log.flush();
        std::fs::rename(&file, &old).unwrap();
        log.write(line("/before"));
        log.reopen().unwrap();
        log.write(line("/after"));
        drop(log);
        let old = std::fs::read_to_string(old).unwrap();
        let first: serde_json::Value = serde_json::from_str(old.lines().next().unwrap()).unwrap();
        assert_eq!(first["path"], "/a\n{\"b");
        assert_eq!(first["time"], "2023-11-14T22:13:20Z");
        assert_eq!(old.lines().count(), 2);
        let new = std::fs::read_to_string(file).unwrap();
        assert!(new.ends_with('\n') && new.lines().count() == 1 && new.contains("/after"));
    }

    #[test]
    fn a_log_that_is_off_writes_nothing_and_loses_nothing() {
        let log = AccessLog::off();
        log.write(line("/"));
        log.reopen().unwrap();
        assert_eq!(log.lost(), 0);
    }
}
