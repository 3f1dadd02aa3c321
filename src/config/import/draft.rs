//! What is being made: our configuration and its files, beside the report.

use super::Options;
use super::report::{Outcome, Report};
use super::source::At;
use crate::base::random::Random;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// A file to write. All of them are for their owner's eyes only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// Below the output directory.
    pub name: &'static str,
    pub text: String,
}

/// The work in progress.
pub struct Draft<'a> {
    pub options: &'a Options,
    pub random: &'a Random,
    pub report: Report,
    /// `front` of the configuration.
    pub front: Map<String, Value>,
    /// `op` of the configuration.
    pub op: Map<String, Value>,
    pub files: Vec<Made>,
    /// Whether a development certificate has to stand in.
    pub own_certificate: bool,
    /// What the operator has to do themselves.
    pub to_do: Vec<String>,
}

impl Draft<'_> {
    pub fn taken(&mut self, at: &At<'_>, says: impl Into<String>) {
        self.report.say(at.file, &at.path, Outcome::Taken, says);
    }

    pub fn changed(&mut self, at: &At<'_>, says: impl Into<String>) {
        self.report.say(at.file, &at.path, Outcome::Changed, says);
    }

    pub fn ignored(&mut self, at: &At<'_>, says: impl Into<String>) {
        self.report.say(at.file, &at.path, Outcome::Ignored, says);
    }

    pub fn faulty(&mut self, at: &At<'_>, says: impl Into<String>) {
        self.report.say(at.file, &at.path, Outcome::Faulty, says);
    }

    /// A path as the old provider resolved it: against its folder.
    pub fn beside(&self, written: &str) -> PathBuf {
        self.options.base.join(written)
    }

    /// Where a file of ours will be.
    pub fn output(&self, name: &str) -> PathBuf {
        self.options.out.join(name)
    }

    /// Plans a file, and says where it will be.
    pub fn file(&mut self, name: &'static str, text: String) -> Value {
        self.files.push(Made { name, text });
        path(&self.output(name))
    }

    /// Sets `section.name` of `op`.
    pub fn set(&mut self, section: &str, name: &str, value: Value) {
        let section = self.op.entry(section).or_insert_with(|| Value::Object(Map::new()));
        if let Some(members) = section.as_object_mut() {
            members.insert(name.to_owned(), value);
        }
    }
}

pub fn path(path: &Path) -> Value {
    Value::String(path.display().to_string())
}
