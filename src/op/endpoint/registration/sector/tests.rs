//! Tests of sector identifiers, through `Op::handle`.

use crate::base::fetch::{self, Fetch, Fetched};
use crate::op::fixture::{self, body, post_json};
use crate::op::{Kit, Op};
use http::StatusCode;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::sync::Arc;

const PATH: &str = "/oidcop/registration";
const URI: &str = "https://sector.example/uris.json";
const BOTH: [&str; 2] = ["https://a.example/cb", "https://b.example/cb"];

type Answer = Arc<Mutex<Result<Fetched, fetch::Fault>>>;

async fn world() -> (Op, Answer) {
    let answer: Answer = Arc::new(Mutex::new(Err(fetch::Fault::Refused)));
    let given = answer.clone();
    let fetch = Fetch::scripted(move |asked| {
        assert_eq!(asked.url, URI);
        given.lock().clone()
    });
    (Op::open(Kit { fetch, ..fixture::kit() }, fixture::settings("{}")).await.unwrap(), answer)
}

fn sent(uris: &[&str], sector: &str) -> Value {
    json!({ "redirect_uris": uris, "subject_type": "pairwise", "sector_identifier_uri": sector })
}

/// OpenID Connect Core §8.1, OpenID Connect Registration §5.
#[tokio::test]
async fn the_sector_document_must_name_every_redirect_uri_at_registration_and_at_every_update() {
    let (op, answer) = world().await;
    let listed = |uris: &[&str]| Ok(Fetched::ok("application/json", json!(uris).to_string()));
    *answer.lock() = listed(&BOTH);
    let kept = body(&post_json(&op, "POST", PATH, &[], &sent(&BOTH, URI)).await);
    assert_eq!((&kept["subject_type"], &kept["sector_identifier_uri"]), (&json!("pairwise"), &json!(URI)));
    let path = kept["registration_client_uri"].as_str().unwrap().trim_start_matches("https://op.example");
    let bearer = format!("Bearer {}", kept["registration_access_token"].as_str().unwrap());
    let headers = [("authorization", bearer.as_str())];
    let mut update = sent(&[BOTH[0], "https://c.example/cb"], URI);
    update["client_id"] = kept["client_id"].clone();
    let refused = post_json(&op, "PUT", path, &headers, &update).await;
    assert_eq!(body(&refused)["error"], "invalid_client_metadata");
    *answer.lock() = listed(&[BOTH[0], BOTH[1], "https://c.example/cb"]);
    assert_eq!(post_json(&op, "PUT", path, &headers, &update).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_sector_document_that_cannot_be_had_or_read_refuses_the_registration() {
    let (op, answer) = world().await;
    let ok = |text: &str| Ok(Fetched::ok("application/json", text.to_owned()));
    let moved =
        Fetched { status: StatusCode::FOUND, ..Fetched::ok("application/json", json!(BOTH).to_string()) };
    for given in [
        Err(fetch::Fault::Refused),
        Err(fetch::Fault::TooLarge(1)),
        Ok(moved),
        ok("{}"),
        ok("not json"),
        ok("[]"),
        ok(r#"["https://a.example/cb"]"#),
        ok(r#"["https://a.example/cb", 7, "https://b.example/cb"]"#),
        ok(r#"["https://a.example/", "https://b.example/cb"]"#),
    ] {
        *answer.lock() = given;
        let response = post_json(&op, "POST", PATH, &[], &sent(&BOTH, URI)).await;
        assert_eq!(body(&response)["error"], "invalid_client_metadata");
    }
    // ATTACKS 32: nothing but https is fetched, and nobody is asked about it.
    for uri in
        ["http://sector.example/uris.json", "file:///etc/passwd", "https://user@sector.example/", "//x/"]
    {
        let response = post_json(&op, "POST", PATH, &[], &sent(&BOTH, uri)).await;
        assert_eq!(body(&response)["error"], "invalid_client_metadata", "{uri}");
    }
}
