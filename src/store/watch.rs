//! Telling watchers what has been committed, without ever waiting for one.

use super::{Event, WATCH_BACKLOG};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::broadcast::{self, Receiver, Sender};

/// The committed changes since [`super::Store::watch`] was called, in order.
pub struct Watch {
    receiver: Receiver<Event>,
}

impl Watch {
    /// The next event; `None` once the store is closed. Cancel-safe.
    pub async fn next(&mut self) -> Option<Event> {
        match self.receiver.recv().await {
            Ok(event) => Some(event),
            Err(RecvError::Lagged(_)) => Some(Event::Lost),
            Err(RecvError::Closed) => None,
        }
    }
}

/// The telling end, kept by a backend under the lock that orders its commits.
pub(super) struct Watchers(Option<Sender<Event>>);

impl Watchers {
    pub fn new() -> Watchers {
        Watchers(Some(Sender::new(WATCH_BACKLOG)))
    }

    pub fn tell(&self, event: Event) {
        if let Some(sender) = &self.0 {
            // An error means that nobody watches.
            let _ = sender.send(event);
        }
    }

    pub fn watch(&self) -> Watch {
        Watch { receiver: self.0.as_ref().map_or_else(|| broadcast::channel(1).1, Sender::subscribe) }
    }

    /// Ends every watch.
    pub fn close(&mut self) {
        self.0 = None;
    }
}
