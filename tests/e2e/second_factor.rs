//! More than a password, and accounts that people make themselves, in Chromium with the relying party on another site.

use crate::harness::foreign::Chromium;
use crate::harness::landing::Landing;
use crate::harness::party::{claims, parameter};
use crate::harness::server::House;
use crate::harness::{Party, Server};
use crate::walkthrough::ALICE;
use ring::hmac;
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};
use url::Url;

/// The quickstart where a class needs a second factor and people may make accounts.
fn house() -> House {
    let house = House::new("quickstart");
    let more = "    mount: /oidcop\n    acr: [{ name: mfa, needs: [pwd, otp] }, { name: pwd, needs: [pwd] }]\n    \
                self_registration: { enabled: true }\n";
    house.edit(|text| text.replacen("    mount: /oidcop\n", more, 1));
    house
}

/// The request's wish for nothing less than two factors.
fn essential() -> String {
    json!({"id_token": {"acr": {"essential": true, "value": "mfa"}}}).to_string()
}

fn step() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() / 30
}

/// What an authenticator app with the secret of the page shows in a step (RFC 4226 §5.3), by nobody's code but this.
fn code(secret: &str, step: u64) -> String {
    let mut bits = String::new();
    for c in secret.chars().filter(|c| *c != ' ') {
        let five = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".find(c).unwrap();
        bits += &format!("{five:05b}");
    }
    let secret: Vec<u8> =
        (0..bits.len() / 8).map(|n| u8::from_str_radix(&bits[n * 8..n * 8 + 8], 2).unwrap()).collect();
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &secret);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let at = usize::from(tag.as_ref()[19] & 15);
    let four: [u8; 4] = tag.as_ref()[at..at + 4].try_into().unwrap();
    format!("{:06}", (u32::from_be_bytes(four) & 0x7fff_ffff) % 1_000_000)
}

struct Scene {
    server: Server,
    party: Party,
    browser: Chromium,
    // Its port is the relying party's.
    _landing: Landing,
}

impl Scene {
    async fn new() -> Self {
        let (server, landing) = (house().start(), Landing::start().await);
        let callback = json!({"redirect_uris": [format!("{}/callback", landing.url())]});
        let party = Party::register_with(&server, callback).await;
        let browser = Chromium::start(&server, &landing).await;
        Self { server, party, browser, _landing: landing }
    }

    fn text(&mut self, id: &str) -> String {
        let script = format!("document.getElementById('{id}').textContent");
        self.browser.step(&json!({"verb": "evaluate", "script": script})).value.as_str().unwrap().to_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn second_factor_is_set_up_at_the_sign_in_that_needs_it_and_asked_for_at_the_next() {
    let mut scene = Scene::new().await;
    let asked = scene.party.ask("openid profile", &[("claims", &essential())]);
    scene.browser.open(&asked.url);
    let page = scene.browser.travel_to("qr", ALICE);
    assert!(page.complaints.is_empty(), "{page:?}");
    let secret = scene.text("secret");
    let first = step();
    scene.browser.fill("code", &code(&secret, first));
    let kept = scene.browser.click("confirm");
    assert!(kept.has("recovery-codes"), "{kept:?}");
    let recovery = scene.text("recovery-codes");
    assert_eq!(recovery.split_whitespace().count(), 10);
    scene.browser.click("kept");
    let landed = scene.browser.click("allow");
    assert!(landed.complaints.is_empty(), "{landed:?}");
    let code_of_answer = scene.party.code(&asked, &Url::parse(&landed.url).unwrap());
    let tokens = scene.party.redeem(&asked, &code_of_answer).await;
    let id_token = claims(tokens.id.as_deref().unwrap());
    assert_eq!((&id_token["acr"], &id_token["amr"]), (&json!("mfa"), &json!(["pwd", "otp", "mfa"])));

    // A browser that signed in by password alone steps up with a code alone.
    let narrow = json!({"javaScriptEnabled": false, "viewport": {"width": 320, "height": 640}});
    let other = |scene: &mut Scene, mut command: Value| {
        command["profile"] = "other".into();
        command["options"] = narrow.clone();
        scene.browser.step(&command)
    };
    let plain = scene.party.ask("openid profile", &[]);
    other(&mut scene, json!({"verb": "open", "url": plain.url}));
    other(&mut scene, json!({"verb": "fill", "id": "username", "value": ALICE.0}));
    other(&mut scene, json!({"verb": "fill", "id": "password", "value": ALICE.1}));
    let landed = other(&mut scene, json!({"verb": "click", "id": "sign-in"}));
    assert!(parameter(&Url::parse(&landed.url).unwrap(), "code").is_some(), "{landed:?}");
    let asked = scene.party.ask("openid profile", &[("claims", &essential())]);
    let page = other(&mut scene, json!({"verb": "open", "url": asked.url}));
    assert!(page.has("use-recovery") && !page.has("password"), "{page:?}");
    let width = "document.documentElement.scrollWidth";
    let wide = other(&mut scene, json!({"verb": "evaluate", "script": width})).value;
    assert!(wide.as_u64().is_some_and(|width| width <= 320), "the page is wider than a phone: {wide}");
    other(&mut scene, json!({"verb": "fill", "id": "code", "value": code(&secret, first)}));
    let refused = other(&mut scene, json!({"verb": "click", "id": "confirm"}));
    assert!(refused.has("problem"), "the first code was used: {refused:?}");
    other(&mut scene, json!({"verb": "fill", "id": "code", "value": code(&secret, first + 1)}));
    let landed = other(&mut scene, json!({"verb": "click", "id": "confirm"}));
    scene.party.code(&asked, &Url::parse(&landed.url).unwrap());

    // And the operator takes it away.
    let listed: Value = serde_json::from_str(&scene.server.house.say(&["user", "list", "--json"])).unwrap();
    let alice = listed.as_array().unwrap().iter().find(|row| row["username"] == ALICE.0).unwrap();
    assert_eq!(alice["otp"], true);
    scene.server.house.say(&["user", "otp", "reset", ALICE.0]);
    let silent = scene.party.ask("openid", &[("prompt", "none")]);
    let gone = Url::parse(&scene.browser.open(&silent.url).url).unwrap();
    assert_eq!(parameter(&gone, "error").as_deref(), Some("login_required"));
}

#[tokio::test(flavor = "multi_thread")]
async fn second_factor_recovery_codes_and_new_accounts_need_no_script() {
    let mut scene = Scene::new().await;
    let plain = json!({"javaScriptEnabled": false, "viewport": {"width": 360, "height": 740}});
    let step_of = |scene: &mut Scene, mut command: Value| {
        command["profile"] = "plain".into();
        command["options"] = plain.clone();
        scene.browser.step(&command)
    };
    let asked = scene.party.ask("openid profile", &[("prompt", "create"), ("claims", &essential())]);
    let page = step_of(&mut scene, json!({"verb": "open", "url": asked.url}));
    assert!(page.has("password-again"), "{page:?}");
    for (id, value) in [
        ("username", "Nora"),
        ("name", "Nora N."),
        ("email", "nora@people.example"),
        ("password", "a doll of her own"),
        ("password-again", "a doll of her own"),
    ] {
        step_of(&mut scene, json!({"verb": "fill", "id": id, "value": value}));
    }
    let enrol = step_of(&mut scene, json!({"verb": "press", "key": "Enter"}));
    assert!(enrol.has("qr") && enrol.complaints.is_empty(), "{enrol:?}");
    let text = |scene: &mut Scene, id: &str| {
        let script = format!("document.getElementById('{id}').textContent");
        step_of(scene, json!({"verb": "evaluate", "script": script})).value.as_str().unwrap().to_owned()
    };
    let secret = text(&mut scene, "secret");
    step_of(&mut scene, json!({"verb": "fill", "id": "code", "value": code(&secret, step())}));
    let kept = step_of(&mut scene, json!({"verb": "press", "key": "Enter"}));
    assert!(kept.has("recovery-codes"), "{kept:?}");
    let recovery = text(&mut scene, "recovery-codes");
    step_of(&mut scene, json!({"verb": "click", "id": "kept"}));
    let landed = step_of(&mut scene, json!({"verb": "click", "id": "allow"}));
    scene.party.code(&asked, &Url::parse(&landed.url).unwrap());

    let again = scene.party.ask("openid profile", &[("prompt", "login"), ("claims", &essential())]);
    step_of(&mut scene, json!({"verb": "open", "url": again.url}));
    step_of(&mut scene, json!({"verb": "fill", "id": "username", "value": "nora"}));
    step_of(&mut scene, json!({"verb": "fill", "id": "password", "value": "a doll of her own"}));
    step_of(&mut scene, json!({"verb": "click", "id": "sign-in"}));
    step_of(&mut scene, json!({"verb": "click", "id": "use-recovery"}));
    let one = recovery.split_whitespace().next().unwrap();
    step_of(&mut scene, json!({"verb": "fill", "id": "code", "value": one}));
    let used = step_of(&mut scene, json!({"verb": "press", "key": "Enter"}));
    assert!(used.has("left") && used.text.contains('9'), "{used:?}");
    let landed = step_of(&mut scene, json!({"verb": "click", "id": "kept"}));
    scene.party.code(&again, &Url::parse(&landed.url).unwrap());
}
