//! The access log: one JSON object a line, exactly one line a request, written by a thread of its own so that a slow
//! disk never holds a request up. Never in it: tokens, codes, cookies, queries.

use super::sink::Sink;
use super::stamp;
use crate::base::clock::Timestamp;
use serde::Serialize;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// Lines that may wait for the writer; beyond it they are counted as lost.
const WAITING: usize = 16_384;

/// Lines written at once, at most. Longer batches save nothing more.
const BATCH: usize = 256;

/// A batch of so many lines means that requests come fast: then the writer rests a little, so that it is not woken for
/// each of them.
const BUSY: usize = 4;
const REST: Duration = Duration::from_millis(5);

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
    pub upstream: Option<Arc<str>>,
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
    serializer.serialize_str(&stamp(*time))
}

enum Order {
    Write(Box<Line>),
    /// Everything sent before has left this process when it is answered.
    Flush(SyncSender<()>),
}

/// The log. Clones share the writer.
#[derive(Clone)]
pub struct AccessLog(Option<Arc<Inner>>);

struct Inner {
    sink: Arc<Sink>,
    /// Taken when the log is dropped, so that the writer sees the end.
    orders: Option<SyncSender<Order>>,
    lost: AtomicU64,
    writer: Option<JoinHandle<()>>,
}

impl AccessLog {
    /// Starts the writer of `sink`.
    ///
    /// # Errors
    /// The machine gives no thread.
    pub fn new(sink: Sink) -> io::Result<AccessLog> {
        if sink.is_off() {
            return Ok(AccessLog(None));
        }
        let sink = Arc::new(sink);
        let (orders, received) = sync_channel(WAITING);
        let out = sink.clone();
        let writer =
            std::thread::Builder::new().name("access-log".into()).spawn(move || serve(&out, &received))?;
        let (orders, writer) = (Some(orders), Some(writer));
        Ok(AccessLog(Some(Arc::new(Inner { sink, orders, lost: AtomicU64::new(0), writer }))))
    }

    /// Nothing is written.
    pub fn off() -> AccessLog {
        AccessLog(None)
    }

    /// Never waits: a line for which there is no room is counted as lost.
    pub fn write(&self, line: &Line) {
        let Some(inner) = &self.0 else { return };
        let order = Order::Write(Box::new(line.clone()));
        let taken = inner.orders.as_ref().is_some_and(|orders| orders.try_send(order).is_ok());
        if !taken {
            inner.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// After log rotation: writes on into a new file of the same name. Blocks until it is open.
    ///
    /// # Errors
    /// The file cannot be opened; the old one stays in use.
    pub fn reopen(&self) -> io::Result<()> {
        self.flush();
        self.0.as_ref().map_or(Ok(()), |inner| inner.sink.reopen())
    }

    /// Blocks until everything written so far has left this process.
    pub fn flush(&self) {
        let (answer, answered) = sync_channel(1);
        let orders = self.0.as_ref().and_then(|inner| inner.orders.as_ref());
        if orders.is_some_and(|orders| orders.send(Order::Flush(answer)).is_ok()) {
            let _ = answered.recv();
        }
    }

    /// Lines that found no room, here or on the disk.
    pub fn lost(&self) -> u64 {
        self.0.as_ref().map_or(0, |inner| inner.lost.load(Ordering::Relaxed) + inner.sink.lost())
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

/// What came together is written together.
fn serve(sink: &Sink, orders: &Receiver<Order>) {
    let mut text = Vec::new();
    while let Ok(first) = orders.recv() {
        let (mut lines, mut answers) = (0_usize, Vec::new());
        for order in std::iter::once(first).chain(orders.try_iter().take(BATCH - 1)) {
            match order {
                Order::Write(line) => {
                    let before = text.len();
                    match serde_json::to_writer(&mut text, &line) {
                        Ok(()) => text.push(b'\n'),
                        Err(_) => text.truncate(before),
                    }
                    lines += 1;
                }
                Order::Flush(answer) => answers.push(answer),
            }
        }
        sink.lines(&text, lines);
        text.clear();
        let asked = !answers.is_empty();
        for answer in answers {
            let _ = answer.send(());
        }
        if lines >= BUSY && !asked {
            std::thread::sleep(REST);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(path: &str) -> Line {
        Line {
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
        }
    }

    #[test]
    fn each_request_is_one_json_line_also_after_rotation() {
        let folder = tempfile::tempdir().unwrap();
        let (file, old) = (folder.path().join("access.log"), folder.path().join("access.log.1"));
        let log = AccessLog::new(Sink::file(&file).unwrap()).unwrap();
        log.write(&line("/a\n{\"b"));
        log.flush();
        std::fs::rename(&file, &old).unwrap();
        log.write(&line("/before"));
        log.reopen().unwrap();
        log.write(&line("/after"));
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
        log.write(&line("/"));
        log.reopen().unwrap();
        assert_eq!(log.lost(), 0);
    }
}
