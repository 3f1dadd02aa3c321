//! Memory of the real binary: idle, with many idle TLS connections, and after they have gone.

use super::machine;
use super::party::Party;
use super::scenario::Pace;
use super::stage::Stage;
use std::time::Duration;

pub const NAME: &str = "memory";

pub struct Memory {
    /// Resident after the start, before any request.
    pub idle_kib: u64,
    pub connections: usize,
    /// With all of them open and idle.
    pub crowded_kib: u64,
    /// After they were closed: seconds, resident.
    pub after: Vec<(u64, u64)>,
}

impl Memory {
    pub fn connection_kib(&self) -> f64 {
        (self.crowded_kib.saturating_sub(self.idle_kib)) as f64 / self.connections as f64
    }
}

pub async fn run(stage: &mut Stage, pace: &Pace) -> Memory {
    let server = stage.start(Party::Ours).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let idle_kib = server.resident_kib();
    // Each connection is one file here and one there; some are needed for other things.
    let room = usize::try_from(machine::open_files()).unwrap_or(usize::MAX).saturating_sub(500);
    let connections = pace.burst.min(room);
    let mut open = Vec::with_capacity(connections);
    for number in 1..=connections {
        open.push(stage.connect_to(&server).await);
        if number % 100 == 0 {
            eprint!("\r\x1b[K{NAME}: {number} of {connections} connections");
        }
    }
    let crowded_kib = server.resident_kib();
    drop(open);
    let mut after = Vec::new();
    let mut passed = 0;
    for until in [5, 15, 30, 60, 120].into_iter().filter(|until| *until <= pace.settle) {
        eprint!("\r\x1b[K{NAME}: {until} s after the connections have gone");
        tokio::time::sleep(Duration::from_secs(until - passed)).await;
        passed = until;
        after.push((until, server.resident_kib()));
    }
    eprint!("\r\x1b[K");
    Memory { idle_kib, connections, crowded_kib, after }
}
