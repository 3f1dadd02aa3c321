//! conf/schema.json and conf/REFERENCE.md, both from the settings' doc comments, so that they cannot be out of date
//! unnoticed (tests/house.rs compares).

use super::Config;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};
use std::fmt::Write as _;

/// JSON Schema (draft 7, which editors understand) of a configuration file.
pub fn schema_json() -> String {
    let mut text = serde_json::to_string_pretty(&schema()).unwrap_or_default();
    text.push('\n');
    text
}

fn schema() -> Value {
    let generator = SchemaSettings::draft07().into_generator();
    let mut schema = generator.into_root_schema_for::<Config>().to_value();
    if let Some(map) = schema.as_object_mut() {
        map.insert("$id".into(), "https://oidcop-proxy.invalid/conf/schema.json".into());
    }
    schema
}

/// The manual of every key, in the order they are declared.
pub fn reference_md() -> String {
    let schema = schema();
    let empty = Map::new();
    let definitions = schema.get("definitions").and_then(Value::as_object).unwrap_or(&empty);
    let mut page = Page { definitions, out: String::new() };
    page.out.push_str(
        "# Configuration reference\n\n\
         Generated from the settings' own documentation by `oidcop-proxy schema --reference`; do not edit.\n\n\
         A file is YAML. Unknown keys are errors. Durations are written `500ms`, `30s`, `10m`, `8h`, `14d`; sizes `4096`, \
         `64KiB`, `10MiB`. In values, `${NAME}` is the environment variable `NAME`; `${NAME:-default}` has a default and \
         `${NAME:?message}` says why it is needed; `$${` is a plain `${`. Relative paths are relative to the working \
         directory of the process. `oidcop-proxy check` says everything that is wrong with a file.\n",
    );
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        for (key, property) in properties {
            let _ = write!(page.out, "\n## `{key}`\n\n");
            page.section(key, property);
        }
    }
    page.out
}

struct Page<'a> {
    definitions: &'a Map<String, Value>,
    out: String,
}

impl<'a> Page<'a> {
    fn section(&mut self, key: &str, property: &'a Value) {
        let node = self.resolved(property);
        let text = description(property).or_else(|| description(node)).unwrap_or_default();
        let _ = writeln!(self.out, "{text}\n");
        let inner = description(node).filter(|inner| *inner != text);
        if let Some(inner) = inner {
            let _ = writeln!(self.out, "{inner}\n");
        }
        self.children(key, node, 0);
    }

    /// The keys below a node, one bullet each.
    fn children(&mut self, path: &str, node: &'a Value, depth: usize) {
        // Deeper than any setting lies; a schema that contains itself would never end.
        if depth > 8 {
            return;
        }
        let node = self.resolved(node);
        if let Some(properties) = node.get("properties").and_then(Value::as_object) {
            let required: Vec<&str> = node
                .get("required")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect();
            for (key, property) in properties {
                self.entry(&format!("{path}.{key}"), property, required.contains(&key.as_str()), depth);
            }
        }
        if let Some(items) = node.get("items") {
            self.children(&format!("{path}[]"), items, depth);
        }
        if let Some(values) = node.get("additionalProperties").filter(|values| values.is_object()) {
            self.children(&format!("{path}.NAME"), values, depth);
        }
        for alternative in alternatives(node) {
            if alternative.get("type").and_then(Value::as_str) != Some("null") {
                self.alternative(path, alternative, depth);
            }
        }
    }

    fn alternative(&mut self, path: &str, alternative: &'a Value, depth: usize) {
        let bullet = "  ".repeat(depth);
        if let Some(words) = words(alternative) {
            for word in words {
                let text =
                    description(alternative).map(|text| format!(": {}", one_line(text))).unwrap_or_default();
                let _ = writeln!(self.out, "{bullet}- `{path}: {word}`{text}");
            }
        } else {
            self.children(path, alternative, depth);
        }
    }

    fn entry(&mut self, path: &str, property: &'a Value, required: bool, depth: usize) {
        let node = self.resolved(property);
        let bullet = "  ".repeat(depth);
        let _ = write!(self.out, "{bullet}- `{path}` ({}", self.kind(property));
        match property.get("default").filter(|default| is_short(default)) {
            Some(default) if !default.is_null() => {
                let _ = write!(self.out, ", default `{}`", shown(default));
            }
            _ if required => self.out.push_str(", required"),
            _ => {}
        }
        self.out.push(')');
        let own = description(property);
        let inner = description(node).filter(|inner| Some(*inner) != own && !self.is_scalar(node));
        let text = own.into_iter().chain(inner).map(one_line).collect::<Vec<_>>().join(" ");
        if !text.is_empty() {
            let _ = write!(self.out, ": {text}");
        }
        self.out.push('\n');
        self.children(path, node, depth + 1);
    }

    fn is_scalar(&self, node: &Value) -> bool {
        node.get("pattern").is_some()
            || node.get("properties").is_none() && alternatives(node).next().is_none()
    }

    /// What a value may be, in few words.
    fn kind(&self, property: &'a Value) -> String {
        if let Some(name) = scalar(property) {
            return name.to_lowercase();
        }
        let node = self.resolved(property);
        if alternatives(node).next().is_some() {
            return "choice".into();
        }
        let kinds: Vec<&str> = match node.get("type") {
            Some(Value::String(kind)) => vec![kind],
            Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let kind = kinds.into_iter().find(|kind| *kind != "null").unwrap_or("any");
        if node.get("enum").is_some() {
            let words = words(node).unwrap_or_default();
            return words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(" or ");
        }
        match kind {
            "array" => match node.get("items") {
                Some(items) => format!("list of {}", self.kind(items)),
                None => "list".into(),
            },
            "object" => "map".into(),
            "string" => "text".into(),
            "integer" | "number" => "number".into(),
            "boolean" => "true or false".into(),
            other => other.into(),
        }
    }

    /// The definition a reference or an optional one leads to.
    fn resolved(&self, node: &'a Value) -> &'a Value {
        if let Some(definition) = reference(node).and_then(|name| self.definitions.get(name)) {
            return self.resolved(definition);
        }
        if let Some(only) = node.get("allOf").and_then(Value::as_array).and_then(|all| all.first()) {
            return self.resolved(only);
        }
        let mut present =
            alternatives(node).filter(|node| node.get("type").and_then(Value::as_str) != Some("null"));
        match (present.next(), present.next(), alternatives(node).count()) {
            (Some(only), None, 2) => self.resolved(only),
            _ => node,
        }
    }
}

/// `Duration` or `Size`, however the schema wraps the reference.
fn scalar(node: &Value) -> Option<&str> {
    let wrapped =
        ["allOf", "anyOf"].iter().filter_map(|key| node.get(*key).and_then(Value::as_array)).flatten();
    let all = std::iter::once(node).chain(wrapped).filter_map(reference);
    all.into_iter().find(|name| ["Duration", "Size"].contains(name))
}

fn reference(node: &Value) -> Option<&str> {
    node.get("$ref").and_then(Value::as_str).and_then(|name| name.strip_prefix("#/definitions/"))
}

fn alternatives(node: &Value) -> impl Iterator<Item = &Value> {
    ["anyOf", "oneOf"].iter().filter_map(|key| node.get(*key).and_then(Value::as_array)).flatten()
}

fn words(node: &Value) -> Option<Vec<String>> {
    let word = |value: &Value| value.as_str().map(str::to_owned);
    if let Some(only) = node.get("const") {
        return word(only).map(|only| vec![only]);
    }
    node.get("enum").and_then(Value::as_array).map(|words| words.iter().filter_map(word).collect())
}

fn description(node: &Value) -> Option<&str> {
    node.get("description").and_then(Value::as_str)
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn is_short(value: &Value) -> bool {
    match value {
        Value::Object(map) => map.is_empty(),
        Value::Array(list) => {
            list.len() <= 4 && list.iter().all(|item| !item.is_object() && !item.is_array())
        }
        _ => true,
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(list) => format!("[{}]", list.iter().map(shown).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}
