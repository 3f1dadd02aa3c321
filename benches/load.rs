//! The real binary under load, over TLS 1.3, next to bare pingora doing the same: `cargo bench --bench load`, with
//! `-- --quick` for a glance. Prints CPU µs per request and ratios, and writes target/load.json.
//!
//! What is measured and why stands in benches/README.md. Nothing here asserts on time.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a bench may fail by panicking")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a bench prints")]
#![allow(clippy::as_conversions, reason = "figures are for reading")]
#![allow(clippy::disallowed_methods, reason = "a bench owns its process and its tasks")]

#[path = "load/figures.rs"]
mod figures;
#[path = "load/machine.rs"]
mod machine;
#[path = "load/memory.rs"]
mod memory;
#[path = "load/party.rs"]
mod party;
#[path = "load/report.rs"]
mod report;
#[path = "load/scenario.rs"]
mod scenario;
#[path = "load/stage.rs"]
mod stage;
#[path = "load/upstream.rs"]
mod upstream;
#[path = "load/wire.rs"]
mod wire;
#[path = "load/yardstick.rs"]
mod yardstick;

use clap::Parser;
use report::Report;
use scenario::{Pace, SCENARIOS};
use stage::Stage;
use tokio::signal::unix::{SignalKind, signal};

/// The program's own allocator, so that a yardstick does not win or lose by its allocator.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Loads the real binary and its yardsticks in turn.
#[derive(Parser)]
#[command(name = "load")]
struct Arguments {
    /// Few and short rounds: a glance, not a figure.
    #[arg(long)]
    quick: bool,
    /// Only the scenario of this name, or those whose names contain it; may be given several times.
    #[arg(long, value_name = "NAME")]
    scenario: Vec<String>,
    /// Print the scenarios' names.
    #[arg(long)]
    list: bool,
    /// What cargo adds.
    #[arg(long, hide = true)]
    bench: bool,
    #[command(subcommand)]
    part: Option<Part>,
}

#[derive(clap::Subcommand)]
enum Part {
    /// Be a yardstick (this program starts itself so).
    #[command(hide = true)]
    Yardstick(yardstick::Arguments),
}

fn main() {
    let arguments = Arguments::parse();
    if let Some(Part::Yardstick(arguments)) = arguments.part {
        yardstick::run(&arguments);
    }
    if arguments.list {
        for name in SCENARIOS.iter().map(|scenario| scenario.name).chain([memory::NAME]) {
            println!("{name}");
        }
        return;
    }
    machine::raise_open_files();
    let cores = machine::Cores::choose();
    cores.pin_load();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut told = signal(SignalKind::terminate()).unwrap();
        tokio::select! {
            () = bench(&arguments, cores) => {}
            // The servers are ended on the way out.
            _ = told.recv() => {}
        }
    });
}

async fn bench(arguments: &Arguments, cores: machine::Cores) {
    let exact = |part: &str| SCENARIOS.iter().any(|scenario| scenario.name == part);
    let names = |name: &str, part: &str| name == part || !exact(part) && name.contains(part);
    let wanted =
        |name: &str| arguments.scenario.is_empty() || arguments.scenario.iter().any(|part| names(name, part));
    let pace = if arguments.quick { Pace::QUICK } else { Pace::FULL };
    let mut report = Report::begin(&cores, arguments.quick);
    let mut stage = Stage::build(cores).await;
    for scenario in SCENARIOS.iter().filter(|scenario| wanted(scenario.name)) {
        report.add(scenario::run(scenario, &mut stage, &pace).await);
    }
    if wanted(memory::NAME) {
        report.memory(memory::run(&mut stage, &pace).await);
    }
    report.end();
}
