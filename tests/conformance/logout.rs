//! Modules of the plans for RP-initiated, front-channel and back-channel logout and session management. That the iframes
//! load and run in a browser is shown end to end (`tests/e2e/logout.rs`); here is what they are told.

use crate::ground::{ALICE, Browser, Ground, Page, Sight};
use crate::party::{BYE, Gained, Party};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use oidcop_proxy::jose::{Algorithm, Audience, Expiry, JwkSet, KeySource, Rules, Typ, verify};
use serde_json::{Value, json};

const STATE: &str = "logged out/+";

async fn supports(ground: &Ground, members: &[(&str, Value)]) {
    let metadata = ground.metadata().await;
    assert!(metadata["end_session_endpoint"].as_str().unwrap().starts_with("https://"));
    for (member, value) in members {
        assert_eq!(metadata[*member], *value, "{member}");
    }
}

pub async fn rp_initiated_logout_discovery_endpoint_verification(ground: &Ground) {
    supports(ground, &[]).await;
}

pub async fn frontchannel_logout_discovery_endpoint_verification(ground: &Ground) {
    let yes = json!(true);
    let members = ["frontchannel_logout_supported", "frontchannel_logout_session_supported"];
    supports(ground, &members.map(|member| (member, yes.clone()))).await;
}

pub async fn backchannel_logout_discovery_endpoint_verification(ground: &Ground) {
    let yes = json!(true);
    let members = ["backchannel_logout_supported", "backchannel_logout_session_supported"];
    supports(ground, &members.map(|member| (member, yes.clone()))).await;
}

pub async fn session_management_discovery_endpoint_verification(ground: &Ground) {
    supports(ground, &[]).await;
    assert!(ground.metadata().await["check_session_iframe"].as_str().unwrap().starts_with("https://"));
}

/// Somebody who is signed in, and what the client has of it.
struct SignedIn<'a> {
    party: Party<'a>,
    browser: Browser<'a>,
    gained: Gained,
}

impl<'a> SignedIn<'a> {
    async fn new(ground: &'a Ground, members: Value) -> SignedIn<'a> {
        let party = Party::register_with(ground, members).await;
        let mut browser = Browser::new(ground);
        let gained = party.flow(&mut browser, &[]).await;
        SignedIn { party, browser, gained }
    }

    async fn end_session(&mut self, pairs: &[(&str, &str)]) -> Sight {
        let endpoint = self.party.endpoint("end_session_endpoint").await;
        let query: String = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        self.browser.open(&format!("{endpoint}?{query}")).await
    }

    fn hint(&self) -> String {
        self.gained.id_token.clone()
    }

    /// The person says yes where they are asked.
    async fn confirm(&mut self, sight: Sight) -> Sight {
        match sight {
            Sight::Page(page) if page.has("sign-out") => {
                self.browser.press(&page, &[("action", "sign-out")]).await
            }
            other => other,
        }
    }

    async fn is_out(&mut self) {
        let error = self.party.refused(&mut self.browser, &[("prompt", "none")]).await;
        assert!(["login_required", "interaction_required"].contains(&error.as_str()), "{error}");
    }

    async fn is_in(&mut self) {
        let arrived = self.party.ask(&mut self.browser, &[("prompt", "none")]).await.arrived();
        assert_eq!(arrived.get("error"), None, "{arrived:?}");
    }
}

/// Back at the registered address, with exactly these parameters.
#[track_caller]
fn back(sight: Sight, params: &[(&str, &str)]) {
    let arrived = sight.arrived();
    assert_eq!(arrived.address, BYE);
    let said: Vec<_> = arrived.params.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(said, params);
}

pub async fn rp_initiated_logout(ground: &Ground) {
    let mut it = SignedIn::new(ground, json!({})).await;
    let hint = it.hint();
    let all = [("id_token_hint", hint.as_str()), ("post_logout_redirect_uri", BYE), ("state", STATE)];
    let sight = it.end_session(&all).await;
    let sight = it.confirm(sight).await;
    back(sight, &[("state", STATE)]);
    it.is_out().await;
}

pub async fn rp_initiated_logout_no_state(ground: &Ground) {
    let mut it = SignedIn::new(ground, json!({})).await;
    let hint = it.hint();
    let sight = it.end_session(&[("id_token_hint", &hint), ("post_logout_redirect_uri", BYE)]).await;
    let sight = it.confirm(sight).await;
    back(sight, &[]);
    it.is_out().await;
}

pub async fn rp_initiated_logout_bad_post_logout_redirect_uri(ground: &Ground) {
    elsewhere(ground, "https://rp.example/bye/not-registered").await;
}

pub async fn rp_initiated_logout_query_added_to_post_logout_redirect_uri(ground: &Ground) {
    elsewhere(ground, "https://rp.example/bye?foo=bar").await;
}

async fn elsewhere(ground: &Ground, uri: &str) {
    let mut it = SignedIn::new(ground, json!({})).await;
    let hint = it.hint();
    let all = [("id_token_hint", hint.as_str()), ("post_logout_redirect_uri", uri), ("state", STATE)];
    it.end_session(&all).await.page().refuses();
}

pub async fn rp_initiated_logout_modified_id_token_hint(ground: &Ground) {
    let mut it = SignedIn::new(ground, json!({})).await;
    let hint = it.hint();
    let body = hint.split('.').nth(1).unwrap();
    let unsigned = format!("{}.{body}.", URL_SAFE_NO_PAD.encode(json!({"alg": "none"}).to_string()));
    bad_hint(&mut it, &unsigned).await;
}

pub async fn rp_initiated_logout_bad_id_token_hint(ground: &Ground) {
    let mut it = SignedIn::new(ground, json!({})).await;
    let mut hint = it.hint();
    hint.replace_range(hint.len() - 12..hint.len() - 8, "AAAA");
    bad_hint(&mut it, &hint).await;
}

/// Nobody is sent anywhere, and nothing is ended.
async fn bad_hint(it: &mut SignedIn<'_>, hint: &str) {
    let all = [("id_token_hint", hint), ("post_logout_redirect_uri", BYE), ("state", STATE)];
    it.end_session(&all).await.page().refuses();
    it.is_in().await;
}

pub async fn rp_initiated_logout_no_id_token_hint(ground: &Ground) {
    let mut it = SignedIn::new(ground, json!({})).await;
    // Whose address it is nobody knows without a hint or a client_id.
    it.end_session(&[("post_logout_redirect_uri", BYE), ("state", STATE)]).await.page().refuses();
    it.is_in().await;
}

pub async fn rp_initiated_logout_no_params(ground: &Ground) {
    asked(ground, &[]).await;
}

pub async fn rp_initiated_logout_only_state(ground: &Ground) {
    asked(ground, &[("state", STATE)]).await;
}

pub async fn rp_initiated_logout_no_post_logout_redirect_uri(ground: &Ground) {
    let mut it = SignedIn::new(ground, json!({})).await;
    let hint = it.hint();
    let sight = it.end_session(&[("id_token_hint", &hint), ("state", STATE)]).await;
    let page = it.confirm(sight).await.page();
    assert!(page.status.is_success(), "{page:?}");
    it.is_out().await;
}

/// A page asks, the person says yes, and stays at the provider.
async fn asked(ground: &Ground, pairs: &[(&str, &str)]) {
    let mut it = SignedIn::new(ground, json!({})).await;
    let page = it.end_session(pairs).await.page();
    assert!(page.has("sign-out"), "{page:?}");
    let page = it.confirm(Sight::Page(page)).await.page();
    assert!(page.status.is_success(), "{page:?}");
    it.is_out().await;
}

pub async fn frontchannel_rp_initiated_logout(ground: &Ground) {
    let uri = "https://rp.example/frontchannel?kept=1";
    let members = json!({"frontchannel_logout_uri": uri, "frontchannel_logout_session_required": true});
    let mut it = SignedIn::new(ground, members).await;
    assert_eq!(it.party.registered["frontchannel_logout_uri"], uri);
    let hint = it.hint();
    let all = [("id_token_hint", hint.as_str()), ("post_logout_redirect_uri", BYE), ("state", STATE)];
    let page = it.end_session(&all).await.page();
    let frames = frames(&page);
    let frame = url::Url::parse(&frames[0]).unwrap();
    assert!(frames[0].starts_with("https://rp.example/frontchannel?"), "{frames:?}");
    let said: Vec<_> = frame.query_pairs().into_owned().collect();
    let value = |name: &str| said.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    assert_eq!(value("kept").as_deref(), Some("1"));
    assert_eq!(value("iss"), Some(ground.issuer()));
    assert_eq!(value("sid").as_deref(), it.gained.claims["sid"].as_str());
    assert_eq!(said.len(), 3, "{said:?}");
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("frame-src https://rp.example"), "{policy}");
    // And on to the client.
    assert!(page.html.replace("&#x2f;", "/").contains(&format!("{BYE}?state=")), "{page:?}");
    it.is_out().await;
}

fn frames(page: &Page) -> Vec<String> {
    let frames = page.html.split("<iframe").skip(1);
    let source = |frame: &str| frame.split_once("src=\"").unwrap().1.split('"').next().unwrap().to_owned();
    frames.map(source).map(|source| source.replace("&#x2f;", "/").replace("&amp;", "&")).collect()
}

pub async fn backchannel_rp_initiated_logout(ground: &Ground) {
    let uri = "https://rp.example/backchannel";
    let members = json!({"backchannel_logout_uri": uri, "backchannel_logout_session_required": true});
    let mut it = SignedIn::new(ground, members).await;
    assert_eq!(it.party.registered["backchannel_logout_uri"], uri);
    let hint = it.hint();
    let all = [("id_token_hint", hint.as_str()), ("post_logout_redirect_uri", BYE), ("state", STATE)];
    let sight = it.end_session(&all).await;
    back(sight, &[("state", STATE)]);
    while ground.op.deliver().await.unwrap() {}
    let posted = ground.sites.posted.lock().unwrap().clone();
    let [(to, body)] = posted.as_slice() else { panic!("{posted:?}") };
    assert_eq!(to, uri);
    let fields: Vec<_> = form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let [(name, token)] = fields.as_slice() else { panic!("{fields:?}") };
    assert_eq!(name, "logout_token");
    check_logout_token(&it, token).await;
    it.is_out().await;
}

/// Back-Channel Logout §2.6.
async fn check_logout_token(it: &SignedIn<'_>, token: &str) {
    let keys = JwkSet::from_value(&it.party.keys().await).unwrap();
    let issuer = it.party.ground.issuer();
    let now = it.party.ground.clock.now();
    let rules = Rules {
        typ: Typ::Required(&["logout+jwt"]),
        issuer: Some(&issuer),
        audience: Audience::Includes(&[&it.party.id]),
        required: &["iat", "jti", "events"],
        expiry: Expiry::Required,
        ..Rules::new(&[Algorithm::RS256], now)
    };
    let said = verify(token, &KeySource::Set(&keys), &rules).unwrap().claims;
    assert_eq!(said["events"], json!({"http://schemas.openid.net/event/backchannel-logout": {}}));
    assert_eq!(said["sub"], it.gained.claims["sub"]);
    assert_eq!(said["sid"], it.gained.claims["sid"]);
    assert!(!said.contains_key("nonce"));
    assert!(said["exp"].as_u64().unwrap() <= now.0 + 120);
}

pub async fn session_management_rp_initiated_logout(ground: &Ground) {
    let mut it = SignedIn::new(ground, json!({})).await;
    let told = it.gained.arrived.get("session_state").expect("a session_state").to_owned();
    assert!(!told.contains(' ') && told.contains('.'));
    assert_eq!(it.browser.session_state(&it.party.id, &told), told, "unchanged");
    let hint = it.hint();
    let sight = it
        .end_session(&[("id_token_hint", &hint), ("post_logout_redirect_uri", BYE), ("state", STATE)])
        .await;
    back(sight, &[("state", STATE)]);
    assert_ne!(it.browser.session_state(&it.party.id, &told), told, "changed");
    // Somebody who signs in again is another session.
    let sight = it.party.ask(&mut it.browser, &[]).await;
    let arrived = it.browser.onward(sight, ALICE).await;
    assert_ne!(arrived.get("session_state"), Some(told.as_str()));
}
