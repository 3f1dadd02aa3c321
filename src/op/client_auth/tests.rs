//! Client authentication, through the token endpoint.

use crate::base::encode::base64;
use crate::jose::{Algorithm, MacAlgorithm, MacKey, SigningKey};
use crate::op::Op;
use crate::op::fixture::{body, form, header, op, op_with, post_json};
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

/// RFC 9101 §10.8: a request object goes through the browser of whoever wants it.
#[tokio::test]
async fn a_request_object_is_no_assertion() {
    let world = Asserting::new(Algorithm::ES256, None).await;
    let claims = world.claims().to_string();
    for (typ, status) in [
        ("oauth-authz-req+jwt", StatusCode::UNAUTHORIZED),
        ("dpop+jwt", StatusCode::UNAUTHORIZED),
        ("client-authentication+jwt", StatusCode::OK),
    ] {
        let signed = world.key.sign(typ, claims.as_bytes()).unwrap();
        assert_eq!(world.send(&signed).await.status(), status, "{typ}");
    }
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

struct Macs {
    op: Op,
    id: String,
    secret: String,
}

impl Macs {
    /// Registered over the wire, as clients are.
    async fn new(settings: &str, more: Value) -> Macs {
        let op = op_with(settings).await;
        let mut sent = json!({
            "redirect_uris": ["https://rp.example/cb"],
            "grant_types": ["authorization_code", "client_credentials"],
            "token_endpoint_auth_method": "client_secret_jwt",
        });
        sent.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let made = post_json(&op, "POST", "/oidcop/registration", &[], &sent).await;
        assert_eq!(made.status(), StatusCode::CREATED, "{made:?}");
        let made = body(&made);
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        Macs { id: text("client_id"), secret: text("client_secret"), op }
    }

    fn assertion(&self, alg: MacAlgorithm, secret: &str, jti: &str) -> String {
        let claims = json!({
            "iss": self.id, "sub": self.id, "aud": "https://op.example", "exp": self.op.now().0 + 60, "jti": jti,
        });
        MacKey::new(secret.as_bytes()).sign(alg, "JWT", claims.to_string().as_bytes()).unwrap()
    }

    async fn send(&self, assertion: &str) -> Response<Bytes> {
        let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
        let pairs = [("client_assertion_type", kind), ("client_assertion", assertion), GRANT];
        form(&self.op, "/oidcop/token", &[], &pairs).await
    }
}

/// OpenID Connect Core §9.
#[tokio::test]
async fn an_assertion_under_the_shared_secret_counts_once() {
    let world = Macs::new("{}", json!({})).await;
    for alg in MacAlgorithm::ALL {
        let assertion = world.assertion(alg, &world.secret, alg.name());
        assert_eq!(world.send(&assertion).await.status(), StatusCode::OK, "{alg}");
        assert_eq!(error(&world.send(&assertion).await), "invalid_client", "{alg}: replayed");
    }
    let guessed = world.assertion(MacAlgorithm::HS256, &"x".repeat(64), "j");
    assert_eq!(error(&world.send(&guessed).await), "invalid_client");
    // The digest that is stored is not the secret.
    let digest = crate::op::endpoint::registration::digest(&world.secret);
    let stolen = world.assertion(MacAlgorithm::HS256, &digest, "k");
    assert_eq!(error(&world.send(&stolen).await), "invalid_client");
    // The secret itself is another method.
    let shown = [("client_id", world.id.as_str()), ("client_secret", world.secret.as_str()), GRANT];
    assert_eq!(error(&form(&world.op, "/oidcop/token", &[], &shown).await), "invalid_client");
}

#[tokio::test]
async fn only_the_registered_mac_counts_and_no_signature_in_its_place() {
    let world = Macs::new("{}", json!({ "token_endpoint_auth_signing_alg": "HS384" })).await;
    let right = world.assertion(MacAlgorithm::HS384, &world.secret, "a");
    assert_eq!(world.send(&right).await.status(), StatusCode::OK);
    for alg in [MacAlgorithm::HS256, MacAlgorithm::HS512] {
        let assertion = world.assertion(alg, &world.secret, alg.name());
        assert_eq!(error(&world.send(&assertion).await), "invalid_client", "{alg}");
    }
    let key = SigningKey::generate(Algorithm::ES256).unwrap();
    let claims = json!({
        "iss": world.id, "sub": world.id, "aud": "https://op.example", "exp": world.op.now().0 + 60, "jti": "s",
    });
    let signed = key.sign("JWT", claims.to_string().as_bytes()).unwrap();
    assert_eq!(error(&world.send(&signed).await), "invalid_client");
    let head = crate::base::encode::base64url(br#"{"alg":"none"}"#);
    let unsigned = format!("{head}.{}.", crate::base::encode::base64url(claims.to_string().as_bytes()));
    assert_eq!(error(&world.send(&unsigned).await), "invalid_client");
}

/// Algorithm confusion, the other way round: a client with keys is not asked for its secret.
#[tokio::test]
async fn a_client_with_a_key_cannot_be_imitated_by_a_mac_under_it() {
    let world = Asserting::new(Algorithm::ES256, None).await;
    let public = Value::Object(world.key.public().to_json()).to_string();
    for secret in [public.as_str(), &world.key.kid().repeat(2)] {
        let key = MacKey::new(secret.as_bytes());
        let assertion = key.sign(MacAlgorithm::HS256, "JWT", world.claims().to_string().as_bytes()).unwrap();
        assert_eq!(error(&world.send(&assertion).await), "invalid_client");
    }
}

#[tokio::test]
async fn a_shared_secret_expires_is_renewed_and_lies_sealed() {
    let world = Macs::new("{ lifetimes: { client_secret: 60s } }", json!({})).await;
    let stored = world.op.client(&world.id, world.op.now()).await.unwrap().unwrap();
    let record = serde_json::to_string(&*stored).unwrap();
    assert!(!record.contains(&world.secret) && stored.secret_sealed.is_some());
    assert_eq!(world.secret.len(), 64, "long enough for HS512");
    advance(&world.op, 60);
    let late = world.assertion(MacAlgorithm::HS256, &world.secret, "late");
    assert_eq!(error(&world.send(&late).await), "invalid_client");
    let command = crate::op::Command::ClientRotateSecret { client_id: world.id.clone() };
    let renewed = world.op.administer(command).await.unwrap();
    let secret = renewed["client_secret"].as_str().unwrap();
    let new = world.assertion(MacAlgorithm::HS512, secret, "new");
    assert_eq!(world.send(&new).await.status(), StatusCode::OK);
    let old = world.assertion(MacAlgorithm::HS512, &world.secret, "old");
    assert_eq!(error(&world.send(&old).await), "invalid_client");
}

#[tokio::test]
async fn a_client_that_shares_no_secret_has_none_stored() {
    let op = op().await;
    let sent = json!({ "redirect_uris": ["https://rp.example/cb"] });
    let made = body(&post_json(&op, "POST", "/oidcop/registration", &[], &sent).await);
    let id = made["client_id"].as_str().unwrap();
    let stored = op.client(id, op.now()).await.unwrap().unwrap();
    assert_eq!((stored.secret_sealed.clone(), op.client_secret(&stored).unwrap()), (None, None));
    // Turning to MACs, with the secret shown or not.
    let token = format!("Bearer {}", made["registration_access_token"].as_str().unwrap());
    let path = format!("/oidcop/registration/{id}");
    for (shown, alg, kept) in [(true, "HS256", true), (false, "HS256", true), (false, "HS512", false)] {
        let mut sent = json!({
            "client_id": id, "redirect_uris": ["https://rp.example/cb"],
            "token_endpoint_auth_method": "client_secret_jwt", "token_endpoint_auth_signing_alg": alg,
        });
        if shown {
            sent["client_secret"] = made["client_secret"].clone();
        }
        let updated = post_json(&op, "PUT", &path, &[("authorization", &token)], &sent).await;
        assert_eq!(updated.status(), StatusCode::OK);
        assert_eq!(body(&updated)["client_secret"].is_null(), kept, "{alg}");
        let stored = op.client(id, op.now()).await.unwrap().unwrap();
        let secret = op.client_secret(&stored).unwrap().unwrap();
        assert_eq!(Some(secret.expose()) == made["client_secret"].as_str(), kept, "{alg}");
    }
}

/// A clients file holds the secret itself only where MACs need it.
#[tokio::test]
async fn a_client_of_the_file_shares_its_secret_in_memory_only() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("clients.yaml");
    let written = |members: &str| {
        let client = "client_id: machine, grant_types: [client_credentials], token_endpoint_auth_method";
        std::fs::write(&file, format!("clients: [{{ {client}: {members} }}]")).unwrap();
        let mut settings = crate::op::fixture::settings("{}");
        settings.clients_file = Some(file.clone());
        settings
    };
    let secret = "0123456789abcdef".repeat(4);
    for refused in [
        "client_secret_jwt".to_owned(),
        format!("client_secret_jwt, client_secret: '{}'", &secret[..63]),
        format!("client_secret_jwt, client_secret_sha256: {}", registration_digest(&secret)),
        format!("client_secret_basic, client_secret: '{secret}'"),
    ] {
        let settings = written(&refused);
        assert_ne!(crate::op::client_file_faults(&settings), [], "{refused}");
    }
    let hs256 = "client_secret_jwt, token_endpoint_auth_signing_alg: HS256";
    let settings = written(&format!("{hs256}, client_secret: '{}'", &secret[..32]));
    assert_eq!(crate::op::client_file_faults(&settings), []);
    let op = Op::open(crate::op::fixture::kit(), settings).await.unwrap();
    let world = Macs { id: "machine".into(), secret: secret[..32].into(), op };
    let assertion = world.assertion(MacAlgorithm::HS256, &world.secret, "j");
    assert_eq!(world.send(&assertion).await.status(), StatusCode::OK);
    let client = world.op.client("machine", world.op.now()).await.unwrap().unwrap();
    assert!(!format!("{client:?}").contains(&world.secret), "never printed");
    assert!(!serde_json::to_string(&*client).unwrap().contains(&world.secret), "never stored");
}

fn registration_digest(secret: &str) -> String {
    crate::op::endpoint::registration::digest(secret)
}
