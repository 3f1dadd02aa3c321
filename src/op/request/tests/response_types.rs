//! Tests of the response types: what each yields, where it travels, and what it hangs on.

use super::answer;
use crate::jose::Algorithm;
use crate::op::Op;
use crate::op::fixture::{body, header, send};
use crate::op::response_type::{RESPONSE_TYPES, find};
use crate::op::token::fixture::{self as tokens, active, claims, error, give, grant, redeem, text};
use crate::op::token::mint::FrontGrant;
use crate::op::token::revoke;
use crate::op::walk::{self, ALICE, Answer, CLIENT, Walk, request};
use serde_json::json;

/// The error, whether it travels in the fragment, and what was changed.
type Faulty<'a> = (&'a str, bool, &'a [(&'a str, &'a str)]);

const ALL: &str = "
response_types: [code, id_token, token id_token, code id_token, code token, token code id_token, token, none]";

/// A browser, and a client that registered every response type.
async fn everything() -> Walk {
    let walk = Walk::at(walk::op(ALL).await);
    let names: Vec<_> = RESPONSE_TYPES.iter().map(|kind| kind.name).collect();
    let grants = ["authorization_code", "implicit", "refresh_token"];
    walk::client(&walk.op, CLIENT, json!({"response_types": names, "grant_types": grants})).await;
    walk
}

#[tokio::test]
async fn each_response_type_yields_what_it_names_and_travels_as_it_should() {
    let mut walk = everything().await;
    for kind in RESPONSE_TYPES {
        for mode in ["", "fragment", "form_post", "query"] {
            let asked = [
                ("response_type", kind.name),
                ("response_mode", mode),
                ("scope", "openid profile email api"),
            ];
            let mut sight = walk.open(&request(&asked)).await;
            if sight.has("sign-in") {
                sight = walk.sign_in(&sight, ALICE).await;
                sight = walk.allow(&sight).await;
            }
            let got = match mode {
                "form_post" => {
                    let params = sight.hidden().into_iter().collect();
                    Answer { address: walk::REDIRECT.into(), in_fragment: true, params }
                }
                _ => sight.answer(),
            };
            let name = format!("{} by {mode}", kind.name);
            assert_eq!((got.get("state"), got.get("iss")), ("a b&c=\"<'>", "https://op.example"), "{name}");
            if mode == "query" && kind.is_front_channel() {
                assert_eq!((got.error(), got.in_fragment), ("invalid_request", true), "{name}");
                continue;
            }
            let fragment =
                mode == "form_post" || mode == "fragment" || (mode.is_empty() && kind.is_front_channel());
            assert_eq!(got.in_fragment, fragment, "{name}");
            check(&walk.op, kind.name, &got).await;
        }
    }
}

async fn check(op: &Op, name: &str, got: &Answer) {
    let kind = find(name).unwrap();
    assert_eq!(got.error(), "", "{name}: {got:?}");
    assert_eq!(got.get("code").len(), if kind.code { 43 } else { 0 }, "{name}");
    assert_eq!(got.params.contains_key("access_token"), kind.token, "{name}");
    assert_eq!(got.params.contains_key("id_token"), kind.id_token, "{name}");
    assert!(!got.params.contains_key("refresh_token"), "{name}");
    if kind.token {
        let said = (got.get("token_type"), got.get("expires_in"), got.get("scope"));
        assert_eq!(said, ("Bearer", "3600", "openid profile email api"), "{name}");
        assert!(active(op, got.get("access_token")).await, "{name}");
    }
    if kind.id_token {
        let id = claims(op, got.get("id_token"));
        assert_eq!((&id["nonce"], &id["aud"]), (&json!("n-1"), &json!(CLIENT)), "{name}");
        let half = |value: &str| json!(Algorithm::RS256.half_hash(value));
        // OpenID Connect Core §3.2.2.10, §3.3.2.11.
        assert_eq!(id.get("at_hash"), kind.token.then(|| half(got.get("access_token"))).as_ref(), "{name}");
        assert_eq!(id.get("c_hash"), kind.code.then(|| half(got.get("code"))).as_ref(), "{name}");
        // §5.4: where an access token follows, userinfo has them.
        let alone = name == "id_token";
        assert_eq!(id.get("email"), alone.then(|| json!("alice@people.example")).as_ref(), "{name}");
        assert_eq!(id.contains_key("name"), alone, "{name}");
    }
}

#[tokio::test]
async fn access_tokens_stay_out_of_the_front_channel_unless_the_operator_wants_them() {
    let mut walk = Walk::new().await;
    let names: Vec<_> = RESPONSE_TYPES.iter().map(|kind| kind.name).collect();
    walk::client(&walk.op, CLIENT, json!({"response_types": names})).await;
    for kind in RESPONSE_TYPES {
        let got = answer(&mut walk, &[("response_type", kind.name), ("prompt", "none")]).await;
        let expected = if kind.token { "unsupported_response_type" } else { "login_required" };
        assert_eq!((got.error(), got.in_fragment), (expected, kind.is_front_channel()), "{}", kind.name);
    }
    let metadata = body(&send(&walk.op, "GET", "/.well-known/openid-configuration", &[]).await);
    assert_eq!(metadata["response_types_supported"], json!(["code", "id_token", "code id_token", "none"]));
    assert_eq!(
        metadata["response_modes_supported"],
        json!(["query", "fragment", "form_post", "query.jwt", "fragment.jwt", "form_post.jwt", "jwt"])
    );
    let op = walk::op("response_types: [code]").await;
    let metadata = body(&send(&op, "GET", "/.well-known/openid-configuration", &[]).await);
    assert_eq!(metadata["response_types_supported"], json!(["code"]));
    assert!(!metadata["grant_types_supported"].as_array().unwrap().contains(&json!("implicit")));
}

#[tokio::test]
async fn what_a_response_type_needs_is_asked_for_and_errors_travel_as_its_answers_would() {
    let mut walk = everything().await;
    let faults: &[Faulty<'_>] = &[
        ("invalid_request", true, &[("response_type", "id_token"), ("nonce", "")]),
        ("invalid_request", true, &[("response_type", "code id_token"), ("nonce", "")]),
        ("invalid_request", true, &[("response_type", "id_token"), ("scope", "api")]),
        ("invalid_request", true, &[("response_type", "token id_token"), ("scope", "")]),
        ("invalid_request", true, &[("response_type", "code token"), ("response_mode", "query")]),
        ("unsupported_response_type", true, &[("response_type", "token unheard-of")]),
        ("unsupported_response_type", true, &[("response_type", "token token")]),
        ("unsupported_response_type", false, &[("response_type", "unheard-of")]),
        ("unsupported_response_type", true, &[("response_type", "x"), ("response_mode", "fragment")]),
        ("login_required", true, &[("response_type", "id_token"), ("prompt", "none")]),
        // Neither of them needs a nonce, nor openid.
        ("login_required", true, &[("response_type", "code token"), ("nonce", ""), ("prompt", "none")]),
        ("login_required", true, &[("response_type", "token"), ("scope", "api"), ("prompt", "none")]),
        ("login_required", false, &[("response_type", "none"), ("scope", ""), ("prompt", "none")]),
        // OpenID Connect Core §11: no code, so nothing comes of it.
        (
            "login_required",
            true,
            &[("response_type", "id_token"), ("scope", "openid offline_access"), ("prompt", "none")],
        ),
    ];
    for (code, in_fragment, changes) in faults {
        let got = answer(&mut walk, changes).await;
        assert_eq!((got.error(), got.in_fragment), (*code, *in_fragment), "{changes:?}");
        assert_eq!((got.get("state"), got.get("iss")), ("a b&c=\"<'>", "https://op.example"));
    }
    for bound in ["dpop_bound_access_tokens", "tls_client_certificate_bound_access_tokens"] {
        walk::client(&walk.op, "bound", json!({"response_types": ["token"], bound: true})).await;
        let got = answer(&mut walk, &[("client_id", "bound"), ("response_type", "token")]).await;
        assert_eq!(got.error(), "unauthorized_client", "{bound}");
    }
    let posted = [("client_id", CLIENT), ("redirect_uri", walk::REDIRECT), ("response_type", "token x")];
    let response = walk.post("/oidcop/authorization", &posted).await;
    assert_eq!(response.status(), 303);
    assert!(header(&response, "location").starts_with("https://rp.example/cb?kept=1#error="));
}

/// A grant of `response_type` by a person who just signed in, at a client that holds a secret.
async fn granted(op: &Op, response_type: &str) -> (String, FrontGrant) {
    tokens::client(op, "rp", |_| {}).await;
    let sid = tokens::session(op, "diana").await;
    let grant =
        FrontGrant { response_type: find(response_type).unwrap(), ..grant(op, "rp", &sid, "openid api") };
    (sid, grant)
}

/// RFC 9700 §4.5.
#[tokio::test]
async fn a_code_redeemed_twice_ends_the_access_token_that_came_beside_it() {
    let op = walk::op(ALL).await;
    let (_, grant) = granted(&op, "code token").await;
    let given = give(&op, grant).await.unwrap();
    let (code, beside) = (given.code.unwrap(), given.access.unwrap().token);
    let answer = body(&redeem(&op, "rp", &code).await);
    let later = text(&answer, "access_token");
    let family = |token: &str| claims(&op, token)["jti"].as_str().unwrap()[..21].to_owned();
    assert_eq!(family(&beside), family(later));
    assert!(active(&op, &beside).await && active(&op, later).await);
    tokens::advance(&op, 30);
    assert_eq!(error(&redeem(&op, "rp", &code).await), "invalid_grant");
    assert!(!active(&op, &beside).await && !active(&op, later).await);
    assert_eq!(error(&tokens::refresh(&op, "rp", text(&answer, "refresh_token")).await), "invalid_grant");
}

#[tokio::test]
async fn a_code_whose_family_has_ended_gives_nothing() {
    let op = walk::op(ALL).await;
    let (_, grant) = granted(&op, "code id_token token").await;
    let given = give(&op, grant).await.unwrap();
    let token = given.access.unwrap().token;
    let family = crate::base::encode::from_base64url(claims(&op, &token)["jti"].as_str().unwrap()).unwrap();
    revoke::family_of(&op, &crate::base::encode::base64url(&family[..16]), op.now()).await.unwrap();
    assert!(!active(&op, &token).await);
    assert_eq!(error(&redeem(&op, "rp", &given.code.unwrap()).await), "invalid_grant");
}

#[tokio::test]
async fn an_access_token_of_the_front_channel_ends_with_its_parents() {
    for (nth, kind) in ["token", "id_token token", "code token"].into_iter().enumerate() {
        let op = walk::op(ALL).await;
        let (sid, grant) = granted(&op, kind).await;
        let token = give(&op, grant).await.unwrap().access.unwrap().token;
        assert!(active(&op, &token).await, "{kind}");
        tokens::advance(&op, 1);
        match nth {
            0 => drop(revoke::session(&op, &sid, op.now()).await.unwrap()),
            1 => revoke::account(&op, "diana", false).await.unwrap(),
            _ => revoke::client(&op, "rp", false).await.unwrap(),
        }
        assert!(!active(&op, &token).await, "{kind}");
        let (sid, grant) = granted(&op, kind).await;
        revoke::session(&op, &sid, op.now()).await.unwrap();
        assert_eq!(give(&op, grant).await.unwrap_err().code.wire(), "access_denied", "{kind}");
    }
}

#[tokio::test]
async fn nothing_is_given_out_for_a_session_that_ended_meanwhile() {
    for kind in RESPONSE_TYPES {
        let op = walk::op(ALL).await;
        let (sid, grant) = granted(&op, kind.name).await;
        revoke::session(&op, &sid, op.now()).await.unwrap();
        let refused = give(&op, grant).await.unwrap_err();
        assert_eq!(refused.code.wire(), "access_denied", "{}", kind.name);
    }
}
