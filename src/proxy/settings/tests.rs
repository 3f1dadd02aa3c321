//! What does not parse, and what is found to be wrong, each with its path.

use super::*;
use crate::op;
use serde_json::json;

fn op() -> op::Settings {
    serde_json::from_value(json!({
        "issuer": "https://op.example",
        "resources": [{ "uri": "https://api.example/", "scopes": ["api"] }],
        "paths": { "introspection": ["/oidcop/introspection", "/introspection"] },
    }))
    .unwrap()
}

fn faults(value: serde_json::Value) -> Vec<(String, String)> {
    let settings: Settings = serde_json::from_value(value).unwrap();
    settings.faults(Some(&op()))
}

/// The one fault's path; its text must hold `says`.
#[track_caller]
fn fault(value: serde_json::Value, path: &str, says: &str) {
    let found = faults(value);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].0, path);
    assert!(found[0].1.contains(says), "{}", found[0].1);
}

fn route(extra: serde_json::Value) -> serde_json::Value {
    let mut route = json!({ "path": "/", "policy": "public", "upstream": "u" });
    for (key, value) in extra.as_object().unwrap() {
        if value.is_null() {
            route.as_object_mut().unwrap().remove(key);
        } else {
            route[key] = value.clone();
        }
    }
    json!({ "routes": [route], "upstreams": { "u": { "addresses": ["127.0.0.1:1"] } } })
}

#[test]
fn a_route_without_policy_and_a_public_one_with_scopes_do_not_parse() {
    let read = |policy: &str| serde_json::from_str::<Route>(&format!(r#"{{ "path": "/", {policy} }}"#));
    for (policy, says) in [
        ("", "missing field `policy`"),
        (r#""policy": { "public": { "scopes": ["a"] } }"#, "a public route cannot ask for scopes"),
        (r#""policy": "bearer""#, "must name a resource"),
        (r#""policy": { "bearer": {} }"#, "missing field `resource`"),
        (r#""policy": { "bearer": { "resource": "x", "scope": [] } }"#, "unknown field `scope`"),
        (r#""policy": { "bearer": { "resource": "x" }, "deny": {} }"#, "one policy"),
        (r#""policy": {}"#, "invalid length 0"),
        (r#""policy": "private""#, "unknown variant `private`"),
        (r#""policy": 1"#, "expected `public`, `deny`"),
        (r#""policy": "public", "polciy": 1"#, "unknown field `polciy`"),
    ] {
        let text = format!(
            r#"{{ "path": "/" {comma} {policy} }}"#,
            comma = if policy.is_empty() { "" } else { "," }
        );
        let error = serde_json::from_str::<Route>(&text).unwrap_err().to_string();
        assert!(error.contains(says), "{policy}: {error}");
    }
    assert_eq!(read(r#""policy": "deny""#).unwrap().policy, Policy::Deny);
    let bearer =
        read(r#""policy": { "bearer": { "resource": "x", "scopes": ["a"], "any_scope": ["b"] } }"#).unwrap();
    let expected = Bearer {
        resource: "x".into(),
        scopes: vec!["a".into()],
        any_scope: vec!["b".into()],
        binding: Binding::Any,
    };
    assert_eq!(bearer.policy, Policy::Bearer(expected));
}

#[test]
fn settings_survive_being_written_and_read() {
    let value = route(
        json!({ "policy": { "bearer": { "resource": "https://api.example/" } }, "body_limit": "1GiB" }),
    );
    let settings: Settings = serde_json::from_value(value).unwrap();
    let again: Settings = serde_json::from_value(serde_json::to_value(&settings).unwrap()).unwrap();
    assert_eq!(settings, again);
    assert_eq!(settings.faults(Some(&op())), []);
}

#[test]
fn faults_of_routes_name_the_value_to_put_right() {
    let resource = json!({ "bearer": { "resource": "https://other.example/" } });
    fault(route(json!({ "policy": resource })), "routes[0].policy.bearer.resource", "not among op.resources");
    let scopes = json!({ "bearer": { "resource": "https://api.example/", "scopes": ["ok", "a b"] } });
    fault(route(json!({ "policy": scopes })), "routes[0].policy.bearer.scopes[1]", "no scope");
    fault(route(json!({ "upstream": "v" })), "routes[0].upstream", "no upstream `v`");
    fault(route(json!({ "upstream": null })), "routes[0]", "needs an `upstream`");
    fault(route(json!({ "respond": { "body": "x" } })), "routes[0].respond", "not both");
    fault(route(json!({ "path": "api" })), "routes[0].path", "no request can have this path");
    fault(route(json!({ "path": "/%61pi" })), "routes[0].path", "no request can have this path");
    fault(route(json!({ "path": "/a;b" })), "routes[0].path", "semicolon");
    fault(route(json!({ "methods": ["get"] })), "routes[0].methods[0]", "capitals");
    fault(route(json!({ "methods": ["GET", "TRACE"] })), "routes[0].methods[1]", "nowhere");
    fault(route(json!({ "hosts": ["a.example", "a b"] })), "routes[0].hosts[1]", "malformed");
    fault(route(json!({ "headers": { "a b": "c" } })), "routes[0].headers.a b", "cannot be a header");
    fault(route(json!({ "cors": { "origins": [] } })), "routes[0].cors.origins", "name an origin");
    fault(
        route(json!({ "cors": { "origins": ["https://a.example/"] } })),
        "routes[0].cors.origins[0]",
        "no origin",
    );
    let star = json!({ "origins": ["*"], "credentials": true });
    fault(route(json!({ "cors": star })), "routes[0].cors.credentials", "no credentials");
    let rate = json!([{ "per": "subject", "requests": 1, "within": "1s" }]);
    fault(route(json!({ "rates": rate })), "routes[0].rates[0].per", "only a `bearer` route");
    assert_eq!(faults(route(json!({ "policy": "deny", "upstream": null }))), []);
}

#[test]
fn a_route_under_the_providers_paths_is_a_fault_on_the_issuers_host_only() {
    for path in [
        "/oidcop",
        "/oidcop/",
        "/oidcop/x",
        "/introspection",
        "/.well-known/openid-configuration",
        "/.well-known/webfinger",
    ] {
        fault(route(json!({ "path": path })), "routes[0].path", "the provider answers here");
        fault(
            route(json!({ "path": path, "hosts": ["OP.example"] })),
            "routes[0].path",
            "the provider answers here",
        );
        assert_eq!(faults(route(json!({ "path": path, "hosts": ["app.example"] }))), [], "{path}");
    }
    assert_eq!(faults(route(json!({ "path": "/oidcopx" }))), []);
}

#[test]
fn two_routes_for_the_same_requests_are_a_fault() {
    let two = |first: serde_json::Value, second: serde_json::Value| {
        let mut value = route(first);
        let other = route(second)["routes"][0].clone();
        value["routes"].as_array_mut().unwrap().push(other);
        value
    };
    let api = || json!({ "path": "/api" });
    fault(two(api(), json!({ "path": "/api/", "policy": "deny" })), "routes[1].path", "routes[0] already");
    let hosts = json!({ "path": "/api", "hosts": ["b.example", "A.example"] });
    fault(
        two(json!({ "path": "/api", "hosts": ["a.example"] }), hosts),
        "routes[1].path",
        "routes[0] already",
    );
    for different in [
        json!({ "path": "/api/x" }),
        json!({ "path": "/api", "hosts": ["a.example"] }),
        json!({ "path": "/api", "methods": ["GET"] }),
    ] {
        assert_eq!(faults(two(api(), different)), []);
    }
}

#[test]
fn faults_of_upstreams_name_the_value_to_put_right() {
    let upstream = |extra: serde_json::Value| {
        let mut value = route(json!({}));
        for (key, field) in extra.as_object().unwrap() {
            value["upstreams"]["u"][key] = field.clone();
        }
        value
    };
    for name in ["", "a b", "-"] {
        let tls = json!({ "tls": { "server_name": name } });
        fault(upstream(tls), "upstreams.u.tls.server_name", "nothing is verified");
    }
    fault(upstream(json!({ "http": "auto" })), "upstreams.u.http", "set `tls`");
    fault(upstream(json!({ "timeouts": { "read": "0" } })), "upstreams.u.timeouts.read", "give a time");
    fault(upstream(json!({ "host": "a/b" })), "upstreams.u.host", "no host");
    assert_eq!(faults(upstream(json!({ "tls": { "server_name": "up.example" }, "http": "auto" }))), []);
}

#[test]
fn all_faults_are_found_at_once() {
    let value = json!({
        "routes": [{ "path": "x", "policy": "public", "upstream": "v", "methods": ["get"] }],
        "hosts": ["*"],
        "identity": { "subject": "a b" },
        "limits": { "head": "1MiB" },
    });
    let paths: Vec<_> = faults(value).into_iter().map(|(path, _)| path).collect();
    let expected = [
        "routes[0].path",
        "routes[0].upstream",
        "routes[0].methods[0]",
        "hosts[0]",
        "identity.subject",
        "limits.head",
    ];
    assert_eq!(paths, expected);
}

#[test]
fn without_a_provider_no_token_can_be_asked_for() {
    let bearer = json!({ "bearer": { "resource": "https://api.example/" } });
    let settings: Settings = serde_json::from_value(route(json!({ "policy": bearer }))).unwrap();
    let found = settings.faults(None);
    assert_eq!(found[0].0, "routes[0].policy.bearer");
    let public: Settings = serde_json::from_value(route(json!({ "path": "/oidcop" }))).unwrap();
    assert_eq!(public.faults(None), []);
}
