//! Registration and its management, as clients see them.

use crate::op::fixture::{body, header, op, op_with, post_json, send};
use crate::op::record::mark::Mark;
use serde_json::{Value, json};

const PATH: &str = "/oidcop/registration";

fn web() -> Value {
    json!({ "redirect_uris": ["https://rp.example/cb"] })
}

async fn registered(op: &crate::op::Op, sent: &Value) -> Value {
    let response = post_json(op, "POST", PATH, &[], sent).await;
    assert_eq!(response.status(), 201, "{}", body(&response));
    assert_eq!(header(&response, "cache-control"), "no-store");
    body(&response)
}

#[tokio::test]
async fn a_registration_answers_with_what_was_kept() {
    let op = op().await;
    // What deployed relying parties send: everything they know.
    let sent = json!({
        "redirect_uris": ["https://127.0.0.1:8090/authz_cb/local"],
        "response_types": ["code", "id_token", "code id_token"],
        "grant_types": ["authorization_code", "implicit", "refresh_token"],
        "post_logout_redirect_uri": "https://127.0.0.1:8090/session_logout/local",
        "token_endpoint_auth_method": "client_secret_basic",
        "id_token_encrypted_response_alg": "RSA-OAEP",
        "jwks_uri": "https://127.0.0.1:8090/static/jwks.json?x=1",
        "client_name#de": "Beispiel",
        "an_unknown_member": [1, 2]
    });
    let kept = registered(&op, &sent).await;
    assert_eq!(kept["response_types"], json!(["code", "id_token", "code id_token"]));
    assert_eq!(kept["post_logout_redirect_uris"], json!(["https://127.0.0.1:8090/session_logout/local"]));
    assert_eq!(kept["id_token_signed_response_alg"], "RS256");
    assert_eq!(kept["client_name#de"], "Beispiel");
    assert_eq!(kept["client_secret_expires_at"], 0);
    assert_eq!(kept["id_token_encrypted_response_enc"], "A128CBC-HS256");
    assert!(kept.get("an_unknown_member").is_none());
    for member in ["client_id", "client_secret", "registration_access_token", "registration_client_uri"] {
        assert!(kept[member].is_string(), "{member}");
    }
}

/// OpenID Connect Registration §2, RFC 7591 §2.1.
#[tokio::test]
async fn response_and_grant_types_are_made_to_fit() {
    let op = op().await;
    for (response_types, grant_types, kept_types, kept_grants) in [
        (json!(null), json!(null), json!(["code"]), json!(["authorization_code"])),
        (json!(["id_token"]), json!(["implicit"]), json!(["id_token"]), json!(["implicit"])),
        (
            json!(["id_token"]),
            json!(["refresh_token"]),
            json!(["id_token"]),
            json!(["refresh_token", "implicit"]),
        ),
        (
            json!(["id_token code"]),
            json!(["authorization_code"]),
            json!(["id_token code"]),
            json!(["authorization_code", "implicit"]),
        ),
        // What is off is dropped, and so is the grant type that nothing needs then.
        (
            json!(["code", "id_token token", "code token", "unheard-of"]),
            json!(["authorization_code", "implicit"]),
            json!(["code"]),
            json!(["authorization_code"]),
        ),
        (json!(["none"]), json!(null), json!(["none"]), json!(["authorization_code"])),
        (json!(null), json!(["client_credentials"]), json!([]), json!(["client_credentials"])),
    ] {
        let mut sent = web();
        sent["response_types"] = response_types.clone();
        sent["grant_types"] = grant_types.clone();
        let kept = registered(&op, &sent).await;
        let got = (&kept["response_types"], &kept["grant_types"]);
        assert_eq!(got, (&kept_types, &kept_grants), "{response_types} {grant_types}");
    }
}

/// OpenID Connect Registration §2, RFC 9101 §10.5, RFC 9126 §6.
#[tokio::test]
async fn what_a_client_says_of_its_requests_is_kept_or_dropped_or_refused() {
    let op = op().await;
    let with = |member: &str, value: Value| {
        let mut sent = web();
        sent[member] = value;
        sent
    };
    for (member, value, kept) in [
        ("request_object_signing_alg", json!("PS256"), true),
        ("request_object_signing_alg", json!("none"), false),
        ("request_object_signing_alg", json!("unheard-of"), false),
        ("request_object_encryption_alg", json!("RSA-OAEP-256"), true),
        ("request_object_encryption_alg", json!("RSA1_5"), false),
        ("request_uris", json!(["https://rp.example/r#digest"]), true),
        ("require_signed_request_object", json!(true), true),
        ("require_pushed_authorization_requests", json!(true), true),
    ] {
        let answer = registered(&op, &with(member, value.clone())).await;
        assert_eq!(answer.get(member), kept.then_some(&value), "{member}");
    }
    for (member, value) in [
        ("request_uris", json!(["http://rp.example/r"])),
        ("request_uris", json!(["https://rp.example@evil.example/r"])),
        ("request_uris", json!("https://rp.example/r")),
        ("require_signed_request_object", json!("yes")),
    ] {
        let refused = post_json(&op, "POST", PATH, &[], &with(member, value)).await;
        assert_eq!(body(&refused)["error"], "invalid_client_metadata", "{member}");
    }
}

#[tokio::test]
async fn unsafe_or_contradictory_metadata_is_refused() {
    let op = op().await;
    let refused = [
        (json!({}), "invalid_redirect_uri"),
        (json!({ "redirect_uris": ["https://rp.example/cb#x"] }), "invalid_redirect_uri"),
        (json!({ "redirect_uris": ["javascript:alert(1)"] }), "invalid_redirect_uri"),
        (json!({ "redirect_uris": "https://rp.example/cb" }), "invalid_client_metadata"),
        (
            json!({ "redirect_uris": ["https://rp.example/"], "logo_uri": "javascript:x" }),
            "invalid_client_metadata",
        ),
        (
            json!({ "redirect_uris": ["https://rp.example/"], "response_types": ["token"] }),
            "invalid_client_metadata",
        ),
        (
            json!({ "redirect_uris": ["https://rp.example/"], "id_token_signed_response_alg": "none" }),
            "invalid_client_metadata",
        ),
        (
            json!({ "redirect_uris": ["https://rp.example/"], "token_endpoint_auth_method": "tls_client_auth" }),
            "invalid_client_metadata",
        ),
        (
            json!({ "redirect_uris": ["https://rp.example/"], "token_endpoint_auth_method": "private_key_jwt" }),
            "invalid_client_metadata",
        ),
        (
            json!({ "redirect_uris": ["https://rp.example/"], "jwks": { "keys": [] }, "jwks_uri": "https://rp.example/k" }),
            "invalid_client_metadata",
        ),
        (
            json!({ "redirect_uris": ["https://a.example/", "https://b.example/"], "subject_type": "pairwise" }),
            "invalid_client_metadata",
        ),
        (
            json!({ "redirect_uris": ["https://rp.example/"], "token_endpoint_auth_method": "none",
                    "grant_types": ["authorization_code", "client_credentials"] }),
            "invalid_client_metadata",
        ),
    ];
    for (sent, code) in refused {
        let response = post_json(&op, "POST", PATH, &[], &sent).await;
        assert_eq!((response.status().as_u16(), &body(&response)["error"]), (400, &json!(code)), "{sent}");
    }
    let response = post_json(&op, "POST", PATH, &[], &json!([1])).await;
    assert_eq!(body(&response)["error"], "invalid_client_metadata");
}

#[tokio::test]
async fn a_client_reads_replaces_and_removes_itself() {
    let op = op().await;
    let client = registered(&op, &web()).await;
    let (id, token) =
        (client["client_id"].as_str().unwrap(), client["registration_access_token"].as_str().unwrap());
    let path = format!("{PATH}/{id}");
    let bearer = format!("Bearer {token}");
    let auth = [("authorization", bearer.as_str())];

    let read = send(&op, "GET", &path, &auth).await;
    assert_eq!((read.status().as_u16(), &body(&read)["registration_access_token"]), (200, &json!(token)));

    let new = json!({ "client_id": id, "client_secret": client["client_secret"], "redirect_uris": ["https://rp.example/2"] });
    let updated = post_json(&op, "PUT", &path, &auth, &new).await;
    assert_eq!(
        (updated.status().as_u16(), &body(&updated)["redirect_uris"]),
        (200, &json!(["https://rp.example/2"]))
    );

    for bad in [
        json!({ "redirect_uris": ["https://rp.example/2"] }),
        json!({ "client_id": "another", "redirect_uris": ["https://rp.example/2"] }),
        json!({ "client_id": id, "client_secret": "mine", "redirect_uris": ["https://rp.example/2"] }),
        json!({ "client_id": id, "registration_access_token": token, "redirect_uris": ["https://rp.example/2"] }),
    ] {
        assert_eq!(post_json(&op, "PUT", &path, &auth, &bad).await.status(), 400, "{bad}");
    }

    assert_eq!(send(&op, "DELETE", &path, &auth).await.status(), 204);
    assert_eq!(send(&op, "GET", &path, &auth).await.status(), 401);
    let mark = crate::store::record::get::<Mark>(op.store(), Mark::of_client(id), op.now()).await.unwrap();
    assert!(mark.unwrap().dead);
}

#[tokio::test]
async fn a_wrong_registration_token_and_an_unknown_client_look_the_same() {
    let op = op().await;
    let client = registered(&op, &web()).await;
    let path = format!("{PATH}/{}", client["client_id"].as_str().unwrap());
    let auth = [("authorization", "Bearer wrong")];
    let wrong = send(&op, "GET", &path, &auth).await;
    let unknown = send(&op, "GET", &format!("{PATH}/nobody"), &auth).await;
    assert_eq!(wrong.status(), 401);
    assert!(header(&wrong, "www-authenticate").starts_with("Bearer "));
    assert_eq!((wrong.status(), wrong.body()), (unknown.status(), unknown.body()));
    assert_eq!(send(&op, "GET", &path, &[]).await.status(), 401);
}

#[tokio::test]
async fn one_address_registers_only_so_many_clients() {
    let op = op_with("throttle: { registrations: 3 }").await;
    for _ in 0..3 {
        registered(&op, &web()).await;
    }
    let response = post_json(&op, "POST", PATH, &[], &web()).await;
    assert_eq!(response.status(), 429);
    assert!(!header(&response, "retry-after").is_empty());
    let start =
        "/oidcop/authorization?response_type=code&scope=openid&redirect_uri=https://rp.example/cb&client_id=";
    let op = op_with("throttle: { interactions: 2 }").await;
    let client = registered(&op, &web()).await;
    let start = format!("{start}{}", client["client_id"].as_str().unwrap());
    for status in [303, 303, 429] {
        assert_eq!(send(&op, "GET", &start, &[]).await.status(), status);
    }
}

#[tokio::test]
async fn texts_that_trick_the_eye_and_uris_that_end_a_header_are_refused() {
    let op = op().await;
    for (member, value) in [
        ("client_name", json!("bank\u{202E}moc.live")),
        ("client_name#de", json!("a\nb")),
        ("redirect_uris", json!(["https://rp.example/%0d%0aX: y"])),
        ("redirect_uris", json!(["https://rp.example/%0D%0a"])),
    ] {
        let mut sent = web();
        sent[member] = value;
        assert_eq!(post_json(&op, "POST", PATH, &[], &sent).await.status(), 400, "{member}");
    }
    let mut large = web();
    large["contacts"] = json!(["x".repeat(70_000)]);
    assert_eq!(post_json(&op, "POST", PATH, &[], &large).await.status(), 413);
}

#[tokio::test]
async fn closed_registration_is_refused_and_not_advertised() {
    let op = op_with("registration: closed").await;
    assert_eq!(post_json(&op, "POST", PATH, &[], &web()).await.status(), 403);
    let document = send(&op, "GET", "/.well-known/openid-configuration", &[]).await;
    assert!(body(&document).get("registration_endpoint").is_none());
}

/// OpenID Connect Registration §2, §2.1: what was registered comes back, in every language, also from the RFC 7592 read.
#[tokio::test]
async fn every_member_is_told_again_by_the_read() {
    let op = op().await;
    let sent = json!({
        "redirect_uris": ["https://rp.example/cb"],
        "client_name": "Shop", "client_name#de": "Laden", "client_name#ja-Jpan-JP": "店",
        "client_uri": "https://rp.example/", "client_uri#de": "https://rp.example/de",
        "logo_uri": "https://rp.example/logo.png", "policy_uri": "https://rp.example/policy",
        "tos_uri": "https://rp.example/tos", "tos_uri#fr": "https://rp.example/cgu",
        "contacts": ["ops@rp.example"], "scope": "openid api",
        "initiate_login_uri": "https://rp.example/start", "default_max_age": 600, "require_auth_time": true,
        "default_acr_values": ["urn:x"], "software_id": "4NRB1", "software_version": "2.1",
        "subject_type": "pairwise", "jwks": { "keys": [] },
    });
    let kept = registered(&op, &sent).await;
    let path = kept["registration_client_uri"].as_str().unwrap().strip_prefix("https://op.example").unwrap();
    let token = format!("Bearer {}", kept["registration_access_token"].as_str().unwrap());
    let read = body(&send(&op, "GET", path, &[("authorization", &token)]).await);
    for (member, value) in sent.as_object().unwrap() {
        assert_eq!((&kept[member], &read[member]), (value, value), "{member}");
    }
    for (member, value) in [
        ("initiate_login_uri", "http://rp.example/start"),
        ("initiate_login_uri", "javascript:alert(1)"),
        ("tos_uri#fr", "javascript:alert(1)"),
        ("policy_uri", "data:text/html,x"),
        ("client_uri", "rp.example"),
        ("default_max_age", "soon"),
        ("contacts", "ops@rp.example"),
    ] {
        let mut wrong = sent.clone();
        wrong[member] = json!(value);
        let refused = post_json(&op, "POST", PATH, &[], &wrong).await;
        assert_eq!(body(&refused)["error"], "invalid_client_metadata", "{member}: {value}");
    }
}

/// ATTACKS 31: what proves a client, and what it is called by, is never the client's to choose.
#[tokio::test]
async fn members_that_are_ours_to_give_are_not_taken() {
    let op = op().await;
    let mut sent = web();
    for member in
        ["client_id", "client_secret", "registration_access_token", "origin", "created", "secret_digest"]
    {
        sent[member] = json!("mine");
    }
    sent["client_secret_expires_at"] = json!(1);
    sent["localized"] = json!({ "client_name#en": "x" });
    let kept = registered(&op, &sent).await;
    for member in ["client_id", "client_secret", "registration_access_token"] {
        assert_ne!(kept[member], "mine", "{member}");
    }
    assert_eq!(kept["client_secret_expires_at"], 0);
    for member in ["origin", "created", "secret_digest", "localized", "client_name#en"] {
        assert!(kept.get(member).is_none(), "{member}");
    }
}

/// RFC 7592 §2.3: nothing of a removed client is left, and its tokens end in the same call.
#[tokio::test]
async fn a_removed_client_takes_its_tokens_along() {
    use crate::op::token::fixture::{active, client, session, text, tokens};
    let op = op().await;
    client(&op, "rp", |client| client.registration_token_digest = Some(super::digest("own"))).await;
    let sid = session(&op, "diana").await;
    let answer = tokens(&op, "rp", &sid, "openid api offline_access").await;
    assert!(active(&op, text(&answer, "access_token")).await);
    crate::op::token::fixture::advance(&op, 1);
    let auth = [("authorization", "Bearer own")];
    let removed = send(&op, "DELETE", "/oidcop/registration/rp", &auth).await;
    assert_eq!((removed.status().as_u16(), removed.body().len()), (204, 0));
    assert!(!active(&op, text(&answer, "access_token")).await);
    for method in ["GET", "DELETE"] {
        assert_eq!(send(&op, method, "/oidcop/registration/rp", &auth).await.status(), 401);
    }
}
