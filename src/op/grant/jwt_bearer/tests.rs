//! The JWT bearer grant, through `Op::handle`.

use crate::jose::{Algorithm, SigningKey};
use crate::op::fixture::{body, op_with};
use crate::op::token::fixture::*;
use crate::op::{Command, Op, walk};
use bytes::Bytes;
use futures_util::future::join_all;
use http::Response;
use serde_json::{Value, json};

const GRANT: (&str, &str) = ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer");

struct World {
    op: Op,
    key: SigningKey,
}

impl World {
    async fn new() -> World {
        let key = SigningKey::generate(Algorithm::ES256).unwrap();
        let jwks = json!({ "keys": [key.public().to_json()] });
        let settings = json!({ "jwt_bearer": { "issuers": [
            { "issuer": "https://idp.example", "jwks": jwks, "scopes": ["api", "openid"], "clients": ["rp"] },
            { "issuer": "https://mapped.example", "jwks": jwks, "scopes": ["api"], "clients": ["rp"],
              "subjects": { "0815": "alice" } },
        ] } });
        let op = op_with(&settings.to_string()).await;
        for id in ["rp", "other"] {
            client(&op, id, |client| client.metadata.grant_types.push(GRANT.1.into())).await;
        }
        walk::person(&op, walk::ALICE, json!({})).await;
        World { op, key }
    }

    fn claims(&self, changes: Value) -> Value {
        let now = self.op.now().0;
        let mut claims = json!({
            "iss": "https://idp.example", "sub": "alice", "aud": "https://op.example/oidcop/token",
            "exp": now + 60, "iat": now, "jti": "1",
        });
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        claims
    }

    async fn present(&self, client_id: &str, changes: Value, more: &[(&str, &str)]) -> Response<Bytes> {
        let assertion = self.key.sign("JWT", self.claims(changes).to_string().as_bytes()).unwrap();
        let mut pairs = vec![GRANT, ("assertion", assertion.as_str())];
        pairs.extend(more);
        ask(&self.op, client_id, &pairs).await
    }
}

/// RFC 7523 §2.1, §3.
#[tokio::test]
async fn an_assertion_of_a_trusted_issuer_gives_a_token_of_its_subject() {
    let world = World::new().await;
    let found = body(&world.present("rp", json!({}), &[]).await);
    assert_eq!((&found["scope"], &found["token_type"]), (&json!("api"), &json!("Bearer")), "{found}");
    assert!(found.get("refresh_token").is_none() && found.get("id_token").is_none());
    let said = claims(&world.op, text(&found, "access_token"));
    assert_eq!((&said["client_id"], &said["aud"]), (&json!("rp"), &json!("https://api.example/")));
    assert_eq!(said["sub"], json!(world.op.public_subject("alice")));
    // Nobody signed in.
    assert!(!said.contains_key("auth_time") && !said.contains_key("sid"));
    let mapped = json!({ "iss": "https://mapped.example", "sub": "0815", "aud": ["https://op.example"] });
    let found = body(&world.present("rp", mapped, &[("scope", "api")]).await);
    assert_eq!(claims(&world.op, text(&found, "access_token"))["sub"], said["sub"]);
    advance(&world.op, 1);
    world.op.administer(Command::UserDisable { username: "alice".into() }).await.map(drop).unwrap();
    assert!(!active(&world.op, text(&found, "access_token")).await);
    assert_eq!(error(&world.present("rp", json!({ "jti": "2" }), &[]).await), "invalid_grant");
}

/// ATTACKS 27.
#[tokio::test]
async fn what_an_assertion_must_not_be_is_refused() {
    let world = World::new().await;
    let now = world.op.now().0;
    for changes in [
        json!({ "iss": "https://evil.example" }),
        json!({ "iss": "https://op.example" }),
        json!({ "iss": null }),
        json!({ "aud": "https://op.example/oidcop/introspection" }),
        json!({ "aud": "https://rs.example" }),
        json!({ "aud": null }),
        json!({ "aud": [] }),
        json!({ "exp": now - 60 }),
        json!({ "exp": now + 7_200 }),
        json!({ "exp": null }),
        json!({ "exp": "soon" }),
        json!({ "nbf": now + 600 }),
        json!({ "jti": null }),
        json!({ "jti": "" }),
        json!({ "jti": 7 }),
        json!({ "sub": "nobody" }),
        json!({ "sub": null }),
        json!({ "iss": "https://mapped.example" }),
    ] {
        assert_eq!(error(&world.present("rp", changes.clone(), &[]).await), "invalid_grant", "{changes}");
    }
    assert_eq!(error(&world.present("other", json!({}), &[]).await), "invalid_grant");
    assert_eq!(error(&world.present("rp", json!({}), &[("scope", "api.write")]).await), "invalid_scope");
    assert_eq!(error(&world.present("rp", json!({}), &[("scope", "openid")]).await), "invalid_scope");
    let foreign = World { op: world.op.clone(), key: SigningKey::generate(Algorithm::ES256).unwrap() };
    assert_eq!(error(&foreign.present("rp", json!({}), &[]).await), "invalid_grant");
    for garbage in ["", "a.b.c", "eyJhbGciOiJub25lIn0.eyJpc3MiOiJodHRwczovL2lkcC5leGFtcGxlIn0."] {
        let refused = ask(&world.op, "rp", &[GRANT, ("assertion", garbage)]).await;
        assert_eq!(error(&refused), if garbage.is_empty() { "invalid_request" } else { "invalid_grant" });
    }
    // None of these spoiled the identifier they bore.
    assert_eq!(world.present("rp", json!({}), &[]).await.status(), 200);
}

/// ATTACKS 27, 29.
#[tokio::test]
async fn of_a_hundred_uses_of_one_assertion_one_wins() {
    let world = World::new().await;
    let tries = (0..100).map(|_| world.present("rp", json!({}), &[]));
    let answers = join_all(tries).await;
    assert_eq!(answers.iter().filter(|answer| answer.status() == 200).count(), 1);
    assert!(
        answers.iter().filter(|answer| answer.status() != 200).all(|answer| error(answer) == "invalid_grant")
    );
    // Another issuer's identifiers are its own.
    let mapped = json!({ "iss": "https://mapped.example", "sub": "0815" });
    assert_eq!(world.present("rp", mapped, &[]).await.status(), 200);
}

#[tokio::test]
async fn without_issuers_the_grant_is_not_offered() {
    let op = crate::op::fixture::op().await;
    client(&op, "rp", |client| client.metadata.grant_types.push(GRANT.1.into())).await;
    assert_eq!(error(&ask(&op, "rp", &[GRANT, ("assertion", "a.b.c")]).await), "unsupported_grant_type");
}
