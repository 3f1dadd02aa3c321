//! The languages the pages speak, and which one a person gets: the request's `ui_locales` first, then the browser's
//! `Accept-Language` (RFC 9110 §12.5.4), then English.

use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource};
use http::{HeaderMap, header};
use minijinja::Value;
use minijinja::value::Kwargs;
use std::sync::LazyLock;

/// Tag and messages of every language; the first is the fallback.
pub(super) const TEXTS: &[(&str, &str)] = &[
    ("en", include_str!("locales/en.ftl")),
    ("de", include_str!("locales/de.ftl")),
    ("es", include_str!("locales/es.ftl")),
    ("fr", include_str!("locales/fr.ftl")),
];

static LOCALES: LazyLock<Vec<Locale>> = LazyLock::new(|| TEXTS.iter().map(Locale::read).collect());
static ENGLISH: LazyLock<Locale> = LazyLock::new(|| Locale::read(&("en", include_str!("locales/en.ftl"))));

/// How many wishes of a browser are looked at.
const MAX_WISHES: usize = 20;

pub struct Locale {
    tag: &'static str,
    bundle: FluentBundle<FluentResource>,
}

impl Locale {
    fn read((tag, text): &(&'static str, &'static str)) -> Locale {
        let language = tag.parse().unwrap_or_default();
        let mut bundle = FluentBundle::new_concurrent(vec![language]);
        // Isolation marks would end up in attributes and titles.
        bundle.set_use_isolating(false);
        // What does not parse is left out; a test holds that there is no such thing.
        let resource = FluentResource::try_new((*text).to_owned()).unwrap_or_else(|(resource, _)| resource);
        bundle.add_resource_overriding(resource);
        Locale { tag, bundle }
    }

    pub fn tag(&self) -> &'static str {
        self.tag
    }

    /// The message `id`, else the English one, else `id` itself.
    pub fn text(&self, id: &str, args: &[(&str, &str)]) -> String {
        self.own(id, args).or_else(|| ENGLISH.own(id, args)).unwrap_or_else(|| id.to_owned())
    }

    /// The message `id` in this very language.
    pub fn own(&self, id: &str, args: &[(&str, &str)]) -> Option<String> {
        let pattern = self.bundle.get_message(id)?.value()?;
        let mut given = FluentArgs::new();
        for (name, value) in args {
            given.set(*name, *value);
        }
        let mut errors = Vec::new();
        Some(self.bundle.format_pattern(pattern, Some(&given), &mut errors).into_owned())
    }

    /// `t(id, name=value …)` for templates. What it returns is text and is escaped like any other.
    pub fn function(&'static self) -> Value {
        Value::from_function(move |id: String, args: Kwargs| -> Result<String, minijinja::Error> {
            let mut given = Vec::new();
            for name in args.args() {
                given.push((name, args.get::<String>(name)?));
            }
            let given: Vec<_> = given.iter().map(|(name, value)| (*name, value.as_str())).collect();
            Ok(self.text(&id, &given))
        })
    }
}

/// The languages, as the metadata says them.
pub fn tags() -> impl Iterator<Item = &'static str> {
    TEXTS.iter().map(|(tag, _)| *tag)
}

/// The language for somebody who asked for `ui_locales`, with a browser that sent `headers`.
pub fn negotiate(ui_locales: &[String], headers: &HeaderMap) -> &'static Locale {
    let accepted = accepted(headers);
    let wishes = ui_locales.iter().map(String::as_str).chain(accepted.iter().map(String::as_str));
    wishes.filter_map(spoken).next().unwrap_or(&ENGLISH)
}

/// RFC 4647 §3.4: the tag itself, else what is left when subtags are cut off its end.
fn spoken(tag: &str) -> Option<&'static Locale> {
    let mut range = tag;
    loop {
        if let Some(locale) = LOCALES.iter().find(|locale| locale.tag.eq_ignore_ascii_case(range)) {
            return Some(locale);
        }
        range = range.rsplit_once('-')?.0;
    }
}

/// By falling weight; what weighs nothing is left out.
fn accepted(headers: &HeaderMap) -> Vec<String> {
    let text = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let mut wishes: Vec<(u16, String)> = Vec::new();
    for wish in text.split(',').take(MAX_WISHES) {
        let (tag, weight) = wish.split_once(';').unwrap_or((wish, "q=1"));
        let weight = weight.trim().strip_prefix("q=").and_then(|q| q.parse::<f32>().ok()).unwrap_or(0.0);
        let thousandths = (1..=1_000).rev().find(|n| f32::from(*n) <= weight * 1_000.0);
        wishes.extend(thousandths.map(|weight: u16| (weight, tag.trim().to_owned())));
    }
    // Stable: equal weights stay in the order written.
    wishes.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
    wishes.into_iter().map(|(_, tag)| tag).collect()
}
