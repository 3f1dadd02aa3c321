//! Authorization details on the consent page (RFC 9396 §11.2): a person sees all of what is asked for.

use crate::op::Op;
use crate::op::endpoint::registration::metadata::is_tricky;
use crate::op::page::{Locale, Variable, context};
use crate::op::request::authorization_details::kind_of;
use serde_json::Value;

/// What was allowed before covers the same again, and nothing else.
pub(super) fn covers(allowed: &[Value], asked: &[Value]) -> bool {
    asked.iter().all(|asked| allowed.contains(asked))
}

/// Each detail: `what` (the operator's words for its type, or its name) and its other `members`, name and value. The
/// template escapes them.
pub(super) fn described(op: &Op, details: &[Value], locale: &Locale) -> Vec<Variable> {
    let detail = |detail: &Value| {
        let words = kind_of(&op.settings, detail).map(|kind| &kind.describe);
        let words = words.and_then(|words| words.get(locale.tag()).or_else(|| words.get("en")));
        let members = detail.as_object().into_iter().flatten().filter(|(name, _)| *name != "type");
        context! {
            what => words.cloned().unwrap_or_else(|| detail.get("type").map(plain).unwrap_or_default()),
            members => members.map(|(name, value)| vec![visible(name), plain(value)]).collect::<Vec<_>>(),
        }
    };
    details.iter().map(detail).collect()
}

fn plain(value: &Value) -> String {
    visible(&value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

/// Without characters that would make a value look like another.
fn visible(text: &str) -> String {
    text.chars().filter(|c| !is_tricky(*c)).collect()
}
