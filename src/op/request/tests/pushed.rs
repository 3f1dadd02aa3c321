//! Tests of pushed authorization requests (RFC 9126).

use crate::jose::{Algorithm, SigningKey};
use crate::op::fixture::{body, form, header, send};
use crate::op::token::fixture::{self as tokens, error, post, text};
use crate::op::walk::{self, ALICE, CHALLENGE, REDIRECT, Walk};
use serde_json::json;
use std::time::Duration;

const PAR: &str = "/oidcop/par";
const RP: &str = "rp";

/// A browser, and a client that holds a secret.
async fn world(extra: &str) -> Walk {
    let walk = Walk::at(walk::op(extra).await);
    tokens::client(&walk.op, RP, |client| {
        client.metadata.redirect_uris = vec![REDIRECT.into()];
        client.metadata.response_types = vec!["code".into()];
    })
    .await;
    walk
}

const ASKED: [(&str, &str); 5] = [
    ("response_type", "code"),
    ("redirect_uri", REDIRECT),
    ("scope", "openid profile"),
    ("state", "pushed"),
    ("nonce", "n-1"),
];

async fn push(walk: &Walk, more: &[(&str, &str)]) -> String {
    let mut all: Vec<(&str, &str)> =
        ASKED.into_iter().filter(|(name, _)| !more.iter().any(|(known, _)| known == name)).collect();
    all.extend(more);
    let response = post(&walk.op, PAR, RP, &all).await;
    let answer = body(&response);
    assert_eq!((response.status().as_u16(), &answer["expires_in"]), (201, &json!(90)), "{answer}");
    assert_eq!(header(&response, "cache-control"), "no-store");
    text(&answer, "request_uri").to_owned()
}

fn begin(client_id: &str, uri: &str) -> String {
    let pairs = [("client_id", client_id), ("request_uri", uri)];
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    format!("/oidcop/authorization?{query}")
}

#[tokio::test]
async fn a_pushed_request_is_answered_once_and_a_reload_before_that_works() {
    let mut walk = world("{}").await;
    let uri = push(&walk, &[]).await;
    let handle = uri.strip_prefix("urn:ietf:params:oauth:request_uri:").unwrap();
    assert_eq!(handle.len(), 43);
    assert!(walk.open(&begin(RP, &uri)).await.has("sign-in"));
    let login = walk.open(&begin(RP, &uri)).await;
    let other_tab = walk.open(&begin(RP, &uri)).await;
    let consent = walk.sign_in(&login, ALICE).await;
    let got = walk.allow(&consent).await.answer();
    assert!(got.has_code());
    assert_eq!(got.get("state"), "pushed");
    // RFC 9126 §7.3: once, also for who began before it was used.
    let late = walk.open(&other_tab.path).await.answer();
    assert_eq!((late.error(), late.get("state")), ("invalid_request_uri", "pushed"));
    assert!(walk.open(&begin(RP, &uri)).await.refuses("was used"));
}

#[tokio::test]
async fn a_no_uses_a_pushed_request_up_too() {
    let mut walk = world("{}").await;
    let uri = push(&walk, &[]).await;
    let login = walk.open(&begin(RP, &uri)).await;
    let consent = walk.sign_in(&login, ALICE).await;
    let got = walk.submit(&consent, &[("action", "deny")]).await.answer();
    assert_eq!(got.error(), "access_denied");
    assert!(walk.open(&begin(RP, &uri)).await.refuses("was used"));
}

#[tokio::test]
async fn a_pushed_request_is_its_clients_and_expires() {
    let mut walk = world("{}").await;
    let uri = push(&walk, &[]).await;
    assert!(walk.open(&begin("web", &uri)).await.refuses("has expired, was used, or"));
    for odd in ["", "x", &"x".repeat(3_000), "urn:ietf:params:oauth:request_uri:", &uri[..uri.len() - 1]] {
        assert!(!walk.open(&begin(RP, odd)).await.has("sign-in"), "{odd}");
    }
    let login = walk.open(&begin(RP, &uri)).await;
    walk.op.shared.kit.clock.advance(Duration::from_secs(90));
    assert!(walk.open(&begin(RP, &uri)).await.refuses("has expired"));
    // What was begun in time may take its time.
    walk.op.shared.kit.clock.advance(Duration::from_secs(1_500));
    let consent = walk.sign_in(&login, ALICE).await;
    assert!(walk.allow(&consent).await.answer().has_code());
}

/// RFC 9126 §4: nothing beside the reference counts.
#[tokio::test]
async fn what_stands_beside_the_reference_is_not_looked_at() {
    let mut walk = world("{}").await;
    let uri = push(&walk, &[("prompt", "none")]).await;
    let beside =
        "&state=mine&redirect_uri=https%3A%2F%2Fevil.example%2F&response_mode=fragment&scope=a&prompt=login";
    let got = walk.open(&format!("{}{beside}", begin(RP, &uri))).await.answer();
    assert_eq!((got.error(), got.get("state"), got.in_fragment), ("login_required", "pushed", false));
    assert_eq!(got.address, "https://rp.example/cb");
    let both = walk.open(&format!("{}&request=x.y.z", begin(RP, &uri))).await;
    assert!(both.refuses("both by value and by reference"));
}

#[tokio::test]
async fn what_the_authorization_endpoint_would_refuse_is_refused_as_json() {
    let walk = world("{}").await;
    for (code, status, changes) in [
        ("invalid_request", 400, &[("redirect_uri", "https://evil.example/")][..]),
        ("invalid_request", 400, &[("redirect_uri", "")][..]),
        ("invalid_request", 400, &[("response_type", "")][..]),
        ("unsupported_response_type", 400, &[("response_type", "token")][..]),
        ("unauthorized_client", 400, &[("response_type", "id_token")][..]),
        ("invalid_request", 400, &[("prompt", "none login")][..]),
        ("invalid_request", 400, &[("request_uri", "https://rp.example/r")][..]),
        ("invalid_request", 400, &[("request_uri", "urn:ietf:params:oauth:request_uri:x")][..]),
        ("invalid_request_object", 400, &[("request", "x.y.z")][..]),
        ("invalid_target", 400, &[("resource", "https://unknown.example/")][..]),
        ("invalid_client", 401, &[("client_secret", "wrong")][..]),
    ] {
        let mut all: Vec<(&str, &str)> = vec![("client_id", RP), ("client_secret", tokens::SECRET)];
        all.extend(ASKED);
        for (name, value) in changes {
            all.retain(|(known, _)| known != name);
            all.push((name, value));
        }
        let response = form(&walk.op, PAR, &[], &all).await;
        assert_eq!((error(&response).as_str(), response.status().as_u16()), (code, status), "{changes:?}");
    }
    let bare = form(&walk.op, PAR, &[], &ASKED).await;
    assert_eq!((error(&bare).as_str(), bare.status().as_u16()), ("invalid_client", 401));
    assert_eq!(send(&walk.op, "GET", PAR, &[]).await.status(), 405);
}

/// RFC 9126 §3.
#[tokio::test]
async fn a_request_object_may_be_pushed_and_then_only_what_is_inside_counts() {
    let mut walk = world("{}").await;
    let key = SigningKey::generate(Algorithm::ES256).unwrap();
    tokens::client(&walk.op, RP, |client| {
        client.metadata.redirect_uris = vec![REDIRECT.into()];
        client.metadata.response_types = vec!["code".into()];
        client.metadata.require_signed_request_object = true;
        client.metadata.jwks = Some(json!({"keys": [key.public().to_json()]}));
    })
    .await;
    assert_eq!(error(&post(&walk.op, PAR, RP, &ASKED).await), "invalid_request");
    let claims = json!({
        "iss": RP, "aud": "https://op.example", "client_id": RP, "response_type": "code", "redirect_uri": REDIRECT,
        "scope": "openid", "state": "signed", "prompt": "none",
    });
    let object = key.sign("oauth-authz-req+jwt", claims.to_string().as_bytes()).unwrap();
    let uri = push(&walk, &[("request", &object), ("state", "outside"), ("prompt", "")]).await;
    let got = walk.open(&begin(RP, &uri)).await.answer();
    assert_eq!((got.error(), got.get("state")), ("login_required", "signed"));
    // Another client's object, authenticated as this one.
    let claims = json!({"client_id": "web", "response_type": "code", "redirect_uri": REDIRECT});
    let object = key.sign("JWT", claims.to_string().as_bytes()).unwrap();
    assert_eq!(error(&post(&walk.op, PAR, RP, &[("request", &object)]).await), "invalid_request_object");
}

#[tokio::test]
async fn pushing_can_be_required_of_one_client_or_of_all() {
    for extra in ["{}", "par: { required: true }"] {
        let mut walk = world(extra).await;
        if extra == "{}" {
            tokens::client(&walk.op, RP, |client| {
                client.metadata.redirect_uris = vec![REDIRECT.into()];
                client.metadata.response_types = vec!["code".into()];
                client.metadata.require_pushed_authorization_requests = true;
            })
            .await;
        }
        let plain = walk.open(&walk::request(&[("client_id", RP)])).await.answer();
        assert_eq!(plain.error(), "invalid_request");
        let uri = push(&walk, &[]).await;
        assert!(walk.open(&begin(RP, &uri)).await.has("sign-in"));
        let metadata = body(&send(&walk.op, "GET", "/.well-known/openid-configuration", &[]).await);
        assert_eq!(metadata["pushed_authorization_request_endpoint"], "https://op.example/oidcop/par");
        assert_eq!(metadata["require_pushed_authorization_requests"], extra != "{}");
    }
}

#[tokio::test]
async fn public_clients_push_too_and_one_address_pushes_only_so_much() {
    let walk = world("throttle: { interactions: 2 }").await;
    let mut all =
        vec![("client_id", "app"), ("code_challenge", CHALLENGE), ("code_challenge_method", "S256")];
    all.extend(ASKED);
    for status in [201, 201, 429] {
        let response = form(&walk.op, PAR, &[("origin", "https://app.example")], &all).await;
        assert_eq!(response.status(), status);
        assert_eq!(header(&response, "access-control-allow-origin"), "*");
    }
}
