//! The answers table of a route with `policy: bearer` (RFC 6750 §3, RFC 9728 §5.1): status and challenge, case by case.

use crate::harness::party::claims;
use crate::harness::{Answer, DEADLINE, House, Party, Server, Tokens};
use crate::walkthrough::alice;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};
use std::time::Instant;

const SCOPE: &str = "openid profile api";

async fn call(server: &Server, token: &str) -> Answer {
    server.client().get(server.url("/api/")).bearer(token).send().await
}

fn challenge(answer: &Answer) -> String {
    let challenge = answer.header("www-authenticate").unwrap_or_else(|| panic!("no challenge: {answer:?}"));
    assert!(challenge.starts_with("Bearer"), "{challenge}");
    challenge
}

/// 401 with `invalid_token`, and nothing of the upstream.
#[track_caller]
pub fn is_invalid_token(answer: &Answer, case: &str) {
    assert_eq!(answer.status, 401, "{case}: {answer:?}");
    assert!(challenge(answer).contains("error=\"invalid_token\""), "{case}: {}", challenge(answer));
    assert!(!answer.text().contains("whoami"), "{case}: {}", answer.text());
}

async fn signed_in(server: &Server) -> (Party, Tokens) {
    let party = Party::register(server).await;
    let tokens = party.sign_in(&mut alice(server), SCOPE).await;
    call(server, &tokens.access).await.expect(200);
    (party, tokens)
}

fn parts(jwt: &str) -> (String, String, String) {
    let mut parts = jwt.split('.').map(str::to_owned);
    (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap())
}

fn encoded(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

pub fn header(jwt: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts(jwt).0).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn bearer_without_credentials_is_challenged_without_an_error() {
    let server = Server::quickstart();
    for client in [server.client().clone(), server.client().h2()] {
        let bare = client.get(server.url("/api/")).send().await.expect(401);
        assert!(!challenge(&bare).contains("error"), "RFC 6750 §3.1: {}", challenge(&bare));
        let other_scheme = client.get(server.url("/api/")).header("authorization", "Basic YTpi").send().await;
        assert!(!challenge(&other_scheme.expect(401)).contains("error="));
        let empty = client.get(server.url("/api/")).header("authorization", "Bearer").send().await;
        assert!([400, 401].contains(&empty.status), "{empty:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bearer_with_a_good_token_passes_on_h1_and_h2() {
    let server = Server::quickstart();
    let (_, tokens) = signed_in(&server).await;
    let over_h2 =
        server.client().h2().get(server.url("/api/")).bearer(&tokens.access).send().await.expect(200);
    assert!(over_h2.text().contains(claims(&tokens.access)["sub"].as_str().unwrap()), "{}", over_h2.text());
    let lower_case = format!("bearer {}", tokens.access);
    server.client().get(server.url("/api/")).header("authorization", &lower_case).send().await.expect(200);
    let below =
        server.client().get(server.url("/api/orders?id=7")).bearer(&tokens.access).send().await.expect(200);
    let shown = below.json();
    assert_eq!((&shown["path"], &shown["query"]), (&json!("/api/orders"), &json!("id=7")));
}

#[tokio::test(flavor = "multi_thread")]
async fn bearer_with_a_malformed_or_forged_token_is_refused() {
    let server = Server::quickstart();
    let (_, tokens) = signed_in(&server).await;
    let (head, body, signature) = parts(&tokens.access);
    let none = encoded(&json!({"alg": "none", "typ": "at+jwt"}));
    let mut flipped = signature.clone().into_bytes();
    flipped[20] = if flipped[20] == b'A' { b'B' } else { b'A' };
    let flipped = String::from_utf8(flipped).unwrap();
    let mut other_body = claims(&tokens.access);
    other_body["scope"] = "openid profile api admin".into();
    let cases = [
        ("no token at all", "nonsense".to_owned()),
        ("empty parts", "..".to_owned()),
        ("not base64", "%%%.%%%.%%%".to_owned()),
        ("four parts", format!("{}.x", tokens.access)),
        ("wrong signature", format!("{head}.{body}.{flipped}")),
        ("no signature", format!("{head}.{body}.")),
        ("alg none", format!("{none}.{body}.")),
        ("alg none with a signature", format!("{none}.{body}.{signature}")),
        ("changed claims", format!("{head}.{}.{signature}", encoded(&other_body))),
        ("an ID token", tokens.id.clone().unwrap()),
        ("very long", "a".repeat(20_000)),
    ];
    for (case, token) in cases {
        is_invalid_token(&call(&server, &token).await, case);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bearer_signed_by_another_issuer_is_refused() {
    let server = Server::quickstart();
    let (party, tokens) = signed_in(&server).await;
    let random = ring::rand::SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random).unwrap();
    let sign = |header: &Value, claims: &Value| {
        let signed = format!("{}.{}", encoded(header), encoded(claims));
        let signature = key.sign(&random, signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    };
    let ours = claims(&tokens.access);
    let mut theirs = ours.clone();
    theirs["iss"] = "https://issuer.example".into();
    let (mut renamed, mut embedded) = (header(&tokens.access), header(&tokens.access));
    renamed["kid"] = "another".into();
    let point = key.public_key().as_ref();
    let coordinate = |range: std::ops::Range<usize>| URL_SAFE_NO_PAD.encode(&point[range]);
    embedded["jwk"] = json!({"kty": "EC", "crv": "P-256", "x": coordinate(1..33), "y": coordinate(33..65)});
    is_invalid_token(&call(&server, &sign(&renamed, &theirs)).await, "another issuer's");
    is_invalid_token(&call(&server, &sign(&renamed, &ours)).await, "our name, an unknown key");
    is_invalid_token(&call(&server, &sign(&header(&tokens.access), &ours)).await, "our name and key id");
    is_invalid_token(&call(&server, &sign(&embedded, &ours)).await, "a key brought along");

    // A public key is no shared secret (RFC 8725 §2.1).
    let keys = party.client.get(party.endpoint("jwks_uri")).send().await.expect(200);
    let signed = format!("{}.{}", encoded(&json!({"alg": "HS256", "typ": "at+jwt"})), encoded(&ours));
    let secret = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &keys.body);
    let tag = URL_SAFE_NO_PAD.encode(ring::hmac::sign(&secret, signed.as_bytes()).as_ref());
    is_invalid_token(&call(&server, &format!("{signed}.{tag}")).await, "a public key as a secret");
}

#[tokio::test(flavor = "multi_thread")]
async fn bearer_for_another_audience_is_refused() {
    let server = Server::quickstart();
    let party = Party::register(&server).await;
    let tokens = party.sign_in(&mut alice(&server), "openid profile").await;
    party.userinfo(&tokens.access).await.expect(200);
    is_invalid_token(&call(&server, &tokens.access).await, "a token for userinfo alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn bearer_without_the_scope_is_told_which() {
    let server = Server::quickstart();
    let party = Party::register(&server).await;
    let audience = audience_of_the_api(&server).await;
    // RFC 8707: the audience by name, without the scope that the route asks for.
    let asked = party.ask("openid profile", &[("resource", &audience)]);
    let answer = alice(&server).authorize(&asked.url).await;
    let tokens = party.redeem(&asked, &party.code(&asked, &answer)).await;
    let refused = call(&server, &tokens.access).await.expect(403);
    let challenge = challenge(&refused);
    assert!(
        challenge.contains("error=\"insufficient_scope\"") && challenge.contains("scope=\"api\""),
        "{challenge}"
    );
}

async fn audience_of_the_api(server: &Server) -> String {
    let party = Party::register(server).await;
    let tokens = party.sign_in(&mut alice(server), "api").await;
    match &claims(&tokens.access)["aud"] {
        Value::String(one) => one.clone(),
        Value::Array(several) => several[0].as_str().unwrap().to_owned(),
        other => panic!("aud: {other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bearer_twice_or_in_the_query_is_a_bad_request() {
    let server = Server::quickstart();
    let (_, tokens) = signed_in(&server).await;
    let twice =
        server.client().get(server.url("/api/")).bearer(&tokens.access).bearer(&tokens.access).send().await;
    assert!(challenge(&twice.expect(400)).contains("error=\"invalid_request\""));
    let url = server.url(&format!("/api/?access_token={}", tokens.access));
    let in_the_query = server.client().get(url).send().await.expect(400);
    assert!(challenge(&in_the_query).contains("error=\"invalid_request\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn bearer_that_expired_is_refused() {
    let house = House::new("quickstart");
    // The shortest life there is; nothing else of the quickstart changes.
    house.edit(|text| with_lifetime(&text, "1s"));
    let server = house.start();
    let (_, tokens) = signed_in(&server).await;
    let began = Instant::now();
    let refused = loop {
        let answer = call(&server, &tokens.access).await;
        if answer.status != 200 {
            break answer;
        }
        assert!(began.elapsed() < DEADLINE, "a token of one second lives on");
    };
    is_invalid_token(&refused, "expired");
}

/// The configuration with this life for access tokens.
fn with_lifetime(text: &str, life: &str) -> String {
    assert!(!text.contains("lifetimes:"), "this test adds the lifetimes");
    text.replacen("\nop:\n", &format!("\nop:\n    lifetimes: {{ access_token: {life} }}\n"), 1)
}

#[tokio::test(flavor = "multi_thread")]
async fn bearer_that_was_revoked_is_refused_by_the_very_next_request() {
    let server = Server::quickstart();
    let (party, tokens) = signed_in(&server).await;
    party.revoke(&tokens.access).await.expect(200);
    is_invalid_token(&call(&server, &tokens.access).await, "revoked");
    assert_eq!(party.introspect(&tokens.access).await, json!({"active": false}));
    party.userinfo(&tokens.access).await.expect(401);

    let mut person = alice(&server);
    let tokens = party.sign_in(&mut person, "openid api offline_access").await;
    call(&server, &tokens.access).await.expect(200);
    party.revoke(tokens.refresh_token()).await.expect(200);
    is_invalid_token(&call(&server, &tokens.access).await, "its refresh token was revoked");
    party.refresh(tokens.refresh_token()).await.expect_error(400, "invalid_grant");
}

#[tokio::test(flavor = "multi_thread")]
async fn bearer_of_a_reused_code_is_refused() {
    let server = Server::quickstart();
    let party = Party::register(&server).await;
    let asked = party.ask(SCOPE, &[]);
    let answer = alice(&server).authorize(&asked.url).await;
    let code = party.code(&asked, &answer);
    let tokens = party.redeem(&asked, &code).await;
    call(&server, &tokens.access).await.expect(200);
    party.token(&party.redemption(&asked, &code)).await.expect_error(400, "invalid_grant");
    is_invalid_token(&call(&server, &tokens.access).await, "its code was used twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn bearer_of_a_logged_out_session_is_refused_by_the_very_next_request() {
    let server = Server::quickstart();
    let party = Party::register(&server).await;
    let mut person = alice(&server);
    let tokens = party.sign_in(&mut person, SCOPE).await;
    let kept = party.sign_in(&mut person, "openid api offline_access").await;
    call(&server, &tokens.access).await.expect(200);
    let landed = party.sign_out(&mut person, &tokens, "bye").await;
    assert_eq!(landed.as_str(), "https://127.0.0.1:8090/signed-out?state=bye");
    is_invalid_token(&call(&server, &tokens.access).await, "logged out");
    is_invalid_token(&call(&server, &kept.access).await, "logged out, another token of the session");
    // Back-Channel Logout 1.0 §2.7: what was granted for offline access lives on.
    let renewed = party.refresh(kept.refresh_token()).await.expect(200);
    call(&server, &Tokens::of(&renewed).access).await.expect(200);

    let silent = party.ask("openid", &[("prompt", "none")]);
    let answer = person.visit(&silent.url).await.elsewhere();
    assert!(answer.query().unwrap().contains("error=login_required"), "{answer}");
}
