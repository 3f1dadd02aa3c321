//! Ways round a policy: other spellings of a path, forged and smuggled headers. They get nowhere, and the upstream sees
//! only what the edge says.

use crate::harness::party::claims;
use crate::harness::{Answer, Party, Server};
use crate::walkthrough::alice;
use http::Method;

/// Whether the answer came from the upstream: `whoami` shows the request it got.
fn reached_the_upstream(answer: &Answer) -> bool {
    answer.status == 200 && answer.text().contains("whoami")
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_that_only_look_public_are_refused() {
    let server = Server::quickstart();
    let refused = [
        "//api/",
        "/%61pi/",
        "/API/",
        "/Api/x",
        "/public/../api/",
        "/public/%2e%2e/api/",
        "/public/.%2E/api/",
        "/public/./api/",
        "/public//../api/",
        "/public/..%2fapi/",
        "/public/..%5capi/",
        "/public%2f..%2fapi/",
        "/public/..;/api/",
        "/api;x/",
        "/public\\..\\api/",
        "/public/%00",
        "/public/%0d%0a",
        "/public/%c0%ae%c0%ae/api/",
        "/public/%e0%80%ae/",
        "/public/%",
        "/public/%zz",
        "/.%2e/api/",
        "/..",
    ];
    for path in refused {
        // What hyper itself will not send is covered with raw sockets in wire.rs.
        let Ok(answer) = server.client().get(server.url(path)).try_send().await else { continue };
        assert_eq!(answer.status, 400, "{path}: {answer:?}");
        assert!(!answer.text().contains("whoami"), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_are_protected_whatever_the_method() {
    let server = Server::quickstart();
    for method in [Method::HEAD, Method::POST, Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS] {
        let answer = server.client().call(method.clone(), server.url("/api/")).send().await;
        assert_eq!(answer.status, 401, "{method}: {answer:?}");
    }
    // A prefix ends at a segment: this is another route's, and not the API.
    let neighbour = server.client().get(server.url("/apis")).send().await;
    assert!(neighbour.status != 401, "{neighbour:?}");
    let bare = server.client().get(server.url("/api")).send().await;
    assert!(!reached_the_upstream(&bare), "{bare:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_are_not_chosen_by_forged_headers() {
    let server = Server::quickstart();
    for (name, value) in [
        ("x-original-url", "/public/"),
        ("x-rewrite-url", "/public/"),
        ("x-forwarded-uri", "/public/"),
        ("x-forwarded-host", "localhost"),
        ("x-http-method-override", "GET"),
        ("upgrade", "websocket"),
        ("x-auth-subject", "alice"),
        ("user-agent", "kube-probe/1.30"),
    ] {
        let answer = server.client().get(server.url("/api/")).header(name, value).send().await;
        assert_eq!(answer.status, 401, "{name}: {answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_hosts_are_misdirected() {
    let server = Server::quickstart();
    for host in ["evil.example", "127.0.0.2", "127.0.0.1.evil.example", "127.0.0.1@evil.example"] {
        let answer = server.client().get(server.url("/public/")).header("host", host).send().await;
        assert!([400, 421].contains(&answer.status), "{host}: {answer:?}");
    }
    let url = server.url("/.well-known/openid-configuration");
    let poisoned = server.client().get(url).header("x-forwarded-host", "evil.example");
    let metadata = poisoned.header("forwarded", "host=evil.example;proto=http").send().await.expect(200);
    assert!(!metadata.text().contains("evil"), "{}", metadata.text());
}

const FORGED: [(&str, &str); 12] = [
    ("x-auth-subject", "mallory"),
    ("X-Auth-Subject", "mallory"),
    ("x_auth_subject", "mallory"),
    ("x-auth_subject", "mallory"),
    ("X_AUTH-SUBJECT", "mallory"),
    ("x-auth-scope", "mallory"),
    ("x-auth-client", "mallory"),
    ("x-forwarded-for", "192.0.2.66"),
    ("x-forwarded-proto", "mallory"),
    ("x-real-ip", "192.0.2.66"),
    ("forwarded", "for=192.0.2.66"),
    ("x_forwarded_for", "192.0.2.66"),
];

#[tokio::test(flavor = "multi_thread")]
async fn identity_headers_of_a_caller_never_reach_the_upstream() {
    let server = Server::quickstart();
    let party = Party::register(&server).await;
    let tokens = party.sign_in(&mut alice(&server), "openid api").await;
    let subject = claims(&tokens.access)["sub"].as_str().unwrap().to_owned();
    for client in [server.client().clone(), server.client().h2()] {
        for (path, token) in [("/public/", None), ("/api/", Some(&tokens.access))] {
            for (name, value) in FORGED {
                let call = client.get(server.url(path)).header(name, value);
                let call = token.into_iter().fold(call, |call, token| call.bearer(token));
                let text = call.send().await.expect(200).text();
                assert!(!text.contains("mallory") && !text.contains("192.0.2.66"), "{path} {name}: {text}");
                assert_eq!(text.contains(&subject), token.is_some(), "{path} {name}: {text}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connection_header_cannot_remove_what_the_edge_sets() {
    let server = Server::quickstart();
    let party = Party::register(&server).await;
    let tokens = party.sign_in(&mut alice(&server), "openid api").await;
    let subject = claims(&tokens.access)["sub"].as_str().unwrap().to_owned();
    for named in ["X-Auth-Subject", "close, X-Auth-Subject", "keep-alive, x-auth-subject, x-forwarded-for"] {
        let call =
            server.client().get(server.url("/api/")).bearer(&tokens.access).header("connection", named);
        let text = call.header("x-auth-subject", "mallory").send().await.expect(200).text();
        assert!(text.contains(&subject) && !text.contains("mallory"), "{named}: {text}");
        assert!(text.to_ascii_lowercase().contains("x-forwarded-for"), "{named}: {text}");
    }
    let bare = server.client().get(server.url("/api/")).header("connection", "authorization").send().await;
    bare.expect(401);
    let stripped = server.client().get(server.url("/api/")).bearer(&tokens.access);
    let answer = stripped.header("connection", "authorization").send().await;
    assert!([200, 400, 401].contains(&answer.status), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn cookies_of_the_provider_stay_at_the_provider() {
    let server = Server::quickstart();
    let party = Party::register(&server).await;
    let mut person = alice(&server);
    party.sign_in(&mut person, "openid api").await;
    assert!(!person.cookies.is_empty());
    let all: Vec<_> = person.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let cookies = format!("theme=dark; {}; lang=en", all.join("; "));
    let shown =
        server.client().get(server.url("/public/")).header("cookie", &cookies).send().await.expect(200);
    for (name, value) in &person.cookies {
        assert!(name.starts_with("__Host-") || name.starts_with("__Secure-"), "{name}");
        assert!(!shown.text().contains(value.as_str()), "{name} reached the upstream: {}", shown.text());
    }
    assert!(shown.text().contains("theme=dark") && shown.text().contains("lang=en"), "{}", shown.text());
}
