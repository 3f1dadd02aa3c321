//! Ending the process. pingora's `Server::run` broadcasts the shutdown and then sleeps its whole grace on its thread:
//! so it has a thread of its own, is told when to stop by us, and `main` leaves once the front door is empty.

use async_trait::async_trait;
use pingora::prelude::Server;
use pingora::server::{ListenFds, RunArgs, ShutdownSignal, ShutdownSignalWatch, ShutdownWatch};
use pingora::services::Service;
use std::sync::{Arc, OnceLock};
use tokio::sync::Notify;

/// How the server is told to stop.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stop {
    /// Requests under way are finished.
    Graceful,
    /// Now.
    Fast,
}

/// The way to tell pingora to stop, and to see its listeners.
#[derive(Clone, Default)]
pub struct Reins {
    listeners: Arc<OnceLock<ListenFds>>,
    stop: Arc<OnceLock<Stop>>,
    told: Arc<Notify>,
    ended: Arc<Notify>,
}

impl Reins {
    /// The first word counts.
    pub fn stop(&self, how: Stop) {
        let _ = self.stop.set(how);
        self.told.notify_one();
    }

    /// Whether pingora listens at `address`, written as it was given to it.
    pub fn listens(&self, address: &str) -> bool {
        self.listeners.get().is_some_and(|listeners| listeners.lock().get(address).is_some())
    }

    /// Resolves when pingora's own run has ended, which nobody expects before it was told.
    pub async fn ended(&self) {
        self.ended.notified().await;
    }
}

/// A service that does nothing but get hold of the table of listening sockets.
struct Hold(Arc<OnceLock<ListenFds>>);

#[async_trait]
impl Service for Hold {
    async fn start_service(&mut self, listeners: Option<ListenFds>, mut shutdown: ShutdownWatch, _: usize) {
        if let Some(listeners) = listeners {
            let _ = self.0.set(listeners);
        }
        let _ = shutdown.changed().await;
    }
    fn name(&self) -> &str {
        "listeners"
    }
    fn threads(&self) -> Option<usize> {
        Some(1)
    }
    fn listen_addresses(&self) -> Option<Vec<String>> {
        Some(Vec::new())
    }
}

struct Told(Reins);

#[async_trait]
impl ShutdownSignalWatch for Told {
    async fn recv(&self) -> ShutdownSignal {
        self.0.told.notified().await;
        match self.0.stop.get() {
            Some(Stop::Graceful) => ShutdownSignal::GracefulTerminate,
            Some(Stop::Fast) | None => ShutdownSignal::FastShutdown,
        }
    }
}

/// Runs pingora on a thread of its own. The thread is not waited for: it sleeps through pingora's grace.
///
/// # Errors
/// The machine gives no thread.
pub fn run(mut server: Server) -> std::io::Result<Reins> {
    let reins = Reins::default();
    server.add_service(Hold(reins.listeners.clone()));
    let told = reins.clone();
    std::thread::Builder::new().name("pingora".into()).spawn(move || {
        let ended = told.ended.clone();
        server.run(RunArgs { shutdown_signal: Box::new(Told(told)) });
        ended.notify_one();
    })?;
    Ok(reins)
}
