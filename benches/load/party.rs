//! Who serves: the real binary, and bare pingora as its yardstick. Another yardstick is one more row here, and a
//! function that starts it.

use super::machine::Cores;
use super::{machine, yardstick};
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

/// How long a start may take.
const START: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Party {
    /// The real binary, access log off.
    Ours,
    /// The real binary, access log to a file.
    OursLogging,
    /// pingora's `HttpProxy` with nothing added, behind our front door: what every request of ours costs at least.
    Door,
    /// pingora's `HttpProxy` behind pingora's own TLS listener.
    Bare,
}

impl Party {
    pub fn name(self) -> &'static str {
        match self {
            Party::Ours => "ours",
            Party::OursLogging => "ours, access log on",
            Party::Door => "bare pingora behind our front door",
            Party::Bare => "bare pingora",
        }
    }
}

/// A server that runs until it is dropped.
pub struct Running {
    child: Child,
    pub address: SocketAddr,
}

impl Running {
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    pub fn resident_kib(&self) -> u64 {
        machine::resident_kib(self.process())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The real binary in `folder`, which holds its `load.yaml`.
pub async fn start_ours(folder: &Path, cores: Cores) -> Running {
    let mut command = Command::new(env!("CARGO_BIN_EXE_oidcop-proxy"));
    command.args(["run", "--config", "load.yaml", "--ready-file", "ready.json"]).current_dir(folder);
    command.env_remove("RUST_LOG").stdin(Stdio::null()).stdout(Stdio::null());
    command.stderr(fs::File::create(folder.join("stderr.log")).unwrap());
    let mut child = cores.on_server_core(|| command.spawn().unwrap());
    let begun = Instant::now();
    let ready = loop {
        let text = fs::read_to_string(folder.join("ready.json")).unwrap_or_default();
        if let Ok(ready) = serde_json::from_str::<serde_json::Value>(&text) {
            break ready;
        }
        let ended = child.try_wait().unwrap().is_some();
        if ended || begun.elapsed() > START {
            let _ = child.kill();
            let said = fs::read_to_string(folder.join("stderr.log")).unwrap_or_default();
            panic!("the server does not get ready:\n{said}");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let address = ready
        .pointer("/listen/0")
        .and_then(serde_json::Value::as_str)
        .and_then(|address| address.parse().ok());
    let address = address.unwrap_or_else(|| panic!("no address in {ready}"));
    Running { child, address }
}

/// This program again, as a yardstick.
pub async fn start_yardstick(mut arguments: yardstick::Arguments, cores: Cores) -> Running {
    let address = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    arguments.listen = address;
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg("yardstick").args(arguments.words()).stdin(Stdio::piped());
    let mut child = cores.on_server_core(|| command.spawn().unwrap());
    let begun = Instant::now();
    while TcpStream::connect(address).await.is_err() {
        let ended = child.try_wait().unwrap().is_some();
        assert!(!ended && begun.elapsed() < START, "the yardstick does not get ready");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Running { child, address }
}
