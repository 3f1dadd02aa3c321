//! Claims in several languages and scripts (OpenID Connect Core §5.2): `name`, `name#de`, `name#ja-Kana-JP`.

use super::plain;
use serde_json::{Map, Value};

/// What there is of the claim `asked`, each under the name it is told by.
///
/// `asked` with a tag is that language alone. Without one it is the claim in the languages of `locales`: the best of
/// them without its tag (§5.2: where only one language is used, tags are left out), those after it with theirs.
/// Without `locales`, or if none of them is there, it is everything there is.
pub(super) fn variants<'a>(
    known: &'a Map<String, Value>,
    asked: &str,
    locales: &[String],
) -> Vec<(String, &'a Value)> {
    if let Some((name, tag)) = asked.split_once('#') {
        let found =
            known.iter().find(|(key, _)| tag_of(key, name).is_some_and(|own| own.eq_ignore_ascii_case(tag)));
        return found.map(|(_, value)| (asked.to_owned(), value)).into_iter().collect();
    }
    let all = || known.iter().filter(|(key, _)| plain(key) == asked);
    let mut spoken: Vec<(String, &Value)> = Vec::new();
    for locale in locales {
        let Some((key, value)) = best(known, asked, locale) else { continue };
        let name = if spoken.is_empty() { asked.to_owned() } else { key.clone() };
        if !spoken.iter().any(|(_, told)| std::ptr::eq(*told, value)) {
            spoken.push((name, value));
        }
    }
    if !spoken.is_empty() {
        return spoken;
    }
    match known.get(asked) {
        Some(value) if !locales.is_empty() => vec![(asked.to_owned(), value)],
        _ => all().map(|(key, value)| (key.clone(), value)).collect(),
    }
}

fn tag_of<'a>(key: &'a str, name: &str) -> Option<&'a str> {
    key.strip_prefix(name)?.strip_prefix('#')
}

/// RFC 4647 §3.4: the tag itself, else what is left when subtags are cut off its end; and a tag that only says more
/// than what was asked for (§3.3.1).
fn best<'a>(known: &'a Map<String, Value>, name: &str, locale: &str) -> Option<(&'a String, &'a Value)> {
    let mut range = locale;
    loop {
        let exact = |tag: &str| tag.eq_ignore_ascii_case(range);
        let within = |tag: &str| {
            tag.split_at_checked(range.len())
                .is_some_and(|(head, rest)| head.eq_ignore_ascii_case(range) && rest.starts_with('-'))
        };
        let find =
            |fits: &dyn Fn(&str) -> bool| known.iter().find(|(key, _)| tag_of(key, name).is_some_and(fits));
        if let Some(found) = find(&exact).or_else(|| find(&within)) {
            return Some(found);
        }
        range = range.rsplit_once('-')?.0;
    }
}
