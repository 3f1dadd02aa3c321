//! The command line beside a running server, through its control socket, and beside a stopped one, straight into the store.

use crate::bearer::is_invalid_token;
use crate::harness::http::Call;
use crate::harness::party::parameter;
use crate::harness::person::Arrived;
use crate::harness::server::text;
use crate::harness::{Answer, DEADLINE, House, Party, Person, Server, Tokens};
use crate::walkthrough::alice;
use serde_json::{Value, json};
use std::io::Write;
use std::process::{Output, Stdio};
use std::time::Instant;

/// What a verb answers to `--json`.
#[track_caller]
fn json_of(house: &House, arguments: &[&str]) -> Value {
    let mut all = arguments.to_vec();
    all.push("--json");
    let said = house.say(&all);
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {said}"))
}

/// A verb that reads a password from its standard input.
fn piped(house: &House, arguments: &[&str], password: &str) -> Output {
    let mut all = arguments.to_vec();
    all.extend(["--password-stdin", "--config", "conf/quickstart.yaml"]);
    let mut command = house.command(&all);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(password.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[track_caller]
fn with_password(house: &House, arguments: &[&str], password: &str) -> String {
    let output = piped(house, arguments, password);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

fn rows(list: &Value) -> &Vec<Value> {
    list.as_array().unwrap_or_else(|| panic!("a list: {list}"))
}

async fn call(server: &Server, token: &str) -> Answer {
    server.client().get(server.url("/api/")).bearer(token).send().await
}

/// Whether this person gets in.
async fn gets_in(server: &Server, party: &Party, username: &str, password: &str) -> bool {
    let mut person = Person::new(server.client().fresh(), username, password);
    let deadline = Instant::now() + DEADLINE;
    loop {
        let page = person.visit(&party.ask("openid", &[]).url).await.page();
        match person.sign_in(&page).await {
            Arrived::Elsewhere(_) => return true,
            // In the second of a new password or a lock everybody is told to try again.
            Arrived::Page(page) if page.answer.status == 503 => assert!(Instant::now() < deadline),
            Arrived::Page(page) => return !page.has("password"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn command_line_user_verbs_reach_a_running_server() {
    let server = Server::quickstart();
    let party = Party::register(&server).await;
    assert!(!gets_in(&server, &party, "dora", "first password").await);
    with_password(
        &server.house,
        &["user", "add", "dora", "--name", "Dora", "--email", "dora@example.com"],
        "first password",
    );
    assert!(gets_in(&server, &party, "dora", "first password").await);
    let listed = json_of(&server.house, &["user", "list"]);
    let names: Vec<_> = rows(&listed).iter().map(|row| row["username"].as_str().unwrap()).collect();
    assert!(names.contains(&"dora") && names.contains(&"alice"), "{listed}");

    let mut dora = Person::new(server.client().fresh(), "dora", "first password");
    let tokens = party.sign_in(&mut dora, "openid api email").await;
    assert_eq!(party.userinfo(&tokens.access).await.expect(200).json()["email"], "dora@example.com");
    with_password(&server.house, &["user", "passwd", "dora"], "second password");
    is_invalid_token(&call(&server, &tokens.access).await, "of the old password");
    assert!(!gets_in(&server, &party, "dora", "first password").await);
    assert!(gets_in(&server, &party, "dora", "second password").await);

    dora.password = "second password".into();
    let tokens = afterwards(&party, &mut dora).await;
    server.house.say(&["user", "disable", "dora"]);
    is_invalid_token(&call(&server, &tokens.access).await, "of a disabled person");
    assert!(!gets_in(&server, &party, "dora", "second password").await);
    server.house.say(&["user", "enable", "dora"]);
    assert!(gets_in(&server, &party, "dora", "second password").await);
    is_invalid_token(&call(&server, &tokens.access).await, "what ended stays ended");

    // The seed file's people can be overridden, not added again.
    let again = piped(&server.house, &["user", "add", "alice"], "another password");
    assert!(!again.status.success() && text(&again.stderr).contains("alice"), "{}", text(&again.stderr));
    server.house.say(&["user", "disable", "alice"]);
    let person = alice(&server);
    assert!(!gets_in(&server, &party, &person.username, &person.password).await);
}

/// Signs in anew. What a person's end took along is told by seconds: a sign-in within the same one is refused.
async fn afterwards(party: &Party, person: &mut Person) -> Tokens {
    let began = Instant::now();
    loop {
        person.cookies.clear();
        let asked = party.ask("openid api", &[]);
        let answer = person.authorize(&asked.url).await;
        if parameter(&answer, "error").is_none() {
            return party.redeem(&asked, &party.code(&asked, &answer)).await;
        }
        assert!(began.elapsed() < DEADLINE, "{answer}");
    }
}

fn client_credentials<'a>(server: &'a Server, id: &str, secret: &str) -> Call<'a> {
    let call = server.client().post(server.url("/oidcop/token")).basic(id, secret);
    call.form(&[("grant_type", "client_credentials"), ("scope", "api")])
}

#[tokio::test(flavor = "multi_thread")]
async fn command_line_client_verbs_reach_a_running_server() {
    let server = Server::quickstart();
    let add = ["client", "add", "--name", "Nightly", "--grant", "client_credentials", "--scope", "api"];
    let added = json_of(&server.house, &add);
    let (id, secret) = (added["client_id"].as_str().unwrap(), added["client_secret"].as_str().unwrap());
    let tokens = Tokens::of(&client_credentials(&server, id, secret).send().await.expect(200));
    let shown = call(&server, &tokens.access).await.expect(200).json();
    assert_eq!(shown["headers"]["x-auth-client"], id, "{shown}");
    assert!(
        shown["headers"].get("x-auth-username").is_none(),
        "a client is no person (RFC 9700 §4.15): {shown}"
    );

    let listed = json_of(&server.house, &["client", "list"]);
    assert!(rows(&listed).iter().any(|row| row["client_id"] == id), "{listed}");
    let one = json_of(&server.house, &["client", "show", id]);
    assert_eq!(one["client_name"], "Nightly");
    assert!(!one.to_string().contains(secret), "a secret is shown once");

    let rotated = json_of(&server.house, &["client", "rotate-secret", id]);
    let renewed = rotated["client_secret"].as_str().unwrap();
    let refused = client_credentials(&server, id, secret).send().await.expect_error(401, "invalid_client");
    assert!(refused.header("www-authenticate").unwrap().starts_with("Basic"), "RFC 6749 §5.2");
    client_credentials(&server, id, renewed).send().await.expect(200);

    server.house.say(&["client", "remove", id]);
    is_invalid_token(&call(&server, &tokens.access).await, "of a removed client");
    client_credentials(&server, id, renewed).send().await.expect_error(401, "invalid_client");
}

#[tokio::test(flavor = "multi_thread")]
async fn command_line_session_verbs_reach_a_running_server() {
    let server = Server::quickstart();
    let party = Party::register(&server).await;
    let mut person = alice(&server);
    let tokens = party.sign_in(&mut person, "openid api").await;
    let listed = json_of(&server.house, &["session", "list", "--user", "alice"]);
    let sid = rows(&listed)[0]["sid"].as_str().unwrap().to_owned();
    server.house.say(&["session", "end", &sid]);
    is_invalid_token(&call(&server, &tokens.access).await, "of an ended session");
    let silent = party.ask("openid", &[("prompt", "none")]);
    let answer = person.visit(&silent.url).await.elsewhere();
    assert!(answer.as_str().contains("login_required"), "{answer}");
    assert!(rows(&json_of(&server.house, &["session", "list", "--user", "alice"])).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn command_line_key_verbs_reach_a_running_server() {
    let server = Server::quickstart();
    let party = Party::register(&server).await;
    let mut person = alice(&server);
    let before = party.sign_in(&mut person, "openid api").await;
    let listed = json_of(&server.house, &["key", "list"]);
    let mut ids: Vec<_> = rows(&listed).iter().map(|row| row["kid"].as_str().unwrap().to_owned()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), rows(&listed).len(), "unique key ids: {listed}");
    server.house.say(&["key", "rotate"]);
    let after = party.sign_in(&mut person, "openid api").await;
    let kid = |token: &str| crate::bearer::header(token)["kid"].as_str().unwrap().to_owned();
    assert_ne!(kid(&before.access), kid(&after.access), "the next key signs");
    assert!(ids.contains(&kid(&after.access)), "and was published before");
    call(&server, &before.access).await.expect(200);
    call(&server, &after.access).await.expect(200);

    server.house.say(&["key", "revoke", &kid(&before.access)]);
    is_invalid_token(&call(&server, &before.access).await, "signed by a revoked key");
    call(&server, &after.access).await.expect(200);
    let published = party.client.get(party.endpoint("jwks_uri")).send().await.expect(200).text();
    assert!(!published.contains(&kid(&before.access)), "{published}");
    for private in ["\"d\"", "\"p\"", "\"k\""] {
        assert!(!published.contains(private), "{published}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn command_line_works_beside_a_stopped_server() {
    let mut server = Server::quickstart();
    server.signal("TERM");
    assert!(server.wait().success());
    with_password(&server.house, &["user", "add", "erik", "--name", "Erik"], "a long enough password");
    let add = ["client", "add", "--name", "Offline", "--grant", "client_credentials", "--scope", "api"];
    let added = json_of(&server.house, &add);
    server.house.say(&["user", "disable", "tomas"]);
    json_of(&server.house, &["key", "rotate"]);
    assert!(rows(&json_of(&server.house, &["user", "list"])).iter().any(|row| row["username"] == "erik"));
    let reload = server.house.run(&["reload"]);
    assert!(!reload.status.success(), "nobody is there to reload");

    server.begin();
    let party = Party::register(&server).await;
    assert!(gets_in(&server, &party, "erik", "a long enough password").await);
    let (id, secret) = (added["client_id"].as_str().unwrap(), added["client_secret"].as_str().unwrap());
    client_credentials(&server, id, secret).send().await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn command_line_explains_hashes_and_tells_its_version() {
    let house = House::new("quickstart");
    let issuer = format!("https://127.0.0.1:{}", house.port(8000));
    let explained = house.say(&["explain", "GET", &format!("{issuer}/api/hello")]);
    assert!(explained.contains("/api") && explained.contains("bearer"), "{explained}");
    let provider = house.say(&["explain", "POST", &format!("{issuer}/oidcop/token")]);
    assert!(provider.to_lowercase().contains("provider"), "{provider}");
    let refused = house.run(&["explain", "GET", &format!("{issuer}/public/..%2fapi")]);
    let said = text(&refused.stdout) + &text(&refused.stderr);
    assert!(said.contains("400"), "{said}");

    let hash = with_password(&house, &["hash-password"], "open sesame");
    assert!(hash.trim().starts_with("$argon2id$"), "{hash}");
    assert!(house.say(&["version"]).contains(env!("CARGO_PKG_VERSION")));
    let schema: Value = serde_json::from_str(&house.say(&["schema"])).unwrap();
    assert_ne!(schema["properties"], json!(null));
    assert!(!house.path("certs/ca.pem").exists(), "none of these verbs makes anything");
    let wrong = house.command(&["rum"]).output().unwrap();
    assert_eq!(wrong.status.code(), Some(2));
}
