//! Client authentication, through the token endpoint.

use crate::base::encode::base64;
use crate::jose::{Algorithm, SigningKey};
use crate::op::Op;
use crate::op::fixture::{body, form, header, op, op_with};
use crate::op::record::client::Client;
use crate::op::token::fixture::{SECRET, advance, ask, client, error};
use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::{Value, json};

const GRANT: (&str, &str) = ("grant_type", "client_credentials");

fn method(name: &'static str) -> impl FnOnce(&mut Client) {
    move |client| client.metadata.token_endpoint_auth_method = name.into()
}

async fn basic(op: &Op, credentials: &str) -> Response<Bytes> {
    form(op, "/oidcop/token", &[("authorization", &format!("Basic {credentials}"))], &[GRANT]).await
}

/// RFC 6749 §2.3.1, Appendix B; and what deployed clients make of it.
#[tokio::test]
async fn basic_credentials_are_form_encoded_before_base64() {
    let op = op().await;
    // A secret whose encoding needs every rule, and base64 characters of both alphabets.
    let id = "s6BhdRk~?>";
    client(&op, id, method("client_secret_basic")).await;
    let encoded = base64(b"s6BhdRk~%3F%3E:a+secret%20of+full+entropy");
    assert_eq!(basic(&op, &encoded).await.status(), StatusCode::OK);
    let urlsafe = encoded.replace('+', "-").replace('/', "_").replace('=', "");
    assert_eq!(basic(&op, &urlsafe).await.status(), StatusCode::OK);
    let lower = form(&op, "/oidcop/token", &[("authorization", &format!("basic {encoded}"))], &[GRANT]).await;
    assert_eq!(lower.status(), StatusCode::OK);
    for (malformed, code) in
        [("%%%", "invalid_request"), ("YQ", "invalid_request"), ("YTpi", "invalid_client")]
    {
        assert_eq!(error(&basic(&op, malformed).await), code, "{malformed}");
    }
}

/// RFC 6749 §5.2.
#[tokio::test]
async fn failed_authentication_is_401_with_a_challenge_and_says_nothing_more() {
    let op = op().await;
    client(&op, "rp", method("client_secret_basic")).await;
    let wrong = [base64(b"rp:wrong"), base64(b"nobody:wrong"), base64(b"rp:")];
    let mut texts = std::collections::HashSet::new();
    for credentials in &wrong {
        let response = basic(&op, credentials).await;
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(header(&response, "www-authenticate"), "Basic realm=\"https://op.example\"");
        assert_eq!(error(&response), "invalid_client");
        texts.insert(body(&response)["error_description"].to_string());
    }
    assert_eq!(texts.len(), 1);
    let nothing = form(&op, "/oidcop/token", &[], &[GRANT]).await;
    assert_eq!((nothing.status(), error(&nothing).as_str()), (StatusCode::UNAUTHORIZED, "invalid_client"));
}

#[tokio::test]
async fn only_the_registered_method_counts_and_only_one_at_a_time() {
    let op = op().await;
    client(&op, "basic", method("client_secret_basic")).await;
    client(&op, "public", method("none")).await;
    client(&op, "post", |_| {}).await;
    assert_eq!(error(&ask(&op, "basic", &[GRANT]).await), "invalid_client");
    assert_eq!(error(&ask(&op, "public", &[GRANT]).await), "invalid_client");
    assert_eq!(
        error(&form(&op, "/oidcop/token", &[], &[("client_id", "post"), GRANT]).await),
        "invalid_client"
    );
    let header = format!("Basic {}", base64(b"basic:a+secret+of+full+entropy"));
    let both = [("client_id", "basic"), ("client_secret", SECRET), GRANT];
    let response = form(&op, "/oidcop/token", &[("authorization", &header)], &both).await;
    assert_eq!(error(&response), "invalid_request");
    let other = [("client_id", "post"), GRANT];
    let response = form(&op, "/oidcop/token", &[("authorization", &header)], &other).await;
    assert_eq!(error(&response), "invalid_request");
    let same = [("client_id", "basic"), GRANT];
    let response = form(&op, "/oidcop/token", &[("authorization", &header)], &same).await;
    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_secret_expires() {
    let op = op().await;
    let expires = op.now().plus(std::time::Duration::from_secs(60));
    client(&op, "rp", |client| client.secret_expires = Some(expires)).await;
    assert_eq!(ask(&op, "rp", &[GRANT]).await.status(), StatusCode::OK);
    advance(&op, 60);
    assert_eq!(error(&ask(&op, "rp", &[GRANT]).await), "invalid_client");
}

struct Asserting {
    op: Op,
    key: SigningKey,
}

impl Asserting {
    async fn new(alg: Algorithm, registered: Option<&str>) -> Asserting {
        let op = op_with("paths: { token: [/oidcop/token, /old/token] }").await;
        let key = SigningKey::generate(alg).unwrap();
        let jwks = json!({ "keys": [key.public().to_json()] });
        client(&op, "rp", |client| {
            client.secret_digest = None;
            client.metadata.token_endpoint_auth_method = "private_key_jwt".into();
            client.metadata.token_endpoint_auth_signing_alg = registered.map(str::to_owned);
            client.metadata.jwks = Some(jwks);
        })
        .await;
        Asserting { op, key }
    }

    fn claims(&self) -> Value {
        let now = self.op.now().0;
        json!({ "iss": "rp", "sub": "rp", "aud": "https://op.example", "exp": now + 60, "jti": "j-1" })
    }

    async fn present(&self, claims: &Value) -> Response<Bytes> {
        let assertion = self.key.sign("JWT", claims.to_string().as_bytes()).unwrap();
        self.send(&assertion).await
    }

    async fn send(&self, assertion: &str) -> Response<Bytes> {
        let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
        let pairs = [("client_assertion_type", kind), ("client_assertion", assertion), GRANT];
        form(&self.op, "/oidcop/token", &[], &pairs).await
    }
}

/// RFC 7523 §3.
#[tokio::test]
async fn an_assertion_counts_once() {
    for (alg, registered) in
        [(Algorithm::ES256, None), (Algorithm::EdDSA, Some("Ed25519")), (Algorithm::ES256, Some("ES256"))]
    {
        let world = Asserting::new(alg, registered).await;
        assert_eq!(world.present(&world.claims()).await.status(), StatusCode::OK);
        assert_eq!(error(&world.present(&world.claims()).await), "invalid_client");
        let mut next = world.claims();
        next["jti"] = json!("j-2");
        assert_eq!(world.present(&next).await.status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn an_assertion_may_name_the_issuer_or_the_token_endpoint_by_any_path() {
    let world = Asserting::new(Algorithm::ES256, None).await;
    for (at, audience) in [
        json!("https://op.example/oidcop/token"),
        json!(["https://op.example/old/token"]),
        json!(["https://x.example", "https://op.example"]),
    ]
    .into_iter()
    .enumerate()
    {
        let mut claims = world.claims();
        claims["aud"] = audience;
        claims["jti"] = json!(format!("j-{at}"));
        assert_eq!(world.present(&claims).await.status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn an_assertion_with_anything_wrong_is_refused() {
    let world = Asserting::new(Algorithm::ES256, None).await;
    let now = world.op.now().0;
    for (name, value) in [
        ("aud", json!("https://op.example/oidcop/revocation")),
        ("aud", json!("https://other.example")),
        ("exp", json!(now - 31)),
        ("exp", json!(now + 3_700)),
        ("iss", json!("other")),
        ("sub", json!("other")),
        ("jti", json!("")),
        ("jti", Value::Null),
        ("exp", Value::Null),
    ] {
        let mut claims = world.claims();
        claims[name] = value.clone();
        assert_eq!(error(&world.present(&claims).await), "invalid_client", "{name}: {value}");
    }
    let foreign = SigningKey::generate(Algorithm::ES256).unwrap();
    let forged = foreign.sign("JWT", world.claims().to_string().as_bytes()).unwrap();
    assert_eq!(error(&world.send(&forged).await), "invalid_client");
    let strict = Asserting::new(Algorithm::ES256, Some("RS256")).await;
    assert_eq!(error(&strict.present(&strict.claims()).await), "invalid_client");
    // Nothing of this has used the identifier up.
    assert_eq!(world.present(&world.claims()).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn failures_are_counted_and_successes_are_not() {
    let op = op_with("throttle: { address_failures: 3, window: 1m }").await;
    for id in ["rp", "other"] {
        client(&op, id, |_| {}).await;
    }
    let wrong = [("client_id", "rp"), ("client_secret", "wrong"), GRANT];
    for _ in 0..3 {
        for _ in 0..5 {
            assert_eq!(ask(&op, "rp", &[GRANT]).await.status(), StatusCode::OK);
        }
        assert_eq!(error(&form(&op, "/oidcop/token", &[], &wrong).await), "invalid_client");
    }
    let held_up = ask(&op, "rp", &[GRANT]).await;
    assert_eq!(held_up.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(header(&held_up, "retry-after"), "60");
    assert_eq!(ask(&op, "other", &[GRANT]).await.status(), StatusCode::OK);
    advance(&op, 60);
    assert_eq!(ask(&op, "rp", &[GRANT]).await.status(), StatusCode::OK);
}
