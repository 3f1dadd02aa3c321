//! The provider's own paths, through the edge.

use super::*;

#[tokio::test]
async fn the_provider_answers_on_its_host_and_nowhere_else() {
    let house = House::open().await;
    let document = "GET /.well-known/openid-configuration";
    let answer = house.ask(document, &[], "").await;
    assert_eq!((answer.status, &answer.json()["issuer"]), (200, &json!("https://op.example")));
    for host in ["evil.example", "op.example:8443"] {
        assert_eq!(house.ask_of(host, document, &[], "").await.status, 421, "{host}");
    }
    let mut written = settings(house.upstream.address);
    written["hosts"] = json!(["app.example"]);
    house.edge.reload(&serde_json::from_value(written).unwrap(), Some(house.op.clone())).unwrap();
    let app = house.ask_of("app.example", document, &[], "").await;
    assert_eq!((app.status, app.text.as_str()), (200, "<p>Welcome"), "it is a route's there");
}

#[tokio::test]
async fn a_body_for_the_provider_ends_at_its_limit() {
    let house = House::open().await;
    let body = "x".repeat(300 << 10);
    let answer = house.ask("POST /oidcop/token", &[FORM], &body).await;
    assert_eq!(answer.status, 413);
    let waits = ["Expect: 100-continue", BASIC, FORM];
    let answer = house.ask("POST /oidcop/token", &waits, "grant_type=client_credentials&scope=api").await;
    assert_eq!(answer.status, 100);
    assert!(answer.text.starts_with("HTTP/1.1 200"), "{}", answer.text);
    let twice = house.ask("POST /oidcop/token", &[BASIC, BASIC, FORM], "grant_type=client_credentials").await;
    assert_eq!((twice.status, twice.json()["error"].as_str()), (400, Some("invalid_request")));
}
