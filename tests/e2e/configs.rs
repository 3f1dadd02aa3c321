//! Configurations: the ones that ship run; mistakes are told all at once, each with its place, before any port is bound.

use crate::harness::server::text;
use crate::harness::{House, Server};
use std::collections::BTreeSet;

/// The lines that name a place: `conf/x.yaml:41:9: path: what is wrong`.
fn places(said: &str, file: &str) -> Vec<(u32, u32, String)> {
    let place = |line: &str| {
        let rest = line.trim().strip_prefix(file)?.strip_prefix(':')?;
        let mut parts = rest.splitn(3, ':');
        let (line, column) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        Some((line, column, parts.next()?.trim().to_owned()))
    };
    said.lines().filter_map(place).collect()
}

#[test]
fn check_passes_every_configuration_that_ships() {
    for config in ["quickstart", "edge", "op-only", "conformance"] {
        let house = House::new(config);
        let output = house.run(&["check"]);
        let said = text(&output.stdout) + &text(&output.stderr);
        assert!(output.status.success(), "{config}: {said}");
    }
}

#[test]
fn check_tells_every_fault_with_its_place() {
    let house = House::new("quickstart");
    house.edit(|text| text + "\nserver:\n  thread: 2\nhsts: soon\nnonsense: true\n");
    let lines = house.config();
    let line_of =
        |what: &str| u32::try_from(lines.lines().position(|line| line.contains(what)).unwrap() + 1).unwrap();
    for verb in ["check", "run"] {
        let output = house.run(&[verb]);
        let said = text(&output.stdout) + &text(&output.stderr);
        assert!(
            output.status.code().is_some_and(|code| (1..=2).contains(&code)),
            "{verb}: {:?} {said}",
            output.status
        );
        let told = places(&said, "conf/quickstart.yaml");
        let lines: BTreeSet<_> = told.iter().map(|(line, _, _)| *line).collect();
        for what in ["thread: 2", "hsts: soon", "nonsense: true"] {
            assert!(lines.contains(&line_of(what)), "{verb}: {what} is not told: {said}");
        }
        let thread = told.iter().find(|(line, _, _)| *line == line_of("thread: 2")).unwrap();
        assert_eq!(thread.1, 3, "the column: {said}");
        assert!(thread.2.contains("server.thread") && thread.2.contains("threads"), "did you mean: {said}");
        assert!(!said.contains("panicked"), "{said}");
    }
    assert!(!house.path("certs/ca.pem").exists(), "nothing is made before the configuration is right");
}

#[test]
fn check_refuses_a_route_without_a_policy_and_an_unknown_upstream() {
    let house = House::new("quickstart");
    let whole = house.config();
    let policy = whole.lines().find(|line| line.contains("policy: public")).unwrap().to_owned();
    house.edit(|text| text.replacen(&policy, "", 1).replacen("upstream: whoami", "upstream: whoamy", 1));
    let output = house.run(&["check"]);
    let said = text(&output.stdout) + &text(&output.stderr);
    assert!(!output.status.success());
    let told = places(&said, "conf/quickstart.yaml");
    assert!(told.iter().any(|(_, _, what)| what.contains("policy")), "{said}");
    assert!(told.iter().any(|(_, _, what)| what.contains("whoamy")), "{said}");
}

#[test]
fn check_refuses_what_is_not_yaml_and_what_is_not_there() {
    let house = House::new("quickstart");
    house.edit(|_| "op: [\n".to_owned());
    let output = house.run(&["check"]);
    let said = text(&output.stdout) + &text(&output.stderr);
    assert!(!output.status.success() && !places(&said, "conf/quickstart.yaml").is_empty(), "{said}");
    let mut missing = house.command(&["check", "--config", "conf/missing.yaml"]);
    let output = missing.output().unwrap();
    assert!(!output.status.success() && text(&output.stderr).contains("conf/missing.yaml"), "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn config_op_only_is_a_provider_and_nothing_else() {
    let server: Server = House::new("op-only").start();
    let metadata = server.client().get(server.url("/.well-known/openid-configuration")).send().await;
    assert_eq!(metadata.expect(200).json()["issuer"], server.issuer());
    server.client().get(server.url("/anything")).send().await.expect(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn config_edge_keeps_provider_app_and_api_on_hosts_of_their_own() {
    let house = House::new("edge");
    let (port, api) = (house.port(8443), house.port(9002));
    // The demo upstream takes the API's place; nobody is where the app should be.
    let demo = format!("demo:\n    whoami: 127.0.0.1:{api}\n");
    house.edit(|text| text.replacen("\ndemo:\n", &format!("\n{demo}"), 1));
    let server = house.start();
    let client = server.client();
    let at = |host: &str, path: &str| format!("https://{host}.localhost:{port}{path}");

    let metadata =
        client.get(at("login", "/.well-known/openid-configuration")).send().await.expect(200).json();
    assert_eq!(metadata["issuer"], at("login", ""));
    let elsewhere = client.get(at("app", "/.well-known/openid-configuration")).send().await;
    assert!(elsewhere.status >= 400, "the provider is on its own host only: {elsewhere:?}");
    client.get(at("app", "/")).send().await.expect(502);
    client.get(at("app", "/")).header("host", &format!("nobody.localhost:{port}")).send().await.expect(421);
    client.get(at("api", "/internal")).send().await.expect(403);
    client.get(at("api", "/orders")).send().await.expect(401);
    client.get(at("api", "/orders/events")).send().await.expect(401);

    let add = [
        "client",
        "add",
        "--name",
        "Reader",
        "--grant",
        "client_credentials",
        "--scope",
        "orders.read",
        "--json",
    ];
    let added: serde_json::Value = serde_json::from_str(&server.house.say(&add)).unwrap();
    let token = client.post(metadata["token_endpoint"].as_str().unwrap());
    let token = token.basic(added["client_id"].as_str().unwrap(), added["client_secret"].as_str().unwrap());
    let fields = [("grant_type", "client_credentials"), ("scope", "orders.read")];
    let token = token.form(&fields).send().await.expect(200).json();
    let token = token["access_token"].as_str().unwrap();
    let shown = client.get(at("api", "/orders/7")).bearer(token).send().await.expect(200).json();
    assert_eq!(shown["path"], "/orders/7");
    let refused = client.post(at("api", "/orders")).bearer(token).text("{}").send().await.expect(403);
    assert!(refused.header("www-authenticate").unwrap().contains("scope=\"orders.write\""), "{refused:?}");
    client.h2().get(at("api", "/orders/7")).bearer(token).send().await.expect(200);
}
