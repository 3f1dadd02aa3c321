//! `import oidc-op`: reads the old provider's files, writes ours, checks them as `check` does, and reports every key.

use super::args::{Common, Import, OidcOp};
use super::{Failure, Outcome, say};
use crate::base::clock::Clock;
use crate::base::random::Random;
use crate::config::import::{self, CONFIGURATION, Options, Outcome as Became};
use crate::{config, server};
use serde_json::json;
use std::path::{Path, PathBuf};

pub fn import(common: &Common, from: Import) -> Outcome {
    match from {
        Import::OidcOp(asked) => oidc_op(common, asked),
    }
}

fn oidc_op(common: &Common, asked: OidcOp) -> Outcome {
    let out = absolute(&asked.out)?;
    let beside = asked.source.parent().filter(|folder| !folder.as_os_str().is_empty());
    let options = Options {
        base: absolute(asked.base.as_deref().or(beside).unwrap_or(Path::new(".")))?,
        out: out.clone(),
        source: asked.source,
        dumps: asked.dump,
        clients: asked.clients,
        users: asked.users,
        passwords: asked.passwords,
        certificate: match asked.cert.zip(asked.key) {
            Some((cert, key)) => Some((absolute(&cert)?, absolute(&key)?)),
            None => None,
        },
        listen: asked.listen,
        expired_secrets: asked.expired_secrets,
        dry_run: asked.dry_run,
        now: Clock::system().now(),
    };
    let made = import::oidc_op(&options, &Random::system()).map_err(Failure)?;
    if !asked.dry_run {
        import::write(&made, &out, asked.force).map_err(Failure)?;
    }
    tell(common, &made, &out, asked.dry_run)?;
    if asked.dry_run {
        return Ok(());
    }
    let file = out.join(CONFIGURATION);
    check(&file)
        .map_err(|Failure(says)| Failure(format!("{says}\nwhat was written does not pass its check")))?;
    match common.json {
        true => Ok(()),
        false => {
            say::line(&format!("it passes its check; run it: oidcop-proxy run --config {}", file.display()))
        }
    }
}

fn check(file: &Path) -> Outcome {
    let loaded = config::load(file)?;
    Ok(server::check(&loaded)?)
}

fn tell(common: &Common, made: &import::Import, out: &Path, dry_run: bool) -> Outcome {
    let files: Vec<PathBuf> = made.files.iter().map(|file| out.join(file.name)).collect();
    if common.json {
        return say::json(&json!({
            "written": !dry_run,
            "files": files,
            "keys": made.report.to_json(),
            "to_do": made.to_do,
        }));
    }
    say::text(&made.report.to_string())?;
    let outcomes = [Became::Taken, Became::Changed, Became::Ignored, Became::Unknown, Became::Faulty];
    let counts = outcomes.map(|outcome| format!("{} {}", made.report.count(outcome), outcome.word()));
    say::line(&format!("\n{}", counts.join(", ")))?;
    for file in &files {
        say::line(&format!("{} {}", if dry_run { "would write" } else { "wrote" }, file.display()))?;
    }
    for to_do in &made.to_do {
        say::line(&format!("to do: {to_do}"))?;
    }
    match dry_run {
        true => say::line("nothing was written: leave out --dry-run"),
        false => Ok(()),
    }
}

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| Failure(format!("{}: {error}", path.display())))
}
