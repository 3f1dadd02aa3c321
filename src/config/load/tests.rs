//! A corpus of faulty configurations: each says all that is wrong, in the place where it is wrong.

use super::*;

const GOOD: &str = "\
front:
  listen: [127.0.0.1:8000]
  tls:
    certificates:
      - { cert: certs/dev.pem, key: certs/dev.key }
";

fn check(text: &str) -> Vec<String> {
    let environment = |name: &str| match name {
        "PORT" => Some("8443".to_owned()),
        "LIMIT" => Some("7".to_owned()),
        _ => None,
    };
    match load_text(FilePath::new("conf/edge.yaml"), text, &environment) {
        Ok(_) => Vec::new(),
        Err(faults) => faults.iter().map(ToString::to_string).collect(),
    }
}

/// The faults of [`GOOD`] with `more` behind it; GOOD has five lines.
fn faults(more: &str) -> Vec<String> {
    check(&format!("{GOOD}{more}"))
}

#[test]
fn a_good_configuration_has_no_faults() {
    assert_eq!(check(GOOD), Vec::<String>::new());
}

#[test]
fn every_fault_is_told_at_once_in_order() {
    let said = faults(
        "op:
  issuer: 5
  lifetimes: { code: 60, acess_token: 1h }
  keys:
    rotate_every: soon
server:
  thread: 2
  drain: 30s
  log: { level: loud }
store: { embeded: { path: x } }
nonsense: true
",
    );
    assert_eq!(
        said,
        [
            "conf/edge.yaml:7:11: op.issuer: expected a text, found `5`",
            "conf/edge.yaml:8:22: op.lifetimes.code: expected a duration such as 500ms, 30s, 10m, 8h or 14d, found \"60\"",
            "conf/edge.yaml:8:26: op.lifetimes.acess_token: unknown key `acess_token`: did you mean `access_token`?",
            "conf/edge.yaml:10:19: op.keys.rotate_every: expected a duration such as 500ms, 30s, 10m, 8h or 14d, found \"soon\"",
            "conf/edge.yaml:12:3: server.thread: unknown key `thread`: did you mean `threads`?",
            "conf/edge.yaml:13:10: server.drain: expected a map of keys, found \"30s\"",
            "conf/edge.yaml:14:17: server.log.level: unknown word `loud`: known here: error, warn, info, debug, trace",
            "conf/edge.yaml:15:10: store.embeded: unknown word `embeded`: did you mean `embedded`?",
            "conf/edge.yaml:16:1: nonsense: unknown key `nonsense`: known here: front, op, routes, upstreams, hosts, trusted_proxies, identity, limits, hsts, forward_auth, store, fetch, server, demo",
        ]
    );
}

#[test]
fn what_is_missing_is_told_for_each_item_and_its_siblings_are_still_read() {
    let said = check(
        "front:
  tls:
    certificates:
      - cert: a
      - key: b
        hosts: x
      - {}
      - 7
  limits: { connections: 0, streams: many }
",
    );
    assert_eq!(
        said,
        [
            "conf/edge.yaml:4:9: front.tls.certificates[0]: `key` is missing: add it",
            "conf/edge.yaml:5:9: front.tls.certificates[1]: `cert` is missing: add it",
            "conf/edge.yaml:6:16: front.tls.certificates[1].hosts: expected a list, found \"x\"",
            "conf/edge.yaml:7:9: front.tls.certificates[2]: `cert` is missing: add it",
            "conf/edge.yaml:7:9: front.tls.certificates[2]: `key` is missing: add it",
            "conf/edge.yaml:8:9: front.tls.certificates[3]: expected a map of keys, found `7`",
            "conf/edge.yaml:9:26: front.limits.connections: expected a whole number, found `0`",
            "conf/edge.yaml:9:38: front.limits.streams: expected a whole number, found \"many\"",
        ]
    );
}

#[test]
fn contradictions_are_told_beside_other_faults_but_not_as_their_echo() {
    let said =
        check("front:\n  listen: []\n  tls: { certificates: 7 }\nserver:\n  admin: 0.0.0.0:9\n  x: 1\n");
    assert_eq!(
        said,
        [
            "conf/edge.yaml:2:3: front.listen: no address to listen on: name one, such as 0.0.0.0:443",
            "conf/edge.yaml:3:24: front.tls.certificates: expected a list, found `7`",
            "conf/edge.yaml:5:10: server.admin: `0.0.0.0:9` is not on loopback, and this listener asks for no credentials: use 127.0.0.1",
            "conf/edge.yaml:6:3: server.x: unknown key `x`: known here: threads, control, admin, access_log, audit_log, log, drain, pid_file",
        ]
    );
}

#[test]
fn the_environment_gives_texts_and_numbers() {
    let text = GOOD.replace("127.0.0.1:8000", "'127.0.0.1:${PORT}'");
    let text = text
        + "  limits: { connections: '${LIMIT}', streams: \"${NONE:-9}\" }\nserver: { threads: '${LIMIT}x' }\n";
    assert_eq!(check(&text), ["conf/edge.yaml:7:20: server.threads: expected a whole number, found \"7x\""]);
    let text = text.replace("${LIMIT}x", "${LIMIT}");
    let config = load_text(FilePath::new("x"), &text, &|name| (name == "LIMIT").then(|| "7".into()));
    assert!(config.unwrap_err().to_string().contains("the environment variable PORT is not set"));
    let config =
        load_text(FilePath::new("x"), &text, &|name| Some(if name == "PORT" { "1" } else { "7" }.into()));
    let config = config.unwrap().config;
    assert_eq!(
        (config.front.listen[0].port(), config.front.limits.connections.get(), config.server.threads),
        (1, 7, 7)
    );
}

#[test]
fn what_is_no_yaml_has_a_place_too() {
    assert_eq!(check("op: [\n"), ["conf/edge.yaml:2:1: did not find expected node content"]);
    assert_eq!(check("a: b: c\n"), ["conf/edge.yaml:1:5: mapping values are not allowed in this context"]);
    assert_eq!(
        check("front: {}\nfront: {}\n")[0],
        "conf/edge.yaml:1:1: front.tls.certificates: no certificate: name its `cert` and `key` files (`oidcop-proxy \
         dev-cert` makes some to try)"
    );
    assert_eq!(
        check("front: {}\nfront: {}\n")[1],
        "conf/edge.yaml:2:1: front: this key is written twice: keep one of them"
    );
    assert_eq!(check("7"), ["conf/edge.yaml:1:1: expected a map of keys, found `7`"]);
}

#[test]
fn an_upstream_that_is_misspelt_is_told_with_the_one_that_was_meant() {
    let said = faults(
        "op: { issuer: 'https://a.example' }
upstreams: { orders: { addresses: ['127.0.0.1:9'] } }
routes:
  - { path: /a, policy: public, upstream: order }
  - { path: /b, policy: public, upstream: orders }
demo: { whoami: 127.0.0.1:0 }
",
    );
    assert_eq!(
        said,
        ["conf/edge.yaml:9:43: routes[0].upstream: there is no upstream `order`: did you mean `orders`?"]
    );
}

#[test]
fn an_app_on_the_issuers_host_is_warned_of_but_not_on_loopback() {
    let warned = |issuer: &str, hosts: &str| {
        let text = format!(
            "{GOOD}op: {{ issuer: 'https://{issuer}' }}\nupstreams: {{ app: {{ addresses: ['127.0.0.1:9'] }} }}\n\
             routes:\n  - {{ path: /, policy: public, upstream: app, hosts: [{hosts}] }}\n"
        );
        let loaded = load_text(FilePath::new("x.yaml"), &text, &|_| None).unwrap();
        loaded.warnings.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let said = warned("login.example", "");
    assert!(
        said[0].starts_with("x.yaml:9:5: routes[0]: this route shares the issuer's host `login.example`"),
        "{said:?}"
    );
    assert_eq!(warned("login.example:8443", "login.example").len(), 1);
    assert_eq!(warned("login.example", "app.example"), Vec::<String>::new());
    assert_eq!(warned("127.0.0.1:8000", ""), Vec::<String>::new());
}

#[test]
fn a_file_that_is_not_there_is_a_fault() {
    let fault = load(FilePath::new("conf/missing.yaml")).unwrap_err().to_string();
    assert!(fault.starts_with("conf/missing.yaml: cannot be read: No such file"), "{fault}");
}

#[test]
fn many_faults_end_somewhere() {
    let lines: String = (0..500).map(|n| format!("key{n}: 1\n")).collect();
    assert_eq!(faults(&lines).len(), super::super::recover::MAX_FAULTS);
}
