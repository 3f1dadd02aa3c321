//! Which route a request takes, and which it cannot reach by another spelling.

use super::*;
use crate::proxy::path;

fn routes(json: &str) -> Routes {
    let written: Vec<settings::Route> = serde_json::from_str(json).unwrap();
    let compiled = written
        .iter()
        .map(|route| Route::new(route, Target::Nowhere, &Default::default(), "").unwrap())
        .collect();
    Routes::new(compiled, vec![Pattern::parse("a.example").unwrap()])
}

fn find(routes: &Routes, method: &str, host: &str, path: &str) -> Result<String, u16> {
    let authority = Authority::parse(host).unwrap();
    let checked = path::check(path.as_bytes()).map_err(|_| 400_u16)?;
    let found = routes.find(&authority, path, checked, &method.parse().unwrap());
    found.map(|route| route.name.to_string()).map_err(|denial| denial.status().as_u16())
}

const BEARER: &str = r#"{ "bearer": { "resource": "r" } }"#;

#[test]
fn the_longest_prefix_wins_and_ends_at_a_segment() {
    let routes = routes(&format!(
        r#"[ {{ "path": "/", "policy": "public" }}, {{ "path": "/api/", "policy": {BEARER} }},
             {{ "path": "/api/open", "policy": "public" }} ]"#
    ));
    for (path, name) in [
        ("/", "/"),
        ("/x", "/"),
        ("/apix", "/"),
        ("/api", "/api/"),
        ("/api/", "/api/"),
        ("/api/x/y/z", "/api/"),
        ("/api/openx", "/api/"),
        ("/api/open", "/api/open"),
        ("/api/open/x", "/api/open"),
        ("/api/Users", "/api/"),
    ] {
        assert_eq!(find(&routes, "GET", "a.example", path).as_deref(), Ok(name), "{path}");
    }
}

#[test]
fn a_path_that_resembles_a_protected_one_is_refused() {
    let text = |case: &str| {
        format!(
            r#"[ {{ "path": "/", "policy": "public", "allow_semicolon": true, "allow_encoded_slash": true }},
                 {{ "path": "/api", "policy": {BEARER}, "case": "{case}" }}, {{ "path": "/a!b", "policy": "deny" }} ]"#
        )
    };
    let guarded = routes(&text("guarded"));
    for path in [
        "/API",
        "/API/",
        "/Api/x",
        "/apI/x",
        "/api;x/y",
        "/api;/y",
        "/API;v=1/x",
        "/api%2Fx",
        "/Api%2fx",
        "/a%21b",
        "/A%21b/x",
        "/api%3Bx/y",
    ] {
        assert_eq!(find(&guarded, "GET", "a.example", path), Err(400), "{path}");
    }
    for path in ["/APIX", "/x/API", "/other;x=1", "/b%2Fc", "/apis%20x"] {
        assert_eq!(find(&guarded, "GET", "a.example", path).as_deref(), Ok("/"), "{path}");
    }
    let exact = routes(&text("exact"));
    assert_eq!(find(&exact, "GET", "a.example", "/API/x").as_deref(), Ok("/"));
    for path in ["/api;x/y", "/api%2Fx"] {
        assert_eq!(find(&exact, "GET", "a.example", path), Err(400), "{path}");
    }
}

#[test]
fn semicolons_and_escaped_slashes_need_the_routes_leave() {
    let routes = routes(
        r#"[ { "path": "/", "policy": "public" }, { "path": "/s", "policy": "public", "allow_semicolon": true },
             { "path": "/e", "policy": "public", "allow_encoded_slash": true } ]"#,
    );
    for (path, found) in [
        ("/x;y", Err(400)),
        ("/s/x;y", Ok("/s")),
        ("/s/x%2Fy", Err(400)),
        ("/e/x%2Fy", Ok("/e")),
        ("/e/x;y", Err(400)),
    ] {
        assert_eq!(
            find(&routes, "GET", "a.example", path).as_deref().map_err(|status| *status),
            found,
            "{path}"
        );
    }
}

#[test]
fn a_method_never_falls_through_to_a_shorter_route() {
    let routes = routes(&format!(
        r#"[ {{ "path": "/", "policy": "public" }},
             {{ "name": "read", "path": "/api", "methods": ["GET"], "policy": "public" }},
             {{ "name": "write", "path": "/api", "methods": ["POST", "PUT"], "policy": {BEARER} }},
             {{ "name": "any", "path": "/any", "policy": "deny" }},
             {{ "name": "get", "path": "/any", "methods": ["GET"], "policy": "public" }} ]"#
    ));
    for (method, path, found) in [
        ("GET", "/api", Ok("read")),
        ("HEAD", "/api/x", Ok("read")),
        ("PUT", "/api/x", Ok("write")),
        ("DELETE", "/api/x", Err(405)),
        ("get", "/api/x", Err(405)),
        ("GET", "/any", Ok("get")),
        ("DELETE", "/any", Ok("any")),
    ] {
        let got = find(&routes, method, "a.example", path);
        assert_eq!(got.as_deref().map_err(|status| *status), found, "{method} {path}");
    }
    let authority = Authority::parse("a.example").unwrap();
    let denial = routes.find(&authority, "/api", Checked::default(), &Method::DELETE).err().unwrap();
    assert_eq!(denial, Denial::Method("GET, POST, PUT".into()));
}

#[test]
fn hosts_narrow_routes_and_the_best_match_wins() {
    let routes = routes(&format!(
        r#"[ {{ "name": "all", "path": "/x", "policy": "public" }},
             {{ "name": "wild", "path": "/x", "hosts": ["*.example.com"], "policy": "public" }},
             {{ "name": "one", "path": "/x", "hosts": ["api.example.com"], "policy": {BEARER} }} ]"#
    ));
    for (host, found) in [
        ("a.example", Ok("all")),
        ("b.example.com", Ok("wild")),
        ("API.example.com.:443", Ok("one")),
        ("api.example.com:8443", Ok("one")),
    ] {
        assert_eq!(find(&routes, "GET", host, "/x").as_deref().map_err(|status| *status), found, "{host}");
    }
    assert_eq!(find(&routes, "GET", "a.example", "/y"), Err(404));
    for (host, known) in [
        ("a.example", true),
        ("b.example.com", true),
        ("api.example.com", true),
        ("example.com", false),
        ("c.b.example.com", false),
        ("evil.example", false),
    ] {
        assert_eq!(routes.knows(&Authority::parse(host).unwrap()), known, "{host}");
    }
}

#[test]
fn a_path_of_many_segments_costs_no_more_than_the_longest_route() {
    let routes = routes(r#"[ { "path": "/", "policy": "public" } ]"#);
    let path = "/a".repeat(15_000);
    assert_eq!(find(&routes, "GET", "a.example", &path).as_deref(), Ok("/"));
}
