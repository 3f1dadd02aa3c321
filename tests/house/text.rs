//! The project's files as text, and how a rule fails: with every place that breaks it.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// A text file of the project, with its path from the project's root.
pub struct Text {
    pub path: String,
    pub lines: Vec<String>,
}

impl Text {
    /// The lines without comments and without what stands between quotes; for rules about code.
    pub fn code(&self) -> Vec<String> {
        let mut in_block = false;
        self.lines.iter().map(|line| code_of(line, &mut in_block)).collect()
    }

    /// The code without its tests: nothing of a file of tests, and of others what stands above their `mod tests`.
    pub fn production(&self) -> Vec<String> {
        let tests =
            ["tests.rs", "fixture.rs", "contract.rs", "soup.rs"].iter().any(|name| self.path.ends_with(name));
        if tests || self.path.contains("/tests/") || self.path.starts_with("tests/") {
            return Vec::new();
        }
        let end =
            self.lines.iter().position(|line| line.starts_with("mod tests {")).unwrap_or(self.lines.len());
        let mut code = self.code();
        code.truncate(end);
        code
    }

    /// The path below src/, if it is there.
    pub fn room_path(&self) -> Option<&str> {
        self.path.strip_prefix("src/")
    }
}

/// What is left of a line of Rust when comments and string literals are taken out. Good enough for formatted code.
pub fn code_of(line: &str, in_block: &mut bool) -> String {
    let mut kept = String::new();
    let mut characters = line.chars().peekable();
    let mut in_string = false;
    while let Some(c) = characters.next() {
        let next = characters.peek().copied();
        match c {
            '*' if *in_block && next == Some('/') => {
                characters.next();
                *in_block = false;
            }
            _ if *in_block => {}
            '\\' if in_string => {
                characters.next();
            }
            '"' => in_string = !in_string,
            _ if in_string => {}
            '/' if next == Some('/') => break,
            '/' if next == Some('*') => *in_block = true,
            '\'' if next == Some('"') => {
                characters.next();
            }
            _ => kept.push(c),
        }
    }
    kept
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below `folder` whose name ends with one of `endings`, sorted; what git ignores is not looked at.
pub fn texts(folder: &str, endings: &[&str]) -> Vec<Text> {
    let mut found = Vec::new();
    let mut open = vec![root().join(folder)];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).into_iter().flatten().map(Result::unwrap) {
            let path = entry.path();
            if entry.file_type().unwrap().is_dir() {
                if !skipped(&path) {
                    open.push(path);
                }
            } else if endings.iter().any(|ending| path.to_string_lossy().ends_with(ending)) {
                found.push(read(&path));
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn skipped(path: &Path) -> bool {
    let below = path.strip_prefix(root()).unwrap();
    ["target", ".git", "tests/.tools", "var", "certs", "tests/fuzz/target"]
        .iter()
        .any(|name| below == Path::new(name))
}

fn read(path: &PathBuf) -> Text {
    let content = fs::read_to_string(path).unwrap_or_default();
    let below = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
    Text { path: below, lines: content.lines().map(str::to_owned).collect() }
}

pub fn rust() -> Vec<Text> {
    let mut all = texts("src", &[".rs"]);
    all.extend(texts("tests", &[".rs"]));
    all.extend(texts("benches", &[".rs"]));
    all
}

/// Fails with every fault, one a line.
pub fn none(rule: &str, faults: &[String]) {
    if faults.is_empty() {
        return;
    }
    let mut said = String::new();
    for fault in faults {
        write!(said, "\n  {fault}").unwrap();
    }
    panic!("{rule}:{said}");
}

/// Fails unless the generated file at `path` says what it should; writes it instead if OIDCOP_TEST_WRITE is set.
#[allow(clippy::disallowed_methods, reason = "the environment is where a test run is told to write")]
pub fn written(path: &str, is: &str, should: &str) {
    if is == should {
        return;
    }
    if std::env::var_os("OIDCOP_TEST_WRITE").is_some() {
        fs::write(root().join(path), should).unwrap();
        return;
    }
    panic!("{path} is not current: OIDCOP_TEST_WRITE=1 cargo test --test house");
}

pub fn first_word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}
