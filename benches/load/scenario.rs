//! The scenarios, a table: who is asked what, against whom, and the ratio not to fall below. And how one is measured:
//! counted runs of both sides in turn, compared round by round.

use super::figures::{interval, median, percentile};
use super::machine;
use super::party::Party;
use super::stage::{self, APP, OP, Stage, get};
use super::wire::{self, Connection};
use bytes::Bytes;
use std::sync::Arc;

/// A comparison.
pub struct Scenario {
    pub name: &'static str,
    pub ours: Side,
    pub against: Side,
    /// The least of the other side's CPU time over ours.
    pub target: Option<f64>,
    pub status: u16,
}

/// Who is asked what.
pub struct Side(pub Party, pub Ask);

pub enum Ask {
    /// A route without authorization.
    Public,
    /// The same, with as many headers added as a bearer route adds.
    Injected,
    /// A bearer route, with so many tokens in rotation.
    Bearer(usize),
    /// A bearer route, with this in place of a token.
    Without(Option<&'static str>),
    Token,
    Introspection,
    Discovery,
    Jwks,
    /// A canned answer of the yardstick, to a request as long as that one.
    Canned(&'static str, &'static Ask),
}

use Ask::{Bearer, Canned, Discovery, Injected, Introspection, Jwks, Public, Token, Without};
use Party::{Bare, Door, Ours, OursLogging};

const MANY: usize = 20_000;
const NO_TOKEN: Ask = Without(None);
const MALFORMED: Ask = Without(Some("not-a-token"));

/// Every comparison there is; targets from the project's performance goals.
pub const SCENARIOS: &[Scenario] = &[
    row("front-door", Side(Door, Public), Side(Bare, Public), None, 200),
    row("pass-through", Side(Ours, Public), Side(Door, Public), Some(0.92), 200),
    row("pass-through-logged", Side(OursLogging, Public), Side(Door, Public), Some(0.85), 200),
    row("bearer-seen", Side(Ours, Bearer(1)), Side(Ours, Injected), Some(0.95), 200),
    row("bearer-20000", Side(Ours, Bearer(MANY)), Side(Ours, Injected), Some(0.90), 200),
    row("no-token", Side(Ours, NO_TOKEN), Side(Door, Canned("/401-no-token", &NO_TOKEN)), Some(0.90), 401),
    row(
        "malformed",
        Side(Ours, MALFORMED),
        Side(Door, Canned("/401-malformed", &MALFORMED)),
        Some(0.90),
        401,
    ),
    row(
        "discovery",
        Side(Ours, Discovery),
        Side(Door, Canned("/200-discovery", &Discovery)),
        Some(0.80),
        200,
    ),
    row("jwks", Side(Ours, Jwks), Side(Door, Canned("/200-jwks", &Jwks)), Some(0.80), 200),
    row("token", Side(Ours, Token), Side(Door, Canned("/200-token-signed", &Token)), Some(0.80), 200),
    row(
        "introspection",
        Side(Ours, Introspection),
        Side(Door, Canned("/200-introspection", &Introspection)),
        Some(0.70),
        200,
    ),
];

const fn row(name: &'static str, ours: Side, against: Side, target: Option<f64>, status: u16) -> Scenario {
    Scenario { name, ours, against, target, status }
}

/// How long it is measured.
pub struct Pace {
    pub rounds: usize,
    /// CPU time of ours in a round, in µs: the number of requests follows from it.
    pub round_us: f64,
    pub connections: usize,
    /// Connections of the memory row, and how long it waits after they have ended, in seconds.
    pub burst: usize,
    pub settle: u64,
}

impl Pace {
    pub const FULL: Pace = Pace { rounds: 15, round_us: 400e3, connections: 32, burst: 9_000, settle: 120 };
    pub const QUICK: Pace = Pace { rounds: 5, round_us: 100e3, connections: 32, burst: 1_000, settle: 15 };
}

/// What one side needed.
pub struct Figures {
    pub party: Party,
    /// Medians over the rounds.
    pub cpu_us: f64,
    pub rate: f64,
    /// Over all rounds, in µs.
    pub p50: u32,
    pub p99: u32,
    pub resident_kib: u64,
}

pub struct Outcome {
    pub name: &'static str,
    pub ours: Figures,
    pub against: Figures,
    pub ratio: f64,
    pub interval: (f64, f64),
    pub target: Option<f64>,
    pub requests: u64,
    pub rounds: usize,
    pub load_average: f64,
}

/// One side under measurement.
struct Lane {
    party: Party,
    process: u32,
    connections: Vec<Connection>,
    requests: Arc<Vec<Bytes>>,
    status: u16,
    cpu_us: Vec<f64>,
    rates: Vec<f64>,
    latencies: Vec<u32>,
}

const WARM_UP: u64 = 2_000;

pub async fn run(scenario: &Scenario, stage: &mut Stage, pace: &Pace) -> Outcome {
    eprint!("\r\x1b[K{}: getting ready", scenario.name);
    let mut ours = Lane::open(&scenario.ours, scenario.status, stage, pace).await;
    let mut against = Lane::open(&scenario.against, scenario.status, stage, pace).await;
    // A rotation is gone through once before it counts.
    for lane in [&mut ours, &mut against] {
        lane.round(WARM_UP.max(lane.requests.len() as u64)).await;
    }
    let costs = ours.round(WARM_UP).await;
    let requests = (pace.round_us / costs).clamp(1_000.0, 200_000.0) as u64;
    ours.forget();
    against.forget();
    let mut ratios = Vec::new();
    for round in 1..=pace.rounds {
        eprint!("\r\x1b[K{}: round {round} of {}, {requests} requests each", scenario.name, pace.rounds);
        let mine = ours.round(requests).await;
        let theirs = against.round(requests).await;
        ratios.push(theirs / mine);
    }
    eprint!("\r\x1b[K");
    Outcome {
        name: scenario.name,
        ours: ours.figures(stage).await,
        against: against.figures(stage).await,
        ratio: median(&ratios),
        interval: interval(&ratios),
        target: scenario.target,
        requests,
        rounds: pace.rounds,
        load_average: machine::load_average(),
    }
}

impl Lane {
    async fn open(side: &Side, status: u16, stage: &mut Stage, pace: &Pace) -> Lane {
        let Side(party, ask) = side;
        let requests = Arc::new(requests(ask, stage).await);
        let process = stage.server(*party).await.process();
        let mut connections = Vec::new();
        for _ in 0..pace.connections {
            connections.push(stage.connect(*party).await);
        }
        let (cpu_us, rates, latencies) = (Vec::new(), Vec::new(), Vec::new());
        Lane { party: *party, process, connections, requests, status, cpu_us, rates, latencies }
    }

    /// A counted run; the CPU time of one request in µs.
    async fn round(&mut self, count: u64) -> f64 {
        let before = machine::cpu_us(self.process);
        let run = wire::run(&mut self.connections, &self.requests, count, self.status).await;
        let cpu_us = (machine::cpu_us(self.process) - before) / count as f64;
        self.cpu_us.push(cpu_us);
        self.rates.push(count as f64 / run.seconds);
        self.latencies.extend(run.latencies);
        cpu_us
    }

    fn forget(&mut self) {
        self.cpu_us.clear();
        self.rates.clear();
        self.latencies.clear();
    }

    async fn figures(mut self, stage: &mut Stage) -> Figures {
        Figures {
            party: self.party,
            cpu_us: median(&self.cpu_us),
            rate: median(&self.rates),
            p50: percentile(&mut self.latencies, 0.50),
            p99: percentile(&mut self.latencies, 0.99),
            resident_kib: stage.server(self.party).await.resident_kib(),
        }
    }
}

async fn requests(ask: &Ask, stage: &mut Stage) -> Vec<Bytes> {
    match ask {
        Public => vec![get(APP, "/public/", None)],
        Injected => vec![get(APP, "/injected/", None)],
        Bearer(count) => {
            let tokens = stage.tokens(*count).await;
            tokens.iter().map(|token| get(APP, "/api/", Some(token))).collect()
        }
        Without(word) => vec![get(APP, "/api/", *word)],
        Token => vec![stage::token_request()],
        Introspection => vec![stage::introspection_request(&stage.tokens(1).await.concat())],
        Discovery => vec![get(OP, "/.well-known/openid-configuration", None)],
        Jwks => vec![get(OP, "/oidcop/jwks", None)],
        Canned(path, model) => {
            let modelled = Box::pin(requests(model, stage)).await;
            modelled.iter().map(|request| aimed_at(request, path)).collect()
        }
    }
}

/// The same request at another path.
fn aimed_at(request: &Bytes, path: &str) -> Bytes {
    let text = std::str::from_utf8(request).unwrap();
    let mut words = text.splitn(3, ' ');
    let (method, rest) = (words.next().unwrap(), words.nth(1).unwrap());
    format!("{method} {path} {rest}").into()
}
