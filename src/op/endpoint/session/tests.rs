//! Tests of logout.

use crate::jose::Algorithm;
use crate::op::cookie::{BROWSER, SESSION, STATE};
use crate::op::fixture::{START, header};
use crate::op::record::session::Session;
use crate::op::walk::{ALICE, CLIENT, Sight, Walk, client, request};
use crate::store::record::get;
use http::StatusCode;
use serde_json::{Value, json};

const BYE: &str = "https://rp.example/bye?kept=1";

/// A browser in which alice is signed in.
async fn signed_in() -> Walk {
    let mut walk = Walk::new().await;
    walk.through(&request(&[]), ALICE).await;
    walk
}

fn sid(walk: &Walk) -> String {
    walk.cookies["__Host-oidcop_session"].split('.').next().unwrap().to_owned()
}

/// An ID token of ours, changed by `changes`, long expired.
async fn hint(walk: &Walk, changes: Value) -> String {
    let client = walk.op.client(CLIENT, walk.op.now()).await.unwrap().unwrap();
    let mut claims = json!({
        "iss": "https://op.example",
        "sub": walk.op.subject(&client, "alice"),
        "aud": CLIENT,
        "iat": START.0 - 9_000,
        "exp": START.0 - 5_400,
        "sid": "another",
    });
    claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    walk.op.ring().signer(Algorithm::RS256).unwrap().sign("JWT", claims.to_string().as_bytes()).unwrap()
}

fn logout(pairs: &[(&str, &str)]) -> String {
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    format!("/oidcop/session?{query}")
}

async fn is_signed_in(walk: &mut Walk) -> bool {
    walk.open(&request(&[("prompt", "none")])).await.answer().has_code()
}

fn cleared(sight: &Sight) -> bool {
    let lines: Vec<_> = sight.response.headers().get_all("set-cookie").iter().collect();
    let starts = |text: &str| lines.iter().any(|line| line.to_str().unwrap().starts_with(text));
    let gone = [SESSION, BROWSER].iter().all(|name| starts(&format!("{name}=; Max-Age=0")));
    gone && starts(&format!("{STATE}=-;"))
}

#[tokio::test]
async fn a_hint_of_the_persons_ends_the_session_and_leads_back_with_the_state() {
    let mut walk = signed_in().await;
    let (token, sid) = (hint(&walk, json!({})).await, sid(&walk));
    let asked = [("id_token_hint", token.as_str()), ("post_logout_redirect_uri", BYE), ("state", "a&b=c")];
    let cookies = walk.cookies.clone();
    let response = walk.post("/oidcop/session", &asked).await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    assert_eq!(header(&response, "location"), "https://rp.example/bye?kept=1&state=a%26b%3Dc");
    assert!(cleared(&Sight { path: String::new(), html: String::new(), response }));
    let session = get::<Session>(walk.op.store(), sid, walk.op.now()).await.unwrap().unwrap();
    assert!(session.dead && session.record.ended);
    // Even with the cookie back.
    walk.cookies = cookies;
    assert_eq!(walk.open(&request(&[("prompt", "none")])).await.answer().error(), "login_required");
    // Nobody is signed in: straight back, and no state where none was sent.
    let sight = walk.open(&logout(&[("client_id", CLIENT), ("post_logout_redirect_uri", BYE)])).await;
    assert_eq!(sight.path, BYE);
}

#[tokio::test]
async fn without_a_hint_the_person_is_asked_and_may_stay() {
    let mut walk = signed_in().await;
    let asked = logout(&[
        ("client_id", CLIENT),
        ("post_logout_redirect_uri", BYE),
        ("state", "s"),
        ("ui_locales", "fr"),
    ]);
    let page = walk.open(&asked).await;
    assert!(page.has("sign-out") && page.html.contains("lang=\"fr\""));
    assert!(
        header(&page.response, "content-security-policy").contains("form-action 'self' https://rp.example;")
    );
    let page = Sight { path: "/oidcop/session".into(), ..page };
    assert!(walk.submit(&page, &[("action", "stay")]).await.html.contains("toujours connecté"));
    assert!(is_signed_in(&mut walk).await);
    let done = walk.submit(&page, &[("action", "sign-out")]).await;
    assert_eq!(done.path, "https://rp.example/bye?kept=1&state=s");
    assert!(cleared(&done) && !is_signed_in(&mut walk).await);
}

#[tokio::test]
async fn without_anything_the_person_is_asked_and_sees_that_it_is_done() {
    let mut walk = signed_in().await;
    let page = walk.open("/oidcop/session").await;
    let done = walk.submit(&page, &[("action", "sign-out")]).await;
    assert!(done.html.contains("You are signed out") && cleared(&done));
    assert!(walk.open("/oidcop/session").await.html.contains("You are signed out"));
}

#[tokio::test]
async fn a_bad_hint_is_a_page_and_ends_nothing() {
    let mut walk = signed_in().await;
    let good = hint(&walk, json!({})).await;
    let mut parts = good.split('.');
    let (head, body, signature) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
    let none = crate::base::encode::base64url(b"{\"alg\":\"none\"}");
    let foreign = crate::jose::SigningKey::generate(Algorithm::ES256).unwrap();
    let claims = crate::base::encode::from_base64url(body).unwrap();
    let access = walk.op.ring().signer(Algorithm::ES256).unwrap().sign("at+jwt", &claims).unwrap();
    for bad in [
        "x".to_owned(),
        format!("{none}.{body}."),
        format!("{none}.{body}.{signature}"),
        format!("{head}.{body}.AAAA"),
        foreign.sign("JWT", &claims).unwrap(),
        access,
        hint(&walk, json!({"iss": "https://evil.example"})).await,
        hint(&walk, json!({"aud": 7})).await,
    ] {
        let sight = walk.open(&logout(&[("id_token_hint", &bad), ("post_logout_redirect_uri", BYE)])).await;
        assert!(sight.refuses("The id_token_hint is not an ID token of this provider"), "{bad}: {sight:?}");
    }
    let other = walk.open(&logout(&[("id_token_hint", &good), ("client_id", "app")])).await;
    assert!(other.refuses("issued to another client"));
    assert!(is_signed_in(&mut walk).await);
}

#[tokio::test]
async fn a_hint_of_somebody_else_does_not_end_this_persons_session() {
    let mut walk = signed_in().await;
    let token = hint(&walk, json!({"sub": "somebody"})).await;
    assert!(walk.open(&logout(&[("id_token_hint", &token)])).await.has("sign-out"));
    assert!(is_signed_in(&mut walk).await);
    let token = hint(&walk, json!({"sub": "somebody", "sid": sid(&walk)})).await;
    assert!(walk.open(&logout(&[("id_token_hint", &token)])).await.html.contains("You are signed out"));
}

#[tokio::test]
async fn an_address_that_is_not_registered_is_never_gone_to() {
    let mut walk = signed_in().await;
    client(&walk.op, "bare", json!({"post_logout_redirect_uris": []})).await;
    let token = hint(&walk, json!({})).await;
    for address in [
        "https://evil.example/",
        "https://rp.example/bye",
        "https://rp.example/bye?kept=1&",
        "https://rp.example/bye?kept=1#x",
        "https://rp.example/bye?kept=1\\",
        "https://rp.example@evil.example/bye?kept=1",
        "https://rp.example.evil.example/bye?kept=1",
        "HTTPS://rp.example/bye?kept=1",
        "//evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        " https://rp.example/bye?kept=1",
        "https://rp.example/cb?kept=1",
    ] {
        for more in
            [("id_token_hint", token.as_str()), ("client_id", CLIENT), ("client_id", "bare"), ("x", "y")]
        {
            let sight = walk.open(&logout(&[more, ("post_logout_redirect_uri", address)])).await;
            assert!(sight.refuses("is not registered for this client"), "{address} {more:?}");
        }
    }
    assert!(walk.open(&logout(&[("post_logout_redirect_uri", BYE)])).await.refuses("is not registered"));
    assert!(is_signed_in(&mut walk).await);
}

#[tokio::test]
async fn nobody_else_can_press_the_button() {
    let mut walk = signed_in().await;
    let page = walk.open("/oidcop/session").await;
    let token = page.hidden()[0].1.clone();
    for pairs in [vec![("action", "sign-out")], vec![("action", "sign-out"), ("form_token", "x")]] {
        let response = walk.post("/oidcop/session", &pairs).await;
        assert!(response.status() == StatusCode::BAD_REQUEST || response.status() == StatusCode::OK);
        assert!(is_signed_in(&mut walk).await);
    }
    let link = logout(&[("action", "sign-out"), ("form_token", &token)]);
    assert!(walk.open(&link).await.refuses("does not belong to this browser"), "a link is not a form");
    walk.headers = vec![("origin", "https://evil.example".into())];
    assert!(walk.submit(&page, &[("action", "sign-out")]).await.refuses("does not belong to this browser"));
    walk.headers.clear();
    assert!(is_signed_in(&mut walk).await);
}

/// alice, signed in to two clients that show something in a frame, and one that does not.
async fn framed() -> Walk {
    let mut walk = Walk::new().await;
    for (id, more) in [
        ("one", json!({"frontchannel_logout_uri": "https://rp.example/front?x=1&y"})),
        (
            "two",
            json!({
                "frontchannel_logout_uri": "https://rp.example:8443/front",
                "frontchannel_logout_session_required": true,
            }),
        ),
    ] {
        client(&walk.op, id, more).await;
    }
    for id in ["one", "two", CLIENT] {
        assert!(walk.through(&request(&[("client_id", id)]), ALICE).await.has_code());
    }
    walk
}

/// The addresses of the page's frames.
fn frames(sight: &Sight) -> Vec<String> {
    let tags = sight.html.split("<iframe src=\"").skip(1);
    tags.map(|tag| crate::op::walk::plain(tag.split('"').next().unwrap())).collect()
}

/// OpenID Connect Front-Channel Logout §3.
#[tokio::test]
async fn clients_of_the_session_are_framed_with_issuer_and_session_and_the_person_goes_on() {
    let mut walk = framed().await;
    let sid = sid(&walk);
    let token = hint(&walk, json!({"sid": sid})).await;
    let asked = [("id_token_hint", token.as_str()), ("post_logout_redirect_uri", BYE), ("state", "a&b")];
    let page = walk.open(&logout(&asked)).await;
    let who = format!("iss=https%3A%2F%2Fop.example&sid={sid}");
    assert_eq!(
        frames(&page),
        [format!("https://rp.example/front?x=1&y&{who}"), format!("https://rp.example:8443/front?{who}"),]
    );
    let policy = header(&page.response, "content-security-policy");
    assert!(
        policy.contains("; frame-src https://rp.example https://rp.example:8443; script-src 'sha256-"),
        "{policy}"
    );
    assert!(policy.contains("frame-ancestors 'none'"));
    let next = "https://rp.example/bye?kept=1&state=a%26b";
    assert!(page.has("continue") && cleared(&page));
    let html = crate::op::walk::plain(&page.html);
    assert!(
        html.contains(&format!("href=\"{next}\"")) && html.contains(&format!("5;url={next}\"")),
        "{html}"
    );
    assert!(!is_signed_in(&mut walk).await);
    // The session is over, so there is nothing more to show.
    assert_eq!(walk.open(&logout(&asked)).await.path, next);
}

#[tokio::test]
async fn a_logout_that_leads_nowhere_frames_too_and_runs_no_script() {
    let mut walk = framed().await;
    let page = walk.open("/oidcop/session").await;
    let done = walk.submit(&page, &[("action", "sign-out")]).await;
    assert_eq!(frames(&done).len(), 2);
    assert!(done.html.contains("You are signed out") && !done.html.contains("<script"));
    let policy = header(&done.response, "content-security-policy");
    assert!(policy.contains("frame-src") && !policy.contains("script-src"), "{policy}");
}

/// RP-Initiated Logout §2.
#[tokio::test]
async fn a_logout_hint_is_no_proof_and_says_when_somebody_else_is_meant() {
    let mut walk = signed_in().await;
    let web = walk.op.client(CLIENT, walk.op.now()).await.unwrap().unwrap();
    let (sid, subject) = (sid(&walk), walk.op.subject(&web, "alice"));
    for (hint, another) in [
        (sid.as_str(), false),
        (&subject, false),
        ("ALICE", false),
        ("Alice@people.example", false),
        ("bob", true),
        ("\"><script>", true),
    ] {
        let page = walk.open(&logout(&[("logout_hint", hint), ("client_id", CLIENT)])).await;
        assert!(page.has("sign-out") && page.has("another") == another, "{hint}: {page:?}");
        assert!(!page.html.contains("<script"));
        assert!(is_signed_in(&mut walk).await);
    }
}

#[tokio::test]
async fn the_metadata_says_what_logout_there_is() {
    let walk = Walk::new().await;
    let document = crate::op::fixture::send(&walk.op, "GET", "/.well-known/openid-configuration", &[]).await;
    let document = crate::op::fixture::body(&document);
    for channel in ["frontchannel", "backchannel"] {
        assert_eq!(document[format!("{channel}_logout_supported")], true);
        assert_eq!(document[format!("{channel}_logout_session_supported")], true);
    }
    assert_eq!(document["end_session_endpoint"], "https://op.example/oidcop/session");
}
