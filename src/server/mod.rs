//! The composition root: Config → Kit → Op → Edge → pingora. With proxy/, the only user of pingora.

mod banner;
pub mod control;
mod demo;
pub mod dev_cert;
mod end;
pub mod kit;
mod pingora_server;
mod ports;
mod ready;
mod reload;
mod running;
mod signals;

use crate::base::clock::Clock;
use crate::config::{Config, Faults, Loaded};
use crate::observe::access_log::AccessLog;
use crate::observe::audit::Audit;
use crate::observe::metrics::Metrics;
use crate::observe::trace::Trace;
use crate::op::Op;
use crate::{op, proxy, store};
use dev_cert::Made;
use end::{Reins, Stop};
use kit::Kit;
use running::Running;
use serde_json::json;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How long pingora may take to listen: it does so at once, or never.
const LISTEN: Duration = Duration::from_secs(10);

/// How long connections that are cut may take to write their last access line.
const LAST_LINES: Duration = Duration::from_secs(2);

/// Why the server did not start, or not stay.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error("{0}")]
    Config(#[from] Faults),
    #[error(transparent)]
    Op(#[from] op::Fault),
    #[error(transparent)]
    Store(#[from] store::Fault),
    #[error(transparent)]
    Randomness(#[from] crate::base::random::NoRandomness),
    #[error(transparent)]
    DevCert(#[from] dev_cert::Fault),
    #[error("{what}: {error}")]
    Io { what: String, error: std::io::Error },
    #[error("{0}")]
    Said(String),
}

impl Fault {
    fn io(what: impl ToString, error: std::io::Error) -> Fault {
        Fault::Io { what: what.to_string(), error }
    }
}

/// What the command line adds to the configuration.
#[derive(Clone, Default, Debug)]
pub struct Options {
    /// Written once every address is bound: a JSON object with them (tests wait for it).
    pub ready_file: Option<PathBuf>,
    /// No banner.
    pub quiet: bool,
}

/// What `check` finds beyond the configuration's own faults: files, certificates, templates, routes compiled. Nothing
/// is bound, and nothing is written.
///
/// # Errors
/// Every fault, at its place.
pub fn check(loaded: &Loaded) -> Result<(), Faults> {
    let config = &loaded.config;
    let now = Clock::system().now();
    let mut faults = Vec::new();
    if !config.demo.certificate
        && let Err(found) = proxy::front::Door::new(&config.front, now)
    {
        faults
            .extend(found.into_iter().map(|fault| loaded.fault("front.tls.certificates", fault.to_string())));
    }
    match open_to_check(config) {
        Err(Fault::Op(op::Fault::Key { key, says })) => faults.push(loaded.fault(key, says)),
        Err(fault) => faults.push(loaded.fault("op", fault.to_string())),
        Ok((_kit, op)) => {
            let found = proxy::Edge::check(&config.edge(config.demo.whoami), op).err().unwrap_or_default();
            faults.extend(found.into_iter().map(|(path, says)| loaded.fault(&path, says)));
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(Faults::new(faults)) }
}

/// Which route a request would take under this configuration.
///
/// # Errors
/// The configuration has faults.
pub fn explain(loaded: &Loaded, method: &str, url: &str) -> Result<proxy::Explanation, Fault> {
    let config = &loaded.config;
    let (kit, op) = open_to_check(config)?;
    let edge = proxy::Edge::new(
        &config.edge(config.demo.whoami),
        op,
        edge_kit(&kit, AccessLog::off(), Arc::default()),
    )
    .map_err(|found| edge_faults(loaded, found))?;
    Ok(edge.explain(method, url))
}

/// The provider over a store that forgets. It has no keys yet, and those it should take over may have been taken over
/// and deleted.
fn open_to_check(config: &Config) -> Result<(Kit, Option<Op>), Fault> {
    let mut config = config.clone();
    if let Some(op) = &mut config.op {
        op.keys.import = op.keys.import.take().filter(|file| file.exists());
    }
    let kit = Kit::to_check(&config)?;
    let op = kit.handle().block_on(open(&kit, &config))?;
    Ok((kit, op))
}

/// The provider, if the configuration has one.
async fn open(kit: &Kit, config: &Config) -> Result<Option<Op>, Fault> {
    match &config.op {
        Some(settings) => Ok(Some(Op::open(kit.op().clone(), settings.clone()).await?)),
        None => Ok(None),
    }
}

fn edge_kit(kit: &Kit, access_log: AccessLog, metrics: Arc<Metrics>) -> proxy::Kit {
    proxy::Kit {
        clock: kit.clock().clone(),
        random: kit.op().random.clone(),
        access_log,
        metrics,
        store: kit.store().clone(),
        at_rest: kit.op().at_rest.clone(),
        fetch: kit.op().fetch.clone(),
        work: kit.op().work.clone(),
        subject_key: kit.op().at_rest.derive("subjects in the access log"),
    }
}

fn edge_faults(loaded: &Loaded, found: Vec<proxy::Fault>) -> Faults {
    Faults::new(found.into_iter().map(|(path, says)| loaded.fault(&path, says)).collect())
}

/// Runs the server until a signal ends it.
///
/// # Errors
/// It could not start: every fault of the configuration, or what the machine refused.
pub fn run(loaded: Loaded, options: &Options) -> Result<(), Fault> {
    check(&loaded)?;
    let log = &loaded.config.server.log;
    let trace = Trace::begin(log.level.into(), log.format == crate::config::process::Format::Json);
    let made = certificate(&loaded.config)?;
    let mut front = loaded.config.front.clone();
    let mut listen = front.listen.clone();
    listen.extend(front.redirect.iter().flat_map(|redirect| redirect.listen.iter().copied()));
    let redirects = listen.len() - front.listen.len();
    listen.extend(front.mtls.iter().flat_map(|mtls| mtls.listen.iter().copied()));
    ports::settle(&mut listen)?;
    if let Some(mtls) = &mut front.mtls {
        mtls.listen = listen.split_off(front.listen.len() + redirects);
    }
    let redirects = listen.split_off(front.listen.len());
    front.listen.clone_from(&listen);
    if let Some(redirect) = &mut front.redirect {
        redirect.listen = redirects;
    }
    let kit = Kit::open(&loaded.config)?;
    let running = start(&loaded, &kit, trace, &front)?;
    let outcome = serve(&running, &kit, &front, options, made.as_ref());
    running.close();
    drop(running);
    kit.close()?;
    outcome
}

/// The development certificate, if the configuration wants one.
fn certificate(config: &Config) -> Result<Option<Made>, Fault> {
    let first = config.front.tls.certificates.first().filter(|_| config.demo.certificate);
    let Some(first) = first else { return Ok(None) };
    let mut names = dev_cert::NAMES.map(str::to_owned).to_vec();
    names.extend(config.named_hosts().into_iter().filter(|host| !dev_cert::NAMES.contains(&host.as_str())));
    Ok(Some(dev_cert::ensure(&first.cert, &first.key, &names, Clock::system().now())?))
}

/// Everything but the listeners.
fn start(
    loaded: &Loaded,
    kit: &Kit,
    trace: Trace,
    front: &proxy::front::Settings,
) -> Result<Arc<Running>, Fault> {
    let config = &loaded.config;
    let audit = Audit::open(&config.server.audit_log, kit.clock().clone())
        .map_err(|error| Fault::io(config.server.audit_log.display(), error))?;
    trace.set_audit(audit.clone());
    let access_log = config.server.access_log.open().and_then(AccessLog::new);
    let access_log = access_log.map_err(|error| Fault::io("server.access_log", error))?;
    let whoami = match config.demo.whoami {
        Some(address) => {
            Some(demo::whoami(address, kit.handle()).map_err(|error| Fault::io(address, error))?)
        }
        None => None,
    };
    let op = kit.handle().block_on(open(kit, config))?;
    let metrics = Arc::<Metrics>::default();
    let edge_kit = edge_kit(kit, access_log.clone(), metrics.clone());
    let edge = proxy::Edge::new(&config.edge(whoami), op.clone(), edge_kit)
        .map_err(|found| edge_faults(loaded, found))?;
    let keys = kit.handle().block_on(edge.make_keys(&config.edge(whoami)));
    keys.map_err(|says| Fault::Said(format!("identity: {says}")))?;
    let door = proxy::front::Door::new(front, kit.clock().now()).map_err(|found| {
        let faults = found.into_iter().map(|fault| loaded.fault("front.tls.certificates", fault.to_string()));
        Faults::new(faults.collect())
    })?;
    let running = Running::new(
        loaded,
        op,
        edge,
        door,
        kit.clock().clone(),
        running::Logs { trace, audit, access_log, metrics },
        whoami,
    );
    let running = Arc::new(running);
    running.show_counts();
    Ok(running)
}

/// Listens, says so, and works until it is told to stop.
fn serve(
    running: &Arc<Running>,
    kit: &Kit,
    front: &proxy::front::Settings,
    options: &Options,
    made: Option<&Made>,
) -> Result<(), Fault> {
    let process = &running.started().server;
    let mut signals = signals::Signals::install(kit.handle()).map_err(|error| Fault::io("signals", error))?;
    let _socket = control::listen(&process.control, kit.handle(), running.obey(), running.audit().clone())
        .map_err(|error| Fault::io(process.control.display(), error))?;
    let _pid = process.pid_file.as_deref().map(PidFile::write).transpose()?;
    let server = pingora_server::build(running, front);
    let reins = end::run(server).map_err(|error| Fault::io("the thread pingora runs on", error))?;
    kit.handle().block_on(listening(&reins, front))?;
    running.keep(kit);
    if let Some(address) = process.admin {
        admin(running, kit, address)?;
    }
    announce(running, front, options, made)?;
    tracing::info!(addresses = ?front.listen, "ready");
    let stop = kit.handle().block_on(signals.until_stop(running, &reins));
    kit.handle().block_on(stopped(running, &reins, stop, signals));
    Ok(())
}

async fn listening(reins: &Reins, front: &proxy::front::Settings) -> Result<(), Fault> {
    let redirects = front.redirect.iter().flat_map(|redirect| redirect.listen.iter());
    let mtls = front.mtls.iter().flat_map(|mtls| mtls.listen.iter());
    let all: Vec<&SocketAddr> = front.listen.iter().chain(redirects).chain(mtls).collect();
    let wait = async {
        while !all.iter().all(|address| reins.listens(&address.to_string())) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::select! {
        done = tokio::time::timeout(LISTEN, wait) => {
            done.map_err(|_| Fault::Said("the addresses could not be listened on in time".into()))
        }
        () = reins.ended() => Err(Fault::Said("the server ended before it listened".into())),
    }
}

fn announce(
    running: &Running,
    front: &proxy::front::Settings,
    options: &Options,
    made: Option<&Made>,
) -> Result<(), Fault> {
    let authority = made.map(|made| made.authority.as_path());
    let config = running.started();
    if config.demo.banner && !options.quiet {
        let to_person = std::io::IsTerminal::is_terminal(&std::io::stdout());
        let text = banner::text(config, &front.listen, running.whoami(), authority, to_person);
        // Nobody reads it: no reason not to serve.
        let _ = std::io::Write::write_all(&mut std::io::stdout().lock(), text.as_bytes());
    }
    let Some(path) = &options.ready_file else { return Ok(()) };
    let redirects: Vec<_> = front.redirect.iter().flat_map(|redirect| redirect.listen.iter()).collect();
    ready::write(
        path,
        &json!({
            "pid": std::process::id(),
            "listen": front.listen,
            "redirect": redirects,
            "mtls": front.mtls.as_ref().map(|mtls| mtls.listen.as_slice()).unwrap_or_default(),
            "whoami": running.whoami(),
            "control": config.server.control,
            "ca": authority,
        }),
    )
}

/// From the word to stop until nothing is left that could be cut.
async fn stopped(running: &Running, reins: &Reins, stop: Stop, mut signals: signals::Signals) {
    let drain = running.drain();
    let connections = running.door().connections().clone();
    if stop == Stop::Graceful {
        running.begin_draining();
        tracing::info!(delay = %drain.delay, grace = %drain.grace, "stopping: what is under way may finish");
        let graceful = async {
            tokio::time::sleep(drain.delay.0).await;
            reins.stop(Stop::Graceful);
            tokio::time::timeout(drain.grace.0, connections.drained()).await.is_ok()
        };
        tokio::select! {
            empty = graceful => tracing::info!(empty, "drained"),
            () = signals.second_stop() => tracing::info!("told to stop again: at once"),
        }
    } else {
        reins.stop(Stop::Fast);
    }
    match tokio::time::timeout(LAST_LINES, connections.end_all()).await {
        Ok(cut) => tracing::info!(cut, "stopped"),
        Err(_) => tracing::warn!("stopped while connections were still ending"),
    }
}

/// The read-only listener for those who watch.
fn admin(running: &Arc<Running>, kit: &Kit, address: SocketAddr) -> Result<(), Fault> {
    let bound = kit.handle().block_on(tokio::net::TcpListener::bind(address));
    let listener = bound.map_err(|error| Fault::io(address, error))?;
    let asked = running.clone();
    let admin = proxy::admin::Admin {
        metrics: running.metrics().clone(),
        ready: Box::new(move || !asked.is_draining()),
    };
    kit.handle().spawn(async move {
        let Err(error) = proxy::admin::serve(listener, Arc::new(admin)).await;
        tracing::error!(%error, "the admin listener has ended");
    });
    Ok(())
}

/// Removed when the server ends.
struct PidFile(PathBuf);

impl PidFile {
    fn write(path: &Path) -> Result<PidFile, Fault> {
        let written = std::fs::write(path, format!("{}\n", std::process::id()));
        written.map_err(|error| Fault::io(path.display(), error))?;
        Ok(PidFile(path.to_owned()))
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
