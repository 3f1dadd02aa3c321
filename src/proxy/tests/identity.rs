//! What an upstream learns of the caller by template and by signed token.

use super::*;
use crate::jose::{Algorithm, Audience, JwkSet, KeySource, Rules, Typ, verify};

const KEY_SET: &str = "GET /.well-known/oidcop-edge-jwks.json";
const AUDIENCE: &str = "https://app.internal";

/// A house whose `/api` and `/open` tell more; tokens are opaque.
async fn house() -> House {
    let house = House::with(json!({
        "resources": [{ "uri": RESOURCE, "scopes": ["api"], "format": "opaque" },
            { "uri": "https://other.example/", "scopes": ["other"] }],
    }))
    .await;
    let bearer = json!({ "bearer": { "resource": RESOURCE } });
    let written = json!({
        "upstreams": { "up": { "addresses": [house.upstream.address.to_string()] } },
        "identity": { "headers": { "X-Who": "{client}/{acr:-none}", "X-Person": "{username}", "X-Gone": "x" } },
        "routes": [
            { "path": "/api", "policy": bearer, "upstream": "up", "identity_token": { "audience": AUDIENCE },
              "identity_headers": { "x-gone": "", "X-Address": "{address}" } },
            { "path": "/bare", "policy": bearer, "upstream": "up",
              "identity_token": { "audience": AUDIENCE, "header": "Authorization", "algorithm": "EdDSA" } },
            { "path": "/public", "policy": "public", "upstream": "up" },
        ],
    });
    take(&house, written).await;
    house
}

async fn take(house: &House, written: Value) {
    let settings: Settings = serde_json::from_value(written).unwrap();
    house.edge.make_keys(&settings).await.unwrap();
    house.edge.reload(&settings, Some(house.op.clone())).unwrap();
}

/// A header of the request that the upstream shows.
fn seen<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    let mut lines = answer.text.lines().filter_map(|line| line.split_once(": "));
    let mut values =
        lines.by_ref().filter(|(shown, _)| shown.eq_ignore_ascii_case(name)).map(|(_, value)| value);
    let value = values.next();
    assert!(values.next().is_none(), "{name} is there twice: {}", answer.text);
    value
}

async fn claims(house: &House, token: &str) -> serde_json::Map<String, Value> {
    let published = house.ask(KEY_SET, &[], "").await;
    assert_eq!(published.header("content-type"), Some("application/jwk-set+json"));
    let keys = JwkSet::parse(published.text.as_bytes()).unwrap();
    let rules = Rules {
        typ: Typ::Required(&["oidcop-identity+jwt"]),
        issuer: Some("https://op.example/.well-known/oidcop-edge"),
        audience: Audience::Exactly(AUDIENCE),
        ..Rules::new(&[Algorithm::ES256, Algorithm::EdDSA], house.clock.now())
    };
    verify(token, &KeySource::Set(&keys), &rules).unwrap().claims
}

#[tokio::test]
async fn an_opaque_token_outside_is_a_signed_one_inside() {
    let house = house().await;
    let shown = house.token("api").await;
    assert!(!shown.contains('.'), "{shown}");
    let credentials = format!("Authorization: Bearer {shown}");
    let forged = [
        credentials.as_str(),
        "X-Auth-Token: forged",
        "X_Auth_Token: forged",
        "X_Who: root",
        "X-Person: root",
    ];
    let answer = house.ask("GET /api/x", &forged, "").await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let token = seen(&answer, "x-auth-token").unwrap();
    let claims = claims(&house, token).await;
    assert_eq!((&claims["client_id"], &claims["scope"]), (&json!("robot"), &json!("api")));
    assert_eq!(seen(&answer, "x-who"), Some("robot/none"));
    assert_eq!(seen(&answer, "x-address"), Some("127.0.0.1"));
    for gone in ["x-person", "x-gone", "x_who", "x_auth_token", "authorization"] {
        assert_eq!(seen(&answer, gone), None, "{gone}");
    }
    let again = house.ask("GET /api/y", &[&credentials], "").await;
    assert_eq!(seen(&again, "x-auth-token"), Some(token), "the hot path signs nothing");
    let bare = house.ask("GET /bare", &[&credentials], "").await;
    let inside = seen(&bare, "authorization").unwrap().strip_prefix("Bearer ").unwrap();
    assert_ne!(inside, token);
    assert_eq!(self::claims(&house, inside).await["client_id"], "robot");
    house.revoke(&shown).await;
    assert_eq!(house.ask("GET /api/x", &[&credentials], "").await.status, 401);
}

#[tokio::test]
async fn an_identity_token_is_no_access_token_and_nothing_says_who_calls_on_a_public_route() {
    let house = house().await;
    let credentials = format!("Authorization: Bearer {}", house.token("api").await);
    let answer = house.ask("GET /api", &[&credentials], "").await;
    let inside = format!("Authorization: Bearer {}", seen(&answer, "x-auth-token").unwrap());
    let refused = house.ask("GET /api", &[&inside], "").await;
    assert_eq!(refused.status, 401, "{}", refused.text);
    assert!(refused.header("www-authenticate").unwrap().contains("invalid_token"));
    let open = house.ask("GET /public", &[&credentials, "X-Auth-Token: forged", "X-Person: root"], "").await;
    assert_eq!(
        (seen(&open, "x-auth-token"), seen(&open, "x-person"), seen(&open, "x-who")),
        (None, None, None)
    );
}

#[tokio::test]
async fn the_key_set_is_on_the_issuers_host_only_and_can_be_kept() {
    let house = house().await;
    let first = house.ask(KEY_SET, &[], "").await;
    assert_eq!(first.header("cache-control"), Some("public, max-age=3600"));
    assert_eq!(first.json()["keys"].as_array().unwrap().len(), 4, "two algorithms, this key and the next");
    let tag = {
        let start = first.head.find("etag: ").unwrap() + 6;
        first.head[start..].lines().next().unwrap().to_owned()
    };
    assert!(tag.len() > 20, "{tag}");
    assert_eq!(house.ask("POST /.well-known/oidcop-edge-jwks.json", &[], "").await.status, 405);
    let written = json!({
        "routes": [{ "path": "/", "policy": "public", "respond": { "body": "a route" } }], "hosts": ["app.example"],
    });
    take(&house, written).await;
    assert_eq!(house.ask(KEY_SET, &[], "").await.text, "a route", "nothing signs: nothing is published");
}

#[test]
fn what_could_not_be_meant_is_a_fault_at_its_place() {
    let bearer = json!({ "bearer": { "resource": RESOURCE } });
    let written = json!({
        "upstreams": { "up": { "addresses": ["127.0.0.1:1"] } },
        "identity": { "headers": { "X-A": "{usrname}", "x_a": "x", "Host": "x", "X-Auth-Client": "x", "X B": "x" } },
        "routes": [
            { "path": "/a", "policy": "public", "upstream": "up", "identity_token": { "audience": "a" } },
            { "path": "/b", "policy": bearer, "upstream": "up", "pass_credentials": true, "authorization_file": "f",
              "identity_token": { "audience": "", "header": "Authorization", "lifetime": "2h" } },
            { "path": "/auth", "policy": "deny" },
        ],
        "forward_auth": [{ "path": "/auth", "trusted": [], "original": "nginx", "hosts": ["a b"] },
                         { "path": "/", "trusted": ["127.0.0.1/32"], "original": "nginx" }],
    });
    let settings: Settings = serde_json::from_value(written).unwrap();
    let found: Vec<String> = settings.faults(None).into_iter().map(|(path, _)| path).collect();
    for expected in [
        "identity.headers.X-A",
        "identity.headers.x_a",
        "identity.headers.Host",
        "identity.headers.X-Auth-Client",
        "identity.headers.X B",
        "routes[0].identity_token",
        "routes[1].authorization_file",
        "routes[1].identity_token",
        "routes[1].identity_token.header",
        "routes[1].identity_token.audience",
        "routes[1].identity_token.lifetime",
        "forward_auth[0].path",
        "forward_auth[0].trusted",
        "forward_auth[0].hosts[0]",
        "forward_auth[1].path",
    ] {
        assert!(found.iter().any(|path| path == expected), "{expected}: {found:?}");
    }
}
