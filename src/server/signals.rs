//! Signals: TERM and QUIT stop gracefully, INT at once; HUP reloads; USR1 opens the log files anew.

use super::end::{Reins, Stop};
use super::running::Running;
use std::io;
use tokio::runtime::Handle;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Installed before anything listens: HUP alone would kill the process.
pub struct Signals {
    hang_up: Signal,
    interrupt: Signal,
    quit: Signal,
    terminate: Signal,
    user1: Signal,
}

impl Signals {
    pub fn install(runtime: &Handle) -> io::Result<Signals> {
        let _guard = runtime.enter();
        Ok(Signals {
            hang_up: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            terminate: signal(SignalKind::terminate())?,
            user1: signal(SignalKind::user_defined1())?,
        })
    }

    /// Obeys HUP and USR1 until a signal says stop, or pingora ends by itself.
    pub async fn until_stop(&mut self, running: &Running, reins: &Reins) -> Stop {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return Stop::Graceful,
                _ = self.quit.recv() => return Stop::Graceful,
                _ = self.interrupt.recv() => return Stop::Fast,
                _ = self.hang_up.recv() => running.reload_by_signal().await,
                _ = self.user1.recv() => running.reopen_by_signal(),
                () = reins.ended() => {
                    tracing::error!("pingora's server has ended by itself");
                    return Stop::Fast;
                }
            }
        }
    }

    /// While it stops: the word to do it at once.
    pub async fn second_stop(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
