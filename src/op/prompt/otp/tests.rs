//! Tests of the second factor: enrolled, asked for, stepped up to, and never skipped.

use crate::op::Op;
use crate::op::cookie;
use crate::op::directory::second_factor::{Proof, prove};
use crate::op::fixture::header;
use crate::op::record::code::Code;
use crate::op::record::family::Authorization;
use crate::op::walk::{self, ALICE, App, BOB, Sight, Walk, request};
use crate::store::record::get;
use http::StatusCode;
use serde_json::{Value, json};
use std::time::Duration;

const CLASSES: &str = "acr: [{ name: mfa, needs: [pwd, otp] }, { name: pwd, needs: [pwd] }]";

async fn walk(more: &str) -> Walk {
    Walk::at(walk::op(&format!("{{ {CLASSES}{more} }}")).await)
}

/// A request that nothing but the class `mfa` satisfies.
fn strict(changes: &[(&str, &str)]) -> String {
    let claims = json!({"id_token": {"acr": {"essential": true, "value": "mfa"}}}).to_string();
    let mut all = vec![("claims", claims.as_str())];
    all.extend(changes);
    request(&all)
}

fn advance(walk: &Walk, seconds: u64) {
    walk.op.shared.kit.clock.advance(Duration::from_secs(seconds));
}

async fn granted(walk: &Walk, sight: &Sight) -> Authorization {
    let answer = sight.answer();
    let id = Code::digest_of(answer.get("code"));
    get::<Code>(walk.op.store(), id, walk.op.now()).await.unwrap().unwrap().record.authorization
}

/// Signs `person` in, enrols an app, allows the request; the app and the recovery codes.
async fn enrolled(walk: &mut Walk, person: (&str, &str)) -> (App, Vec<String>) {
    let mut page = walk.open(&strict(&[])).await;
    if page.has("sign-in") {
        page = walk.sign_in(&page, person).await;
    }
    let (app, codes) = walk.enrol(&page).await;
    let recovery = recovery_codes(&codes);
    let mut page = walk.submit(&codes, &[("action", "kept")]).await;
    if page.has("allow") {
        page = walk.allow(&page).await;
    }
    assert_eq!(granted(walk, &page).await.acr.as_deref(), Some("mfa"));
    advance(walk, 30);
    (app, recovery)
}

fn recovery_codes(page: &Sight) -> Vec<String> {
    let list = page.html.split_once("id=\"recovery-codes\"").unwrap().1.split_once("</ol>").unwrap().0;
    list.split("<code>").skip(1).map(|code| code.split('<').next().unwrap().to_owned()).collect()
}

async fn command(op: &Op, command: Value) -> Value {
    op.administer(serde_json::from_value(command).unwrap()).await.unwrap()
}

/// RFC 6238 §5.2, OpenID Connect Core §5.5.1.1.
#[tokio::test]
async fn a_person_without_a_second_factor_sets_one_up_where_the_class_needs_it() {
    let mut walk = walk("").await;
    let login = walk.open(&strict(&[])).await;
    let page = walk.sign_in(&login, ALICE).await;
    assert!(page.has("qr") && page.html.contains("autocomplete=\"one-time-code\""), "{page:?}");
    let secret = page.text("secret");
    assert!(secret.len() == 39 && secret.split(' ').all(|four| four.len() == 4), "{secret}");
    let address = format!(
        "otpauth://totp/op%2Eexample:alice?secret={}&issuer=op%2Eexample&algorithm=SHA1&digits=6&period=30",
        secret.replace(' ', "")
    );
    assert!(page.html.replace("&#x2f;", "/").replace("&amp;", "&").contains(&address), "{}", page.html);
    assert!(!page.html.contains("style=\"") && !page.html.contains("<script"));
    // It is nothing yet, and the same secret when the page is shown again.
    assert!(walk.op.second_factor("alice", walk.op.now()).await.unwrap().is_none());
    let wrong = walk.submit(&page, &[("code", "000000"), ("action", "confirm")]).await;
    assert!(wrong.has("problem") && wrong.text("secret") == secret);
    assert_eq!(walk.open(&page.path).await.text("secret"), secret);
    let (_, codes) = walk.enrol(&page).await;
    let recovery = recovery_codes(&codes);
    assert!(recovery.len() == 10 && recovery.iter().all(|code| code.len() == 19), "{recovery:?}");
    // At rest there is neither the secret nor a recovery code.
    let stored = walk.op.second_factor("alice", walk.op.now()).await.unwrap().unwrap().record;
    let text = serde_json::to_string(&stored).unwrap();
    assert!(recovery.iter().all(|code| !text.contains(code)));
    let reload = walk.submit(&page, &[("code", "000000"), ("action", "confirm")]).await;
    assert!(reload.has("allow"), "what was shown once is not shown again");
    let allowed = walk.allow(&reload).await;
    let authorization = granted(&walk, &allowed).await;
    assert_eq!(authorization.acr.as_deref(), Some("mfa"));
    assert_eq!(authorization.amr, ["pwd", "otp", "mfa"]);
}

#[tokio::test]
async fn the_secret_offered_belongs_to_one_interaction_of_one_person() {
    let mut walk = walk("").await;
    let login = walk.open(&strict(&[])).await;
    let first = walk.sign_in(&login, ALICE).await;
    let second = walk.open(&strict(&[])).await;
    assert_ne!(first.text("secret"), second.text("secret"));
    let mut other = Walk::at(walk.op.clone());
    let login = other.open(&strict(&[])).await;
    let bobs = other.sign_in(&login, BOB).await;
    assert_ne!(first.text("secret"), bobs.text("secret"));
    // Of two tabs one enrols; the other one asks for its code then.
    let (_, codes) = walk.enrol(&first).await;
    assert!(codes.has("recovery-codes"));
    let code = App::of(&second).code(walk.op.now());
    let late = walk.submit(&second, &[("code", &code), ("action", "confirm")]).await;
    assert!(late.has("allow"), "the session has proven it: {late:?}");
}

/// OpenID Connect Core §3.1.2.1: `acr_values` is a wish.
#[tokio::test]
async fn a_voluntary_class_is_asked_of_those_who_can_reach_it_and_refused_to_nobody() {
    let mut walk = walk("").await;
    let wish = [("acr_values", "unknown mfa pwd")];
    let login = walk.open(&request(&wish)).await;
    let consent = walk.sign_in(&login, ALICE).await;
    let allowed = walk.allow(&consent).await;
    assert_eq!(granted(&walk, &allowed).await.acr.as_deref(), Some("pwd"));
    let (app, _) = enrolled(&mut walk, ALICE).await;
    let mut fresh = Walk::at(walk.op.clone());
    let login = fresh.open(&request(&wish)).await;
    let otp = fresh.sign_in(&login, ALICE).await;
    assert!(otp.has("use-recovery"), "{otp:?}");
    let silent = fresh.open(&request(&[wish[0], ("prompt", "none")])).await;
    assert_eq!(granted(&walk, &silent).await.acr.as_deref(), Some("pwd"), "what is voluntary asks nobody");
    let plain = fresh.open(&request(&[("acr_values", "pwd mfa")])).await;
    assert_eq!(granted(&walk, &plain).await.acr.as_deref(), Some("pwd"), "the first wish is met");
    let answered = fresh.confirm(&otp, &app).await;
    assert_eq!(granted(&walk, &answered).await.acr.as_deref(), Some("mfa"));
    // And the registered wish is one too.
    walk::client(&walk.op, "wishful", json!({"default_acr_values": ["mfa"]})).await;
    let mut fresh = Walk::at(walk.op.clone());
    let login = fresh.open(&request(&[("client_id", "wishful")])).await;
    assert!(fresh.sign_in(&login, ALICE).await.has("use-recovery"));
}

/// Session fixation: a new handle at step-up.
#[tokio::test]
async fn a_living_session_steps_up_with_the_missing_factor_alone() {
    let mut walk = walk("").await;
    let (app, _) = enrolled(&mut walk, ALICE).await;
    let mut other = Walk::at(walk.op.clone());
    let login = other.open(&request(&[])).await;
    let before = other.sign_in(&login, ALICE).await;
    let before = granted(&other, &before).await;
    assert_eq!((before.acr.as_deref(), before.amr.len()), (Some("pwd"), 1));
    let cookie = other.cookies[cookie::SESSION].clone();
    assert_eq!(other.open(&strict(&[("prompt", "none")])).await.answer().error(), "login_required");
    let page = other.open(&strict(&[])).await;
    assert!(page.has("code") && !page.has("password"), "{page:?}");
    let after = other.confirm(&page, &app).await;
    let after = granted(&other, &after).await;
    assert_eq!((after.acr.as_deref(), &after.sid), (Some("mfa"), &before.sid));
    assert!(after.auth_time > before.auth_time);
    assert_ne!(other.cookies[cookie::SESSION], cookie);
    assert!(other.open(&strict(&[("prompt", "none")])).await.answer().has_code());
    let mut thief = Walk::at(walk.op.clone());
    thief.cookies = other.cookies.clone();
    thief.cookies.insert(cookie::SESSION.into(), cookie);
    assert_eq!(thief.open(&request(&[("prompt", "none")])).await.answer().error(), "login_required");
    // Signing in anew proves the password alone.
    let login = other.open(&strict(&[("prompt", "login")])).await;
    advance(&other, 30);
    let otp = other.sign_in(&login, ALICE).await;
    let again = other.confirm(&otp, &app).await;
    assert_eq!(granted(&other, &again).await.acr.as_deref(), Some("mfa"));
}

#[tokio::test]
async fn an_app_is_set_up_soon_after_the_password_only() {
    let mut walk = walk("").await;
    walk.through(&request(&[]), ALICE).await;
    assert!(walk.open(&strict(&[])).await.has("secret"));
    advance(&walk, 601);
    let login = walk.open(&strict(&[])).await;
    assert!(login.has("sign-in") && !login.has("secret"));
    assert!(walk.sign_in(&login, ALICE).await.has("secret"));
}

#[tokio::test]
async fn a_second_factor_is_skipped_by_no_order_of_steps() {
    let mut walk = walk(", second_factor: { required: true }").await;
    let login = walk.open(&request(&[])).await;
    let otp = walk.sign_in(&login, ALICE).await;
    assert!(otp.has("secret"));
    assert_eq!(walk.open(&request(&[("prompt", "none")])).await.answer().error(), "login_required");
    // Whatever is answered instead, the code is asked for.
    let hidden = otp.hidden();
    let token = hidden.iter().find(|(name, _)| name == "form_token").unwrap().1.as_str();
    for (prompt, action) in [
        ("consent", "allow"),
        ("select_account", "continue"),
        ("create", "create"),
        ("otp", "kept"),
        ("otp", ""),
    ] {
        let pairs = [("prompt", prompt), ("form_token", token), ("action", action)];
        walk.post(&otp.path, &pairs).await;
        assert!(walk.open(&otp.path).await.has("secret"), "{prompt} {action}");
    }
    // Nor does signing in once more, here or in another tab.
    let tab = walk.open(&request(&[("prompt", "login")])).await;
    assert!(walk.sign_in(&tab, ALICE).await.has("secret"));
    let mut fields: Vec<_> = vec![("prompt", "login"), ("form_token", token), ("action", "sign-in")];
    fields.extend([("username", ALICE.0), ("password", ALICE.1)]);
    walk.post(&otp.path, &fields).await;
    assert!(walk.open(&otp.path).await.has("secret"));
    for prompt in ["consent", "select_account"] {
        assert!(!walk.open(&request(&[("prompt", prompt)])).await.path.contains("code="));
    }
    // Somebody who proved it is somebody else to the next one at this browser.
    let (_, codes) = walk.enrol(&otp).await;
    let consent = walk.submit(&codes, &[]).await;
    walk.allow(&consent).await.answer();
    let login = walk.open(&request(&[("prompt", "login")])).await;
    assert!(walk.sign_in(&login, BOB).await.has("secret"));
    let login = walk.open(&request(&[("prompt", "login")])).await;
    assert!(walk.sign_in(&login, ALICE).await.has("use-recovery"), "alice's password alone enrols nothing");
}

#[tokio::test]
async fn a_code_counts_once_however_many_try_it_at_the_same_moment() {
    let mut walk = walk(", throttle: { second_factor_failures: 1000 }").await;
    let (app, recovery) = enrolled(&mut walk, ALICE).await;
    let code = app.code(walk.op.now());
    for (code, proof) in [(&code, Proof::App), (&recovery[0], Proof::Recovery(9))] {
        let all = (0..100).map(|_| prove(&walk.op, "alice", code, walk.op.now()));
        let all = futures_util::future::join_all(all).await;
        let right: Vec<_> = all.into_iter().filter_map(Result::unwrap).collect();
        assert_eq!(right, [proof]);
    }
    // As in a browser.
    let mut other = Walk::at(walk.op.clone());
    let login = other.open(&strict(&[])).await;
    let page = other.sign_in(&login, ALICE).await;
    let used = other.confirm(&page, &app).await;
    assert!(used.has("problem"), "the code of this half minute was used: {used:?}");
    advance(&walk, 30);
    assert!(other.confirm(&used, &app).await.answer().has_code());
}

#[tokio::test]
async fn a_recovery_code_stands_in_for_the_app_once() {
    let mut walk = walk("").await;
    let (_, recovery) = enrolled(&mut walk, ALICE).await;
    let mut other = Walk::at(walk.op.clone());
    for (n, code) in [recovery[3].clone(), recovery[4].replace('-', " ").to_uppercase()].iter().enumerate() {
        let login = other.open(&strict(&[("prompt", "login")])).await;
        let page = other.sign_in(&login, ALICE).await;
        let page = other.submit(&page, &[("action", "use-recovery")]).await;
        assert!(page.has("recover") && !page.html.contains("one-time-code"));
        let used = other.submit(&page, &[("code", &recovery[3]), ("action", "recover")]).await;
        assert_eq!(used.has("problem"), n == 1, "it was used before");
        let used =
            if n == 1 { other.submit(&page, &[("code", code), ("action", "recover")]).await } else { used };
        assert!(used.text("left").ends_with(&format!(": {}", 9 - n)), "{used:?}");
        let answer = other.submit(&used, &[("action", "kept")]).await;
        assert_eq!(granted(&other, &answer).await.amr, ["pwd", "otp", "mfa"]);
    }
}

#[tokio::test]
async fn guessing_codes_is_throttled_and_keeps_nobody_from_the_password() {
    let mut walk = walk("").await;
    let (app, _) = enrolled(&mut walk, ALICE).await;
    let mut other = Walk::at(walk.op.clone());
    let login = other.open(&strict(&[])).await;
    let page = other.sign_in(&login, ALICE).await;
    for _ in 0..5 {
        let wrong = other.submit(&page, &[("code", "000000"), ("action", "confirm")]).await;
        assert_eq!(wrong.response.status(), StatusCode::OK);
    }
    let waits = other.confirm(&page, &app).await;
    assert_eq!(waits.response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(header(&waits.response, "retry-after"), "900");
    let mut owner = Walk::at(walk.op.clone());
    let login = owner.open(&request(&[])).await;
    assert!(owner.sign_in(&login, ALICE).await.answer().has_code(), "the password is another matter");
    // Another person's codes are, too.
    let login = owner.open(&strict(&[("prompt", "login")])).await;
    let page = owner.sign_in(&login, BOB).await;
    assert!(owner.enrol(&page).await.1.has("recovery-codes"));
    advance(&walk, 900);
    assert!(other.confirm(&waits, &app).await.answer().has_code());
}

#[tokio::test]
async fn an_operator_resets_a_second_factor_and_what_rests_on_it_ends() {
    let mut walk = walk("").await;
    let row = |rows: &Value, name: &str| {
        rows.as_array().unwrap().iter().find(|row| row["username"] == name).unwrap().clone()
    };
    enrolled(&mut walk, ALICE).await;
    let rows = command(&walk.op, json!({"command": "user-list"})).await;
    assert_eq!((&row(&rows, "alice")["otp"], &row(&rows, "bob")["otp"]), (&json!(true), &json!(false)));
    let reset = json!({"command": "user-otp-reset", "username": "Alice"});
    assert_eq!(command(&walk.op, reset.clone()).await, json!({"username": "alice"}));
    assert_eq!(walk.open(&request(&[("prompt", "none")])).await.answer().error(), "login_required");
    advance(&walk, 1);
    let login = walk.open(&strict(&[])).await;
    assert!(walk.sign_in(&login, ALICE).await.has("secret"), "a new one is set up");
    let again = walk.op.administer(serde_json::from_value(reset).unwrap()).await.unwrap_err();
    assert_eq!(again.0, "alice has no second factor");
}

#[tokio::test]
async fn a_person_may_turn_back_at_the_second_factor() {
    let mut walk = walk("").await;
    let login = walk.open(&strict(&[])).await;
    let page = walk.sign_in(&login, ALICE).await;
    assert_eq!(walk.submit(&page, &[("action", "cancel")]).await.answer().error(), "access_denied");
    assert!(walk.op.second_factor("alice", walk.op.now()).await.unwrap().is_none());
}
