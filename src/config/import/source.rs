//! The old provider's files: JSON or YAML, under a cap, and a place in one of them.

use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// The largest file that is read: a dump of a database may be large.
const MAX_FILE: u64 = 256 << 20;
/// Values within each other.
const MAX_DEPTH: usize = 64;

/// One file.
#[derive(Clone, Debug)]
pub struct Document {
    pub file: PathBuf,
    pub root: Value,
}

impl Document {
    /// # Errors
    /// A sentence that follows the file's name.
    pub fn read(file: &Path) -> Result<Document, String> {
        let text = text(file)?;
        let root = match file.extension().and_then(|it| it.to_str()) {
            Some("py") => {
                return Err("is Python, which is not run here: let Python print it as JSON, `import json; \
                            json.dump(CONFIG, open('config.json', 'w'))`, and import that"
                    .into());
            }
            Some("yaml" | "yml") => yaml(&text)?,
            _ => match serde_json::from_str(&text) {
                Ok(root) => root,
                // Files of a client database have no extension.
                Err(error) => yaml(&text).map_err(|_| format!("is not JSON: {error}"))?,
            },
        };
        if deeper(&root, MAX_DEPTH) {
            return Err("is nested too deeply".into());
        }
        Ok(Document { file: file.to_owned(), root })
    }

    pub fn top(&self) -> At<'_> {
        At { file: &self.file, path: String::new(), value: &self.root }
    }
}

fn yaml(text: &str) -> Result<Value, String> {
    // By way of YAML's own value: it refuses a key that stands twice.
    let root: serde_yaml::Value =
        serde_yaml::from_str(text).map_err(|error| format!("is not YAML: {error}"))?;
    serde_json::to_value(root).map_err(|error| format!("cannot be read: {error}"))
}

/// A file's text, under the cap.
pub fn text(file: &Path) -> Result<String, String> {
    let size = std::fs::metadata(file).map_err(|error| format!("cannot be read: {error}"))?.len();
    if size > MAX_FILE {
        return Err("is larger than 256 MiB".into());
    }
    std::fs::read_to_string(file).map_err(|error| format!("cannot be read: {error}"))
}

fn deeper(value: &Value, left: usize) -> bool {
    let Some(left) = left.checked_sub(1) else { return true };
    match value {
        Value::Object(members) => members.values().any(|value| deeper(value, left)),
        Value::Array(items) => items.iter().any(|value| deeper(value, left)),
        _ => false,
    }
}

/// A value and where it stands.
#[derive(Clone, Debug)]
pub struct At<'a> {
    pub file: &'a Path,
    pub path: String,
    pub value: &'a Value,
}

impl<'a> At<'a> {
    pub fn get(&self, name: &str) -> Option<At<'a>> {
        let value = self.value.as_object()?.get(name)?;
        Some(At { file: self.file, path: self.below(name), value })
    }

    /// The value at a path of names, null as if it were not there.
    pub fn find(&self, names: &[&str]) -> Option<At<'a>> {
        let found = names.iter().try_fold(self.clone(), |at, name| at.get(name));
        found.filter(|at| !at.value.is_null())
    }

    pub fn text(&self) -> Option<&'a str> {
        self.value.as_str()
    }

    pub fn seconds(&self) -> Option<i64> {
        self.value.as_i64()
    }

    pub fn texts(&self) -> Vec<&'a str> {
        match self.value {
            Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
            // Lists of words are also written with spaces between them.
            Value::String(text) => text.split_whitespace().collect(),
            _ => Vec::new(),
        }
    }

    pub fn map(&self) -> Option<&'a Map<String, Value>> {
        self.value.as_object()
    }

    pub fn children(&self) -> Vec<(&'a str, At<'a>)> {
        let members = self.value.as_object().into_iter().flatten();
        members
            .map(|(name, value)| (name.as_str(), At { file: self.file, path: self.below(name), value }))
            .collect()
    }

    fn below(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, text: &str) -> Result<Document, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        Document::read(&file)
    }

    #[test]
    fn json_and_yaml_are_read_and_the_rest_says_why_not() {
        assert_eq!(read("a.json", r#"{"a":[1]}"#).unwrap().root["a"][0], 1);
        assert_eq!(read("a.yaml", "a: [1]").unwrap().root["a"][0], 1);
        assert_eq!(read("client-1", r#"{"a":1}"#).unwrap().root["a"], 1);
        assert!(read("a.yaml", "a: 1\na: 2").is_err());
        assert!(read("a.json", "{").unwrap_err().starts_with("is not JSON"));
        assert!(read("conf.py", "CONFIG = {}").unwrap_err().contains("json.dump"));
        let deep = format!("{}1{}", "[".repeat(70), "]".repeat(70));
        assert_eq!(read("a.json", &deep).unwrap_err(), "is nested too deeply");
        assert!(Document::read(Path::new("no/such/file")).unwrap_err().starts_with("cannot be read"));
    }

    #[test]
    fn a_place_knows_its_path() {
        let document = read("a.json", r#"{"a":{"b":{"c":"x y"},"n":null}}"#).unwrap();
        let found = document.top().find(&["a", "b", "c"]).unwrap();
        assert_eq!((found.path.as_str(), found.texts()), ("a.b.c", vec!["x", "y"]));
        assert!(document.top().find(&["a", "n"]).is_none());
    }
}
