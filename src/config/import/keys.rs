//! The signing keys: those that can sign go into one file, which the provider reads at its first start.

use super::draft::Draft;
use super::source::{At, text};
use crate::jose::private_keys;
use serde_json::{Value, json};

pub fn translate(draft: &mut Draft<'_>, info: &At<'_>) {
    let Some(named) = info.find(&["keys", "private_path"]) else {
        return draft
            .to_do
            .push("no signing keys were named: clients fetch new ones from the key set".into());
    };
    let file = draft.beside(named.text().unwrap_or_default());
    let read = text(&file).and_then(|text| {
        let keys = private_keys(text.as_bytes()).map_err(|fault| fault.to_string())?;
        let set: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        Ok((keys, set))
    });
    let (keys, set) = match read {
        Ok(read) => read,
        Err(says) => {
            return draft
                .faulty(&named, format!("{} {says}: clients have to fetch new keys", file.display()));
        }
    };
    let written = set.get("keys").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut kept = Vec::new();
    for (nth, (key, written)) in keys.into_iter().zip(written).enumerate() {
        let place = format!("keys[{nth}]");
        let at = At { file: &file, path: place, value: &Value::Null };
        match key.key {
            Ok(signing) => {
                let rest = if key.inactive {
                    "verifies what it signed"
                } else {
                    "signs on, until the schedule replaces it"
                };
                draft.taken(&at, format!("{} {} {rest}", signing.alg().name(), signing.kid()));
                kept.push(written);
            }
            Err(fault) => draft.ignored(&at, format!("{}: {fault}", key.kid)),
        }
    }
    if kept.is_empty() {
        return draft.faulty(&named, format!("{} holds no key that can sign", file.display()));
    }
    let text = serde_json::to_string_pretty(&json!({ "keys": kept })).unwrap_or_default();
    let file = draft.file("keys.json", text + "\n");
    draft.taken(&named, "`op.keys.import`: read at the first start and kept sealed in the store");
    draft.set("keys", "import", file);
    draft
        .to_do
        .push("after the first start delete keys.json: the keys are in the store by then, sealed".into());
}
