//! Rich authorization requests, from the request through consent to the token and what an API learns of it.

use crate::op::Op;
use crate::op::fixture::{body, settings};
use crate::op::token::fixture::{REDIRECT, advance, ask, claims, client, error, post, text};
use crate::op::walk::{self, ALICE, Walk, request};
use serde_json::{Value, json};

const SETTINGS: &str = "
resources:
  - { uri: 'https://api.example/', scopes: [api], introspectors: [reader] }
  - { uri: 'https://bank.example/', introspectors: [bank] }
authorization_details:
  types:
    payment:
      describe: { en: Pay <money>, de: Geld bezahlen }
      resource: https://bank.example/
      fields:
        amount: { kind: object, required: true }
        creditor: { kind: text }
        actions: { kind: texts, values: [initiate, status, cancel] }
    report: { without_person: true }
";

fn payment() -> Value {
    json!({ "type": "payment", "amount": { "currency": "EUR", "amount": "123.50" },
            "creditor": "Merchant <b>A</b>", "actions": ["initiate", "status"],
            "locations": ["https://bank.example/"] })
}

async fn world() -> Walk {
    let op = walk::op(SETTINGS).await;
    for id in ["shop", "bank", "reader"] {
        client(&op, id, |client| {
            client.metadata.response_types = vec!["code".into()];
            client.metadata.authorization_details_types = vec!["payment".into(), "report".into()];
        })
        .await;
    }
    Walk::at(op)
}

fn asking(details: &str, more: &[(&str, &str)]) -> String {
    let mut changes = vec![
        ("client_id", "shop"),
        ("redirect_uri", REDIRECT),
        ("scope", "openid api offline_access"),
        ("prompt", "consent"),
        ("authorization_details", details),
    ];
    changes.extend(more);
    request(&changes)
}

async fn redeemed(op: &Op, code: &str, more: &[(&str, &str)]) -> http::Response<bytes::Bytes> {
    let mut pairs = vec![("grant_type", "authorization_code"), ("code", code), ("redirect_uri", REDIRECT)];
    pairs.extend(more);
    ask(op, "shop", &pairs).await
}

/// RFC 9396 §2, §7, §9: shown, granted, told to the client, and to the API it is for.
#[tokio::test]
async fn details_travel_from_the_consent_page_to_the_api_they_are_for() {
    let mut walk = world().await;
    let details = json!([payment(), { "type": "report" }]);
    let page = walk.open(&asking(&details.to_string(), &[])).await;
    let page = walk.sign_in(&page, ALICE).await;
    assert!(page.html.contains("Pay &lt;money&gt;") && page.html.contains("report"), "{}", page.html);
    assert!(page.html.contains("Merchant &lt;b&gt;A") && page.html.contains("123.50"), "{}", page.html);
    let code = walk.allow(&page).await.answer().get("code").to_owned();
    let answer = body(&redeemed(&walk.op, &code, &[]).await);
    assert_eq!(answer["authorization_details"], details);
    let token = text(&answer, "access_token");
    let said = claims(&walk.op, token);
    assert_eq!(said["authorization_details"], details);
    assert!(said["aud"].to_string().contains("https://bank.example/"));
    let told = |asker: &'static str, op: Op| async move {
        body(&post(&op, "/oidcop/introspection", asker, &[("token", token)]).await)["authorization_details"]
            .clone()
    };
    assert_eq!(told("shop", walk.op.clone()).await, details);
    assert_eq!(told("bank", walk.op.clone()).await, details);
    assert_eq!(told("reader", walk.op.clone()).await, json!([{ "type": "report" }]));

    // RFC 9396 §6.1, §6.2: a refresh narrows, and never widens.
    let less = json!([{ "type": "payment", "amount": payment()["amount"], "creditor": payment()["creditor"],
                        "actions": ["status"], "locations": ["https://bank.example/"] }]);
    let refresh = |details: String, token: String| {
        let op = walk.op.clone();
        async move {
            let pairs = [
                ("grant_type", "refresh_token"),
                ("refresh_token", token.as_str()),
                ("authorization_details", details.as_str()),
            ];
            ask(&op, "shop", &pairs).await
        }
    };
    let first = text(&answer, "refresh_token").to_owned();
    let mut more = payment();
    more["actions"] = json!(["initiate", "status", "cancel"]);
    let mut dearer = payment();
    dearer["amount"]["amount"] = json!("999.00");
    let mut anyhow = payment();
    anyhow.as_object_mut().unwrap().shift_remove("creditor");
    // To a resource that takes an empty list for any, it would be more.
    let mut empty = payment();
    empty["actions"] = json!([]);
    for widened in [more, dearer, anyhow, empty] {
        let refused = refresh(json!([widened]).to_string(), first.clone()).await;
        assert_eq!(error(&refused), "invalid_authorization_details", "{widened}");
    }
    let narrowed = body(&refresh(less.to_string(), first).await);
    assert_eq!(narrowed["authorization_details"], less);
    let elsewhere = [
        ("grant_type", "refresh_token"),
        ("refresh_token", text(&narrowed, "refresh_token")),
        ("resource", "https://api.example/"),
    ];
    assert_eq!(
        body(&ask(&walk.op, "shop", &elsewhere).await)["authorization_details"],
        json!([{ "type": "report" }])
    );
}

/// RFC 9396 §5; ATTACKS 47.
#[tokio::test]
async fn details_that_are_unknown_or_malformed_are_refused_to_the_client() {
    let mut walk = world().await;
    let with = |name: &str, value: Value| {
        let mut detail = payment();
        detail[name] = value;
        json!([detail]).to_string()
    };
    let deep = (0..10).fold(json!(1), |value, _| json!([value]));
    let many: Vec<Value> = (0..21).map(|n| json!({ "type": "report", "n": n })).collect();
    for details in [
        "nonsense".into(),
        "{}".into(),
        "[1]".into(),
        "[{}]".into(),
        json!([{ "type": 7 }]).to_string(),
        json!([{ "type": "unknown" }]).to_string(),
        json!([{ "type": "payment" }]).to_string(),
        with("amount", json!("123")),
        with("creditor", json!(["A"])),
        with("actions", json!(["steal"])),
        with("actions", json!("initiate")),
        with("surprise", json!(1)),
        with("locations", json!(["https://evil.example/"])),
        json!([{ "type": "report", "deep": deep }]).to_string(),
        json!(many).to_string(),
        json!([{ "type": "report", "long": "x".repeat(20_000) }]).to_string(),
    ] {
        let answer = walk.open(&asking(&details, &[])).await.answer();
        assert_eq!(answer.error(), "invalid_authorization_details", "{details}");
    }
    // RFC 9396 §10: only what the client registered.
    client(&walk.op, "shop", |client| client.metadata.response_types = vec!["code".into()]).await;
    let answer = walk.open(&asking("[{\"type\":\"report\"}]", &[])).await.answer();
    assert_eq!(answer.error(), "invalid_authorization_details");
}

/// ATTACKS 31: a yes to one payment is not a yes to another.
#[tokio::test]
async fn remembered_consent_covers_the_same_details_only() {
    let mut walk = world().await;
    let once = |details: Value| asking(&details.to_string(), &[("scope", "openid"), ("prompt", "")]);
    assert!(walk.through(&once(json!([payment()])), ALICE).await.has_code());
    assert!(walk.open(&once(json!([payment()]))).await.answer().has_code());
    let mut other = payment();
    other["amount"]["amount"] = json!("124.50");
    assert!(walk.open(&once(json!([other]))).await.has("allow"));
    assert!(walk.open(&once(json!([payment(), { "type": "report" }]))).await.has("allow"));
    let silent = asking(&json!([other]).to_string(), &[("scope", "openid"), ("prompt", "none")]);
    assert_eq!(walk.open(&silent).await.answer().error(), "consent_required");
    advance(&walk.op, 1);
}

/// RFC 9396 §6: without a person only what needs none.
#[tokio::test]
async fn a_client_gets_for_itself_what_needs_no_person() {
    let walk = world().await;
    let asked = |details: Value| {
        let op = walk.op.clone();
        async move {
            let details = details.to_string();
            ask(
                &op,
                "shop",
                &[("grant_type", "client_credentials"), ("authorization_details", details.as_str())],
            )
            .await
        }
    };
    let answer = body(&asked(json!([{ "type": "report" }])).await);
    assert_eq!(answer["authorization_details"], json!([{ "type": "report" }]));
    assert_eq!(error(&asked(json!([payment()])).await), "invalid_authorization_details");
}

#[tokio::test]
async fn types_are_advertised_and_registered_as_far_as_they_are_known() {
    let walk = world().await;
    let document = crate::op::endpoint::configuration::document(&walk.op);
    assert_eq!(document["authorization_details_types_supported"], json!(["payment", "report"]));
    let sent = json!({ "redirect_uris": ["https://rp.example/"], "authorization_details_types": ["payment", "other"] });
    let kept =
        body(&crate::op::fixture::post_json(&walk.op, "POST", "/oidcop/registration", &[], &sent).await);
    assert_eq!(kept["authorization_details_types"], json!(["payment"]));
    let plain = crate::op::fixture::op().await;
    assert!(
        !crate::op::endpoint::configuration::document(&plain)
            .contains_key("authorization_details_types_supported")
    );
    let faults =
        settings("authorization_details: { types: { a: { resource: 'https://x.example' } } }").faults();
    assert_eq!(faults[0].0, "authorization_details.types.a.resource");
}

/// RFC 9126 §2.1: pushed details are checked at once, and shown like those that came with the browser.
#[tokio::test]
async fn details_may_be_pushed() {
    let mut walk = world().await;
    let push = |details: Value| {
        let op = walk.op.clone();
        async move {
            let details = details.to_string();
            let pairs = [
                ("redirect_uri", REDIRECT),
                ("response_type", "code"),
                ("scope", "openid"),
                ("authorization_details", details.as_str()),
            ];
            post(&op, "/oidcop/par", "shop", &pairs).await
        }
    };
    assert_eq!(error(&push(json!([{ "type": "unknown" }])).await), "invalid_authorization_details");
    let pushed = body(&push(json!([payment()])).await);
    let path = format!("/oidcop/authorization?client_id=shop&request_uri={}", text(&pushed, "request_uri"));
    let page = walk.open(&path).await;
    let page = walk.sign_in(&page, ALICE).await;
    assert!(page.html.contains("Pay &lt;money&gt;") && page.html.contains("123.50"), "{}", page.html);
    let code = walk.allow(&page).await.answer().get("code").to_owned();
    let answer = body(&redeemed(&walk.op, &code, &[]).await);
    assert_eq!(answer["authorization_details"], json!([payment()]));
}
