//! Single logout: frames and the session iframe in Chromium with the relying party on another site, and logout tokens to
//! relying parties that are there, slow, or down.

use crate::harness::foreign::{Chromium, Sight};
use crate::harness::landing::{Arrival, Landing};
use crate::harness::party::{claims, parameter};
use crate::harness::{House, Party, Server};
use crate::walkthrough::{ALICE, alice};
use serde_json::{Value, json};
use std::fs;
use url::Url;

struct Scene {
    server: Server,
    landing: Landing,
    party: Party,
    browser: Chromium,
}

impl Scene {
    async fn new(members: impl Fn(&Landing) -> Value) -> Self {
        let (server, landing) = (Server::quickstart(), Landing::start().await);
        let mut all = json!({
            "redirect_uris": [format!("{}/callback", landing.url())],
            "post_logout_redirect_uris": [format!("{}/signed-out", landing.url())],
        });
        for (name, value) in members(&landing).as_object().unwrap() {
            all[name] = value.clone();
        }
        let party = Party::register_with(&server, all).await;
        let browser = Chromium::start(&server, &landing).await;
        Self { server, landing, party, browser }
    }

    /// Signs alice in: the answer's parameters, and the ID token.
    async fn sign_in(&mut self) -> (Url, String) {
        let asked = self.party.ask("openid", &[]);
        let sight = self.browser.travel(&asked.url, ALICE);
        assert!(sight.has("landed"), "{sight:?}");
        let answer = Url::parse(&sight.url).unwrap();
        let code = self.party.code(&asked, &answer);
        (answer, self.party.redeem(&asked, &code).await.id.unwrap())
    }

    fn logout(&self, id_token: &str, more: &[(&str, &str)]) -> String {
        let mut pairs = vec![("id_token_hint", id_token)];
        pairs.extend(more);
        Url::parse_with_params(self.party.endpoint("end_session_endpoint"), pairs).unwrap().into()
    }

    /// What the session iframe answers to `message` from the page that is shown.
    fn iframe(&mut self, message: &str) -> Value {
        let address = self.party.endpoint("check_session_iframe");
        let (address, origin, message) = (json!(address), json!(self.server.issuer()), json!(message));
        self.browser.evaluate(&format!(
            "new Promise((resolve) => {{
                const frame = document.createElement('iframe');
                frame.src = {address};
                frame.onload = () => frame.contentWindow.postMessage({message}, {origin});
                addEventListener('message', (event) =>
                    event.origin === {origin} && event.source === frame.contentWindow && resolve(event.data));
                document.body.append(frame);
            }})"
        ))
    }
}

fn framed(arrival: &Arrival) -> bool {
    arrival.target.starts_with("/front")
}

/// OpenID Connect Front-Channel Logout §2, §3.
#[tokio::test(flavor = "multi_thread")]
async fn logout_frames_a_client_on_another_site_and_goes_on_to_it() {
    let mut scene =
        Scene::new(|landing| json!({"frontchannel_logout_uri": format!("{}/front?x=1", landing.url())}))
            .await;
    let (_, token) = scene.sign_in().await;
    let next = format!("{}/signed-out", scene.landing.url());
    let url = scene.logout(&token, &[("post_logout_redirect_uri", &next), ("state", "s 1")]);
    let sight = scene.browser.arrive(&url, &next);
    assert!(sight.has("landed") && sight.complaints.is_empty(), "{sight:?}");
    assert_eq!(parameter(&Url::parse(&sight.url).unwrap(), "state").as_deref(), Some("s 1"));
    // The frame came before the person went on, with what tells the client whose session it was.
    let frame = scene.landing.arrivals().into_iter().rev().find(framed).unwrap();
    assert_eq!(frame.method, "GET");
    let address = Url::parse(&format!("{}{}", scene.landing.url(), frame.target)).unwrap();
    assert_eq!(parameter(&address, "x").as_deref(), Some("1"));
    assert_eq!(parameter(&address, "iss"), Some(scene.server.issuer()));
    assert_eq!(parameter(&address, "sid").as_deref(), claims(&token)["sid"].as_str());
    let order: Vec<_> = scene.landing.arrivals().iter().map(|arrival| arrival.target.clone()).collect();
    let place = |start: &str| order.iter().rposition(|target| target.starts_with(start)).unwrap();
    assert!(place("/front") < place("/signed-out"), "{order:?}");
    let asked = scene.party.ask("openid", &[("prompt", "none")]);
    let sight = scene.browser.open(&asked.url);
    assert!(sight.url.contains("error=login_required"), "{sight:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn logout_frames_and_goes_on_without_script_and_past_a_client_that_hangs() {
    let members = |landing: &Landing| json!({"frontchannel_logout_uri": format!("{}/front", landing.url())});
    let mut scene = Scene::new(members).await;
    let next = format!("{}/signed-out", scene.landing.url());
    let plain = json!({"javaScriptEnabled": false, "viewport": {"width": 360, "height": 640}});
    let mut step = |command: Value| -> Sight {
        let mut command = command;
        command["profile"] = "plain".into();
        command["options"] = plain.clone();
        scene.browser.step(&command)
    };
    let asked = scene.party.ask("openid", &[]);
    step(json!({"verb": "open", "url": asked.url}));
    step(json!({"verb": "fill", "id": "username", "value": ALICE.0}));
    step(json!({"verb": "fill", "id": "password", "value": ALICE.1}));
    let landed = step(json!({"verb": "press", "key": "Enter"}));
    let landed = if landed.has("allow") { step(json!({"verb": "click", "id": "allow"})) } else { landed };
    assert!(landed.has("landed"), "{landed:?}");
    // Without an address to go to, and then with one.
    let end = scene.party.endpoint("end_session_endpoint").to_owned();
    let more = Url::parse_with_params(
        &end,
        [("client_id", scene.party.id.as_str()), ("post_logout_redirect_uri", &next)],
    );
    let page = step(json!({"verb": "open", "url": more.unwrap().as_str()}));
    assert!(page.has("sign-out"), "{page:?}");
    let done = step(json!({"verb": "click", "id": "sign-out"}));
    assert!(done.has("continue") && done.complaints.is_empty(), "{done:?}");
    let width = step(json!({"verb": "evaluate", "script": "document.documentElement.scrollWidth"})).value;
    assert!(width.as_u64().is_some_and(|width| width <= 360), "the page is wider than a phone: {width}");
    assert!(step(json!({"verb": "click", "id": "continue"})).has("landed"));
    scene.landing.await_arrivals(1, framed).await;

    let (_, token) = scene.sign_in().await;
    scene.landing.hold(true);
    let url = scene.logout(&token, &[("post_logout_redirect_uri", &next)]);
    // It never answers; its page is asked for all the same.
    scene.browser.step(&json!({"verb": "depart", "url": url}));
    scene.landing.await_arrivals(2, framed).await;
    scene.landing.await_arrivals(2, |arrival| arrival.target.starts_with("/signed-out")).await;
}

/// OpenID Connect Session Management §3.2, where third-party cookies are allowed.
#[tokio::test(flavor = "multi_thread")]
async fn logout_is_seen_by_the_session_iframe_on_another_site() {
    let mut scene = Scene::new(|_| json!({})).await;
    scene.browser.options = json!({"thirdPartyCookies": true});
    let (answer, token) = scene.sign_in().await;
    let state = parameter(&answer, "session_state").unwrap();
    let message = format!("{} {state}", scene.party.id);
    assert_eq!(scene.iframe(&message), "unchanged");
    assert_eq!(scene.iframe(&format!("somebody-else {state}")), "changed");
    for nonsense in ["", "x", state.as_str(), &format!("{message} x"), "a b", "a b.c"] {
        assert_eq!(scene.iframe(nonsense), "error", "{nonsense:?}");
    }
    let next = format!("{}/signed-out", scene.landing.url());
    let sight = scene.browser.open(&scene.logout(&token, &[("post_logout_redirect_uri", &next)]));
    assert!(sight.has("landed"), "{sight:?}");
    assert_eq!(scene.iframe(&message), "changed");
    let (answer, _) = scene.sign_in().await;
    assert_eq!(scene.iframe(&message), "changed");
    let state = parameter(&answer, "session_state").unwrap();
    assert_eq!(scene.iframe(&format!("{} {state}", scene.party.id)), "unchanged");
    assert_eq!(scene.browser.step(&json!({"verb": "look"})).complaints, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn logout_is_nothing_the_session_iframe_speaks_of_where_it_sees_no_cookies() {
    let mut scene = Scene::new(|_| json!({})).await;
    scene.browser.options = json!({"thirdPartyCookies": false});
    let (answer, _) = scene.sign_in().await;
    let message = format!("{} {}", scene.party.id, parameter(&answer, "session_state").unwrap());
    assert_eq!(scene.iframe(&message), "error");
}

fn told(arrival: &Arrival) -> bool {
    arrival.target == "/back" && arrival.method == "POST"
}

/// The claims of the logout token that arrived.
fn logout_token(arrival: &Arrival) -> Value {
    let pairs: Vec<_> = form_urlencoded::parse(arrival.body.as_bytes()).into_owned().collect();
    assert_eq!(pairs[0].0, "logout_token");
    claims(&pairs[0].1)
}

/// A server that trusts `landing`, and a party that wants to be told there.
async fn back_channel(landing: &Landing) -> (Server, Party) {
    let house = House::new("quickstart");
    fs::create_dir_all(house.path("certs")).unwrap();
    fs::write(house.path("certs/landing.pem"), &landing.certificate).unwrap();
    house.edit(|text| text.replace("ca_file: certs/ca.pem", "ca_file: certs/landing.pem"));
    let server = house.start();
    let members = json!({"backchannel_logout_uri": format!("{}/back", landing.direct_url())});
    let party = Party::register_with(&server, members).await;
    (server, party)
}

/// OpenID Connect Back-Channel Logout §2.5: whatever the client does, the logout is done when it is answered.
#[tokio::test(flavor = "multi_thread")]
async fn logout_waits_for_no_client_and_its_tokens_end_at_the_edge() {
    let landing = Landing::start().await;
    let (server, party) = back_channel(&landing).await;
    let mut person = alice(&server);
    let tokens = party.sign_in(&mut person, "openid api").await;
    let api = server.url("/api/x");
    server.client().get(&api).bearer(&tokens.access).send().await.expect(200);
    landing.hold(true);
    party.sign_out(&mut person, &tokens, "bye").await;
    // The client has been told, or is just being, and has not answered.
    server.client().get(&api).bearer(&tokens.access).send().await.expect(401);
    let arrival = landing.await_arrivals(1, told).await.remove(0);
    let (logout, id) = (logout_token(&arrival), claims(tokens.id.as_deref().unwrap()));
    assert_eq!((&logout["sub"], &logout["sid"], &logout["aud"]), (&id["sub"], &id["sid"], &id["aud"]));
    assert!(logout["nonce"].is_null() && logout["events"].is_object(), "{logout}");
    assert_eq!(party.refresh(tokens.refresh_token()).await.status, 400);
    landing.hold(false);
}

#[tokio::test(flavor = "multi_thread")]
async fn logout_reaches_a_client_that_was_down_when_it_is_back_and_after_a_crash_of_ours() {
    let mut landing = Landing::start().await;
    let (mut server, party) = back_channel(&landing).await;
    let mut sids = Vec::new();
    landing.down().await;
    for crashes in [false, true] {
        let mut person = alice(&server);
        let tokens = party.sign_in(&mut person, "openid api").await;
        party.sign_out(&mut person, &tokens, "bye").await;
        server.client().get(server.url("/api/x")).bearer(&tokens.access).send().await.expect(401);
        if crashes {
            server.kill();
        }
        landing.up().await;
        if crashes {
            server.begin();
        }
        let sid = claims(tokens.id.as_deref().unwrap())["sid"].clone();
        sids.push(sid);
        let arrivals = landing.await_arrivals(sids.len(), told).await;
        let heard: Vec<_> = arrivals.iter().map(|arrival| logout_token(arrival)["sid"].clone()).collect();
        assert_eq!(heard, sids);
        landing.down().await;
    }
}
