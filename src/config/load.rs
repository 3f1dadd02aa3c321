//! A file → a [`Config`], or everything that is wrong with it and with the files it names.

use super::Config;
use super::fault::{Fault, Faults};
use super::locate::{Aim, Place, place};
use super::path::Path;
use super::recover::{self, Recovered};
use super::semantic::{contradictions, warnings};
use super::tree::{self, MAX_TEXT, Raw};
use crate::op;
use std::collections::HashMap;
use std::path::{Path as FilePath, PathBuf};

/// What a file says.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub file: PathBuf,
    pub config: Config,
    /// What is allowed but hardly meant.
    pub warnings: Faults,
    text: String,
}

impl Loaded {
    /// A fault that shows only when the settings are used, at the place of `path` (`routes[2].policy`).
    pub fn fault(&self, path: &str, says: impl Into<String>) -> Fault {
        let document = serde_json::to_value(&self.config).unwrap_or_default();
        located(&self.file, &self.text, &Raw::new(Path::parse(path, &document), Aim::Value, says))
    }
}

/// Reads a configuration file, the environment it names, and the people and clients files it names.
///
/// # Errors
/// Every fault there is, not only the first.
pub fn load(file: &FilePath) -> Result<Loaded, Faults> {
    #[expect(clippy::disallowed_methods, reason = "this is where the configuration meets the environment")]
    let environment = |name: &str| std::env::var(name).ok();
    let text = text_of(file).map_err(|says| Faults::new(vec![whole(file, says)]))?;
    load_text(file, &text, &environment)
}

/// The same for a text that is at hand; `file` is what faults call it.
pub fn load_text(
    file: &FilePath,
    text: &str,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Loaded, Faults> {
    let mut raws = Vec::new();
    let tree = tree::read(text, environment, &mut raws).map_err(|(says, at)| {
        let place = at.map(|(line, column)| Place { line, column });
        Faults::new(vec![Fault { file: file.to_owned(), place, path: String::new(), says }])
    })?;
    let recovered = recover::read::<Config>(tree, &mut raws);
    let mut faults: Vec<Fault> = raws.iter().map(|raw| located(file, text, raw)).collect();
    let Some(config) = &recovered.settings else { return Err(Faults::new(faults)) };
    let document = serde_json::to_value(config).unwrap_or_default();
    for (written, says) in contradictions(config) {
        let path = recovered.written(&Path::parse(&written, &document));
        if !is_echo(&recovered, &path, &says) {
            faults.push(located(file, text, &Raw::new(path, Aim::Value, says)));
        }
    }
    if !is_lost(&recovered, "op") {
        faults.extend(seed_faults(config));
    }
    let faults = Faults::new(faults);
    match recovered.settings {
        Some(config) if faults.is_empty() => {
            let warnings = warnings(&config).into_iter().map(|(written, says)| {
                let raw = Raw::new(Path::parse(&written, &document), Aim::Value, says);
                located(file, text, &raw)
            });
            let warnings = Faults::new(warnings.collect());
            Ok(Loaded { file: file.to_owned(), config, warnings, text: text.to_owned() })
        }
        _ => Err(faults),
    }
}

fn text_of(file: &FilePath) -> Result<String, String> {
    let metadata = std::fs::metadata(file).map_err(|error| format!("cannot be read: {error}"))?;
    if metadata.len() > u64::try_from(MAX_TEXT).unwrap_or(u64::MAX) {
        return Err("is larger than 4 MiB: that is no configuration".into());
    }
    std::fs::read_to_string(file).map_err(|error| format!("cannot be read: {error}"))
}

fn whole(file: &FilePath, says: String) -> Fault {
    Fault { file: file.to_owned(), place: None, path: String::new(), says }
}

fn located(file: &FilePath, text: &str, raw: &Raw) -> Fault {
    let place = place(text, &raw.path, raw.aim);
    Fault { file: file.to_owned(), place: Some(place), path: raw.path.to_string(), says: raw.says.clone() }
}

/// Whether a contradiction only says that something is missing which was taken out because of another fault.
fn is_echo(recovered: &Recovered<Config>, path: &Path, says: &str) -> bool {
    let touched = recovered.touched.iter();
    let about_it = |touched: &Path| path.is_within(touched) || touched.is_within(path) && !path.0.is_empty();
    touched.clone().any(about_it)
        || says.split('`').skip(1).step_by(2).any(|word| recovered.lost_words.contains(word))
}

fn is_lost(recovered: &Recovered<Config>, section: &str) -> bool {
    let section = Path::default().key(section);
    recovered.touched.iter().any(|touched| section.is_within(touched) || touched.is_within(&section))
}

/// What the clients and people files say wrong, at its place in them.
fn seed_faults(config: &Config) -> Vec<Fault> {
    let Some(settings) = &config.op else { return Vec::new() };
    let mut texts: HashMap<PathBuf, Option<String>> = HashMap::new();
    let faults = op::client_file_faults(settings).into_iter().chain(op::user_file_faults(settings));
    faults
        .map(|fault| {
            let text =
                texts.entry(fault.file.clone()).or_insert_with(|| std::fs::read_to_string(&fault.file).ok());
            match text {
                Some(text) => {
                    let mut ignored = Vec::new();
                    let tree = tree::read(text, &|_| None, &mut ignored).map(|tree| tree.value);
                    let path = Path::parse(&fault.path, &tree.unwrap_or_default());
                    located(&fault.file, text, &Raw::new(path, Aim::Value, fault.message))
                }
                None => whole(&fault.file, fault.message),
            }
        })
        .collect()
}

#[cfg(test)]
mod soup;
#[cfg(test)]
mod tests;
