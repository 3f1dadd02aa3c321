//! Scripts in other languages, spoken to in JSON lines: Chromium (`rp/browser.mjs`) and the foreign relying parties.

use super::landing::{Landing, key_digest};
use super::server::{Server, project};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A running script: one JSON line in, one JSON line out.
pub struct Script {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

fn tools() -> PathBuf {
    project().join("tests/.tools")
}

fn source(name: &str) -> PathBuf {
    project().join("tests/e2e/rp").join(name)
}

impl Script {
    fn start(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child =
            command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error} (run tests/run first)"));
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, input, output }
    }

    /// A script of `rp/` under the pinned Node.
    pub fn node(name: &str, told: &Value) -> Self {
        let mut command = Command::new(tools().join("node/node_modules/.bin/node"));
        command.arg(source(name)).arg(told.to_string());
        command.env("OIDCOP_TEST_NODE_MODULES", tools().join("node"));
        if let Some(ca) = told["ca"].as_str() {
            command.env("NODE_EXTRA_CA_CERTS", ca);
        }
        Self::start(command)
    }

    /// A script of `rp/` in the Python environment `venv`, with `directory` as its working directory.
    pub fn python(venv: &str, name: &str, told: &Value, directory: &std::path::Path) -> Self {
        let mut command = Command::new(tools().join(venv).join("bin/python"));
        command.arg(source(name)).arg(told.to_string()).current_dir(directory);
        command
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env_remove("CURL_CA_BUNDLE")
            .env_remove("REQUESTS_CA_BUNDLE");
        // Libraries that fetch keys with settings of their own go by this.
        if let Some(ca) = told["ca"].as_str() {
            command.env("REQUESTS_CA_BUNDLE", ca);
        }

        Self::start(command)
    }

    pub fn tell(&mut self, line: &Value) {
        writeln!(self.input, "{line}").unwrap();
        self.input.flush().unwrap();
    }

    #[track_caller]
    pub fn hear(&mut self) -> Value {
        let mut line = String::new();
        let read = self.output.read_line(&mut line).unwrap();
        assert!(read > 0, "the script ended early; what it said is above");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A Chromium that trusts one provider and one relying party.
pub struct Chromium {
    script: Script,
    /// What the browser profile is made with, unless a step says so: playwright's options of a context, and
    /// `thirdPartyCookies`.
    pub options: Value,
}

/// What the browser shows after a step.
#[derive(Debug, Clone)]
pub struct Sight {
    pub url: String,
    pub ids: Vec<String>,
    pub text: String,
    pub lang: String,
    /// What the console printed as errors until now: a blocked form, script or image is among them.
    pub complaints: Vec<String>,
    pub value: Value,
}

impl Chromium {
    pub async fn start(server: &Server, landing: &Landing) -> Self {
        let tls = server.client().connect(&server.issuer()).await.unwrap();
        let leaf = tls.get_ref().1.peer_certificates().unwrap()[0].clone();
        let told = json!({"trust": [key_digest(&leaf), landing.key_digest]});
        let mut script = Script::node("browser.mjs", &told);
        assert_eq!(script.hear()["ready"], true);
        Self { script, options: json!({}) }
    }

    #[track_caller]
    pub fn step(&mut self, command: &Value) -> Sight {
        let mut told = command.clone();
        if told["options"].is_null() {
            told["options"] = self.options.clone();
        }
        self.script.tell(&told);
        let sight = self.script.hear();
        assert!(sight["failed"].is_null(), "{command}: {}", sight["failed"]);
        let strings = |name: &str| {
            let all = sight[name].as_array().unwrap().iter();
            all.map(|one| one.as_str().unwrap().to_owned()).collect()
        };
        let text = |name: &str| sight[name].as_str().unwrap_or_default().to_owned();
        let (ids, complaints) = (strings("ids"), strings("complaints"));
        let value = sight["value"].clone();
        Sight { url: text("url"), text: text("text"), lang: text("lang"), ids, complaints, value }
    }

    #[track_caller]
    pub fn open(&mut self, url: &str) -> Sight {
        self.step(&json!({"verb": "open", "url": url}))
    }

    /// Opens a page that goes on by itself, until the browser is at an address that begins with `at`.
    #[track_caller]
    pub fn arrive(&mut self, url: &str, at: &str) -> Sight {
        self.step(&json!({"verb": "arrive", "url": url, "at": at}))
    }

    /// What an expression is worth on the page that is shown; a promise is waited for.
    #[track_caller]
    pub fn evaluate(&mut self, script: &str) -> Value {
        self.step(&json!({"verb": "evaluate", "script": script})).value
    }

    #[track_caller]
    pub fn fill(&mut self, id: &str, value: &str) -> Sight {
        self.step(&json!({"verb": "fill", "id": id, "value": value}))
    }

    #[track_caller]
    pub fn click(&mut self, id: &str) -> Sight {
        self.step(&json!({"verb": "click", "id": id}))
    }

    /// Signs in on the page that is shown, and ends at the one with the element `id`.
    pub fn travel_to(&mut self, id: &str, (username, password): (&str, &str)) -> Sight {
        self.fill("username", username);
        self.fill("password", password);
        let sight = self.click("sign-in");
        assert!(sight.has(id), "{sight:?}");
        sight
    }

    /// Goes to `url`, and signs in, allows and confirms the sign-out wherever asked, until a page of another kind.
    pub fn travel(&mut self, url: &str, (username, password): (&str, &str)) -> Sight {
        let mut sight = self.open(url);
        for _ in 0..6 {
            sight = if sight.has("password") {
                self.fill("username", username);
                self.fill("password", password);
                self.click("sign-in")
            } else if sight.has("allow") {
                self.click("allow")
            } else if sight.has("sign-out") {
                self.click("sign-out")
            } else {
                return sight;
            };
        }
        panic!("the pages never end: {sight:?}");
    }
}

impl Sight {
    pub fn has(&self, id: &str) -> bool {
        self.ids.iter().any(|other| other == id)
    }
}
