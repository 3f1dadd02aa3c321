//! The program under test: the real binary in a temporary copy of `conf/`, every port replaced by a free one.

use super::http::Client;
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a start may take before the test gives up: key generation in a debug build on a busy machine.
const START: Duration = Duration::from_secs(120);

/// A folder like a user's: `conf/` as it ships but for its ports, `certs/` and `var/` made by the program.
pub struct House {
    directory: TempDir,
    /// The port a file in conf/ says → the one it has here.
    ports: BTreeMap<u16, u16>,
    /// The configuration file, below the folder.
    config: String,
}

pub struct Server {
    pub house: House,
    child: Option<Child>,
    output: Arc<Mutex<String>>,
    client: Option<Client>,
}

/// The binary that cargo built for this test, or the one named instead.
#[allow(
    clippy::disallowed_methods,
    reason = "the environment is where a test run is told which binary to test"
)]
pub fn binary() -> PathBuf {
    std::env::var_os("OIDCOP_TEST_BINARY")
        .map_or_else(|| env!("CARGO_BIN_EXE_oidcop-proxy").into(), PathBuf::from)
}

/// Whether the full counts are asked for.
#[allow(
    clippy::disallowed_methods,
    reason = "the environment is where a test run is told how long it may take"
)]
pub fn long() -> bool {
    std::env::var("OIDCOP_TEST_LONG").is_ok_and(|value| value == "1")
}

pub fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A port that nobody listens on and that this process gives out once; below the kernel's ephemeral range, so that no
/// outgoing connection takes it in between.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let base = 12_000 + u16::try_from(std::process::id() % 190).unwrap() * 100;
    loop {
        let port = base + NEXT.fetch_add(1, Ordering::Relaxed) % 1_500;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

impl House {
    /// A copy of `conf/` with `config` ("quickstart", "edge", …) as the file to run.
    pub fn new(config: &str) -> Self {
        let directory = TempDir::with_prefix("oidcop-proxy-").unwrap();
        let mut house = Self { directory, ports: BTreeMap::new(), config: format!("conf/{config}.yaml") };
        let main = fs::read_to_string(project().join(&house.config)).unwrap();
        for port in listened(&main) {
            house.ports.insert(port, free_port());
        }
        fs::create_dir(house.path("conf")).unwrap();
        for entry in fs::read_dir(project().join("conf")).unwrap().map(Result::unwrap) {
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.file_type().unwrap().is_file() {
                let text = house.with_own_ports(&fs::read_to_string(entry.path()).unwrap());
                fs::write(house.path(&format!("conf/{name}")), text).unwrap();
            }
        }
        house
    }

    /// A folder that somebody else filled, with the configuration to run below it.
    pub fn of(directory: TempDir, config: &str) -> Self {
        Self { directory, ports: BTreeMap::new(), config: config.to_owned() }
    }

    fn with_own_ports(&self, text: &str) -> String {
        let mut replaced = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(':') {
            let (before, after) = rest.split_at(at + 1);
            let digits = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
            let (number, further) = after.split_at(digits);
            let own = number.parse().ok().and_then(|port: u16| self.ports.get(&port));
            replaced += before;
            replaced += &own.map_or_else(|| number.to_owned(), u16::to_string);
            rest = further;
        }
        replaced + rest
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.directory.path().join(below)
    }

    /// The port that stands for `port` of the shipped configuration.
    #[track_caller]
    pub fn port(&self, port: u16) -> u16 {
        *self.ports.get(&port).unwrap_or_else(|| panic!("{} has no port {port}", self.config))
    }

    pub fn config(&self) -> String {
        fs::read_to_string(self.path(&self.config)).unwrap()
    }

    /// Changes the configuration file.
    pub fn edit(&self, change: impl FnOnce(String) -> String) {
        let changed = change(self.config());
        fs::write(self.path(&self.config), changed).unwrap();
    }

    /// The program with these arguments, in this folder.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.args(arguments).current_dir(self.directory.path()).env_remove("RUST_LOG");
        command
    }

    /// Runs a verb to its end, with `--config` pointing here.
    pub fn run(&self, arguments: &[&str]) -> Output {
        let mut all = arguments.to_vec();
        all.extend(["--config", &self.config]);
        self.command(&all).stdin(Stdio::null()).output().unwrap()
    }

    /// What a verb prints, if it succeeds.
    #[track_caller]
    pub fn say(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let (said, complained) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{arguments:?}: {}\n{said}\n{complained}", output.status);
        said
    }

    pub fn start(self) -> Server {
        let mut server = Server { house: self, child: None, output: Arc::default(), client: None };
        server.begin();
        server
    }
}

/// The ports of the loopback addresses a configuration names.
fn listened(text: &str) -> Vec<u16> {
    let mut ports = Vec::new();
    for before in ["127.0.0.1:", "localhost:", "0.0.0.0:", "[::1]:", "[::]:", ".test:", ".example:"] {
        for (at, _) in text.match_indices(before) {
            let digits: String = text[at + before.len()..].chars().take_while(char::is_ascii_digit).collect();
            ports.extend(digits.parse::<u16>().ok().filter(|port| ![0, 8090].contains(port)));
        }
    }
    ports.sort_unstable();
    ports.dedup();
    ports
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl Server {
    /// `conf/quickstart.yaml`, running.
    pub fn quickstart() -> Self {
        House::new("quickstart").start()
    }

    /// Starts the program in its folder (again), and returns when it is ready.
    pub fn begin(&mut self) {
        let ready = self.house.path("ready.json");
        let _ = fs::remove_file(&ready);
        let arguments = ["run", "--config", &self.house.config, "--ready-file", "ready.json"];
        let mut command = self.house.command(&arguments);
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (told, heard) = channel();
        listen(child.stdout.take().unwrap(), self.output.clone(), told.clone());
        listen(child.stderr.take().unwrap(), self.output.clone(), told);
        self.child = Some(child);
        self.await_ready(&ready, &heard);
        self.client = self.ca().map(|ca| Client::trusting(&ca));
    }

    /// Waits for the ready file, looking again with every line the program prints; its end is a failure.
    fn await_ready(&mut self, ready: &Path, heard: &Receiver<()>) {
        let began = Instant::now();
        while !fs::read_to_string(ready).is_ok_and(|text| text.trim_end().ends_with('}')) {
            let gone = heard.recv_timeout(Duration::from_millis(25)) == Err(RecvTimeoutError::Disconnected);
            assert!(!gone, "the program ended before it was ready");
            assert!(began.elapsed() < START, "the program does not get ready");
        }
    }

    /// The development CA, if this configuration has one.
    fn ca(&self) -> Option<PathBuf> {
        let file = self.house.path("certs/ca.pem");
        file.is_file().then_some(file)
    }

    #[track_caller]
    pub fn ca_file(&self) -> PathBuf {
        self.ca().expect("no development CA in certs/")
    }

    /// The issuer that the configuration names.
    pub fn issuer(&self) -> String {
        let config = self.house.config();
        let line = config.lines().find_map(|line| line.trim().strip_prefix("issuer: "));
        line.expect("an issuer in the configuration").to_owned()
    }

    pub fn url(&self, path: &str) -> String {
        self.issuer() + path
    }

    #[track_caller]
    pub fn client(&self) -> &Client {
        self.client.as_ref().expect("no client without a CA")
    }

    /// Everything the program printed until now.
    pub fn printed(&self) -> String {
        self.output.lock().unwrap().clone()
    }

    pub fn id(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// Sends a signal by name, by process id.
    pub fn signal(&self, name: &str) {
        let status =
            Command::new("kill").args([&format!("-{name}"), &self.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Ends it as a crash does: no destructor, no flush.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Waits for the program's own end.
    pub fn wait(&mut self) -> std::process::ExitStatus {
        self.child.take().unwrap().wait().unwrap()
    }

    /// Whether it runs.
    pub fn runs(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| child.try_wait().unwrap().is_none())
    }
}

fn listen(stream: impl Read + Send + 'static, output: Arc<Mutex<String>>, told: Sender<()>) {
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            output.lock().unwrap().push_str(&(line + "\n"));
            let _ = told.send(());
        }
    });
}

impl Drop for Server {
    /// Ends the program; of a failing test it tells the configuration and all that was printed and logged.
    fn drop(&mut self) {
        self.kill();
        let printed = self.output.lock().map(|text| text.clone()).unwrap_or_default();
        if std::thread::panicking() {
            let config = fs::read_to_string(self.house.path(&self.house.config)).unwrap_or_default();
            eprintln!("--- {}\n{config}\n--- printed\n{printed}", self.house.config);
            for entry in fs::read_dir(self.house.path("var")).into_iter().flatten().map_while(Result::ok) {
                if entry.path().extension().is_some_and(|extension| extension == "log") {
                    let log = fs::read_to_string(entry.path()).unwrap_or_default();
                    eprintln!("--- {}\n{log}", entry.path().display());
                }
            }
        } else {
            assert!(!printed.contains("panicked at"), "the program panicked:\n{printed}");
        }
    }
}
