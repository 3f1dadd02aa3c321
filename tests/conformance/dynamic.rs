//! Modules of the plans config, dynamic and third-party-initiated login.

use crate::core::{header_of, refreshed, with_object};
use crate::ground::{ALICE, Browser, Ground, json};
use crate::party::{NONCE, Party, REDIRECT, key_set, rp_key};
use bytes::Bytes;
use http::StatusCode;
use oidcop_proxy::jose::{Algorithm, Audience, Expiry, JwkSet, KeySource, Rules, verify};
use oidcop_proxy::op::Command;
use serde_json::{Value, json};
use std::collections::BTreeSet;

pub async fn discovery_endpoint_verification(ground: &Ground) {
    let metadata = ground.metadata().await;
    assert_eq!(metadata["issuer"], ground.issuer());
    assert!(!ground.issuer().contains(['?', '#']));
    let has = |member: &str, value: &str| {
        let list = metadata[member].as_array().unwrap_or_else(|| panic!("{member} is no list"));
        assert!(list.iter().any(|known| known == value), "{member} lacks {value}");
    };
    // OpenID Connect Core §15.2 for a provider with dynamic registration.
    for kind in ["code", "id_token", "token id_token"] {
        let either = ["response_types_supported"].iter().any(|member| {
            let words = |text: &str| text.split(' ').map(str::to_owned).collect::<BTreeSet<_>>();
            let list = metadata[*member].as_array().unwrap();
            list.iter().any(|known| words(known.as_str().unwrap()) == words(kind))
        });
        assert!(either, "{kind}");
    }
    for (member, value) in [
        ("grant_types_supported", "authorization_code"),
        ("grant_types_supported", "implicit"),
        ("subject_types_supported", "public"),
        ("subject_types_supported", "pairwise"),
        ("id_token_signing_alg_values_supported", "RS256"),
        ("userinfo_signing_alg_values_supported", "RS256"),
        ("request_object_signing_alg_values_supported", "RS256"),
        ("request_object_signing_alg_values_supported", "none"),
        ("scopes_supported", "openid"),
        ("claims_supported", "sub"),
        ("code_challenge_methods_supported", "S256"),
    ] {
        has(member, value);
    }
    for member in
        ["request_parameter_supported", "request_uri_parameter_supported", "claims_parameter_supported"]
    {
        assert_eq!(metadata[member], true, "{member}");
    }
    let endpoints = metadata.as_object().unwrap().iter();
    let endpoints: Vec<_> =
        endpoints.filter(|(name, _)| name.ends_with("_endpoint") || name.ends_with("_uri")).collect();
    for needed in
        ["authorization_endpoint", "token_endpoint", "userinfo_endpoint", "registration_endpoint", "jwks_uri"]
    {
        assert!(metadata[needed].is_string(), "{needed}");
    }
    for (name, value) in endpoints {
        assert!(value.as_str().unwrap().starts_with("https://"), "{name}");
    }
    let keys = ground.send("GET", metadata["jwks_uri"].as_str().unwrap(), &[], Bytes::new()).await;
    check_keys(&json(&keys));
}

/// Keys with distinct names, and nothing private or symmetric among them (§10.1).
fn check_keys(keys: &Value) {
    let keys = keys["keys"].as_array().unwrap();
    let names: BTreeSet<_> = keys.iter().map(|key| key["kid"].as_str().unwrap()).collect();
    assert_eq!(names.len(), keys.len());
    for key in keys {
        assert_ne!(key["kty"], "oct");
        for private in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
            assert!(key.get(private).is_none(), "{private}");
        }
    }
}

pub async fn idtoken_rs256(ground: &Ground) {
    let party = Party::register_with(ground, json!({"id_token_signed_response_alg": "RS256"})).await;
    let gained = party.flow(&mut Browser::new(ground), &[]).await;
    assert_eq!(header_of(&gained.id_token)["alg"], "RS256");
}

pub async fn userinfo_rs256(ground: &Ground) {
    let party = Party::register_with(ground, json!({"userinfo_signed_response_alg": "RS256"})).await;
    assert_eq!(party.registered["userinfo_signed_response_alg"], "RS256");
    let gained = party.flow(&mut Browser::new(ground), &[]).await;
    let bearer = format!("Bearer {}", gained.access.unwrap());
    let endpoint = party.endpoint("userinfo_endpoint").await;
    let response = ground.send("GET", &endpoint, &[("authorization", &bearer)], Bytes::new()).await;
    assert_eq!(response.headers()["content-type"], "application/jwt");
    let keys = JwkSet::from_value(&party.keys().await).unwrap();
    let issuer = ground.issuer();
    let rules = Rules {
        issuer: Some(&issuer),
        audience: Audience::Includes(&[&party.id]),
        required: &["sub"],
        expiry: Expiry::IfPresent,
        ..Rules::new(&[Algorithm::RS256], ground.clock.now())
    };
    let token = std::str::from_utf8(response.body()).unwrap();
    let said = verify(token, &KeySource::Set(&keys), &rules).unwrap();
    assert_eq!(said.claims["sub"], gained.claims["sub"]);
    assert!(!said.claims.contains_key("nonce"));
}

pub async fn ensure_redirect_uri_in_authorization_request(ground: &Ground) {
    let party = Party::register(ground).await;
    party.ask(&mut Browser::new(ground), &[("redirect_uri", "")]).await.page().refuses();
}

pub async fn redirect_uri_query_ok(ground: &Ground) {
    let uri = format!("{REDIRECT}?foo=bar");
    let party = Party::register_with(ground, json!({"redirect_uris": [uri]})).await;
    let mut browser = Browser::new(ground);
    let sight = party.ask(&mut browser, &[("redirect_uri", &uri)]).await;
    let arrived = browser.onward(sight, ALICE).await;
    // In the query mode the parameters follow the URI's own.
    let kept = arrived.address.contains("foo=bar") || arrived.get("foo") == Some("bar");
    assert!(kept && arrived.get("error").is_none(), "{arrived:?}");
}

pub async fn redirect_uri_query_mismatch(ground: &Ground) {
    let registered = format!("{REDIRECT}?foo=bar");
    let party = Party::register_with(ground, json!({"redirect_uris": [registered]})).await;
    let other = format!("{REDIRECT}?foo=baz");
    party.ask(&mut Browser::new(ground), &[("redirect_uri", &other)]).await.page().refuses();
}

pub async fn redirect_uri_query_added(ground: &Ground) {
    let party = Party::register(ground).await;
    let more = format!("{REDIRECT}?foo=bar");
    party.ask(&mut Browser::new(ground), &[("redirect_uri", &more)]).await.page().refuses();
}

pub async fn redirect_uri_regfrag(ground: &Ground) {
    let uri = format!("{REDIRECT}#foobar");
    let refused = Party::try_register(ground, json!({"redirect_uris": [uri]})).await;
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    assert_eq!(json(&refused)["error"], "invalid_redirect_uri");
}

pub async fn registration_logo_uri(ground: &Ground) {
    shown(ground, "logo_uri", "https://rp.example/logo.png").await;
}
pub async fn registration_policy_uri(ground: &Ground) {
    shown(ground, "policy_uri", "https://rp.example/policy").await;
}
pub async fn registration_tos_uri(ground: &Ground) {
    shown(ground, "tos_uri", "https://rp.example/terms").await;
}

/// What the client registered is on the sign-in page, and the page may show it.
async fn shown(ground: &Ground, member: &str, uri: &str) {
    let party = Party::register_with(ground, json!({member: uri})).await;
    let page = party.ask(&mut Browser::new(ground), &[]).await.page();
    assert!(page.has("sign-in") && page.html.replace("&#x2f;", "/").contains(uri), "{page:?}");
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(member != "logo_uri" || policy.contains("https://rp.example"), "{policy}");
}

pub async fn registration_jwks_uri(ground: &Ground) {
    let uri = "https://rp.example/jwks";
    ground.sites.publish(uri, key_set(&rp_key(0)).to_string());
    let party = Party::register_with(ground, json!({"jwks": null, "jwks_uri": uri})).await;
    assert_eq!(party.registered["jwks_uri"], uri);
    party.flow(&mut Browser::new(ground), &[]).await;
}

pub async fn registration_sector_uri(ground: &Ground) {
    let uri = "https://rp.example/sector.json";
    ground.sites.publish(uri, json!([REDIRECT]).to_string());
    let members = json!({"subject_type": "pairwise", "sector_identifier_uri": uri});
    let party = Party::register_with(ground, members).await;
    party.flow(&mut Browser::new(ground), &[]).await;
}

pub async fn registration_sector_bad(ground: &Ground) {
    let uri = "https://rp.example/sector.json";
    ground.sites.publish(uri, json!(["https://elsewhere.example/cb"]).to_string());
    let refused = Party::try_register(ground, json!({"sector_identifier_uri": uri})).await;
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    assert_eq!(json(&refused)["error"], "invalid_client_metadata");
}

pub async fn server_rotate_keys(ground: &Ground) {
    let party = Party::register(ground).await;
    let before = party.keys().await;
    let old = party.flow(&mut Browser::new(ground), &[]).await;
    let rotate = serde_json::from_value::<Command>(json!({"command": "key-rotate"}));
    ground.op.administer(rotate.unwrap()).await.unwrap();
    let after = party.keys().await;
    check_keys(&after);
    // Of the keys to encrypt to only the present one is wanted there.
    let names = |keys: &Value| {
        let keys = keys["keys"].as_array().unwrap().iter().filter(|key| key["use"] == "sig");
        keys.map(|key| key["kid"].as_str().unwrap().to_owned()).collect::<BTreeSet<_>>()
    };
    assert!(names(&after).is_superset(&names(&before)), "the old keys are still there");
    assert!(names(&after).len() > names(&before).len(), "new ones are, too");
    // Beyond what the module looks at: the old token is still good, and new ones are signed with the new key.
    party.check_id_token(&old.id_token, NONCE).await;
    let new = party.flow(&mut Browser::new(ground), &[]).await;
    assert_ne!(header_of(&new.id_token)["kid"], header_of(&old.id_token)["kid"]);
}

pub async fn refresh_token_rp_key_rotation(ground: &Ground) {
    let uri = "https://rp.example/jwks";
    ground.sites.publish(uri, key_set(&rp_key(0)).to_string());
    let mut party = Party::register_with(ground, json!({"jwks": null, "jwks_uri": uri})).await;
    let changes = [("scope", "openid offline_access"), ("prompt", "consent")];
    let gained = party.flow(&mut Browser::new(ground), &changes).await;
    let refresh = gained.token.unwrap()["refresh_token"].as_str().unwrap().to_owned();
    ground.sites.publish(uri, key_set(&rp_key(1)).to_string());
    ground.wait(60);
    party.key = rp_key(1);
    let body = refreshed(&party, &refresh).await;
    assert!(party.userinfo(body["access_token"].as_str().unwrap()).await["sub"].is_string());
}

pub async fn request_uri_unsigned(ground: &Ground) {
    let uri = "https://rp.example/request.jwt";
    let members = json!({"request_uris": [uri], "request_object_signing_alg": "none"});
    let party = Party::register_with(ground, members).await;
    ground.sites.publish(uri, Party::unsigned(&party.object(&[])));
    with_object(&party, &[("request_uri", uri), ("state", "outside"), ("nonce", "outside")]).await;
}

pub async fn request_uri_signed_rs256(ground: &Ground) {
    let uri = "https://rp.example/request.jwt";
    let members = json!({"request_uris": [uri], "request_object_signing_alg": "RS256"});
    let party = Party::register_with(ground, members).await;
    let object = party.object(&[]).to_string();
    ground.sites.publish(uri, party.key.sign("oauth-authz-req+jwt", object.as_bytes()).unwrap());
    with_object(&party, &[("request_uri", uri), ("state", "outside"), ("nonce", "outside")]).await;
}

pub async fn ensure_client_assertion_with_iss_aud_succeeds(ground: &Ground) {
    let party = Party::register(ground).await;
    let mut browser = Browser::new(ground);
    let sight = party.ask(&mut browser, &[]).await;
    let arrived = browser.onward(sight, ALICE).await;
    let code = arrived.get("code").unwrap();
    let fields = [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", REDIRECT)];
    let assertion = party.assertion(&[("aud", json!(ground.issuer()))]);
    assert_eq!(party.token_by(&fields, &assertion).await.status(), StatusCode::OK);
}

pub async fn third_party_init_login(ground: &Ground) {
    let uri = "https://rp.example/start";
    let party = Party::register_with(ground, json!({"initiate_login_uri": uri})).await;
    assert_eq!(party.registered["initiate_login_uri"], uri);
    let read = party.registered["registration_client_uri"].as_str().unwrap();
    let bearer = format!("Bearer {}", party.registered["registration_access_token"].as_str().unwrap());
    let response = ground.send("GET", read, &[("authorization", &bearer)], Bytes::new()).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(json(&response)["initiate_login_uri"], uri);
}

pub async fn third_party_init_login_nohttps(ground: &Ground) {
    let refused = Party::try_register(ground, json!({"initiate_login_uri": "http://rp.example/start"})).await;
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    assert_eq!(json(&refused)["error"], "invalid_client_metadata");
}
