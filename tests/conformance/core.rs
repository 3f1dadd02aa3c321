//! Modules of the plans basic, implicit, hybrid and their form_post forms. Each is named as its module is, without the
//! `oidcc-` in front, and does what the module says it checks.

use crate::ground::{ALICE, Browser, Ground, TOMAS, json};
use crate::party::{CHALLENGE, Party, REDIRECT, claims_of, moment};
use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::{Value, json};

pub async fn server(ground: &Ground) {
    let party = Party::register(ground).await;
    let gained = party.flow(&mut Browser::new(ground), &[]).await;
    if let Some(access) = &gained.access {
        assert_eq!(party.userinfo(access).await["sub"], gained.claims.get("sub").cloned().unwrap());
    }
}

pub async fn server_client_secret_post(ground: &Ground) {
    assert_eq!(ground.variant.auth, "client_secret_post");
    server(ground).await;
}

pub async fn response_type_missing(ground: &Ground) {
    let party = Party::register(ground).await;
    let error = party.refused(&mut Browser::new(ground), &[("response_type", "")]).await;
    assert!(["invalid_request", "unsupported_response_type"].contains(&error.as_str()), "{error}");
}

pub async fn idtoken_signature(ground: &Ground) {
    // The signature is verified with the published key of its kid, as in every flow; both must be told.
    let party = Party::register(ground).await;
    let gained = party.flow(&mut Browser::new(ground), &[]).await;
    let header = header_of(&gained.id_token);
    assert_eq!(header["alg"], "RS256");
    let keys = party.keys().await;
    let named = keys["keys"].as_array().unwrap().iter().filter(|key| key["kid"] == header["kid"]).count();
    assert_eq!(named, 1, "{keys}");
}

pub async fn idtoken_unsigned(ground: &Ground) {
    // Not offered, so it is not advertised and cannot be registered.
    let offered = ground.metadata().await["id_token_signing_alg_values_supported"].clone();
    assert!(!offered.as_array().unwrap().contains(&json!("none")));
    let refused = Party::try_register(ground, json!({"id_token_signed_response_alg": "none"})).await;
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    assert_eq!(json(&refused)["error"], "invalid_client_metadata");
}

pub async fn userinfo_get(ground: &Ground) {
    server(ground).await;
}

pub async fn userinfo_post_header(ground: &Ground) {
    let (party, access) = with_access_token(ground).await;
    let bearer = format!("Bearer {access}");
    let endpoint = party.endpoint("userinfo_endpoint").await;
    let response = ground.send("POST", &endpoint, &[("authorization", &bearer)], Bytes::new()).await;
    assert!(json(&response)["sub"].is_string());
}

pub async fn userinfo_post_body(ground: &Ground) {
    let (party, access) = with_access_token(ground).await;
    let endpoint = party.endpoint("userinfo_endpoint").await;
    let response = ground.form(&endpoint, &[], &[("access_token", &access)]).await;
    assert!(json(&response)["sub"].is_string());
}

async fn with_access_token(ground: &Ground) -> (Party<'_>, String) {
    let party = Party::register(ground).await;
    let gained = party.flow(&mut Browser::new(ground), &[]).await;
    let access = gained.access.expect("an access token");
    (party, access)
}

pub async fn ensure_request_without_nonce_succeeds_for_code_flow(ground: &Ground) {
    let party = Party::register(ground).await;
    let gained = party.flow(&mut Browser::new(ground), &[("nonce", "")]).await;
    assert!(!gained.claims.contains_key("nonce"));
}

pub async fn ensure_request_without_nonce_fails(ground: &Ground) {
    let party = Party::register(ground).await;
    assert_eq!(party.refused(&mut Browser::new(ground), &[("nonce", "")]).await, "invalid_request");
}

pub async fn scope_profile(ground: &Ground) {
    scopes(ground, &["profile"]).await;
}
pub async fn scope_email(ground: &Ground) {
    scopes(ground, &["email"]).await;
}
pub async fn scope_address(ground: &Ground) {
    scopes(ground, &["address"]).await;
}
pub async fn scope_phone(ground: &Ground) {
    scopes(ground, &["phone"]).await;
}
pub async fn scope_all(ground: &Ground) {
    scopes(ground, &["profile", "email", "address", "phone"]).await;
}

/// Exactly the claims of these scopes, each of its type (§5.1).
async fn scopes(ground: &Ground, scopes: &[&str]) {
    let party = Party::register(ground).await;
    let scope = format!("openid {}", scopes.join(" "));
    let gained = party.flow(&mut Browser::new(ground), &[("scope", &scope)]).await;
    let said = party.said_of_person(&gained).await;
    for known in ["profile", "email", "address", "phone"] {
        for claim in claims_of(known) {
            assert_eq!(said.contains_key(claim), scopes.contains(&known), "{claim} for {scope}: {said:?}");
        }
    }
    let typed = |claim: &str, fits: fn(&Value) -> bool| said.get(claim).is_none_or(fits);
    assert!(typed("address", Value::is_object) && typed("email_verified", Value::is_boolean));
    assert!(typed("phone_number_verified", Value::is_boolean) && typed("updated_at", Value::is_number));
}

pub async fn alternate_happy_flow(ground: &Ground) {
    let party = Party::register(ground).await;
    let endpoint = party.endpoint("authorization_endpoint").await;
    let mut params = party.params(&[("scope", "email openid")]);
    params.reverse();
    let query: String = form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish();
    let mut browser = Browser::new(ground);
    let sight = browser.open(&format!("{endpoint}?{query}")).await;
    let arrived = browser.onward(sight, ALICE).await;
    let gained = party.gain(arrived, &[]).await;
    assert!(party.said_of_person(&gained).await.contains_key("email"));
}

pub async fn display_page(ground: &Ground) {
    with(ground, &[("display", "page")]).await;
}
pub async fn display_popup(ground: &Ground) {
    with(ground, &[("display", "popup")]).await;
}
pub async fn ensure_request_with_unknown_parameter_succeeds(ground: &Ground) {
    with(ground, &[("extra", "foobar")]).await;
}
pub async fn ui_locales(ground: &Ground) {
    with(ground, &[("ui_locales", "se")]).await;
}
pub async fn claims_locales(ground: &Ground) {
    with(ground, &[("claims_locales", "se")]).await;
}
pub async fn ensure_request_with_acr_values_succeeds(ground: &Ground) {
    with(ground, &[("acr_values", "1 2")]).await;
}

async fn with(ground: &Ground, changes: &[(&str, &str)]) {
    let party = Party::register(ground).await;
    party.flow(&mut Browser::new(ground), changes).await;
}

pub async fn login_hint(ground: &Ground) {
    let party = Party::register(ground).await;
    let mut browser = Browser::new(ground);
    let page = party.ask(&mut browser, &[("login_hint", "bob@example.com")]).await.page();
    assert!(page.html.contains("bob@example.com"), "the hint is not in the form");
    party.flow(&mut browser, &[("login_hint", "bob@example.com")]).await;
}

pub async fn prompt_login(ground: &Ground) {
    let party = Party::register(ground).await;
    let mut browser = Browser::new(ground);
    let first = party.flow(&mut browser, &[("max_age", "15000")]).await;
    ground.wait(1);
    let page = party.ask(&mut browser, &[("prompt", "login"), ("max_age", "15000")]).await;
    assert!(matches!(&page, crate::ground::Sight::Page(page) if page.has("sign-in")), "{page:?}");
    let arrived = browser.onward(page, ALICE).await;
    let second = party.gain(arrived, &[]).await;
    assert_eq!(first.claims["sub"], second.claims["sub"]);
    assert!(moment(&second.claims, "auth_time") > moment(&first.claims, "auth_time"), "strictly later");
}

pub async fn prompt_none_not_logged_in(ground: &Ground) {
    let party = Party::register(ground).await;
    let error = party.refused(&mut Browser::new(ground), &[("prompt", "none")]).await;
    assert!(["login_required", "interaction_required"].contains(&error.as_str()), "{error}");
}

pub async fn prompt_none_logged_in(ground: &Ground) {
    let party = Party::register(ground).await;
    let mut browser = Browser::new(ground);
    let first = party.flow(&mut browser, &[("max_age", "15000")]).await;
    let changes = [("prompt", "none"), ("max_age", "15000")];
    let arrived = party.ask(&mut browser, &changes).await.arrived();
    let second = party.gain(arrived, &changes).await;
    assert_eq!(first.claims["sub"], second.claims["sub"]);
    assert_eq!(first.claims["auth_time"], second.claims["auth_time"]);
}

pub async fn id_token_hint(ground: &Ground) {
    let party = Party::register(ground).await;
    let mut browser = Browser::new(ground);
    let first = party.flow(&mut browser, &[]).await;
    let changes = [("prompt", "none"), ("id_token_hint", first.id_token.as_str())];
    let arrived = party.ask(&mut browser, &changes).await.arrived();
    let second = party.gain(arrived, &changes).await;
    assert_eq!(first.claims["sub"], second.claims["sub"]);
    // And a hint that names somebody else: never the wrong person's tokens.
    let mut elsewhere = Browser::new(ground);
    let sight = party.ask(&mut elsewhere, &[]).await;
    elsewhere.onward(sight, TOMAS).await;
    let error = party.refused(&mut elsewhere, &changes).await;
    assert_eq!(error, "login_required");
}

pub async fn max_age_1(ground: &Ground) {
    let party = Party::register(ground).await;
    let mut browser = Browser::new(ground);
    let first = party.flow(&mut browser, &[("max_age", "1")]).await;
    ground.wait(2);
    let page = party.ask(&mut browser, &[("max_age", "1")]).await.page();
    assert!(page.has("sign-in"), "{page:?}");
    assert_eq!(party.refused(&mut browser, &[("max_age", "1"), ("prompt", "none")]).await, "login_required");
    let second = party.flow(&mut browser, &[("max_age", "1")]).await;
    assert!(moment(&second.claims, "auth_time") > moment(&first.claims, "auth_time"));
}

pub async fn max_age_10000(ground: &Ground) {
    let party = Party::register(ground).await;
    let mut browser = Browser::new(ground);
    let first = party.flow(&mut browser, &[("max_age", "10000")]).await;
    ground.wait(2);
    let arrived = party.ask(&mut browser, &[("max_age", "10000")]).await.arrived();
    let second = party.gain(arrived, &[]).await;
    assert_eq!(first.claims["auth_time"], second.claims["auth_time"]);
}

pub async fn codereuse(ground: &Ground) {
    reuse(ground, 0).await;
}
pub async fn codereuse_30seconds(ground: &Ground) {
    reuse(ground, 30).await;
}

/// RFC 6749 §4.1.2: the second use is refused, and takes the tokens of the first along.
async fn reuse(ground: &Ground, seconds: u64) {
    let party = Party::register(ground).await;
    let gained = party.flow(&mut Browser::new(ground), &[]).await;
    ground.wait(seconds);
    let again = party.redeem(gained.arrived.get("code").unwrap()).await;
    assert_eq!(again.status(), StatusCode::BAD_REQUEST);
    assert_eq!(json(&again)["error"], "invalid_grant");
    assert_eq!(call(&party, gained.access.as_deref().unwrap()).await.status(), StatusCode::UNAUTHORIZED);
    // In the hybrid flows also the access token that came beside the code.
    if let Some(beside) = gained.arrived.get("access_token") {
        assert_eq!(call(&party, beside).await.status(), StatusCode::UNAUTHORIZED);
    }
}

async fn call(party: &Party<'_>, access: &str) -> Response<Bytes> {
    let bearer = format!("Bearer {access}");
    let endpoint = party.endpoint("userinfo_endpoint").await;
    party.ground.send("GET", &endpoint, &[("authorization", &bearer)], Bytes::new()).await
}

pub async fn ensure_registered_redirect_uri(ground: &Ground) {
    let party = Party::register(ground).await;
    let elsewhere = format!("{REDIRECT}/not-registered");
    party.ask(&mut Browser::new(ground), &[("redirect_uri", &elsewhere)]).await.page().refuses();
}

pub async fn ensure_post_request_succeeds(ground: &Ground) {
    let party = Party::register(ground).await;
    let endpoint = party.endpoint("authorization_endpoint").await;
    let params = party.params(&[]);
    let pairs: Vec<_> = params.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let mut browser = Browser::new(ground);
    let sight = browser.post(&endpoint, &pairs).await;
    let arrived = browser.onward(sight, ALICE).await;
    party.gain(arrived, &[]).await;
}

pub async fn request_uri_unsigned_supported_correctly_or_rejected_as_unsupported(ground: &Ground) {
    let url = "https://rp.example/request.jwt";
    let party = Party::register_with(ground, json!({"request_uris": [url]})).await;
    ground.sites.publish(url, Party::unsigned(&party.object(&[])));
    with_object(&party, &[("request_uri", url), ("nonce", "outside"), ("state", "outside")]).await;
}

pub async fn unsigned_request_object_supported_correctly_or_rejected_as_unsupported(ground: &Ground) {
    let party = Party::register(ground).await;
    let object = Party::unsigned(&party.object(&[]));
    with_object(&party, &[("request", &object), ("nonce", "outside"), ("state", "outside")]).await;
}

pub async fn ensure_request_object_with_redirect_uri(ground: &Ground) {
    let party = Party::register(ground).await;
    let object = Party::unsigned(&party.object(&[]));
    with_object(&party, &[("request", &object), ("redirect_uri", "https://rp.example/cb/outside")]).await;
}

/// A flow in which what the request object says counts, whatever stands beside it (§6.1).
pub async fn with_object(party: &Party<'_>, changes: &[(&str, &str)]) {
    let mut browser = Browser::new(party.ground);
    let sight = party.ask(&mut browser, changes).await;
    let arrived = browser.onward(sight, ALICE).await;
    assert!(arrived.address.starts_with(REDIRECT) && !arrived.address.contains("outside"), "{arrived:?}");
    party.gain(arrived, &[]).await;
}

pub async fn claims_essential(ground: &Ground) {
    let party = Party::register(ground).await;
    let place = if party.ground.variant.response_type == "id_token" { "id_token" } else { "userinfo" };
    let claims = json!({place: {"name": {"essential": true}}}).to_string();
    let gained = party.flow(&mut Browser::new(ground), &[("claims", &claims)]).await;
    assert!(party.said_of_person(&gained).await.contains_key("name"));
}

pub async fn refresh_token(ground: &Ground) {
    let party = Party::register(ground).await;
    let other = Party::register(ground).await;
    let mut browser = Browser::new(ground);
    let changes = [("scope", "openid offline_access"), ("prompt", "consent")];
    let gained = party.flow(&mut browser, &changes).await;
    let refresh = gained.token.as_ref().unwrap()["refresh_token"].as_str().unwrap().to_owned();
    let body = refreshed(&party, &refresh).await;
    let claims = party.check_id_token(body["id_token"].as_str().unwrap(), "").await;
    // §12.2.
    for name in ["iss", "sub", "aud", "auth_time", "azp"] {
        assert_eq!(claims.get(name), gained.claims.get(name), "{name}");
    }
    assert_ne!(claims["iat"], Value::Null);
    assert!(party.userinfo(body["access_token"].as_str().unwrap()).await["sub"].is_string());
    let theirs = other.flow(&mut browser, &changes).await;
    let theirs = theirs.token.unwrap()["refresh_token"].as_str().unwrap().to_owned();
    let stolen = party.token(&[("grant_type", "refresh_token"), ("refresh_token", &theirs)]).await;
    assert_eq!(
        (stolen.status(), &json(&stolen)["error"]),
        (StatusCode::BAD_REQUEST, &json!("invalid_grant"))
    );
    refreshed(&other, &theirs).await;
}

pub async fn refreshed(party: &Party<'_>, token: &str) -> Value {
    let response = party.token(&[("grant_type", "refresh_token"), ("refresh_token", token)]).await;
    assert_eq!(response.status(), StatusCode::OK, "{:?}", response.body());
    json(&response)
}

pub async fn ensure_request_with_valid_pkce_succeeds(ground: &Ground) {
    let party = Party::register(ground).await;
    let changes = [("code_challenge", CHALLENGE), ("code_challenge_method", "S256")];
    party.flow(&mut Browser::new(ground), &changes).await;
}

/// The header of a JWT.
pub fn header_of(token: &str) -> Value {
    use base64::Engine as _;
    let part = token.split('.').next().unwrap();
    serde_json::from_slice(&base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}
