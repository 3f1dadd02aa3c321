//! Running it: reload, certificates, graceful stop, signals.

use crate::bearer::is_invalid_token;
use crate::harness::landing::key_digest;
use crate::harness::server::text;
use crate::harness::{Answer, DEADLINE, House, Party, Server};
use crate::walkthrough::alice;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::time::Instant;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// The quickstart with one more public route.
fn with_extra_route(text: &str) -> String {
    let route = "\nroutes:\n    - { path: /extra, policy: public, respond: { body: extra } }\n";
    assert_eq!(text.matches("\nroutes:\n").count(), 1, "{text}");
    text.replacen("\nroutes:\n", route, 1)
}

async fn extra(server: &Server) -> Answer {
    server.client().get(server.url("/extra")).send().await
}

#[tokio::test(flavor = "multi_thread")]
async fn reload_takes_new_routes_and_keeps_everything_else() {
    let server = Server::quickstart();
    let party = Party::register(&server).await;
    let mut person = alice(&server);
    let tokens = party.sign_in(&mut person, "openid api offline_access").await;
    assert_ne!(extra(&server).await.text(), "extra");
    let api = server.url("/api/");
    let kept = server.client().fresh();
    kept.get(&api).bearer(&tokens.access).send().await.expect(200);

    server.house.edit(|text| with_extra_route(&text));
    server.house.say(&["reload"]);
    assert_eq!(extra(&server).await.expect(200).text(), "extra");
    // The same connection, token, session and keys.
    kept.get(&api).bearer(&tokens.access).send().await.expect(200);
    party.refresh(tokens.refresh_token()).await.expect(200);
    let silent = party.ask("openid api", &[("prompt", "none")]);
    let answer = person.visit(&silent.url).await.elsewhere();
    assert!(!answer.as_str().contains("login_required"), "{answer}");
    party.revoke(&tokens.access).await.expect(200);
    is_invalid_token(&kept.get(&api).bearer(&tokens.access).send().await, "revoked after a reload");
}

#[tokio::test(flavor = "multi_thread")]
async fn reload_happens_on_hup_too() {
    let server = Server::quickstart();
    server.house.edit(|text| with_extra_route(&text));
    server.signal("HUP");
    let began = Instant::now();
    while extra(&server).await.text() != "extra" {
        assert!(began.elapsed() < DEADLINE, "HUP reloads nothing");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reload_of_a_bad_file_leaves_the_old_one_running() {
    let mut server = Server::quickstart();
    let good = server.house.config();
    server.house.edit(|text| with_extra_route(&text).replacen("policy: public", "policy: pubic", 1));
    let output = server.house.run(&["reload"]);
    let said = text(&output.stdout) + &text(&output.stderr);
    assert!(!output.status.success(), "{said}");
    assert!(said.contains("conf/quickstart.yaml:"), "the fault has a place: {said}");
    assert_ne!(extra(&server).await.text(), "extra");
    server.client().get(server.url("/public/")).send().await.expect(200);

    // What needs a restart is refused by name, and nothing of that file is taken over.
    let (here, there) = (server.house.port(8000), crate::harness::server::free_port());
    let listen = format!("127.0.0.1:{here}");
    let moved = good.replacen(&listen, &format!("127.0.0.1:{there}"), 1);
    server.house.edit(|_| with_extra_route(&moved));
    let output = server.house.run(&["reload"]);
    let said = text(&output.stdout) + &text(&output.stderr);
    assert!(!output.status.success() && said.contains("restart"), "{said}");
    assert_ne!(extra(&server).await.text(), "extra");
    assert!(server.runs());
}

#[tokio::test(flavor = "multi_thread")]
async fn reload_takes_a_new_certificate_without_ending_connections() {
    let server = Server::quickstart();
    let kept = server.client().fresh();
    kept.get(server.url("/public/")).send().await.expect(200);
    let before = served_key(&server).await;
    for file in ["certs/dev.pem", "certs/dev.key"] {
        fs::remove_file(server.house.path(file)).unwrap();
    }
    let made = server.house.command(&["dev-cert", "--dir", "certs"]).output().unwrap();
    assert!(made.status.success(), "{}", text(&made.stderr));
    server.house.say(&["reload"]);
    assert_ne!(served_key(&server).await, before, "the new certificate is served");
    kept.get(server.url("/public/")).send().await.expect(200);
}

/// The digest of the key that a new connection is shown.
async fn served_key(server: &Server) -> String {
    let stream = server.client().connect(&server.issuer()).await.unwrap();
    key_digest(&stream.get_ref().1.peer_certificates().unwrap()[0])
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_answers_what_is_under_way() {
    let mut server = Server::quickstart();
    let host = server.issuer().trim_start_matches("https://").to_owned();
    let mut stream = server.client().connect(&server.issuer()).await.unwrap();
    let head = format!(
        "POST /public/slow HTTP/1.1\r\nHost: {host}\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // The interim answer comes from the upstream: the request is under way.
    let mut interim = Vec::new();
    while !interim.ends_with(b"\r\n\r\n") {
        interim.push(stream.read_u8().await.unwrap());
    }
    assert!(interim.starts_with(b"HTTP/1.1 100"), "{}", text(&interim));
    stream.write_all(b"01234").await.unwrap();

    server.signal("TERM");
    // It takes no new connections while it waits for the old one.
    let began = Instant::now();
    while server.client().fresh().get(server.url("/public/")).try_send().await.is_ok() {
        assert!(began.elapsed() < DEADLINE, "it goes on accepting");
    }
    assert!(server.runs(), "it waits for the request");
    stream.write_all(b"56789").await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let answer = text(&answer);
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("/public/slow"), "{answer}");
    assert!(server.wait().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_with_nothing_under_way_is_clean_and_a_start_finds_everything() {
    let mut server = Server::quickstart();
    let party = Party::register(&server).await;
    let mut person = alice(&server);
    let tokens = party.sign_in(&mut person, "openid api offline_access").await;
    let keys = party.client.get(party.endpoint("jwks_uri")).send().await.expect(200).json();
    server.signal("TERM");
    assert!(server.wait().success());
    server.begin();
    let after = server.client().get(party.endpoint("jwks_uri")).send().await.expect(200).json();
    assert_eq!(key_ids(&keys), key_ids(&after), "the keys are the same");
    let api = server.client().get(server.url("/api/")).bearer(&tokens.access).send().await;
    api.expect(200);
    server.client().get(party.endpoint("userinfo_endpoint")).bearer(&tokens.access).send().await.expect(200);
    let fields = [("grant_type", "refresh_token"), ("refresh_token", tokens.refresh_token())];
    party.token_over(server.client(), &fields).await.unwrap().expect(200);
    let silent = party.ask("openid api", &[("prompt", "none")]);
    let answer = person.visit(&silent.url).await.elsewhere();
    assert!(!answer.as_str().contains("login_required"), "the browser session lives on: {answer}");
}

fn key_ids(keys: &Value) -> BTreeSet<&str> {
    keys["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_server_on_the_same_store_or_port_is_refused_with_a_reason() {
    let mut server = Server::quickstart();
    let output = server.house.run(&["run"]);
    let said = text(&output.stdout) + &text(&output.stderr);
    assert!(!output.status.success() && !said.contains("panicked"), "{said}");
    assert!(server.runs());
    server.client().get(server.url("/public/")).send().await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_never_reach_a_log() {
    let mut server = Server::quickstart();
    let party = Party::register(&server).await;
    let mut person = alice(&server);
    let typed = std::mem::replace(&mut person.password, "mistyped-but-secret".to_owned());
    let asked = party.ask("openid api offline_access", &[("prompt", "consent")]);
    let page = person.visit(&asked.url).await.page();
    person.sign_in(&page).await.page();
    let mistyped = std::mem::replace(&mut person.password, typed);
    let answer = person.authorize(&asked.url).await;
    let code = party.code(&asked, &answer);
    let tokens = party.redeem(&asked, &code).await;
    server.client().get(server.url("/api/")).bearer(&tokens.access).send().await.expect(200);
    let in_query = server.url(&format!("/public/?access_token={}&code={code}", tokens.access));
    server.client().get(in_query).send().await;
    party.introspect(&tokens.access).await;
    server.signal("TERM");
    assert!(server.wait().success());

    let mut logged = server.printed();
    for folder in ["var", "var/log"] {
        for entry in fs::read_dir(server.house.path(folder)).into_iter().flatten().map_while(Result::ok) {
            if entry.path().extension().is_some_and(|extension| extension == "log") {
                logged += &fs::read_to_string(entry.path()).unwrap();
            }
        }
    }
    assert!(logged.contains("/api/"), "there is an access log: {logged}");
    let signature = tokens.access.rsplit('.').next().unwrap();
    let cookies = person.cookies.values().map(String::as_str);
    let secrets = [&code, &party.secret, tokens.refresh_token(), signature, &mistyped, &asked.verifier];
    for secret in secrets.into_iter().chain(cookies) {
        assert!(!logged.contains(secret), "{secret} is in a log:\n{logged}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_are_opened_anew_on_usr1() {
    let house = House::new("quickstart");
    house.edit(|text| text + "\nserver:\n    access_log: { file: var/access.log }\n");
    let server = house.start();
    let (log, rotated) = (server.house.path("var/access.log"), server.house.path("var/access.log.1"));
    fs::rename(&log, &rotated).unwrap();
    server.signal("USR1");
    let began = Instant::now();
    while !fs::read_to_string(&log).is_ok_and(|text| text.contains("/public/after")) {
        server.client().get(server.url("/public/after")).send().await.expect(200);
        assert!(began.elapsed() < DEADLINE, "USR1 opens nothing anew");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_on_int_waits_for_nobody() {
    let mut server = Server::quickstart();
    let mut stream = server.client().connect(&server.issuer()).await.unwrap();
    let host = server.issuer().trim_start_matches("https://").to_owned();
    let sse = format!("GET /public/sse HTTP/1.1\r\nHost: {host}\r\n\r\n");
    stream.write_all(sse.as_bytes()).await.unwrap();
    let mut first = [0_u8; 15];
    stream.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200 OK");
    server.signal("INT");
    // A stream that would go on for an hour does not hold it.
    let mut rest = Vec::new();
    let _ = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut rest)).await.expect("the stream goes on");
    server.wait();
}
