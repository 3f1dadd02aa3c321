//! Every kind of flow that the foreign relying parties speak, each with a client registered for it, Chromium at the pages.
//! What a plain code flow is worth afterwards is told by `relying_parties.rs`.

use crate::harness::foreign::{Chromium, Script};
use crate::harness::landing::Landing;
use crate::harness::{House, Server};
use crate::walkthrough::ALICE;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use tempfile::TempDir;

/// The quickstart with everything on that is off by default; what is published at `landing` can be fetched.
fn everything(landing: &Landing) -> Server {
    let house = House::new("quickstart");
    fs::write(house.path("landing.pem"), &landing.certificate).unwrap();
    house.edit(|text| {
        let text = text.replacen("    registration: open\n", &format!("    registration: open\n{MORE}"), 1);
        text.replacen("ca_file: certs/ca.pem", "ca_file: landing.pem", 1)
    });
    house.start()
}

const MORE: &str = "    response_types: [code, id_token, token id_token, code id_token, code token, code id_token token, token, none]\n";

/// Takes the browser where the script wants it, publishes what it wants published, until it is done.
async fn through(server: &Server, landing: &Landing, script: &mut Script) -> Value {
    let mut browser = Chromium::start(server, landing).await;
    loop {
        let said = script.hear();
        if let Some(path) = said["publish"].as_str() {
            script.tell(&json!({"url": landing.publish(path, said["text"].as_str().unwrap())}));
            continue;
        }
        let Some(url) = said["visit"].as_str() else { return said["done"].clone() };
        let sight = browser.travel(url, ALICE);
        assert!(sight.has("landed"), "the browser did not come back: {sight:?}");
        assert!(sight.complaints.is_empty(), "{:?}", sight.complaints);
        let last = landing.arrivals().last().cloned().filter(|arrival| arrival.method == "POST");
        script.tell(&json!({"arrived": sight.url, "posted": last.map(|arrival| arrival.body)}));
    }
}

fn told(server: &Server, landing: &Landing) -> Value {
    let fetch_url = format!("https://127.0.0.1:{}", landing.port);
    json!({"issuer": server.issuer(), "base_url": landing.url(), "fetch_url": fetch_url, "ca": server.ca_file()})
}

/// What every flow must have brought, however deep it is nested.
#[derive(Default)]
struct Judgement {
    subjects: BTreeSet<String>,
    failures: Vec<String>,
}

impl Judgement {
    fn of(server: &Server, found: &Value) -> Judgement {
        let mut judgement = Judgement::default();
        judgement.look(server, "flows", found);
        assert!(judgement.failures.is_empty(), "{}", judgement.failures.join("\n\n"));
        judgement
    }

    fn look(&mut self, server: &Server, name: &str, found: &Value) {
        if let Some(failed) = found["failed"].as_str() {
            let more = ["cause", "stack"].map(|more| found[more].as_str().unwrap_or_default());
            self.failures.push(format!("{name}: {failed}\n{}\n{}", more[0], more[1]));
        } else if found["client_id"].is_string() {
            if found["id_token"].is_object() {
                assert_eq!(found["id_token"]["iss"], server.issuer(), "{name}");
                assert_eq!(found["id_token"]["aud"], found["client_id"], "{name}");
                assert_eq!(found["id_token"]["sub"], found["userinfo"]["sub"], "{name}");
            }
            self.subjects.insert(found["userinfo"]["sub"].as_str().unwrap().to_owned());
        } else {
            let nested = found.as_object().filter(|nested| !nested.is_empty());
            for (inner, found) in nested.unwrap_or_else(|| panic!("{name} found nothing: {found}")) {
                self.look(server, &format!("{name}, {inner}"), found);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn openid_client_completes_every_flow_it_speaks() {
    let landing = Landing::start().await;
    let server = everything(&landing);
    let mut script = Script::node("openid_client_flows.mjs", &told(&server, &landing));
    let found = through(&server, &landing, &mut script).await;
    let Judgement { subjects, .. } = Judgement::of(&server, &found);
    assert_eq!(subjects.len(), 2, "one public subject and one pairwise one: {subjects:?}");
    assert_ne!(found["pairwise"]["id_token"]["sub"], found["public_subject"]["id_token"]["sub"]);
    for bound in found["dpop"].as_object().unwrap().values() {
        assert_eq!(bound["token_type"].as_str().unwrap().to_lowercase(), "dpop");
        let calls = ["with_its_key", "with_another", "as_bearer"].map(|call| bound[call].clone());
        assert_eq!(calls, [json!(200), json!(401), json!(401)]);
    }
    for sealed in found["encrypted"].as_object().unwrap().values() {
        assert_eq!(sealed["sealed"], 5, "five parts: a JWE");
    }
    assert_eq!(found["introspection_jwt"]["introspected"]["active"], true);
    assert_eq!(found["public_client"]["userinfo"]["email"], found["form_post"]["userinfo"]["email"]);
}

/// The flows of a Python library: always the same person, so always the same public subject.
async fn python_completes(venv: &str, script: &str) {
    let landing = Landing::start().await;
    let server = everything(&landing);
    let home = TempDir::new().unwrap();
    let mut script = Script::python(venv, script, &told(&server, &landing), home.path());
    let found = through(&server, &landing, &mut script).await;
    let Judgement { subjects, .. } = Judgement::of(&server, &found);
    assert_eq!(subjects.len(), 1, "{subjects:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn idpyoidc_completes_every_flow_it_speaks() {
    python_completes("idpyoidc", "idpyoidc_flows.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn oidcrp_completes_the_response_types_of_the_front_channel() {
    python_completes("oidcrp", "oidcrp_flows.py").await;
}
