//! Text → a tree of plain values: YAML read strictly, then `${ENV}` filled in, in scalars only (so that a variable can
//! never add a key).

use super::locate::Aim;
use super::path::{Path, Step};
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::collections::BTreeSet;
use std::fmt;

/// Text beyond this is refused before it is read, in bytes.
pub const MAX_TEXT: usize = 4 << 20;

/// A fault whose place is not known yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Raw {
    pub path: Path,
    pub aim: Aim,
    pub says: String,
}

impl Raw {
    pub fn new(path: Path, aim: Aim, says: impl Into<String>) -> Raw {
        Raw { path, aim, says: says.into() }
    }
}

/// A document as it was written, after the environment was filled in.
#[derive(Debug)]
pub struct Tree {
    pub value: Value,
    /// Scalars that contained a variable: what was text may be meant as a number.
    pub expanded: BTreeSet<Path>,
}

/// The document's tree, and what is wrong with it whatever it is for. `Err` says why it is no YAML at all, with the
/// line and column if they are known.
pub fn read(
    text: &str,
    environment: &dyn Fn(&str) -> Option<String>,
    faults: &mut Vec<Raw>,
) -> Result<Tree, (String, Option<(usize, usize)>)> {
    let seed = Node { path: Path::default(), faults };
    let value = seed.deserialize(serde_yaml::Deserializer::from_str(text)).map_err(|error| {
        let at = error.location().map(|at| (at.line(), at.column()));
        (words_of(&error.to_string()), at)
    })?;
    let mut tree = Tree { value: Value::Null, expanded: BTreeSet::new() };
    tree.value = expand(value, &Path::default(), environment, &mut tree.expanded, faults);
    Ok(tree)
}

/// The error without the position, which is said in front.
fn words_of(error: &str) -> String {
    let end = error.find(" at line ").unwrap_or(error.len());
    error.get(..end).unwrap_or(error).to_owned()
}

struct Node<'a> {
    path: Path,
    faults: &'a mut Vec<Raw>,
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a plain value")
    }
    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }
    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }
    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_enum<A: de::EnumAccess<'de>>(self, access: A) -> Result<Value, A::Error> {
        let ((), inner) = access.variant_seed(Skip)?;
        de::VariantAccess::newtype_variant_seed(inner, Skip)?;
        self.faults.push(Raw::new(self.path, Aim::Value, "tags (`!…`) mean nothing here: leave it out"));
        Ok(Value::Null)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        loop {
            let path = self.path.step(Step::Index(list.len()));
            match items.next_element_seed(Node { path, faults: &mut *self.faults })? {
                Some(item) => list.push(item),
                None => return Ok(Value::Array(list)),
            }
        }
    }
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key_seed(KeyText)? {
            let path = self.path.key(key.clone());
            let twice = map.contains_key(&key);
            let value = entries.next_value_seed(Node { path: path.clone(), faults: &mut *self.faults })?;
            if twice {
                self.faults.push(Raw::new(
                    path,
                    Aim::SecondKey,
                    "this key is written twice: keep one of them",
                ));
            } else {
                map.insert(key, value);
            }
        }
        Ok(Value::Object(map))
    }
}

struct Skip;

impl<'de> DeserializeSeed<'de> for Skip {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_ignored_any(de::IgnoredAny).map(|_| ())
    }
}

/// A key as text; numbers and words such as `true` are taken as they are usually written.
struct KeyText;

impl<'de> DeserializeSeed<'de> for KeyText {
    type Value = String;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for KeyText {
    type Value = String;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a word as a key")
    }
    fn visit_str<E: de::Error>(self, key: &str) -> Result<String, E> {
        Ok(key.to_owned())
    }
    fn visit_u64<E: de::Error>(self, key: u64) -> Result<String, E> {
        Ok(key.to_string())
    }
    fn visit_i64<E: de::Error>(self, key: i64) -> Result<String, E> {
        Ok(key.to_string())
    }
    fn visit_bool<E: de::Error>(self, key: bool) -> Result<String, E> {
        Ok(key.to_string())
    }
    fn visit_unit<E: de::Error>(self) -> Result<String, E> {
        Ok("null".to_owned())
    }
}

fn expand(
    value: Value,
    path: &Path,
    environment: &dyn Fn(&str) -> Option<String>,
    expanded: &mut BTreeSet<Path>,
    faults: &mut Vec<Raw>,
) -> Value {
    match value {
        Value::String(text) if text.contains("${") => {
            expanded.insert(path.clone());
            match fill(&text, environment) {
                Ok(filled) => Value::String(filled),
                Err(says) => {
                    faults.push(Raw::new(path.clone(), Aim::Value, says));
                    Value::String(text)
                }
            }
        }
        Value::Array(items) => {
            let items = items.into_iter().enumerate();
            let expanded_items = items.map(|(index, item)| {
                expand(item, &path.step(Step::Index(index)), environment, expanded, faults)
            });
            Value::Array(expanded_items.collect())
        }
        Value::Object(map) => {
            let entries = map.into_iter();
            let expanded_entries = entries.map(|(key, value)| {
                let value = expand(value, &path.key(key.clone()), environment, expanded, faults);
                (key, value)
            });
            Value::Object(expanded_entries.collect())
        }
        other => other,
    }
}

/// `${NAME}`, `${NAME:-what if unset or empty}`, `${NAME:?why it is needed}`; `$${` stands for `${`.
fn fill(text: &str, environment: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let (mut out, mut rest) = (String::new(), text);
    while let Some(at) = rest.find("${") {
        let (before, from) = rest.split_at(at);
        if let Some(kept) = before.strip_suffix('$') {
            out.push_str(kept);
            out.push_str("${");
            rest = from.get(2..).unwrap_or_default();
            continue;
        }
        out.push_str(before);
        let inner = from.get(2..).unwrap_or_default();
        let Some((inner, after)) = inner.split_once('}') else {
            return Err(
                "`${` is never closed: write `}` behind the variable, or `$${` for a plain `${`".into()
            );
        };
        out.push_str(&variable(inner, environment)?);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

fn variable(inner: &str, environment: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let (name, otherwise) = match inner.split_once(':') {
        Some((name, otherwise)) => (name, Some(otherwise)),
        None => (inner, None),
    };
    let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if !starts || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Err(format!(
            "`${{{inner}}}` names no environment variable: `${{NAME}}`, `${{NAME:-default}}` or `${{NAME:?message}}`"
        ));
    }
    let set = environment(name);
    match otherwise {
        None => set.ok_or_else(|| {
            format!("the environment variable {name} is not set: set it, or write `${{{name}:-default}}`")
        }),
        Some(otherwise) => match (set.filter(|value| !value.is_empty()), otherwise.split_at_checked(1)) {
            (Some(value), Some(("-" | "?", _))) => Ok(value),
            (None, Some(("-", default))) => Ok(default.to_owned()),
            (None, Some(("?", message))) => {
                let why = if message.is_empty() { "it is needed here" } else { message };
                Err(format!("the environment variable {name} is not set: {why}"))
            }
            _ => Err(format!("`${{{inner}}}`: behind the colon only `-default` or `?message` may follow")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn environment(name: &str) -> Option<String> {
        match name {
            "HOST" => Some("a.example".into()),
            "EMPTY" => Some(String::new()),
            "YAML" => Some("x\nadmin: true".into()),
            _ => None,
        }
    }

    fn tree(text: &str) -> (Value, Vec<String>) {
        let mut faults = Vec::new();
        let tree = read(text, &environment, &mut faults).unwrap();
        let said = faults.iter().map(|fault| format!("{}: {}", fault.path, fault.says)).collect();
        (tree.value, said)
    }

    #[test]
    fn variables_are_filled_in_in_scalars_only() {
        let text = "a: https://${HOST}/${HOST}\nb: [\"${NONE:-x:y}\", '${EMPTY:-z}', '${EMPTY}']\n${HOST}: $${HOST} $5\nc: ${YAML}\n";
        let (value, faults) = tree(text);
        assert_eq!(faults, Vec::<String>::new());
        let c = "x\nadmin: true";
        assert_eq!(
            value,
            json!({ "a": "https://a.example/a.example", "b": ["x:y", "z", ""], "${HOST}": "${HOST} $5", "c": c })
        );
    }

    #[test]
    fn what_cannot_be_filled_in_is_a_fault_each() {
        let text = "a: ${NONE}\nb: ['${NONE:?the database password}', '${HOST', '${1X}', '${HOST:+y}', '${EMPTY:?}']\n";
        let (_, faults) = tree(text);
        assert_eq!(
            faults,
            [
                "a: the environment variable NONE is not set: set it, or write `${NONE:-default}`",
                "b[0]: the environment variable NONE is not set: the database password",
                "b[1]: `${` is never closed: write `}` behind the variable, or `$${` for a plain `${`",
                "b[2]: `${1X}` names no environment variable: `${NAME}`, `${NAME:-default}` or `${NAME:?message}`",
                "b[3]: `${HOST:+y}`: behind the colon only `-default` or `?message` may follow",
                "b[4]: the environment variable EMPTY is not set: it is needed here",
            ]
        );
    }

    #[test]
    fn keys_are_text_and_stand_once() {
        let (value, faults) = tree("1: a\ntrue: b\na: 1\na: 2\ntagged: !x 1\n");
        assert_eq!(value, json!({ "1": "a", "true": "b", "a": 1, "tagged": null }));
        assert_eq!(
            faults,
            [
                "a: this key is written twice: keep one of them",
                "tagged: tags (`!…`) mean nothing here: leave it out"
            ]
        );
    }
}
