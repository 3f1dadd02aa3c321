//! What is printed, a line a scenario, and target/load.json.

use super::machine::{self, Cores};
use super::memory::Memory;
use super::scenario::{Figures, Outcome};
use super::stage::target;
use serde_json::{Value, json};
use std::fs;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

pub struct Report {
    machine: Value,
    scenarios: Vec<Value>,
    memory: Option<Value>,
}

impl Report {
    pub fn begin(cores: &Cores, quick: bool) -> Report {
        let date = OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default();
        let pinned = cores.server.is_some();
        let machine = json!({
            "date": date,
            "cpu": machine::cpu_model(),
            "cores": cores.count,
            "pinned": pinned,
            "kernel": machine::kernel(),
            "rustc": machine::rustc(),
            "version": env!("CARGO_PKG_VERSION"),
            "load_average_before": machine::load_average(),
            "quick": quick,
        });
        println!(
            "{} · {} cores{} · Linux {} · {} · load average {:.2}",
            machine::cpu_model(),
            cores.count,
            if pinned { ", server and load on one each" } else { ", nothing pinned" },
            machine::kernel(),
            machine::rustc(),
            machine::load_average()
        );
        println!(
            "{:<20} {:>9} {:>9}  {:<19} {:<9} {:>8} {:>7} {:>7} {:>7}",
            "scenario",
            "CPU µs",
            "against",
            "ratio (95 %)",
            "target",
            "a second",
            "p50 µs",
            "p99 µs",
            "RSS MiB"
        );
        Report { machine, scenarios: Vec::new(), memory: None }
    }

    pub fn add(&mut self, outcome: Outcome) {
        let (low, high) = outcome.interval;
        // Met when the interval reaches the target.
        let met = outcome.target.map(|target| high >= target);
        let verdict = match (outcome.target, met) {
            (Some(target), Some(true)) => format!("{target:.2} met"),
            (Some(target), _) => format!("{target:.2} MISS"),
            _ => "–".into(),
        };
        println!(
            "{:<20} {:>9.2} {:>9.2}  {:<19} {:<9} {:>8.0} {:>7} {:>7} {:>7.1}",
            outcome.name,
            outcome.ours.cpu_us,
            outcome.against.cpu_us,
            format!("{:.3} [{low:.3}, {high:.3}]", outcome.ratio),
            verdict,
            outcome.ours.rate,
            outcome.ours.p50,
            outcome.ours.p99,
            outcome.ours.resident_kib as f64 / 1024.0
        );
        self.scenarios.push(json!({
            "name": outcome.name,
            "ours": side(&outcome.ours),
            "against": side(&outcome.against),
            "ratio": outcome.ratio,
            "interval": [low, high],
            "target": outcome.target,
            "met": met,
            "requests": outcome.requests,
            "rounds": outcome.rounds,
            "load_average": outcome.load_average,
        }));
    }

    pub fn memory(&mut self, memory: Memory) {
        let mib = |kib: u64| kib as f64 / 1024.0;
        let after: Vec<_> =
            memory.after.iter().map(|(seconds, kib)| format!("{:.1} after {seconds} s", mib(*kib))).collect();
        println!(
            "memory: {:.1} MiB idle; {:.1} with {} idle TLS connections ({:.1} KiB each); {}",
            mib(memory.idle_kib),
            mib(memory.crowded_kib),
            memory.connections,
            memory.connection_kib(),
            after.join(", ")
        );
        self.memory = Some(json!({
            "idle_kib": memory.idle_kib,
            "connections": memory.connections,
            "crowded_kib": memory.crowded_kib,
            "connection_kib": memory.connection_kib(),
            "after": memory.after.iter().map(|(seconds, kib)| json!({ "seconds": seconds, "kib": kib })).collect::<Vec<_>>(),
        }));
    }

    /// Writes the file.
    pub fn end(self) {
        let whole = json!({ "machine": self.machine, "scenarios": self.scenarios, "memory": self.memory });
        let path = target().join("load.json");
        fs::write(&path, format!("{whole:#}\n")).unwrap();
        println!("written to {}", path.display());
    }
}

fn side(figures: &Figures) -> Value {
    json!({
        "party": figures.party.name(),
        "cpu_us": figures.cpu_us,
        "rate": figures.rate,
        "p50_us": figures.p50,
        "p99_us": figures.p99,
        "resident_kib": figures.resident_kib,
    })
}
