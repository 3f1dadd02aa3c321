//! Tests of the way from an authorization request to its answer.

use crate::base::clock::Timestamp;
use crate::op::cookie;
use crate::op::fixture::header;
use crate::op::record::code::Code;
use crate::op::record::mark::Mark;
use crate::op::walk::{self, ALICE, BOB, CLIENT, Sight, Walk, request};
use crate::store::record::{get, put};
use crate::store::{Durability, Expect};
use http::StatusCode;
use serde_json::json;
use std::time::Duration;

fn advance(walk: &Walk, seconds: u64) {
    walk.op.shared.kit.clock.advance(Duration::from_secs(seconds));
}

async fn code_of(walk: &Walk, handle: &str) -> Code {
    get::<Code>(walk.op.store(), Code::digest_of(handle), walk.op.now()).await.unwrap().unwrap().record
}

#[tokio::test]
async fn a_person_signs_in_and_allows_and_the_client_gets_a_code() {
    let mut walk = Walk::new().await;
    let login = walk.open(&request(&[])).await;
    assert!(login.has("username") && login.has("password"));
    assert!(
        login.html.contains("autocomplete=\"username\"")
            && login.html.contains("autocomplete=\"current-password\"")
    );
    let consent = walk.sign_in(&login, ALICE).await;
    assert!(consent.html.contains("see your profile") && consent.html.contains("Alice &lt;Liddell&gt;"));
    let answer = walk.allow(&consent).await.answer();
    assert!(answer.has_code(), "{answer:?}");
    assert_eq!(answer.address, "https://rp.example/cb");
    assert_eq!((answer.get("kept"), answer.get("state")), ("1", "a b&c=\"<'>"));
    assert_eq!(answer.get("iss"), "https://op.example");
    let code = code_of(&walk, answer.get("code")).await;
    assert_eq!((code.nonce.as_deref(), code.redirect_uri.as_str()), (Some("n-1"), walk::REDIRECT));
    assert_eq!((code.authorization.account.as_str(), code.authorization.offline), ("alice", false));
    assert_ne!(code.authorization.subject, "alice");
}

#[tokio::test]
async fn a_session_and_a_remembered_consent_answer_at_once_and_more_is_asked_for_again() {
    let mut walk = Walk::new().await;
    walk.through(&request(&[]), ALICE).await;
    assert!(walk.open(&request(&[("prompt", "none")])).await.answer().has_code());
    assert!(walk.open(&request(&[("scope", "openid")])).await.answer().has_code());
    assert!(walk.open(&request(&[("scope", "openid profile email")])).await.has("allow"));
    assert!(
        walk.open(&request(&[("scope", "openid"), ("resource", "https://api.example/")])).await.has("allow")
    );
    assert!(walk.open(&request(&[("prompt", "consent")])).await.has("allow"));
    let offline = request(&[("scope", "openid offline_access"), ("prompt", "consent")]);
    let consent = walk.open(&offline).await;
    let answer = walk.allow(&consent).await.answer();
    assert!(code_of(&walk, answer.get("code")).await.authorization.offline);
    assert!(walk.open(&offline).await.has("allow"), "offline access is asked for each time");
}

#[tokio::test]
async fn prompt_none_never_shows_a_page() {
    let mut walk = Walk::new().await;
    let none = request(&[("prompt", "none")]);
    let answer = walk.open(&none).await.answer();
    assert_eq!((answer.error(), answer.get("state")), ("login_required", "a b&c=\"<'>"));
    let login = walk.open(&request(&[])).await;
    walk.sign_in(&login, ALICE).await;
    assert_eq!(walk.open(&none).await.answer().error(), "consent_required");
    walk.through(&request(&[]), ALICE).await;
    assert!(walk.open(&none).await.answer().has_code());
    advance(&walk, 60);
    let old = request(&[("prompt", "none"), ("max_age", "59")]);
    assert_eq!(walk.open(&old).await.answer().error(), "login_required");
    let form_post = walk
        .open(&request(&[
            ("prompt", "none"),
            ("response_mode", "form_post"),
            ("client_id", "app"),
            ("code_challenge", walk::CHALLENGE),
            ("code_challenge_method", "S256"),
        ]))
        .await;
    assert!(form_post.html.contains("name=\"error\" value=\"consent_required\""), "{}", form_post.html);
}

#[tokio::test]
async fn signing_in_again_makes_a_strictly_later_auth_time_and_a_new_cookie_in_the_same_session() {
    let mut walk = Walk::new().await;
    let first = walk.through(&request(&[]), ALICE).await;
    let first = code_of(&walk, first.get("code")).await.authorization;
    let cookie = walk.cookies[cookie::SESSION].clone();
    for wish in [("prompt", "login"), ("max_age", "0")] {
        let before = walk.open(&request(&[])).await.answer();
        let before = code_of(&walk, before.get("code")).await.authorization;
        let login = walk.open(&request(&[wish])).await;
        assert!(login.has("sign-in") && login.html.contains("value=\"alice\""));
        let again = walk.sign_in(&login, ALICE).await.answer();
        let again = code_of(&walk, again.get("code")).await.authorization;
        assert!(again.auth_time > before.auth_time, "{wish:?}");
        assert_eq!(again.sid, first.sid);
        assert_eq!(again.wants_auth_time, wish.0 == "max_age");
    }
    assert_ne!(walk.cookies[cookie::SESSION], cookie);
    assert!(walk.open(&request(&[("max_age", "10000")])).await.answer().has_code());
    // The handle of before the sign-in opens nothing any more.
    walk.cookies.insert(cookie::SESSION.into(), cookie);
    assert_eq!(walk.open(&request(&[("prompt", "none")])).await.answer().error(), "login_required");
}

#[tokio::test]
async fn somebody_else_who_signs_in_gets_another_session_and_a_consent_of_their_own() {
    let mut walk = Walk::new().await;
    walk.through(&request(&[]), ALICE).await;
    let alices = walk.cookies.clone();
    let login = walk.open(&request(&[("prompt", "login")])).await;
    let consent = walk.sign_in(&login, BOB).await;
    assert!(consent.has("allow"), "what alice allowed is not bob's");
    let bobs = walk.allow(&consent).await.answer();
    assert_eq!(code_of(&walk, bobs.get("code")).await.authorization.account, "bob");
    walk.cookies = alices;
    assert_eq!(walk.open(&request(&[("prompt", "none")])).await.answer().error(), "login_required");
}

#[tokio::test]
async fn an_account_can_be_chosen_or_another_one_used() {
    let mut walk = Walk::new().await;
    assert!(walk.open(&request(&[("prompt", "select_account")])).await.has("sign-in"));
    walk.through(&request(&[]), ALICE).await;
    let select = walk.open(&request(&[("prompt", "select_account")])).await;
    assert!(select.has("continue") && select.html.contains("Alice &lt;Liddell&gt;"));
    assert!(walk.submit(&select, &[("action", "continue")]).await.answer().has_code());
    let select = walk.open(&request(&[("prompt", "select_account")])).await;
    let login = walk.submit(&select, &[("action", "another")]).await;
    let consent = walk.sign_in(&login, BOB).await;
    let answer = walk.allow(&consent).await.answer();
    assert_eq!(code_of(&walk, answer.get("code")).await.authorization.account, "bob");
}

#[tokio::test]
async fn a_person_who_says_no_sends_access_denied_and_no_code() {
    let mut walk = Walk::new().await;
    let login = walk.open(&request(&[])).await;
    assert_eq!(walk.submit(&login, &[("action", "cancel")]).await.answer().error(), "access_denied");
    let login = walk.open(&request(&[])).await;
    let consent = walk.sign_in(&login, ALICE).await;
    for action in ["deny", "", "anything"] {
        let consent = if action == "deny" { &consent } else { &walk.open(&request(&[])).await };
        let answer = walk.submit(consent, &[("action", action)]).await.answer();
        assert_eq!((answer.error(), answer.get("code")), ("access_denied", ""), "{action}");
    }
    assert!(walk.open(&request(&[])).await.has("allow"), "a no is not remembered");
}

#[tokio::test]
async fn consent_cannot_be_given_before_signing_in() {
    let mut walk = Walk::new().await;
    let login = walk.open(&request(&[])).await;
    let mut fields = login.hidden();
    fields[0].1 = "consent".into();
    let fields: Vec<_> =
        fields.iter().map(|(n, v)| (n.as_str(), v.as_str())).chain([("action", "allow")]).collect();
    let response = walk.post(&login.path, &fields).await;
    assert_eq!(
        (response.status(), header(&response, "location")),
        (StatusCode::SEE_OTHER, login.path.as_str())
    );
    // Nor by another browser with its own session.
    let mut other = Walk::at(walk.op.clone());
    other.through(&request(&[]), BOB).await;
    assert!(other.open(&login.path).await.refuses("another browser"));
    other.cookies.remove(cookie::BROWSER);
    assert!(other.open(&login.path).await.refuses("another browser"));
}

#[tokio::test]
async fn several_tabs_reloads_and_the_back_button_work() {
    let mut walk = Walk::new().await;
    let (first, second) =
        (walk.open(&request(&[("state", "one")])).await, walk.open(&request(&[("state", "two")])).await);
    assert_ne!(first.path, second.path);
    assert!(walk.open(&first.path).await.has("sign-in"), "a reload shows it again");
    let consent = walk.sign_in(&second, ALICE).await;
    let two = walk.allow(&consent).await.answer();
    assert_eq!(two.get("state"), "two");
    // The first tab was signed in by the second; its own page still works, and so does a reload.
    let one = walk.open(&first.path).await.answer();
    assert!(one.has_code() && one.get("state") == "one");
    assert_ne!(one.get("code"), two.get("code"));
    for finished in [&first, &second] {
        assert!(walk.open(&finished.path).await.refuses("completed already"));
        assert!(walk.sign_in(finished, ALICE).await.refuses("completed already"));
    }
}

#[tokio::test]
async fn an_interaction_completed_in_parallel_gives_one_code() {
    let mut walk = Walk::new().await;
    let login = walk.open(&request(&[])).await;
    let consent = walk.sign_in(&login, ALICE).await;
    let mut tabs: Vec<Walk> = (0..20)
        .map(|_| {
            let mut tab = Walk::at(walk.op.clone());
            tab.cookies = walk.cookies.clone();
            tab
        })
        .collect();
    let sights: Vec<Sight> =
        futures_util::future::join_all(tabs.iter_mut().map(|tab| tab.allow(&consent))).await;
    let codes = sights.iter().filter(|sight| sight.path.starts_with("https://rp.example/")).count();
    assert_eq!(codes, 1);
    assert!(sights.iter().all(|sight| sight.path.contains("code=") || sight.refuses("completed already")));
}

#[tokio::test]
async fn a_form_from_elsewhere_is_refused() {
    let mut walk = Walk::new().await;
    let login = walk.open(&request(&[])).await;
    let credentials = [("username", ALICE.0), ("password", ALICE.1)];
    let right = login.hidden();
    let other = walk.open(&request(&[])).await;
    for token in ["", "x", other.hidden()[1].1.as_str()] {
        let mut pairs = vec![("prompt", "login"), ("form_token", token)];
        pairs.extend(credentials);
        let response = walk.post(&login.path, &pairs).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{token}");
    }
    for (name, value, fine) in [
        ("origin", "https://evil.example", false),
        ("origin", "null", false),
        ("origin", "https://op.example.evil.example", false),
        ("sec-fetch-site", "cross-site", false),
        ("sec-fetch-site", "same-site", false),
        ("origin", "https://op.example", true),
    ] {
        walk.headers = vec![(name, value.to_owned())];
        assert_eq!(right[1].0, "form_token");
        let sight = walk.sign_in(&login, ALICE).await;
        assert_eq!(sight.has("allow"), fine, "{name}: {value}");
    }
}

#[tokio::test]
async fn an_unknown_person_and_a_wrong_password_look_the_same() {
    let mut walk = Walk::new().await;
    let login = walk.open(&request(&[])).await;
    let strip = |sight: &Sight, name: &str| {
        let nonce = header(&sight.response, "content-security-policy")
            .split('\'')
            .nth(3)
            .unwrap_or_default()
            .to_owned();
        let nonce = nonce.trim_start_matches("nonce-").replace('/', "&#x2f;");
        (sight.html.replace(&nonce, "N").replace(name, "NAME"), sight.response.status())
    };
    let wrong = walk.sign_in(&login, ("alice", "wrong")).await;
    let unknown = walk.sign_in(&login, ("zelda", "wrong")).await;
    assert!(wrong.has("problem"));
    assert_eq!(strip(&wrong, "alice"), strip(&unknown, "zelda"));
    let mark = Mark { of: Mark::of_account("bob"), dead_since: Timestamp(1), disabled: true };
    let change = vec![put(&mark, Expect::Absent).unwrap()];
    walk.op.store().commit(change, Durability::Durable, walk.op.now()).await.unwrap();
    let disabled = walk.sign_in(&login, BOB).await;
    assert_eq!(strip(&disabled, "bob"), strip(&unknown, "zelda"));
}

#[tokio::test]
async fn failures_are_throttled_alike_for_known_and_unknown_people() {
    let mut walk = Walk::at(walk::op("{ throttle: { account_failures: 3 } }").await);
    let login = walk.open(&request(&[])).await;
    for name in ["alice", "zelda"] {
        for spelling in [name.to_owned(), name.to_uppercase(), format!(" {name} ")] {
            assert_eq!(walk.sign_in(&login, (&spelling, "wrong")).await.response.status(), StatusCode::OK);
        }
        let waits = walk.sign_in(&login, (name, "wrong")).await;
        assert_eq!(waits.response.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(header(&waits.response, "retry-after"), "900");
    }
    assert!(walk.sign_in(&login, ALICE).await.has("problem"), "the right password waits too");
    advance(&walk, 900);
    assert!(walk.sign_in(&login, ALICE).await.has("allow"));
}

#[tokio::test]
async fn one_address_is_throttled_over_many_accounts() {
    let mut walk = Walk::at(walk::op("{ throttle: { address_failures: 5 } }").await);
    let login = walk.open(&request(&[])).await;
    for n in 0..5 {
        walk.sign_in(&login, (&format!("person-{n}"), "wrong")).await;
    }
    assert_eq!(walk.sign_in(&login, BOB).await.response.status(), StatusCode::TOO_MANY_REQUESTS);
    walk.peer.address = [192, 0, 2, 8].into();
    assert!(walk.sign_in(&login, BOB).await.has("allow"));
}

#[tokio::test]
async fn a_session_ends_by_idleness_by_age_and_with_its_account() {
    let mut walk = Walk::at(walk::op("{ lifetimes: { session: 3h, session_idle: 1h } }").await);
    let none = request(&[("prompt", "none")]);
    walk.through(&request(&[]), ALICE).await;
    for _ in 0..3 {
        advance(&walk, 3_000);
        assert!(walk.open(&none).await.answer().has_code(), "use keeps it");
    }
    advance(&walk, 1_800);
    assert_eq!(walk.open(&none).await.answer().error(), "login_required", "three hours are over");
    walk.through(&request(&[]), ALICE).await;
    advance(&walk, 3_600);
    assert_eq!(walk.open(&none).await.answer().error(), "login_required", "idle");
    walk.through(&request(&[]), ALICE).await;
    let mark = Mark { of: Mark::of_account("alice"), dead_since: walk.op.now(), disabled: false };
    let change = vec![put(&mark, Expect::Absent).unwrap()];
    walk.op.store().commit(change, Durability::Durable, walk.op.now()).await.unwrap();
    assert_eq!(walk.open(&none).await.answer().error(), "login_required", "a mark ends it");
}

#[tokio::test]
async fn who_signs_in_within_the_second_of_a_new_password_is_told_to_wait_and_then_gets_in() {
    let mut walk = Walk::new().await;
    walk.through(&request(&[]), ALICE).await;
    let change = json!({"command": "user-passwd", "username": "alice", "password": "looking-glass"});
    walk.op.administer(serde_json::from_value(change).unwrap()).await.unwrap();
    let login = walk.open(&request(&[])).await;
    let wait = walk.sign_in(&login, ("alice", "looking-glass")).await;
    assert_eq!(
        (wait.response.status(), header(&wait.response, "retry-after")),
        (StatusCode::SERVICE_UNAVAILABLE, "1")
    );
    assert!(wait.has("sign-in") && wait.has("problem"), "it is said, and may be tried again");
    advance(&walk, 1);
    assert!(walk.sign_in(&wait, ALICE).await.has("problem"), "the old password is over");
    assert!(walk.sign_in(&wait, ("alice", "looking-glass")).await.answer().has_code());
}

#[tokio::test]
async fn an_identifier_of_its_own_is_promised_only_where_it_is_one() {
    let mut walk = Walk::new().await;
    walk::client(&walk.op, "pairwise", json!({"subject_type": "pairwise"})).await;
    let login = walk.open(&request(&[])).await;
    assert!(!walk.sign_in(&login, ALICE).await.html.contains("identifier of its own"));
    let consent = walk.open(&request(&[("client_id", "pairwise")])).await;
    assert!(consent.html.contains("identifier of its own"));
}

#[tokio::test]
async fn an_expired_interaction_says_so() {
    let mut walk = Walk::new().await;
    let login = walk.open(&request(&[])).await;
    advance(&walk, 1_800);
    assert!(walk.sign_in(&login, ALICE).await.refuses("it has expired"));
    for path in [
        "/oidcop/interaction",
        "/oidcop/interaction/",
        "/oidcop/interaction/x",
        "/oidcop/interaction/../token",
    ] {
        assert_eq!(walk.open(path).await.response.status(), StatusCode::NOT_FOUND, "{path}");
    }
}

const MISCHIEF: &str = "\"><script>alert(1)</script>'\u{202e}{{ 7*7 }}</title>";

#[tokio::test]
async fn nothing_a_client_or_a_request_says_becomes_markup() {
    let mut walk = Walk::new().await;
    let hostile = json!({
        "client_name": MISCHIEF,
        "logo_uri": "javascript:alert(1)",
        "policy_uri": "javascript:alert(2)",
        "tos_uri": "data:text/html,<script>alert(3)</script>",
    });
    walk::client(&walk.op, CLIENT, hostile).await;
    let asked = request(&[
        ("state", MISCHIEF),
        ("login_hint", MISCHIEF),
        ("ui_locales", MISCHIEF),
        ("display", MISCHIEF),
    ]);
    let login = walk.open(&asked).await;
    let wrong = walk.sign_in(&login, (MISCHIEF, "wrong")).await;
    let consent = walk.sign_in(&login, ALICE).await;
    let posted = walk
        .open(&request(&[("state", MISCHIEF), ("response_mode", "form_post"), ("scope", "openid")]))
        .await;
    let posted = walk.allow(&posted).await;
    let page = walk.open(&request(&[("client_id", MISCHIEF)])).await;
    for sight in [&login, &wrong, &consent, &posted, &page] {
        let html = sight.html.replace("<script>document.forms[0].submit()</script>", "");
        assert!(
            !html.contains("<script") && !html.contains("javascript:") && !html.contains("data:"),
            "{html}"
        );
        assert!(
            !html.contains("49") && !html.contains('\u{202e}')
                || sight.path.is_empty()
                || html.contains("value=")
        );
    }
    assert!(posted.html.contains("&lt;script&gt;"), "state comes back, as text");
    let policy = header(&posted.response, "content-security-policy");
    assert!(
        policy.contains("script-src 'sha256-") && policy.contains("form-action 'self' https://rp.example;")
    );
}

#[tokio::test]
async fn a_page_lets_its_form_end_at_the_client_and_shows_its_logo_and_no_more() {
    let mut walk = Walk::new().await;
    let face = json!({
        "logo_uri": "https://cdn.example/logo.png",
        "policy_uri": "https://rp.example/policy",
        "tos_uri": "https://rp.example/terms",
        "localized": {"client_name#de": "Der Laden"},
    });
    walk::client(&walk.op, CLIENT, face).await;
    let login = walk.open(&request(&[("ui_locales", "de")])).await;
    assert!(login.html.contains("Der Laden") && login.html.contains("lang=\"de\""));
    assert!(login.html.contains("&#x2f;policy\"") && login.html.contains("&#x2f;terms\""), "{}", login.html);
    let policy = header(&login.response, "content-security-policy");
    assert!(policy.contains("img-src 'self' https://cdn.example;"), "{policy}");
    assert!(policy.contains("form-action 'self' https://rp.example;"), "{policy}");
    assert_eq!(header(&login.response, "referrer-policy"), "same-origin");
}

#[tokio::test]
async fn a_login_hint_is_written_into_the_field() {
    let mut walk = Walk::new().await;
    let login = walk.open(&request(&[("login_hint", "alice")])).await;
    assert!(login.html.contains("name=\"username\" value=\"alice\""));
}

/// OpenID Connect Core §3.1.2.1: `display`.
#[tokio::test]
async fn a_page_is_laid_out_for_the_display_asked_for() {
    let mut walk = Walk::new().await;
    for (asked, body) in [
        ("", "<body>"),
        ("unknown", "<body>"),
        ("page", "<body class=\"page\">"),
        ("popup", "<body class=\"popup\">"),
        ("touch", "<body class=\"touch\">"),
        ("wap", "<body class=\"wap\">"),
    ] {
        assert!(walk.open(&request(&[("display", asked)])).await.html.contains(body), "{asked}");
    }
}
