//! The metadata advertises exactly what works: every member has a use here, and every value of it is used. A member that is
//! added without one fails.

use crate::core;
use crate::ground::{ALICE, Browser, Ground, TOMAS, Variant, json};
use crate::logout;
use crate::party::{CHALLENGE, NONCE, Party, REDIRECT, STATE, VERIFIER};
use crate::sealing;
use bytes::Bytes;
use http::StatusCode;
use serde_json::{Map, Value, json};

const CODE: Variant = Variant::of("code");

pub async fn every_advertised_value_is_used() {
    let metadata = Ground::new(CODE).await.metadata().await;
    let Value::Object(metadata) = metadata else { panic!("no object") };
    for (member, value) in &metadata {
        let endpoint = ["_endpoint", "_uri", "_iframe"].iter().any(|end| member.ends_with(end));
        match member.as_str() {
            "issuer" => {}
            _ if endpoint => answers(value).await,
            "response_types_supported" => response_types(value).await,
            "response_modes_supported" => sealing::response_modes(value).await,
            "grant_types_supported" => grant_types(value).await,
            "subject_types_supported" => subject_types(value).await,
            "scopes_supported" => scopes(value).await,
            "claims_supported" => claims(value).await,
            "claim_types_supported" => assert_eq!(*value, json!(["normal"])),
            "prompt_values_supported" => prompts(value).await,
            "acr_values_supported" => classes(value).await,
            "display_values_supported" => with_each("display", value).await,
            "ui_locales_supported" => locales(value).await,
            "code_challenge_methods_supported" => {
                assert_eq!(*value, json!(["S256"]));
                core::ensure_request_with_valid_pkce_succeeds(&Ground::new(CODE).await).await;
            }
            "claims_parameter_supported" => {
                when(value, core::claims_essential(&Ground::new(CODE).await)).await
            }
            "request_parameter_supported" => {
                let module = core::unsigned_request_object_supported_correctly_or_rejected_as_unsupported;
                when(value, module(&Ground::new(CODE).await)).await;
            }
            "request_uri_parameter_supported" => {
                let module = core::request_uri_unsigned_supported_correctly_or_rejected_as_unsupported;
                when(value, module(&Ground::new(CODE).await)).await;
            }
            "require_request_uri_registration" => when(value, unregistered_request_uri()).await,
            // Not required: the other tests push nothing and sign nothing.
            "require_pushed_authorization_requests" | "require_signed_request_object" => {
                assert_eq!(*value, false);
            }
            // Every flow checks it.
            "authorization_response_iss_parameter_supported" => assert_eq!(*value, true),
            "frontchannel_logout_supported" | "frontchannel_logout_session_supported" => {
                when(value, logout::frontchannel_rp_initiated_logout(&Ground::new(CODE).await)).await;
            }
            "backchannel_logout_supported" | "backchannel_logout_session_supported" => {
                when(value, logout::backchannel_rp_initiated_logout(&Ground::new(CODE).await)).await;
            }
            "tls_client_certificate_bound_access_tokens" => {
                assert_eq!(*value, false, "no listener for it here")
            }
            "dpop_signing_alg_values_supported" => sealing::dpop(value).await,
            _ if member.ends_with("_auth_methods_supported") => methods(member, value).await,
            _ if member.ends_with("_auth_signing_alg_values_supported") => sealing::assertions(value).await,
            _ if member.ends_with("_signing_alg_values_supported") => sealing::signed(member, value).await,
            _ if member.ends_with("_encryption_alg_values_supported") => {
                let encs = &metadata[&member.replace("_alg_", "_enc_")];
                sealing::encrypted(member, value, encs).await;
            }
            // With the algorithms.
            _ if member.ends_with("_encryption_enc_values_supported") => {}
            _ => panic!("nobody uses {member}: {value}"),
        }
    }
}

/// The texts of a list without duplicates.
pub fn each(list: &Value) -> Vec<&str> {
    let all: Vec<_> = list.as_array().unwrap().iter().map(|value| value.as_str().unwrap()).collect();
    assert!(!all.is_empty());
    let distinct: std::collections::BTreeSet<_> = all.iter().collect();
    assert_eq!(distinct.len(), all.len(), "{all:?}");
    all
}

async fn when(value: &Value, works: impl Future<Output = ()>) {
    assert_eq!(*value, true);
    works.await;
}

async fn answers(url: &Value) {
    let ground = Ground::new(CODE).await;
    let response = ground.send("GET", url.as_str().unwrap(), &[], Bytes::new()).await;
    assert_ne!(response.status(), StatusCode::NOT_FOUND, "{url}");
}

async fn response_types(value: &Value) {
    for kind in each(value) {
        let ground = Ground::new(Variant::of(kind.to_owned().leak())).await;
        let party = Party::register(&ground).await;
        let mut browser = Browser::new(&ground);
        let sight = party.ask(&mut browser, &[]).await;
        let arrived = browser.onward(sight, ALICE).await;
        if kind == "none" {
            assert_eq!((arrived.get("state"), arrived.get("error")), (Some(STATE), None), "{arrived:?}");
            assert!(["code", "access_token", "id_token"].iter().all(|part| arrived.get(part).is_none()));
        } else {
            party.gain(arrived, &[]).await;
        }
    }
}

async fn grant_types(value: &Value) {
    for grant in each(value) {
        let ground =
            Ground::new(if grant == "implicit" { Variant::of("id_token token") } else { CODE }).await;
        match grant {
            "authorization_code" | "implicit" => core::server(&ground).await,
            "refresh_token" => core::refresh_token(&ground).await,
            "client_credentials" => {
                let grants = json!({"grant_types": [grant], "response_types": [], "redirect_uris": []});
                let party = Party::register_with(&ground, grants).await;
                let answer = party.token(&[("grant_type", grant)]).await;
                assert_eq!(answer.status(), StatusCode::OK, "{:?}", answer.body());
            }
            other => panic!("nobody uses the grant type {other}"),
        }
    }
}

async fn subject_types(value: &Value) {
    let ground = Ground::new(CODE).await;
    let mut subjects = std::collections::BTreeSet::new();
    for kind in each(value) {
        let party = Party::register_with(&ground, json!({"subject_type": kind})).await;
        let gained = party.flow(&mut Browser::new(&ground), &[]).await;
        subjects.insert(gained.claims["sub"].to_string());
    }
    assert_eq!(subjects.len(), each(value).len());
}

async fn scopes(value: &Value) {
    let ground = Ground::new(CODE).await;
    let party = Party::register(&ground).await;
    let scope = each(value).join(" ");
    let changes = [("scope", scope.as_str()), ("prompt", "consent")];
    let gained = party.flow(&mut Browser::new(&ground), &changes).await;
    assert_eq!(gained.token.unwrap()["scope"], scope);
}

/// Each claim, asked for by name, is told where it belongs.
async fn claims(value: &Value) {
    let ground = Ground::new(CODE).await;
    let party = Party::register(&ground).await;
    let names: Map<_, _> = each(value).iter().map(|name| ((*name).to_owned(), Value::Null)).collect();
    let asked = json!({"userinfo": names, "id_token": names}).to_string();
    let gained = party.flow(&mut Browser::new(&ground), &[("claims", &asked)]).await;
    let userinfo = party.userinfo(gained.access.as_deref().unwrap()).await;
    for name in each(value) {
        assert!(gained.claims.contains_key(name) || userinfo.get(name).is_some(), "{name}");
    }
}

async fn prompts(value: &Value) {
    for prompt in each(value) {
        let ground = Ground::new(CODE).await;
        let party = Party::register(&ground).await;
        let mut browser = Browser::new(&ground);
        if prompt == "none" {
            core::prompt_none_logged_in(&ground).await;
            continue;
        }
        party.flow(&mut browser, &[]).await;
        let page = party.ask(&mut browser, &[("prompt", prompt)]).await.page();
        let shows = match prompt {
            "login" => "sign-in",
            "consent" => "allow",
            "select_account" => "another",
            "create" => "create",
            other => panic!("nobody uses prompt={other}"),
        };
        assert!(page.has(shows), "{prompt}: {page:?}");
    }
}

/// A person who has what the class needs is given it.
async fn classes(value: &Value) {
    for class in each(value) {
        let ground = Ground::new(CODE).await;
        let party = Party::register(&ground).await;
        let gained = party.flow(&mut Browser::new(&ground), &[("acr_values", class)]).await;
        assert_eq!(gained.claims["acr"], class);
    }
}

async fn with_each(parameter: &str, value: &Value) {
    let ground = Ground::new(CODE).await;
    let party = Party::register(&ground).await;
    for value in each(value) {
        party.flow(&mut Browser::new(&ground), &[(parameter, value)]).await;
    }
}

async fn locales(value: &Value) {
    let ground = Ground::new(CODE).await;
    let party = Party::register(&ground).await;
    for locale in each(value) {
        let page = party.ask(&mut Browser::new(&ground), &[("ui_locales", locale)]).await.page();
        assert!(page.html.contains(&format!("<html lang=\"{locale}\"")), "{locale}: {page:?}");
    }
}

async fn unregistered_request_uri() {
    let ground = Ground::new(CODE).await;
    let party = Party::register(&ground).await;
    ground.sites.publish("https://rp.example/other.jwt", Party::unsigned(&party.object(&[])));
    let changes = [("request_uri", "https://rp.example/other.jwt")];
    let sight = party.ask(&mut Browser::new(&ground), &changes).await;
    match sight {
        crate::ground::Sight::Page(page) => page.refuses(),
        crate::ground::Sight::Arrived(arrived) => assert_eq!(arrived.error(), "invalid_request_uri"),
    }
}

/// Every method at the endpoint that the member is about.
async fn methods(member: &str, value: &Value) {
    for method in each(value) {
        let variant = Variant { auth: method.to_owned().leak(), ..CODE };
        let ground = Ground::new(variant).await;
        let more = match method {
            "client_secret_jwt" => json!({"token_endpoint_auth_signing_alg": "HS256"}),
            "none" => json!({"response_types": ["code"]}),
            _ => json!({}),
        };
        let party = Party::register_with(&ground, more).await;
        let pkce = [("code_challenge", CHALLENGE), ("code_challenge_method", "S256")];
        let mut browser = Browser::new(&ground);
        let sight = party.ask(&mut browser, &pkce).await;
        let code = browser.onward(sight, TOMAS).await.get("code").unwrap().to_owned();
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code.as_str()),
            ("redirect_uri", REDIRECT),
            ("code_verifier", VERIFIER),
        ];
        let answer = party.token(&fields).await;
        assert_eq!(answer.status(), StatusCode::OK, "{method}: {:?}", answer.body());
        let body = json(&answer);
        party.check_id_token(body["id_token"].as_str().unwrap(), NONCE).await;
        let endpoint = member.trim_end_matches("_auth_methods_supported");
        if endpoint != "token_endpoint" {
            let endpoint = party.endpoint(endpoint).await;
            let token = [("token", body["access_token"].as_str().unwrap())];
            let response = party.call_by(&endpoint, &token, &party.assertion(&[])).await;
            assert!(response.status().is_success(), "{method}: {:?}", response.body());
        }
    }
}
