//! The path of a value in a document: `routes[2].policy.bearer.scopes`.

use serde_json::Value;
use serde_path_to_error::Segment;
use std::fmt::{self, Write as _};

/// One step down.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Step {
    Key(String),
    Index(usize),
}

/// From the root of a document down to a value in it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Path(pub Vec<Step>);

impl Path {
    /// What serde was at when it stopped. A variant written as a one-key map is a key like any other.
    pub fn of(tracked: &serde_path_to_error::Path) -> Path {
        let mut steps = Vec::new();
        for segment in tracked.iter() {
            match segment {
                Segment::Seq { index } => steps.push(Step::Index(*index)),
                Segment::Map { key } => steps.push(Step::Key(key.clone())),
                Segment::Enum { variant } => steps.push(Step::Key(variant.clone())),
                Segment::Unknown => break,
            }
        }
        Path(steps)
    }

    /// Reads `routes[2].policy` as it is written in a fault, as far as it leads in `tree`. A key that itself contains
    /// a dot or a bracket is found because the longest key that fits is taken.
    pub fn parse(written: &str, tree: &Value) -> Path {
        let (mut steps, mut rest, mut here) = (Vec::new(), written, Some(tree));
        while !rest.is_empty() {
            if let Some((index, after)) = indexed(rest) {
                here = here.and_then(|node| node.get(index));
                steps.push(Step::Index(index));
                rest = after;
            } else {
                let (key, after) = keyed(rest, here);
                here = here.and_then(|node| node.get(&key));
                steps.push(Step::Key(key));
                rest = after;
            }
            rest = rest.strip_prefix('.').unwrap_or(rest);
        }
        Path(steps)
    }

    pub fn key(&self, key: impl Into<String>) -> Path {
        self.step(Step::Key(key.into()))
    }

    pub fn step(&self, step: Step) -> Path {
        let mut steps = self.0.clone();
        steps.push(step);
        Path(steps)
    }

    /// The path of what this value is in, and the step from there to it.
    pub fn split(&self) -> Option<(Path, &Step)> {
        let (last, above) = self.0.split_last()?;
        Some((Path(above.to_vec()), last))
    }

    /// Whether this is `other` or below it.
    pub fn is_within(&self, other: &Path) -> bool {
        self.0.starts_with(&other.0)
    }

    pub fn of_tree<'a>(&self, tree: &'a Value) -> Option<&'a Value> {
        self.0.iter().try_fold(tree, |node, step| match step {
            Step::Key(key) => node.get(key),
            Step::Index(index) => node.get(*index),
        })
    }

    pub fn of_tree_mut<'a>(&self, tree: &'a mut Value) -> Option<&'a mut Value> {
        self.0.iter().try_fold(tree, |node, step| match step {
            Step::Key(key) => node.get_mut(key),
            Step::Index(index) => node.get_mut(*index),
        })
    }
}

fn indexed(written: &str) -> Option<(usize, &str)> {
    let (index, after) = written.strip_prefix('[')?.split_once(']')?;
    Some((index.parse().ok()?, after))
}

/// The key `written` begins with: quoted in brackets, or the longest one `here` has, or up to the next dot or bracket.
fn keyed<'a>(written: &'a str, here: Option<&Value>) -> (String, &'a str) {
    if let Some((key, after)) = written.strip_prefix("[\"").and_then(|rest| rest.split_once("\"]")) {
        return (key.to_owned(), after);
    }
    let ends = |after: &str| after.is_empty() || after.starts_with(['.', '[']);
    let keys = here.and_then(Value::as_object).into_iter().flat_map(|map| map.keys());
    let known = keys
        .filter_map(|key| written.strip_prefix(key.as_str()).map(|after| (key, after)))
        .filter(|(_, after)| ends(after))
        .max_by_key(|(key, _)| key.len());
    if let Some((key, after)) = known {
        return (key.clone(), after);
    }
    let end = written.char_indices().skip(1).find(|(_, c)| ['.', '['].contains(c)).map(|(at, _)| at);
    let (key, after) = written.split_at(end.unwrap_or(written.len()));
    (key.to_owned(), after)
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        for (nth, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) if !key.is_empty() && key.chars().all(plain) => {
                    if nth > 0 {
                        f.write_char('.')?;
                    }
                    f.write_str(key)?;
                }
                Step::Key(key) => write!(f, "[\"{}\"]", key.escape_debug())?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_path_reads_as_it_was_shown_even_with_dots_in_its_keys() {
        let tree = json!({ "routes": [{ "policy": { "bearer": 1 } }], "op": { "a.b": [1], "/x/": 2 } });
        for shown in ["routes[0].policy.bearer", "op[\"a.b\"][0]", "op[\"/x/\"]", "routes[9].nothing", ""] {
            assert_eq!(Path::parse(shown, &tree).to_string(), shown);
        }
        assert_eq!(Path::parse("op.a.b[0]", &tree).to_string(), "op[\"a.b\"][0]");
    }
}
