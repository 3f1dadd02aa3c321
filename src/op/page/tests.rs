//! Tests of the pages.

use super::locale::{TEXTS, negotiate};
use super::templates::BUILT_IN;
use crate::op::fixture::{header, op_with, send, settings};
use crate::op::{Op, fixture};
use fluent_bundle::FluentResource;
use http::{HeaderMap, HeaderValue};
use std::collections::BTreeSet;

/// The messages of a language, each with the arguments it uses.
fn messages(text: &str) -> BTreeSet<(String, BTreeSet<String>)> {
    let resource = FluentResource::try_new(text.to_owned()).map_err(|(_, errors)| errors).unwrap();
    assert!(resource.entries().count() > 0);
    let argument = |text: &str| text.split(' ').next().unwrap_or_default().to_owned();
    let message = |line: &str| {
        let (id, value) = line.split_once(" = ").unwrap();
        (id.to_owned(), value.split("{ $").skip(1).map(argument).collect())
    };
    text.lines().filter(|line| !line.is_empty()).map(message).collect()
}

#[test]
fn every_language_has_the_same_messages_with_the_same_arguments() {
    let english = messages(TEXTS[0].1);
    for (tag, text) in TEXTS {
        assert_eq!(messages(text), english, "{tag}");
    }
}

#[test]
fn every_message_a_template_asks_for_is_there() {
    let known: BTreeSet<_> = messages(TEXTS[0].1).into_iter().map(|(id, _)| id).collect();
    for (name, text) in BUILT_IN {
        for asked in text.split("t(\"").skip(1) {
            let id = asked.split('"').next().unwrap();
            assert!(known.contains(id), "{name} asks for {id}");
        }
    }
}

#[test]
fn the_language_is_the_requests_then_the_browsers_then_english() {
    let tag = |ui: &[&str], accept: &str| {
        let mut headers = HeaderMap::new();
        headers.insert("accept-language", HeaderValue::from_str(accept).unwrap());
        let ui: Vec<_> = ui.iter().map(|tag| (*tag).to_owned()).collect();
        negotiate(&ui, &headers).tag()
    };
    assert_eq!(tag(&[], ""), "en");
    assert_eq!(tag(&[], "pt, de-CH;q=0.7, fr;q=0.8"), "fr");
    assert_eq!(tag(&["xx", "de-Latn-AT"], "fr"), "de");
    assert_eq!(tag(&[], "de;q=0, es;q=0.001"), "es");
    assert_eq!(tag(&[], "FR"), "fr");
    assert_eq!(tag(&[], "*;q=x, ;;;,de;q=nan"), "en");
}

#[tokio::test]
async fn an_operators_template_goes_before_ours_and_a_broken_one_is_told_at_start() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings("{}");
    settings.pages.templates = Some(folder.path().to_owned());
    std::fs::write(folder.path().join("error.html"), "<p>ours: {{ says }} {{ t(title) }}</p>").unwrap();
    let op = Op::open(fixture::kit(), settings.clone()).await.unwrap();
    let page = send(&op, "GET", "/oidcop/nowhere", &[]).await;
    assert_eq!(page.body(), "<p>ours: There is no such endpoint There is nothing here</p>");

    // One that fails only when it is rendered must not keep people from signing in.
    std::fs::write(folder.path().join("error.html"), "{{ says.no.such.thing() }}").unwrap();
    let op = Op::open(fixture::kit(), settings.clone()).await.unwrap();
    let page = send(&op, "GET", "/oidcop/nowhere", &[]).await;
    assert!(String::from_utf8_lossy(page.body()).contains("id=\"request-id\""));

    std::fs::write(folder.path().join("login.html"), "{% if %}").unwrap();
    let fault = Op::open(fixture::kit(), settings.clone()).await.err().unwrap().to_string();
    assert!(fault.contains("login.html"), "{fault}");
    settings.pages.templates = Some(folder.path().join("missing"));
    let fault = Op::open(fixture::kit(), settings).await.err().unwrap();
    assert!(fault.to_string().starts_with("op.pages.templates: "), "{fault}");
}

#[tokio::test]
async fn every_page_is_locked_up_by_its_policy() {
    let op = op_with("{}").await;
    let page = send(&op, "GET", "/oidcop/nowhere", &[("accept-language", "de")]).await;
    let policy = header(&page, "content-security-policy");
    for part in ["default-src 'none'", "base-uri 'none'", "frame-ancestors 'none'", "form-action 'self'"] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe") && !policy.contains("script-src"));
    assert_eq!(header(&page, "x-frame-options"), "DENY");
    assert_eq!(header(&page, "cache-control"), "no-store");
    let html = String::from_utf8(page.body().to_vec()).unwrap();
    assert!(html.contains("<html lang=\"de\">") && html.contains("Hier ist nichts"));
    let nonce = policy.split("'nonce-").nth(1).unwrap().split('\'').next().unwrap();
    assert!(html.contains(&format!("nonce=\"{}\"", nonce.replace('/', "&#x2f;"))));
    for outside in ["<script", "src=\"http", "href=\"http", "@import", "url("] {
        assert!(!html.contains(outside), "{outside}");
    }
}
