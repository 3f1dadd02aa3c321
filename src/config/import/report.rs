//! What became of every key that was met: taken, changed and why, ignored and why, unknown.

use super::source::Document;
use serde_json::{Value, json};
use std::fmt::{Display, Formatter, Result as Formatted};
use std::path::{Path, PathBuf};

/// What became of a key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Outcome {
    /// It means the same here.
    Taken,
    /// It means something else here, or part of it was left out.
    Changed,
    /// It has no counterpart, or needs none.
    Ignored,
    /// Nobody knows it: neither oidc-op nor this program.
    Unknown,
    /// It could not be read or used.
    Faulty,
}

impl Outcome {
    pub fn word(self) -> &'static str {
        match self {
            Outcome::Taken => "taken",
            Outcome::Changed => "changed",
            Outcome::Ignored => "ignored",
            Outcome::Unknown => "unknown",
            Outcome::Faulty => "faulty",
        }
    }
}

/// One key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    pub file: PathBuf,
    /// Where in the file (`op.server_info.issuer`); empty for the whole of it.
    pub key: String,
    pub outcome: Outcome,
    /// What it became, or why not.
    pub says: String,
}

/// The lines, in the order in which the keys were looked at.
#[derive(Clone, Default, Debug)]
pub struct Report {
    pub lines: Vec<Line>,
}

impl Report {
    pub fn say(&mut self, file: &Path, key: &str, outcome: Outcome, says: impl Into<String>) {
        self.lines.push(Line { file: file.to_owned(), key: key.to_owned(), outcome, says: says.into() });
    }

    pub fn count(&self, outcome: Outcome) -> usize {
        self.lines.iter().filter(|line| line.outcome == outcome).count()
    }

    /// Names every key of `document` that no line covers yet: by `known`, or as unknown.
    pub fn complete(&mut self, document: &Document, known: impl Fn(&str) -> Option<(Outcome, &'static str)>) {
        let mut leaves = Vec::new();
        gather("", &document.root, &mut leaves);
        for leaf in leaves {
            let covered =
                self.lines.iter().any(|line| line.file == document.file && covers(&line.key, &leaf));
            if covered {
                continue;
            }
            let (outcome, says) = known(&leaf).unwrap_or((
                Outcome::Unknown,
                "is no key of oidc-op that this program knows: nothing is made of it",
            ));
            self.say(&document.file, &leaf, outcome, says);
        }
    }

    /// Lines sorted by file and key, for reading.
    pub fn sorted(mut self) -> Report {
        self.lines.sort_by(|one, other| (&one.file, &one.key).cmp(&(&other.file, &other.key)));
        self
    }

    /// `[{ file, key, outcome, says }]`
    pub fn to_json(&self) -> Value {
        let line = |line: &Line| {
            json!({
                "file": line.file.display().to_string(),
                "key": line.key,
                "outcome": line.outcome.word(),
                "says": line.says,
            })
        };
        Value::Array(self.lines.iter().map(line).collect())
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> Formatted {
        for line in &self.lines {
            let at = if line.key.is_empty() { String::new() } else { format!(": {}", line.key) };
            writeln!(f, "{:<8} {}{at}: {}", line.outcome.word(), line.file.display(), line.says)?;
        }
        Ok(())
    }
}

/// Whether a line about `line` speaks of `leaf` too.
fn covers(line: &str, leaf: &str) -> bool {
    let rest = leaf.strip_prefix(line);
    rest.is_some_and(|rest| line.is_empty() || rest.is_empty() || rest.starts_with(['.', '[']))
}

/// The path of every value that holds no others; a list without maps counts as one.
fn gather(path: &str, value: &Value, leaves: &mut Vec<String>) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (name, value) in members {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                gather(&path, value, leaves);
            }
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            for (nth, value) in items.iter().enumerate() {
                gather(&format!("{path}[{nth}]"), value, leaves);
            }
        }
        _ => leaves.push(path.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_gets_a_line_and_a_line_speaks_for_what_is_below_it() {
        let root = json!({ "a": { "b": 1, "bc": [1, 2], "d": {} }, "e": [{ "f": null }, { "g": 1 }] });
        let document = Document { file: "x.json".into(), root };
        let mut report = Report::default();
        report.say(&document.file, "a.b", Outcome::Taken, "is b");
        report.say(Path::new("y.json"), "e", Outcome::Taken, "is another file's");
        report.complete(&document, |key| (key == "a.bc").then_some((Outcome::Ignored, "is not needed")));
        let lines: Vec<_> = report.sorted().lines.into_iter().map(|line| (line.key, line.outcome)).collect();
        let expected = [
            ("a.b", Outcome::Taken),
            ("a.bc", Outcome::Ignored),
            ("a.d", Outcome::Unknown),
            ("e[0].f", Outcome::Unknown),
            ("e[1].g", Outcome::Unknown),
            ("e", Outcome::Taken),
        ];
        assert_eq!(lines, expected.map(|(key, outcome)| (key.to_owned(), outcome)));
    }
}
