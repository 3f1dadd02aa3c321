//! `check` and `explain`: they ask the very code that runs, over a store that forgets and without binding anything.

use super::args::Common;
use super::{Failure, Outcome, say};
use crate::config::{self, Loaded};
use crate::server;
use crate::server::control::client::{self, Fault as NoAnswer};
use serde_json::{Value, json};

/// Everything `run` would find, but for what only binding and opening the store show.
pub fn check(common: &Common) -> Outcome {
    super::is_there(common)?;
    let checked = config::load(&common.config).and_then(|loaded| server::check(&loaded).map(|()| loaded));
    match checked {
        Ok(loaded) => passed(common, &loaded),
        Err(faults) if common.json => {
            say::json(&json!({ "ok": false, "faults": listed(&faults) }))?;
            Err(Failure(count(faults.iter().count())))
        }
        Err(faults) => Err(Failure(format!("{faults}\n{}", count(faults.iter().count())))),
    }
}

fn passed(common: &Common, loaded: &Loaded) -> Outcome {
    if common.json {
        return say::json(&json!({ "ok": true, "warnings": listed(&loaded.warnings) }));
    }
    for warning in loaded.warnings.iter() {
        say::complain(&format!("warning: {warning}"));
    }
    say::line(&format!("{} is good", loaded.file.display()))
}

fn listed(faults: &config::Faults) -> Vec<String> {
    faults.iter().map(ToString::to_string).collect()
}

fn count(faults: usize) -> String {
    if faults == 1 { "1 fault".to_owned() } else { format!("{faults} faults") }
}

/// From the server that runs, or from the configuration if none does.
pub fn explain(common: &Common, method: &str, url: &str) -> Outcome {
    let loaded = super::load(common)?;
    let socket = &loaded.config.server.control;
    let command = json!({ "command": "explain", "method": method, "url": url });
    let explanation = match client::ask(socket, &command) {
        Ok(explanation) => explanation,
        Err(NoAnswer::NotRunning) => serde_json::to_value(server::explain(&loaded, method, url)?)?,
        Err(fault) => return Err(super::unanswered(fault, socket)),
    };
    if common.json {
        return say::json(&explanation);
    }
    let text = |key: &str| match explanation.get(key) {
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Null) | None => None,
        Some(other) => Some(other.to_string()),
    };
    for (title, key) in [
        ("host", "host"),
        ("path", "path"),
        ("route", "route"),
        ("policy", "policy"),
        ("upstream", "upstream"),
        ("ends with", "status"),
        ("because", "why"),
    ] {
        if let Some(value) = text(key) {
            say::line(&format!("{title:<10} {value}"))?;
        }
    }
    Ok(())
}
