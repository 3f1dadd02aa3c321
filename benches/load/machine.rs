//! The machine: which cores serve and which load, the CPU time and memory of a process, and what it all ran on. Linux
//! only, by /proc.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::fs;
use std::process::Command;

/// Who runs where: the server under measurement on one core, load and upstream on another.
#[derive(Clone, Copy)]
pub struct Cores {
    pub server: Option<usize>,
    pub load: Option<usize>,
    pub count: usize,
}

impl Cores {
    /// The first two cores this process may use; no pinning where there is but one.
    pub fn choose() -> Cores {
        let allowed = sched_getaffinity(None).unwrap();
        let mut cores = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core));
        let count = allowed.count() as usize;
        match (cores.next(), cores.next()) {
            (Some(server), Some(load)) => Cores { server: Some(server), load: Some(load), count },
            _ => Cores { server: None, load: None, count },
        }
    }

    pub fn pin_load(self) {
        pin(self.load);
    }

    /// What `start` starts runs on the server's core: children inherit it.
    pub fn on_server_core<T>(self, start: impl FnOnce() -> T) -> T {
        pin(self.server);
        let started = start();
        pin(self.load);
        started
    }
}

/// This thread, and what it will start.
fn pin(core: Option<usize>) {
    if let Some(core) = core {
        let mut set = CpuSet::new();
        set.set(core);
        sched_setaffinity(None, &set).unwrap();
    }
}

/// As many connections as the hard limit allows.
pub fn raise_open_files() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
}

pub fn open_files() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// The CPU time of a process in µs: that of its threads to the nanosecond where the kernel keeps it, else its user and
/// system time to the hundredth of a second. Read it while the process idles.
pub fn cpu_us(process: u32) -> f64 {
    let threads = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let mut nanoseconds = 0_u64;
    for thread in threads.map_while(Result::ok) {
        let text = fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
        nanoseconds += text.split(' ').next().and_then(|first| first.parse::<u64>().ok()).unwrap_or(0);
    }
    if nanoseconds > 0 { nanoseconds as f64 / 1e3 } else { ticks(process) * 1e4 }
}

/// utime + stime of /proc/PID/stat (proc(5)), in hundredths of a second.
fn ticks(process: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let after_name = stat.rsplit(") ").next().unwrap_or_default();
    after_name.split(' ').skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum()
}

/// Resident memory in KiB.
pub fn resident_kib(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or(0)
}

/// The load average of the last minute: how quiet it was.
pub fn load_average() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or(f64::NAN)
}

pub fn cpu_model() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name))?;
        line.split_once(": ").map(|(_, value)| value.to_owned())
    };
    let family = ["cpu family", "model\t"].map(|name| field(name).unwrap_or_default());
    format!("{} (family {}, model {})", field("model name").unwrap_or_default(), family[0], family[1])
}

pub fn kernel() -> String {
    fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned()
}

pub fn rustc() -> String {
    let output = Command::new("rustc").arg("--version").output();
    output
        .map_or_else(|_| "unknown".into(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
