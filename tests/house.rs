//! The house rules of `src/README.md` that a compiler does not know, as tests. Each rule reports every place that breaks it.
//! What clippy can see (unwrap, panic, indexing, clocks, spawns, reasons of `allow`) is in Cargo.toml and clippy.toml instead.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

#[path = "house/spec.rs"]
mod spec;
#[path = "house/text.rs"]
mod text;

use std::fs;
use text::{Text, first_word, none, root, rust, texts, written};

/// The rooms and their rank: a room may name itself and rooms of a lower rank. `jose` and `store` do not see each other.
const RANK: [(&str, u8); 9] = [
    ("base", 0),
    ("observe", 1),
    ("jose", 2),
    ("store", 2),
    ("op", 3),
    ("proxy", 4),
    ("config", 5),
    ("server", 6),
    ("cli", 7),
];

/// Foreign crates that have an address: the only places of src/ that may name them.
const ADDRESSES: [(&str, &[&str]); 15] = [
    ("pingora", &["proxy/", "server/"]),
    ("pingora_core", &["proxy/", "server/"]),
    ("pingora_proxy", &["proxy/", "server/"]),
    ("jsonwebtoken", &["jose/"]),
    ("aws_lc_rs", &["jose/"]),
    ("ring", &["jose/", "base/"]),
    ("base64", &["base/encode"]),
    // Settings, and the two seed files whose faults name a line as the settings' do.
    ("serde_yaml", &["config/", "op/directory/file", "op/clients"]),
    ("redb", &["store/embedded"]),
    ("argon2", &["op/directory/", "base/"]),
    ("minijinja", &["op/page"]),
    ("fluent_bundle", &["op/page"]),
    ("qrcode", &["op/page"]),
    ("clap", &["cli/", "config/"]),
    ("h2", &["proxy/front"]),
];

const MAX_FILE_LINES: usize = 500;
const MAX_FUNCTION_LINES: usize = 70;
const MAX_INLINE_TEST_LINES: usize = 150;

/// The path roots that a line of code names: `crate` gives the rooms (also those in `crate::{a, b::c}`).
fn rooms_named(line: &str) -> Vec<String> {
    let mut named = Vec::new();
    for (at, _) in line.match_indices("crate::") {
        if at > 0 && line.as_bytes()[at - 1].is_ascii_alphanumeric() {
            continue;
        }
        let rest = &line[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            None => named.push(first_word(rest)),
            Some(group) => {
                let mut depth = 0_usize;
                let mut start = true;
                for (i, c) in group.char_indices() {
                    if start && depth == 0 && !c.is_whitespace() {
                        named.push(first_word(&group[i..]));
                        start = false;
                    }
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' => start = true,
                        _ => {}
                    }
                }
            }
        }
    }
    named
}

/// Whether the line names the foreign crate `name` as the root of a path (`rustls::crypto::ring` does not name `ring`).
fn names_crate(line: &str, name: &str) -> bool {
    line.match_indices(name).any(|(at, _)| {
        let before = line[..at].trim_end().chars().next_back();
        let after = &line[at + name.len()..];
        let rooted = !matches!(before, Some(':' | '_' | '.' | '"'))
            && !before.is_some_and(char::is_alphanumeric)
            || line[..at].trim_end().ends_with("use")
            || line[..at].ends_with(" ::");
        let path = after.starts_with("::") && !after.starts_with("::<");
        let used =
            line.trim_start().starts_with("use ") && (after.starts_with(';') || after.starts_with(" as "));
        rooted && (path || used)
    })
}

#[test]
fn no_room_imports_upward() {
    let rank = |room: &str| RANK.iter().find(|(name, _)| *name == room).map(|(_, rank)| *rank);
    let mut faults = Vec::new();
    for text in texts("src", &[".rs"]) {
        let Some((room, _)) = text.room_path().unwrap().split_once('/') else { continue };
        let here = rank(room);
        if here.is_none() {
            faults.push(format!(
                "{}: {room}/ has no rank: add it to tests/house.rs and to src/README.md",
                text.path
            ));
        }
        // Joined, so that a `use crate::{` that rustfmt broke over lines is seen whole.
        let code = text.code().join("\n");
        for named in rooms_named(&code) {
            let Some(there) = rank(&named) else { continue };
            if named != room && here.is_some_and(|here| there >= here) {
                faults.push(format!("{}: {room} names {named}, which does not stand below it", text.path));
            }
        }
    }
    none("an import may only point to a room below", &faults);
}

#[test]
fn foreign_crates_stay_at_their_addresses() {
    let mut faults = Vec::new();
    for text in texts("src", &[".rs"]) {
        let here = text.room_path().unwrap();
        for (number, line) in text.production().iter().enumerate() {
            for (name, addresses) in ADDRESSES {
                if names_crate(line, name) && !addresses.iter().any(|address| here.starts_with(address)) {
                    faults.push(format!(
                        "{}:{}: {name} belongs to {}",
                        text.path,
                        number + 1,
                        addresses.join(", ")
                    ));
                }
            }
            if names_crate(line, "tokio") && (here.starts_with("op/") || here.starts_with("jose/")) {
                faults.push(format!("{}:{}: tokio has no place in op/ or jose/", text.path, number + 1));
            }
        }
    }
    none("foreign crates have addresses", &faults);
}

#[test]
fn rustls_never_uses_the_process_default_provider() {
    let mut faults = Vec::new();
    for text in rust().iter().filter(|text| text.path != "tests/house.rs") {
        for (number, line) in text.code().iter().enumerate() {
            let config = line.contains("ServerConfig::builder()") || line.contains("ClientConfig::builder()");
            if config || line.contains("install_default") {
                faults.push(format!("{}:{}", text.path, number + 1));
            }
        }
    }
    none("every rustls builder names its provider", &faults);
}

#[test]
fn tokens_answers_and_outbound_calls_have_one_door_each() {
    let doors: [(&str, &[&str]); 3] = [
        ("write_response_header", &["proxy/answer"]),
        ("write_response_body", &["proxy/answer"]),
        ("client::conn", &["base/fetch"]),
    ];
    let mut faults = Vec::new();
    for text in texts("src", &[".rs"]) {
        let here = text.room_path().unwrap();
        for (number, line) in text.production().iter().enumerate() {
            for (word, addresses) in doors {
                if line.contains(word) && !addresses.iter().any(|address| here.starts_with(address)) {
                    faults.push(format!(
                        "{}:{}: {word} is for {}",
                        text.path,
                        number + 1,
                        addresses.join(", ")
                    ));
                }
            }
        }
    }
    none("a downstream byte is written only in answer.rs, an outbound call made only in fetch.rs", &faults);
}

#[test]
fn files_and_functions_stay_short() {
    let mut faults = Vec::new();
    for text in rust() {
        if text.lines.len() > MAX_FILE_LINES {
            faults.push(format!("{}: {} lines, {MAX_FILE_LINES} is the limit", text.path, text.lines.len()));
        }
        if let Some(at) = text.lines.iter().position(|line| line == "mod tests {")
            && text.lines.len() - at > MAX_INLINE_TEST_LINES
        {
            faults.push(format!(
                "{}: its tests are over {MAX_INLINE_TEST_LINES} lines, move them to a sibling",
                text.path
            ));
        }
        // Tests may hold tables; clippy's count holds for them too.
        let production = text.production().len();
        for (name, at, length) in functions(&text) {
            if at <= production && length > MAX_FUNCTION_LINES {
                faults.push(format!(
                    "{}:{at}: {name} has {length} lines, {MAX_FUNCTION_LINES} is the limit",
                    text.path
                ));
            }
        }
    }
    none("nothing is too long to read", &faults);
}

/// Every function of a formatted file: its name, line and number of lines, comments counted too.
fn functions(text: &Text) -> Vec<(String, usize, usize)> {
    let mut found = Vec::new();
    let mut open: Option<(String, usize, usize)> = None;
    for (number, line) in text.lines.iter().enumerate() {
        let indent = line.len() - line.trim_start().len();
        if let Some((name, at, depth)) = &open {
            if indent == *depth && line.trim_start().starts_with('}') {
                found.push((name.clone(), at + 1, number - at + 1));
                open = None;
            }
        } else if let Some(name) = function_name(line.trim_start())
            && !line.ends_with(';')
            && !line.ends_with("{}")
            && !(line.ends_with('}') && line.contains(" { "))
        {
            open = Some((name, number, indent));
        }
    }
    found
}

fn function_name(line: &str) -> Option<String> {
    let mut words = line.split_whitespace();
    loop {
        match words.next()? {
            "fn" => return words.next().map(first_word),
            "pub" | "async" | "const" => {}
            word if word.starts_with("pub(") => {}
            _ => return None,
        }
    }
}

#[test]
fn every_file_says_what_it_is() {
    let faults: Vec<String> = rust()
        .iter()
        .filter(|text| !text.lines.first().is_some_and(|line| line.starts_with("//! ")))
        .map(|text| text.path.clone())
        .collect();
    none("each file opens with `//!`: what it is, its specification, what it leaves out", &faults);
}

#[test]
fn no_todo_stands_without_an_issue() {
    let words = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X:")];
    let mut faults = Vec::new();
    for text in rust() {
        for (number, line) in text.lines.iter().enumerate() {
            let issue = line.contains("issue ") || line.contains('#');
            if words.iter().any(|word| line.contains(word)) && !issue {
                faults.push(format!("{}:{}", text.path, number + 1));
            }
        }
    }
    none("a thing left to do has an issue", &faults);
}

#[test]
fn tests_neither_sleep_nor_hide() {
    let words = [
        concat!("thread::", "sleep"),
        concat!("time::", "sleep"),
        concat!("#[", "ignore"),
        concat!("todo", "!("),
    ];
    let mut faults = Vec::new();
    let here = |text: &Text| text.path.starts_with("tests/") || text.path.ends_with("tests.rs");
    for text in rust().iter().filter(|text| here(text)) {
        for (number, line) in text.lines.iter().enumerate() {
            for word in words {
                if line.contains(word) {
                    faults.push(format!("{}:{}: {word}", text.path, number + 1));
                }
            }
        }
    }
    none("a test waits for what it needs and is always run", &faults);
}

#[test]
fn every_dependency_says_why_it_is_there() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let mut faults = Vec::new();
    let (mut in_dependencies, mut explained) = (false, false);
    for line in manifest.lines() {
        if line.starts_with('[') {
            in_dependencies = line.ends_with("dependencies]");
            explained = false;
        } else if line.starts_with('#') {
            explained = true;
        } else if line.trim().is_empty() {
            explained = false;
        } else if in_dependencies && line.contains('=') && !explained {
            // A comment speaks for the lines below it up to the next comment or gap.
            faults.push(line.to_owned());
        }
    }
    none("a comment above each dependency says why", &faults);
}

#[test]
fn every_folder_has_a_readme() {
    let mut faults = Vec::new();
    for entry in fs::read_dir(root()).unwrap().map(Result::unwrap) {
        let name = entry.file_name().to_string_lossy().into_owned();
        let ours = !name.starts_with('.') && !["target", "var"].contains(&name.as_str());
        if entry.file_type().unwrap().is_dir() && ours && !entry.path().join("README.md").is_file() {
            faults.push(name);
        }
    }
    none("a README in every top folder", &faults);
}

#[test]
fn the_manual_of_the_settings_is_current() {
    for (path, current) in [
        ("conf/schema.json", oidcop_proxy::config::schema_json()),
        ("conf/REFERENCE.md", oidcop_proxy::config::reference_md()),
    ] {
        let text = fs::read_to_string(root().join(path)).unwrap_or_default();
        written(path, &text, &current);
    }
}

#[test]
fn nothing_names_the_machine_it_was_written_on() {
    let words = [
        concat!("/wo", "rk/"),
        concat!("/ro", "ot/"),
        concat!("registry.npm", "js"),
        concat!("pypi", ".org"),
        concat!("pythonhosted", ".org"),
        concat!("static.crates", ".io"),
        concat!("deb.debian", ".org"),
    ];
    let endings = [".rs", ".md", ".toml", ".yaml", ".json", ".py", ".mjs", ".txt", ".html", ".ftl", "run"];
    let mut faults = Vec::new();
    for text in texts("", &endings) {
        for (number, line) in text.lines.iter().enumerate() {
            for word in words {
                if line.contains(word) {
                    faults.push(format!("{}:{}: {word}", text.path, number + 1));
                }
            }
        }
    }
    none("the project stands on any machine", &faults);
}
