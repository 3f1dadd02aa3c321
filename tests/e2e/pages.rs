//! The pages, in Chromium with the relying party on another site, and without any script.

use crate::harness::foreign::{Chromium, Sight};
use crate::harness::landing::Landing;
use crate::harness::party::parameter;
use crate::harness::{Party, Person, Server};
use crate::walkthrough::{ALICE, alice};
use serde_json::{Value, json};
use url::Url;

struct Scene {
    server: Server,
    landing: Landing,
    party: Party,
    browser: Chromium,
}

impl Scene {
    async fn new(members: Value) -> Self {
        let (server, landing) = (Server::quickstart(), Landing::start().await);
        let mut all = json!({
            "redirect_uris": [format!("{}/callback", landing.url())],
            "post_logout_redirect_uris": [format!("{}/signed-out", landing.url())],
        });
        for (name, value) in members.as_object().unwrap() {
            all[name] = value.clone();
        }
        let party = Party::register_with(&server, all).await;
        let browser = Chromium::start(&server, &landing).await;
        Self { server, landing, party, browser }
    }
}

fn answer(sight: &Sight) -> Url {
    assert!(sight.has("landed"), "{sight:?}");
    Url::parse(&sight.url).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_deny_sends_the_refusal_to_the_client() {
    let mut scene = Scene::new(json!({})).await;
    let asked = scene.party.ask("openid profile", &[]);
    scene.browser.open(&asked.url);
    let consent = scene.browser.travel_to("deny", ALICE);
    assert!(consent.has("allow"), "{consent:?}");
    let refused = answer(&scene.browser.click("deny"));
    assert_eq!(parameter(&refused, "error").as_deref(), Some("access_denied"));
    assert_eq!(parameter(&refused, "state"), Some(asked.state));
    assert_eq!(parameter(&refused, "iss"), Some(scene.server.issuer()));
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_remember_the_session_and_the_consent() {
    let mut scene = Scene::new(json!({})).await;
    let first = scene.party.ask("openid profile", &[]);
    let sight = scene.browser.travel(&first.url, ALICE);
    scene.party.code(&first, &answer(&sight));
    for extra in [vec![], vec![("prompt", "none")], vec![("max_age", "10000")]] {
        let again = scene.party.ask("openid profile", &extra);
        let sight = scene.browser.open(&again.url);
        scene.party.code(&again, &answer(&sight));
    }
    // More than was allowed is asked for, and a fresh sign-in when the client wants one.
    let more = scene.party.ask("openid profile email", &[]);
    assert!(scene.browser.open(&more.url).has("allow"));
    let login = scene.party.ask("openid profile", &[("prompt", "login")]);
    assert!(scene.browser.open(&login.url).has("password"));
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_post_the_answer_when_the_client_wants_form_post() {
    let mut scene = Scene::new(json!({})).await;
    let asked = scene.party.ask("openid", &[("response_mode", "form_post")]);
    let sight = scene.browser.travel(&asked.url, ALICE);
    assert!(sight.has("landed") && sight.complaints.is_empty(), "{sight:?}");
    let arrival = scene.landing.arrivals().pop().unwrap();
    assert_eq!((arrival.method.as_str(), arrival.target.as_str()), ("POST", "/callback"));
    let as_query = Url::parse(&format!("{}/callback?{}", scene.landing.url(), arrival.body)).unwrap();
    let code = scene.party.code(&asked, &as_query);
    scene.party.redeem(&asked, &code).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_need_no_script() {
    let mut scene = Scene::new(json!({})).await;
    let asked = scene.party.ask("openid profile", &[]);
    let plain =
        json!({"javaScriptEnabled": false, "viewport": {"width": 320, "height": 640}, "colorScheme": "dark"});
    let step = |scene: &mut Scene, mut command: Value| {
        command["profile"] = "plain".into();
        command["options"] = plain.clone();
        scene.browser.step(&command)
    };
    step(&mut scene, json!({"verb": "open", "url": asked.url}));
    step(&mut scene, json!({"verb": "fill", "id": "username", "value": ALICE.0}));
    step(&mut scene, json!({"verb": "fill", "id": "password", "value": ALICE.1}));
    let consent = step(&mut scene, json!({"verb": "press", "key": "Enter"}));
    assert!(consent.has("allow") && consent.lang == "en", "{consent:?}");
    let width = "document.documentElement.scrollWidth";
    let wide = step(&mut scene, json!({"verb": "evaluate", "script": width})).value;
    assert!(wide.as_u64().is_some_and(|width| width <= 320), "the page is wider than a phone: {wide}");
    let landed = step(&mut scene, json!({"verb": "click", "id": "allow"}));
    scene.party.code(&asked, &answer(&landed));
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_show_what_a_client_says_of_itself_and_run_none_of_it() {
    let mischief =
        "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">Shop";
    let scene = Scene::new(json!({"client_name": mischief})).await;
    let mut browser = scene.browser;
    let hint = "\"><script>document.title='owned'</script>";
    let asked =
        scene.party.ask("openid profile", &[("login_hint", hint), ("state", hint), ("ui_locales", hint)]);
    let title = json!({"verb": "evaluate", "script": "document.title"});
    let login = browser.open(&asked.url);
    assert!(login.has("password"), "{login:?}");
    assert_ne!(browser.step(&title).value, "owned");
    let consent = browser.travel_to("allow", ALICE);
    assert!(consent.text.contains("Shop"), "{consent:?}");
    assert_ne!(browser.step(&title).value, "owned");
    let broken =
        Url::parse_with_params(scene.party.endpoint("authorization_endpoint"), [("client_id", hint)]);
    let error = browser.open(broken.unwrap().as_str());
    assert!(!error.has("landed"), "{error:?}");
    assert_ne!(browser.step(&title).value, "owned");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_treat_a_wrong_password_like_an_unknown_name() {
    let server = Server::quickstart();
    let party = Party::register(&server).await;
    let mut answers = Vec::new();
    for username in ["alice", "nobody-of-this-name"] {
        let mut person = Person::new(server.client().fresh(), username, "wrong");
        let page = person.visit(&party.ask("openid", &[]).url).await.page();
        let page = person.sign_in(&page).await.page();
        assert!(page.has("password"), "one may try again");
        let shown = page.answer.text().replace(username, "NAME");
        // Tokens differ from page to page; what a person reads does not.
        let words: String = shown.split('<').filter_map(|tag| tag.split('>').nth(1)).collect();
        answers.push((page.answer.status, words));
    }
    assert_eq!(answers[0], answers[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_work_in_several_tabs_at_once() {
    let server = Server::quickstart();
    let party = Party::register(&server).await;
    let mut person = alice(&server);
    let asked: Vec<_> = (0..3).map(|_| party.ask("openid profile", &[])).collect();
    let mut tabs = Vec::new();
    for each in &asked {
        tabs.push(person.visit(&each.url).await.page());
    }
    for (each, tab) in asked.iter().zip(&tabs) {
        let mut arrived = person.sign_in(tab).await;
        if let crate::harness::person::Arrived::Page(page) = &arrived
            && page.has("allow")
        {
            arrived = person.press(page, "allow", &[]).await;
        }
        party.code(each, &arrived.elsewhere());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_cannot_be_framed_and_are_never_cached() {
    let server = Server::quickstart();
    let party = Party::register(&server).await;
    let page = alice(&server).visit(&party.ask("openid", &[]).url).await.page();
    let policy = page.answer.header("content-security-policy").unwrap();
    assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
    assert!(!policy.contains("unsafe-inline") || !policy.contains("script-src"), "{policy}");
    assert_eq!(page.answer.header("cache-control").as_deref(), Some("no-store"));
    assert_eq!(page.answer.header("x-content-type-options").as_deref(), Some("nosniff"));
    assert!(page.answer.header("referrer-policy").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_speak_the_language_asked_for() {
    let server = Server::quickstart();
    let party = Party::register(&server).await;
    let metadata = &party.metadata["ui_locales_supported"];
    let languages: Vec<_> = metadata.as_array().expect("ui_locales_supported").iter().collect();
    assert!(languages.len() >= 3, "English and two more: {metadata}");
    let mut texts = std::collections::BTreeSet::new();
    for language in languages {
        let language = language.as_str().unwrap();
        let asked = party.ask("openid", &[("ui_locales", language)]);
        let by_parameter = alice(&server).visit(&asked.url).await.page().answer.text();
        assert!(by_parameter.contains(&format!("lang=\"{language}\"")), "{by_parameter}");
        let mut person = alice(&server);
        person.languages = Some(format!("{language};q=0.9, xx;q=0.1"));
        let by_header = person.visit(&party.ask("openid", &[]).url).await.page().answer.text();
        assert!(by_header.contains(&format!("lang=\"{language}\"")), "{by_header}");
        let words: String = by_parameter.split('<').filter_map(|tag| tag.split('>').nth(1)).collect();
        texts.insert(words);
    }
    assert!(texts.len() >= 3, "the words differ: {texts:?}");
}
