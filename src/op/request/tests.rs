//! Tests of the checks of an authorization request, through the endpoint.

mod jarm;
mod objects;
mod properties;
mod pushed;
mod response_types;

use crate::base::random::Random;
use crate::jose::jwe::{self, Content};
use crate::jose::{Algorithm, DecryptionKey, Encryption, KeyKind};
use crate::op::error::Code;
use crate::op::fixture::{START, header};
use crate::op::record::mark::Mark;
use crate::op::walk::{self, ALICE, APP, Answer, CHALLENGE, CLIENT, REDIRECT, Walk, request};
use crate::store::record::put;
use crate::store::{Durability, Expect};
use serde_json::json;

const S256: [(&str, &str); 2] = [("code_challenge", CHALLENGE), ("code_challenge_method", "S256")];

async fn answer(walk: &mut Walk, changes: &[(&str, &str)]) -> Answer {
    walk.open(&request(changes)).await.answer()
}

#[tokio::test]
async fn each_faulty_parameter_has_its_error_which_travels_with_state_and_issuer() {
    let mut walk = Walk::new().await;
    let long = "x".repeat(1_025);
    let words: String = (0..101).map(|n| format!("s{n} ")).collect();
    let faults: &[(&str, &[(&str, &str)])] = &[
        ("invalid_request", &[("response_type", "")]),
        ("unsupported_response_type", &[("response_type", "token")]),
        ("unauthorized_client", &[("response_type", "id_token code")]),
        ("unauthorized_client", &[("response_type", "none")]),
        ("unsupported_response_type", &[("response_type", "Code")]),
        ("invalid_request", &[("response_mode", "telepathy")]),
        ("invalid_request", &[("prompt", "none login")]),
        ("invalid_request", &[("prompt", "create")]),
        ("invalid_request", &[("prompt", "None")]),
        ("invalid_request", &[("max_age", "-1")]),
        ("invalid_request", &[("max_age", "1.5")]),
        ("invalid_request", &[("max_age", "+1")]),
        ("invalid_request", &[("max_age", "99999999999999999999")]),
        ("invalid_request", &[("scope", "openid offline_access")]),
        ("invalid_request", &[("scope", &words)]),
        ("invalid_request", &[("nonce", &long)]),
        ("invalid_request", &[("login_hint", &long)]),
        ("invalid_request", &[("id_token_hint", "x.y.z")]),
        ("invalid_request", &[("code_challenge", CHALLENGE)]),
        ("invalid_request", &[("code_challenge", CHALLENGE), ("code_challenge_method", "plain")]),
        ("invalid_request", &[("code_challenge", "short"), ("code_challenge_method", "S256")]),
        ("invalid_request", &[("code_challenge_method", "S256")]),
        ("invalid_target", &[("resource", "https://unknown.example/")]),
        ("invalid_target", &[("resource", "https://api.example/"), ("resource", "https://api.example/#x")]),
        ("invalid_request_object", &[("request", "x.y.")]),
        ("invalid_request_uri", &[("request_uri", "https://rp.example/r")]),
        ("invalid_request", &[("request", "x.y.z"), ("request_uri", "https://rp.example/r")]),
        ("invalid_request", &[("dpop_jkt", "short")]),
        ("registration_not_supported", &[("registration", "{}")]),
    ];
    for (code, changes) in faults {
        let got = answer(&mut walk, changes).await;
        assert_eq!(got.error(), *code, "{changes:?}");
        assert_eq!((got.get("state"), got.get("iss")), ("a b&c=\"<'>", "https://op.example"));
        assert_eq!((got.get("kept"), got.get("code")), ("1", ""));
        assert!(!got.get("error_description").is_empty());
    }
    assert!(!answer(&mut walk, &[("prompt", "none"), ("state", "")]).await.params.contains_key("state"));
}

#[tokio::test]
async fn what_is_unknown_or_only_a_wish_is_ignored() {
    let mut walk = Walk::new().await;
    for changes in [
        [("scope", "openid unknown:scope"), ("unknown", "parameter")],
        [("claims", "{\"id_token\":{\"acr\":{\"essential\":true}}}"), ("acr_values", "loa-17")],
        [("ui_locales", "xx %% <b>"), ("claims_locales", "yy")],
        [("display", "hologram"), ("max_age", "10000")],
        [("response_mode", "query"), ("prompt", "consent")],
    ] {
        let sight = walk.open(&request(&changes)).await;
        assert!(sight.has("sign-in"), "{changes:?}: {sight:?}");
    }
}

#[tokio::test]
async fn get_and_post_mean_the_same() {
    let mut walk = Walk::new().await;
    let asked = request(&[("prompt", "none")]);
    let by_get = walk.open(&asked).await.answer();
    let pairs: Vec<_> =
        form_urlencoded::parse(asked.split_once('?').unwrap().1.as_bytes()).into_owned().collect();
    let pairs: Vec<_> = pairs.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let by_post = walk.post("/oidcop/authorization", &pairs).await;
    assert_eq!(by_post.status(), 303);
    let by_post =
        walk::Sight { path: header(&by_post, "location").into(), html: String::new(), response: by_post };
    assert_eq!(by_get.params, by_post.answer().params);
}

#[tokio::test]
async fn before_the_redirect_uri_is_known_to_be_the_clients_errors_are_pages() {
    let mut walk = Walk::new().await;
    let long = "x".repeat(4_097);
    for (changes, says) in [
        ([("client_id", ""), ("x", "y")], "client_id is missing"),
        ([("client_id", "nobody"), ("x", "y")], "No client is registered"),
        ([("redirect_uri", ""), ("x", "y")], "redirect_uri is missing"),
        (
            [("redirect_uri", "https://evil.example/"), ("response_type", "token")],
            "not registered for this client",
        ),
        ([("state", long.as_str()), ("x", "y")], "state is too long"),
    ] {
        assert!(walk.open(&request(&changes)).await.refuses(says), "{says}");
    }
    for twice in ["client_id", "redirect_uri", "state", "scope"] {
        let sight = walk.open(&format!("{}&{twice}=twice", request(&[]))).await;
        assert!(sight.refuses("given twice"), "{twice}");
    }
    let mark = Mark { of: Mark::of_client(CLIENT), dead_since: START, disabled: true };
    let change = vec![put(&mark, Expect::Absent).unwrap()];
    walk.op.store().commit(change, Durability::Durable, START).await.unwrap();
    assert!(walk.open(&request(&[])).await.refuses("No client is registered"));
}

#[tokio::test]
async fn no_redirect_uri_but_a_registered_one_is_ever_gone_to() {
    let mut walk = Walk::new().await;
    let ends = [
        "", "/", "//", "?", "#", "#x", "&", "&a=b", "/..", "/.", "%00", "%2f", "\\", " ", "\t", "\n",
        "\u{202e}", ";a",
    ];
    let hosts = [
        "https://evil.example/cb?kept=1",
        "https://rp.example.evil.example/cb?kept=1",
        "https://rp.example@evil.example/cb?kept=1",
        "https://evil.example\\@rp.example/cb?kept=1",
        "https://evil.example#@rp.example/cb?kept=1",
        "https://evil.example?rp.example/cb?kept=1",
        "https://rp.example%2eevil.example/cb?kept=1",
        "https://rp.example:443/cb?kept=1",
        "https://rp.example:8443/cb?kept=1",
        "https://rp.example./cb?kept=1",
        "https://RP.example/cb?kept=1",
        "HTTPS://rp.example/cb?kept=1",
        "http://rp.example/cb?kept=1",
        "https:rp.example/cb?kept=1",
        "https:/rp.example/cb?kept=1",
        "https:///rp.example/cb?kept=1",
        "//rp.example/cb?kept=1",
        "/cb?kept=1",
        "/\\evil.example",
        "\\\\evil.example",
        "https://rp.example/cb",
        "https://rp.example/cb?kept=2",
        "https://rp.example/cb?KEPT=1",
        "https://rp.example/CB?kept=1",
        "https://rp.example/x/../cb?kept=1",
        "https://rp.example/%63b?kept=1",
        "https://rp.example/cb/?kept=1",
        "https://rp.example//cb?kept=1",
        "https://127.0.0.1/cb?kept=1",
        "javascript:alert(1)//https://rp.example/cb?kept=1",
        "data:text/html,https://rp.example/cb?kept=1",
        "urn:ietf:wg:oauth:2.0:oob",
        "*",
    ];
    let mut corpus: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    corpus.extend(ends.iter().skip(1).map(|end| format!("{REDIRECT}{end}")));
    corpus.extend(ends.iter().skip(1).map(|end| format!("{end}{REDIRECT}")));
    for host in ["https://evil.example", "https://rp.example"] {
        corpus
            .extend(ends.iter().flat_map(|a| ends.iter().map(move |b| format!("{host}{a}evil.example{b}"))));
    }
    assert!(corpus.len() > 600);
    for uri in corpus {
        let sight = walk.open(&request(&[("redirect_uri", &uri), ("prompt", "none")])).await;
        assert!(sight.refuses("not registered for this client"), "{uri}: {sight:?}");
    }
}

#[tokio::test]
async fn a_native_clients_loopback_port_is_free_and_nobody_elses() {
    let mut walk = Walk::new().await;
    let uris = json!(["http://127.0.0.1/cb", "http://[::1]/cb", "com.example.app:/cb"]);
    for (kind, port) in [("native", true), ("web", false)] {
        walk::client(&walk.op, "tool", json!({"application_type": kind, "redirect_uris": uris})).await;
        for (uri, fine) in [
            ("http://127.0.0.1/cb", true),
            ("http://127.0.0.1:51234/cb", port),
            ("http://[::1]:51234/cb", port),
            ("http://localhost:51234/cb", false),
            ("http://127.0.0.1:51234/other", false),
            ("http://127.0.0.1:51234@evil.example/cb", false),
            ("com.example.app:/cb", true),
        ] {
            let sight = walk.open(&request(&[("client_id", "tool"), ("redirect_uri", uri)])).await;
            assert_eq!(sight.has("sign-in"), fine, "{kind} {uri}");
        }
    }
}

#[tokio::test]
async fn a_public_client_needs_a_challenge() {
    let mut walk = Walk::new().await;
    let got = answer(&mut walk, &[("client_id", APP)]).await;
    assert_eq!(got.error(), Code::InvalidRequest.wire());
    let changes = [("client_id", APP), S256[0], S256[1]];
    assert!(walk.through(&request(&changes), ALICE).await.has_code());
}

#[tokio::test]
async fn a_clients_registration_restricts_and_completes_its_requests() {
    let mut walk = Walk::new().await;
    walk::client(&walk.op, "narrow", json!({"scope": "openid email", "default_max_age": 30})).await;
    walk::client(&walk.op, "mute", json!({"response_types": ["id_token"]})).await;
    assert_eq!(answer(&mut walk, &[("client_id", "mute")]).await.error(), "unauthorized_client");
    let narrow = [("client_id", "narrow"), ("scope", "openid email profile")];
    let login = walk.open(&request(&narrow)).await;
    let consent = walk.sign_in(&login, ALICE).await;
    assert!(consent.html.contains("e-mail") && !consent.html.contains("your profile"));
    walk.allow(&consent).await;
    assert!(walk.open(&request(&narrow)).await.answer().has_code());
    walk.op.shared.kit.clock.advance(std::time::Duration::from_secs(31));
    assert!(walk.open(&request(&narrow)).await.has("sign-in"), "default_max_age is exceeded");
}

#[tokio::test]
async fn offline_access_without_consent_is_refused_or_ignored_as_set() {
    let asked = request(&[("scope", "openid offline_access")]);
    let mut walk = Walk::at(walk::op("{ offline_access: { without_consent: ignore } }").await);
    let login = walk.open(&asked).await;
    let consent = walk.sign_in(&login, ALICE).await;
    assert!(!consent.html.contains("while you are not there"));
    assert!(walk.allow(&consent).await.answer().has_code());
    // In a plain OAuth request the scope says nothing.
    let mut walk = Walk::new().await;
    assert!(walk.open(&request(&[("scope", "api offline_access")])).await.has("sign-in"));
}

#[tokio::test]
async fn a_hint_names_the_person_and_another_one_is_refused() {
    let mut walk = Walk::new().await;
    let client = walk.op.client(CLIENT, START).await.unwrap().unwrap();
    let hint = |account: &str, audience: &str| {
        let sub = walk.op.subject(&client, account);
        let claims = json!({"iss": "https://op.example", "sub": sub, "aud": audience, "iat": 1, "exp": 2});
        walk.op.ring().signer(Algorithm::ES256).unwrap().sign("JWT", claims.to_string().as_bytes()).unwrap()
    };
    let (alices, bobs, others) = (hint("alice", CLIENT), hint("bob", CLIENT), hint("alice", APP));
    assert_eq!(answer(&mut walk, &[("id_token_hint", &others)]).await.error(), "invalid_request");
    assert!(walk.through(&request(&[("id_token_hint", &alices)]), ALICE).await.has_code());
    assert!(answer(&mut walk, &[("id_token_hint", &alices), ("prompt", "none")]).await.has_code());
    let none = [("id_token_hint", bobs.as_str()), ("prompt", "none")];
    assert_eq!(answer(&mut walk, &none).await.error(), "login_required");
    let login = walk.open(&request(&[("id_token_hint", &bobs)])).await;
    assert_eq!(walk.sign_in(&login, ALICE).await.answer().error(), "login_required");
    assert!(answer(&mut walk, &[("prompt", "none")]).await.has_code(), "alice is still signed in");
    // A client whose ID tokens are encrypted may encrypt the hint to us; to somebody else it says nothing.
    for (ours, expected) in [(true, ""), (false, "invalid_request")] {
        let (ring, foreign) = (walk.op.ring(), DecryptionKey::generate(KeyKind::P256).unwrap());
        let to = ring.decryption_keys().iter().find(|key| key.kind() == KeyKind::P256).filter(|_| ours);
        let to = to.unwrap_or(&foreign).public();
        let how = Encryption::parse("ECDH-ES", None).unwrap();
        let sealed = jwe::encrypt(alices.as_bytes(), to, how, Content::NESTED, &Random::scripted(5)).unwrap();
        drop(ring);
        let none = [("id_token_hint", sealed.as_str()), ("prompt", "none")];
        assert_eq!(answer(&mut walk, &none).await.error(), expected);
    }
}

#[tokio::test]
async fn form_post_answers_by_a_form_that_needs_no_script() {
    let mut walk = Walk::new().await;
    let login = walk.open(&request(&[("response_mode", "form_post")])).await;
    assert!(!header(&login.response, "content-security-policy").contains("rp.example"));
    let consent = walk.sign_in(&login, ALICE).await;
    let page = walk.allow(&consent).await;
    let fields = page.hidden();
    let field = |name: &str| fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    assert_eq!((field("state"), field("iss")), (Some("a b&c=\"<'>"), Some("https://op.example")));
    assert_eq!(field("code").map(str::len), Some(43));
    assert!(page.html.contains("action=\"https:&#x2f;&#x2f;rp.example&#x2f;cb?kept=1\""));
    assert!(page.html.contains("<noscript>") && page.has("continue"));
}
