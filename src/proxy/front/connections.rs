//! The open connections: counted, awaited when the server drains, ended when its grace is over. Independent of the
//! lives of tokens.

use super::scope::{Run, Scope};
use futures_util::future::join_all;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;
use tokio::sync::Notify;

/// Every connection the front door has let in, and every HTTP/2 stream on them.
#[derive(Default)]
pub struct Connections {
    open: Mutex<Open>,
    /// Connections and streams; a stream may outlive its connection by a moment.
    scopes: AtomicUsize,
    stopped: AtomicBool,
    change: Notify,
}

#[derive(Default)]
struct Open {
    next: u64,
    closed: bool,
    scopes: HashMap<u64, Arc<Scope>, ahash::RandomState>,
}

impl Connections {
    /// How many connections are open.
    pub fn count(&self) -> usize {
        self.open.lock().scopes.len()
    }

    /// False once pingora's accept loops have ended.
    pub fn accepting(&self) -> bool {
        !self.stopped.load(SeqCst)
    }

    /// Resolves when no connection and no stream is left.
    pub async fn emptied(&self) {
        self.until(|| self.scopes.load(SeqCst) == 0).await;
    }

    /// Resolves when nothing is accepted any more and the last connection has gone.
    pub async fn drained(&self) {
        self.until(|| !self.accepting()).await;
        // pingora spawns a task for each accepted connection: the last one may not have reached us yet.
        tokio::time::sleep(Duration::from_millis(20)).await;
        self.emptied().await;
    }

    /// Ends every connection and lets none in any more. Resolves when their destructors have run, those that write
    /// the last access lines among them. Returns how many there were.
    pub async fn end_all(&self) -> usize {
        let scopes: Vec<_> = {
            let mut open = self.open.lock();
            open.closed = true;
            open.scopes.values().cloned().collect()
        };
        let count = scopes.len();
        let busy: Vec<_> = scopes.iter().filter_map(Scope::cut).collect();
        drop(scopes);
        join_all(busy).await;
        self.emptied().await;
        count
    }

    /// Runs a connection; `None` once all were ended.
    pub(super) fn connection(
        self: &Arc<Self>,
        work: impl Future<Output = ()> + Send + 'static,
    ) -> Option<Run> {
        let mut open = self.open.lock();
        if open.closed {
            return None;
        }
        open.next += 1;
        let number = open.next;
        let run = Scope::run(work, Some(self.place(Some(number))));
        open.scopes.insert(number, run.scope().clone());
        Some(run)
    }

    /// Runs one HTTP/2 stream in a scope of its own: cutting it resets that stream only.
    pub(super) fn stream(self: &Arc<Self>, work: impl Future<Output = ()> + Send + 'static) -> Run {
        Scope::run(work, Some(self.place(None)))
    }

    pub(super) fn stop_accepting(&self) {
        self.stopped.store(true, SeqCst);
        self.change.notify_waiters();
    }

    fn place(self: &Arc<Self>, number: Option<u64>) -> Place {
        self.scopes.fetch_add(1, SeqCst);
        Place { connections: self.clone(), number }
    }

    async fn until(&self, holds: impl Fn() -> bool) {
        loop {
            let mut change = std::pin::pin!(self.change.notified());
            // Registered before asking, so that no change is missed in between.
            change.as_mut().enable();
            if holds() {
                return;
            }
            change.await;
        }
    }
}

/// A scope's entry among the open ones, given back when it is dropped.
pub(super) struct Place {
    connections: Arc<Connections>,
    number: Option<u64>,
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            let _scope = self.connections.open.lock().scopes.remove(&number);
        }
        if self.connections.scopes.fetch_sub(1, SeqCst) == 1 {
            self.connections.change.notify_waiters();
        }
    }
}
