//! Inputs nobody would think of, at every door of the provider: parameters, headers, cookies, tokens, documents, put together
//! from words that mean something and noise that does not. Whatever comes in, the answer is one that a specification names:
//! no failure, no redirect but to a registered address, no secret in an error. Compiled for tests only.

use super::endpoint::ENDPOINTS;
use super::fixture::{START, exchange, header};
use super::walk::{self, CLIENT, REDIRECT};
use super::{Op, serve};
use bytes::Bytes;
use http::{Response, StatusCode};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

/// Soups of a kind in a run.
const SOUPS: usize = 400;

/// Names that some check knows.
const NAMES: &[&str] = &[
    "client_id",
    "redirect_uri",
    "response_type",
    "response_mode",
    "scope",
    "state",
    "nonce",
    "prompt",
    "max_age",
    "id_token_hint",
    "login_hint",
    "ui_locales",
    "claims_locales",
    "acr_values",
    "display",
    "claims",
    "request",
    "request_uri",
    "registration",
    "code_challenge",
    "code_challenge_method",
    "resource",
    "authorization_details",
    "dpop_jkt",
    "grant_type",
    "code",
    "code_verifier",
    "refresh_token",
    "client_secret",
    "client_assertion",
    "client_assertion_type",
    "assertion",
    "subject_token",
    "subject_token_type",
    "actor_token",
    "actor_token_type",
    "requested_token_type",
    "audience",
    "token",
    "token_type_hint",
    "access_token",
    "post_logout_redirect_uri",
    "logout_hint",
    "form_token",
    "action",
    "username",
    "password",
    "otp",
    "rel",
    "\u{0}",
    "client_id ",
];

/// Values that some check takes, or nearly.
const VALUES: &[&str] = &[
    "",
    CLIENT,
    "app",
    "nobody",
    REDIRECT,
    "https://rp.example/cb",
    "https://evil.example/",
    "javascript:alert(1)",
    "code",
    "token",
    "id_token",
    "code id_token token",
    "none",
    "query",
    "fragment",
    "form_post",
    "jwt",
    "query.jwt",
    "openid",
    "openid profile offline_access",
    "api",
    "login",
    "consent",
    "none login",
    "select_account",
    "create",
    "0",
    "-1",
    "18446744073709551616",
    "1e3",
    "S256",
    "plain",
    "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
    "authorization_code",
    "refresh_token",
    "client_credentials",
    "urn:ietf:params:oauth:grant-type:token-exchange",
    "urn:ietf:params:oauth:grant-type:jwt-bearer",
    "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    "urn:ietf:params:oauth:token-type:access_token",
    "urn:ietf:params:oauth:request_uri:",
    "https://api.example/",
    "{}",
    "[]",
    "{\"userinfo\":{\"name\":null},\"id_token\":{\"acr\":{\"essential\":true,\"values\":[1]}}}",
    "[{\"type\":\"x\"}]",
    "null",
    "e30.e30.",
    "eyJhbGciOiJub25lIn0.e30.",
    "eyJhbGciOiJSUzI1NiJ9.e30.AAAA",
    "eyJhbGciOiJkaXIiLCJlbmMiOiJBMTI4R0NNIn0....",
    "....",
    "a.b.c.d.e",
    "de en",
    "page",
    "acct:alice@op.example",
    "%00",
    "\r\nset-cookie: a=b",
    "<script>",
    "\u{202e}",
    "\u{10ffff}",
    "../../etc/passwd",
    "' or 1=1 --",
];

const HEADERS: &[&str] =
    &["authorization", "dpop", "cookie", "origin", "content-type", "accept", "x-forwarded-host"];

const HEADER_VALUES: &[&str] = &[
    "",
    "Basic",
    "Basic Og==",
    "Basic d2ViOg",
    "Basic !!!",
    "Bearer",
    "Bearer x",
    "bearer a.b.c",
    "DPoP x",
    "DPoP",
    "__Host-oidcop_session=",
    "__Host-oidcop_session=a.b; __Host-oidcop_session=c.d",
    "__Host-oidcop_browser=x; ;=;",
    "null",
    "https://evil.example",
    "application/json",
    "application/x-www-form-urlencoded",
    "text/plain",
    "application/token-introspection+jwt",
    "eyJ0eXAiOiJkcG9wK2p3dCJ9.e30.AA",
    "evil.example",
];

fn word(words: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop_oneof![8 => select(words).prop_map(str::to_owned), 1 => ".{0,40}", 1 => "[ -~]{200,300}"]
}

fn pairs() -> impl Strategy<Value = Vec<(String, String)>> {
    let noise = vec((word(NAMES), word(VALUES)), 0..8);
    // Half of them begin as a proper request does, so that they get further.
    let proper =
        [("client_id", CLIENT), ("redirect_uri", REDIRECT), ("response_type", "code"), ("scope", "openid")];
    let proper: Vec<_> =
        proper.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    (any::<bool>(), noise).prop_map(move |(begun, noise)| {
        let named = |name: &String| noise.iter().any(|(known, _)| known == name);
        let begin = proper.iter().filter(|(name, _)| begun && !named(name)).cloned();
        begin.chain(noise.iter().cloned()).collect()
    })
}

fn headers() -> impl Strategy<Value = Vec<(String, String)>> {
    vec((select(HEADERS).prop_map(str::to_owned), word(HEADER_VALUES)), 0..3)
}

/// As many values of a strategy as a run has soups, the same in each run.
fn soups<T>(strategy: impl Strategy<Value = T>) -> impl Iterator<Item = T> {
    let mut runner = TestRunner::deterministic();
    (0..SOUPS).map(move |_| strategy.new_tree(&mut runner).unwrap().current())
}

fn encoded(pairs: &[(String, String)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// Sends it, if it is a request at all: what `http` cannot hold never gets here.
async fn ask(
    op: &Op,
    method: &str,
    path: &str,
    headers: &[(String, String)],
    body: &str,
) -> Option<Response<Bytes>> {
    let fits = |(name, value): &&(String, String)| {
        http::HeaderValue::from_str(value).is_ok() && (name != "content-type" || !value.is_empty())
    };
    let headers: Vec<_> =
        headers.iter().filter(fits).map(|(name, value)| (name.as_str(), value.as_str())).collect();
    path.parse::<http::Uri>().ok()?;
    Some(exchange(op, method, path, &headers, Bytes::from(body.to_owned())).await)
}

#[track_caller]
fn is_civil(response: &Response<Bytes>, asked: &dyn std::fmt::Debug) {
    let status = response.status();
    let failed = status.is_server_error() && status != StatusCode::SERVICE_UNAVAILABLE;
    assert!(!failed, "{status} for {asked:?}");
    let to = header(response, "location");
    let known = to.is_empty() || to.starts_with('/') || to.starts_with("https://rp.example/");
    assert!(known, "sent to {to} for {asked:?}");
    let text = String::from_utf8_lossy(response.body());
    assert!(!text.contains("panicked") && !text.contains("<script>alert"), "{text}");
    // A HEAD has no body.
    if status.is_client_error()
        && !response.body().is_empty()
        && header(response, "content-type") == "application/json"
    {
        let error = serde_json::from_slice::<serde_json::Value>(response.body()).unwrap();
        assert!(error["error"].is_string(), "{error} for {asked:?}");
    }
}

#[tokio::test]
async fn whatever_is_sent_to_any_endpoint_gets_an_answer_a_specification_names() {
    let op = walk::op("{}").await;
    for endpoint in ENDPOINTS {
        let path = serve::paths(&op, *endpoint).into_iter().next().unwrap();
        for (at, soup) in soups((pairs(), headers(), select(&["", "/", "/x", "/..", "//"][..]))).enumerate() {
            let (pairs, headers, rest) = &soup;
            let text = encoded(pairs);
            let form = ("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned());
            let mut headers = headers.clone();
            let (method, path, body) = match at % 3 {
                0 => ("GET", format!("{path}{rest}?{text}"), String::new()),
                1 => {
                    headers.push(form);
                    ("POST", path.clone(), text)
                }
                _ => (["PUT", "DELETE", "OPTIONS", "HEAD", "POST"][at % 5], format!("{path}{rest}"), text),
            };
            if let Some(response) = ask(&op, method, &path, &headers, &body).await {
                is_civil(&response, &(method, path, headers, soup));
            }
        }
    }
}

#[tokio::test]
async fn whatever_is_registered_is_taken_or_refused_as_rfc_7591_says() {
    let op = walk::op("throttle: { registrations: 1000000 }").await;
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        word(VALUES).prop_map(Into::into),
        vec(word(VALUES), 0..3).prop_map(Into::into),
        Just(serde_json::json!({"keys": [{"kty": "RSA", "n": "AQAB", "e": "AQAB"}]})),
    ];
    let members = select(
        &[
            "redirect_uris",
            "response_types",
            "grant_types",
            "token_endpoint_auth_method",
            "application_type",
            "jwks",
            "jwks_uri",
            "scope",
            "subject_type",
            "contacts",
            "default_max_age",
            "require_auth_time",
            "client_name#de",
            "logo_uri",
            "id_token_signed_response_alg",
            "id_token_encrypted_response_alg",
            "request_uris",
            "backchannel_logout_uri",
            "frontchannel_logout_uri",
            "software_statement",
            "tls_client_auth_subject_dn",
            "authorization_details_types",
            "post_logout_redirect_uris",
            "userinfo_signed_response_alg",
            "unknown",
        ][..],
    );
    let path = "/oidcop/registration";
    for soup in soups((vec((members, leaf), 0..6), any::<bool>())) {
        let (members, proper) = &soup;
        let mut document = serde_json::Map::new();
        if *proper {
            document.insert("redirect_uris".into(), serde_json::json!(["https://rp.example/cb"]));
        }
        document.extend(members.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        let json = [("content-type".to_owned(), "application/json".to_owned())];
        let text = serde_json::Value::Object(document).to_string();
        let response = ask(&op, "POST", path, &json, &text).await.unwrap();
        assert!([201, 400].contains(&response.status().as_u16()), "{} for {text}", response.status());
        is_civil(&response, &text);
    }
    assert_eq!(op.now(), START, "no time has passed");
}
