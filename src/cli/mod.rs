//! What was typed, and what it does. Exit status: 0 done, 1 failed or refused, 2 wrong usage.

mod administer;
mod args;
mod check;
mod import;
mod password;
mod say;

use crate::base::clock::Clock;
use crate::base::random::Random;
use crate::base::secret::Secret;
use crate::config::{self, Loaded};
use crate::server::control::client::{self, Fault as NoAnswer};
use crate::server::{self, dev_cert};
use args::{Arguments, Common, Run, Verb};
use clap::Parser;
use serde_json::{Value, json};
use std::path::Path;
use std::process::ExitCode;

/// Why a command failed: what is printed, on the standard error stream.
#[derive(Debug)]
pub struct Failure(String);

impl<T: std::error::Error> From<T> for Failure {
    fn from(fault: T) -> Failure {
        Failure(fault.to_string())
    }
}

type Outcome = Result<(), Failure>;

/// Does what the process's arguments say.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match obey(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure(says)) => {
            say::complain(&says);
            ExitCode::FAILURE
        }
    }
}

fn obey(arguments: Arguments) -> Outcome {
    let common = arguments.common;
    match arguments.verb.unwrap_or(Verb::Run(Run::default())) {
        Verb::Run(run) => serve(&common, run),
        Verb::Check => check::check(&common),
        Verb::Reload => reload(&common),
        Verb::Explain { method, url } => check::explain(&common, &method, &url),
        Verb::User(user) => administer::user(&common, user),
        Verb::Client(client) => administer::client(&common, client),
        Verb::Session(session) => administer::session(&common, session),
        Verb::Key(key) => administer::key(&common, key),
        Verb::Import(from) => import::import(&common, from),
        Verb::HashPassword(from) => hash_password(&common, &password::read(&from, "Password", false)?),
        Verb::DevCert { names, dir } => dev_cert(&common, names, &dir),
        Verb::Schema { reference: false } => say::text(&config::schema_json()),
        Verb::Schema { reference: true } => say::text(&config::reference_md()),
        Verb::Version => version(&common),
    }
}

fn load(common: &Common) -> Result<Loaded, Failure> {
    is_there(common)?;
    Ok(config::load(&common.config)?)
}

/// Advice when the configuration that runs by default is not here.
fn is_there(common: &Common) -> Outcome {
    if common.config == Path::new(args::QUICKSTART) && !common.config.exists() {
        let says = "conf/quickstart.yaml is not here: run this in the project's folder, or name a file with --config";
        return Err(Failure(says.into()));
    }
    Ok(())
}

fn serve(common: &Common, run: Run) -> Outcome {
    let loaded = load(common)?;
    for warning in loaded.warnings.iter() {
        say::complain(&format!("warning: {warning}"));
    }
    Ok(server::run(loaded, &server::Options { ready_file: run.ready_file, quiet: run.quiet })?)
}

fn reload(common: &Common) -> Outcome {
    let socket = load_socket(common);
    match client::ask(&socket, &json!({ "command": "reload" })) {
        Ok(answer) if common.json => say::json(&answer),
        Ok(answer) => {
            for warning in answer.get("warnings").and_then(Value::as_array).into_iter().flatten() {
                say::complain(&format!("warning: {}", warning.as_str().unwrap_or_default()));
            }
            say::line("reloaded")
        }
        Err(fault) => Err(unanswered(fault, &socket)),
    }
}

/// Where the server of this configuration listens for commands. A faulty file is no reason not to find it.
fn load_socket(common: &Common) -> std::path::PathBuf {
    config::load(&common.config)
        .map_or_else(|_| config::Process::default().control, |it| it.config.server.control)
}

fn unanswered(fault: NoAnswer, socket: &Path) -> Failure {
    match fault {
        NoAnswer::NotRunning => {
            Failure(format!("no server is running: nobody listens at {}", socket.display()))
        }
        NoAnswer::Broken(error) => Failure(format!("{}: {error}", socket.display())),
        NoAnswer::Refused(refusal) => {
            let lines: Vec<String> = std::iter::once(refusal.says).chain(refusal.faults).collect();
            Failure(lines.join("\n"))
        }
    }
}

fn hash_password(common: &Common, password: &Secret) -> Outcome {
    let hash = crate::op::hash_password(&Random::system(), password)?;
    if common.json { say::json(&json!({ "password": hash })) } else { say::line(&hash) }
}

fn dev_cert(common: &Common, names: Vec<String>, dir: &Path) -> Outcome {
    let names = if names.is_empty() { dev_cert::NAMES.map(str::to_owned).to_vec() } else { names };
    let made = dev_cert::ensure(&dir.join("dev.pem"), &dir.join("dev.key"), &names, Clock::system().now())?;
    if common.json {
        return say::json(
            &json!({ "ca": made.authority, "cert": made.cert, "key": made.key, "made": made.fresh }),
        );
    }
    let done = if made.fresh { "made" } else { "still good" };
    say::line(&format!(
        "{done}: {} and {}, for {}",
        made.cert.display(),
        made.key.display(),
        names.join(", ")
    ))?;
    say::line(&format!(
        "to trust it: curl --cacert {0} …, or import {0} in the browser",
        made.authority.display()
    ))
}

fn version(common: &Common) -> Outcome {
    let version = env!("CARGO_PKG_VERSION");
    if common.json {
        return say::json(&json!({ "name": "oidcop-proxy", "version": version }));
    }
    say::line(&format!("oidcop-proxy {version}"))
}
