//! DPoP through `Op::handle`: who gets a bound token, who can use it, and every proof that must not count.

use crate::base::encode::base64url;
use crate::base::secret::sha256;
use crate::jose::prover::Prover;
use crate::op::Op;
use crate::op::fixture::{body, form, header, op_with, send};
use crate::op::record::client::Client;
use crate::op::record::pushed::Pushed;
use crate::op::token::fixture::{
    REDIRECT, SECRET, advance, claims, client, error, give, grant, restarted, session, text,
};
use crate::op::token::mint::FrontGrant;
use crate::store::record;
use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::{Value, json};

const TOKEN: &str = "/oidcop/token";
const USERINFO: &str = "/oidcop/userinfo";
const VERIFIER: &str = "a-verifier-of-at-least-forty-three-characters-0";

/// A provider that has run for a while, its clients, and the key of one of them.
struct World {
    op: Op,
    sid: String,
    key: Prover,
    /// Makes each `jti` another.
    count: std::cell::Cell<u32>,
}

fn public(client: &mut Client) {
    client.secret_digest = None;
    client.metadata.token_endpoint_auth_method = "none".into();
}

impl World {
    async fn new(extra: &str) -> World {
        let op = op_with(extra).await;
        client(&op, "rp", |client| client.metadata.response_types = vec!["code".into()]).await;
        client(&op, "spa", public).await;
        client(&op, "bound", |client| client.metadata.dpop_bound_access_tokens = true).await;
        let sid = session(&op, "diana").await;
        advance(&op, 60);
        World { op, sid, key: Prover::new(), count: Default::default() }
    }

    fn claims(&self, method: &str, path: &str) -> Value {
        self.count.set(self.count.get() + 1);
        let jti = format!("jti-{}", self.count.get());
        let htu = format!("https://op.example{path}");
        json!({ "jti": jti, "htm": method, "htu": htu, "iat": self.op.now().0 })
    }

    fn proof(&self) -> String {
        self.key.proof(&self.claims("POST", TOKEN))
    }

    /// For userinfo.
    fn beside(&self, token: &str) -> Value {
        let mut claims = self.claims("GET", USERINFO);
        claims["ath"] = base64url(&sha256(token.as_bytes())).into();
        claims
    }

    async fn code(&self, client_id: &str) -> String {
        let grant = FrontGrant {
            code_challenge: Some(base64url(&sha256(VERIFIER.as_bytes()))),
            ..grant(&self.op, client_id, &self.sid, "openid offline_access")
        };
        give(&self.op, grant).await.unwrap().code.unwrap()
    }

    async fn ask(&self, client_id: &str, proofs: &[&str], pairs: &[(&str, &str)]) -> Response<Bytes> {
        let headers: Vec<_> = proofs.iter().map(|proof| ("dpop", *proof)).collect();
        let mut all = vec![("client_id", client_id)];
        if client_id != "spa" {
            all.push(("client_secret", SECRET));
        }
        all.extend(pairs);
        form(&self.op, TOKEN, &headers, &all).await
    }

    async fn redeem(&self, client_id: &str, code: &str, proofs: &[&str]) -> Response<Bytes> {
        let redemption = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", REDIRECT),
            ("code_verifier", VERIFIER),
        ];
        self.ask(client_id, proofs, &redemption).await
    }

    async fn refresh(&self, client_id: &str, token: &str, proofs: &[&str]) -> Response<Bytes> {
        self.ask(client_id, proofs, &[("grant_type", "refresh_token"), ("refresh_token", token)]).await
    }

    /// Tokens bound to our key.
    async fn tokens(&self, client_id: &str) -> Value {
        let answer = self.redeem(client_id, &self.code(client_id).await, &[&self.proof()]).await;
        assert_eq!(answer.status(), StatusCode::OK, "{:?}", body(&answer));
        body(&answer)
    }

    async fn show(&self, scheme: &str, token: &str, proofs: &[&str]) -> Response<Bytes> {
        let credentials = format!("{scheme} {token}");
        let mut headers = vec![("authorization", credentials.as_str())];
        headers.extend(proofs.iter().map(|proof| ("dpop", *proof)));
        send(&self.op, "GET", USERINFO, &headers).await
    }
}

fn challenge(response: &Response<Bytes>) -> &str {
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    header(response, "www-authenticate")
}

/// RFC 9449 §5, §6.1, §7.1, §7.2.
#[tokio::test]
async fn a_bound_token_is_its_keys_alone() {
    let world = World::new("{}").await;
    let answer = world.tokens("rp").await;
    let token = text(&answer, "access_token");
    assert_eq!(text(&answer, "token_type"), "DPoP");
    assert_eq!(claims(&world.op, token)["cnf"], json!({ "jkt": world.key.jkt }));
    let good = world.key.proof(&world.beside(token));
    let shown = world.show("DPoP", token, &[&good]).await;
    assert_eq!((shown.status(), &body(&shown)["sub"]), (StatusCode::OK, &json!("subject-of-diana")));
    assert!(!header(&shown, "dpop-nonce").is_empty());
    for (scheme, proof) in [("Bearer", None), ("Bearer", Some(world.key.proof(&world.beside(token))))] {
        let proofs: Vec<&str> = proof.iter().map(String::as_str).collect();
        let refused = world.show(scheme, token, &proofs).await;
        let challenge = challenge(&refused);
        assert!(challenge.starts_with("DPoP ") && challenge.contains("algs=\"ES256 "), "{challenge}");
        assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");
    }
    let posted = form(&world.op, USERINFO, &[], &[("access_token", token)]).await;
    assert!(challenge(&posted).starts_with("DPoP "));
    let without = world.show("DPoP", token, &[]).await;
    assert!(challenge(&without).contains("error=\"invalid_dpop_proof\""));
    let thief = Prover::new().proof(&world.beside(token));
    let refused = world.show("DPoP", token, &[&thief]).await;
    assert!(challenge(&refused).contains("error=\"invalid_dpop_proof\""));
    let plain = body(&world.redeem("rp", &world.code("rp").await, &[]).await);
    let plain = text(&plain, "access_token");
    assert_eq!(world.show("bearer", plain, &[]).await.status(), StatusCode::OK);
    let refused = world.show("DPoP", plain, &[&world.key.proof(&world.beside(plain))]).await;
    assert!(challenge(&refused).starts_with("DPoP ") && error(&refused) == "invalid_token");
}

/// RFC 9449 §6.2.
#[tokio::test]
async fn introspection_tells_what_a_token_is_bound_to() {
    let world = World::new("{}").await;
    let answer = world.tokens("rp").await;
    let pairs = [("client_id", "rp"), ("client_secret", SECRET), ("token", text(&answer, "access_token"))];
    let told = body(&form(&world.op, "/oidcop/introspection", &[], &pairs).await);
    assert_eq!((&told["token_type"], &told["cnf"]), (&json!("DPoP"), &json!({ "jkt": world.key.jkt })));
}

/// RFC 9449 §4.3.
#[tokio::test]
async fn a_proof_with_anything_wrong_gets_no_token_and_costs_no_code() {
    let world = World::new("{}").await;
    let code = world.code("rp").await;
    let now = world.op.now().0;
    for (name, value) in [
        ("htm", json!("GET")),
        ("htm", json!("post")),
        ("htm", json!(null)),
        ("htu", json!("https://op.example/oidcop/userinfo")),
        ("htu", json!("https://evil.example/oidcop/token")),
        ("htu", json!("http://op.example/oidcop/token")),
        ("htu", json!(["https://op.example/oidcop/token"])),
        ("htu", json!(null)),
        ("iat", json!(now - 61)),
        ("iat", json!(now + 61)),
        ("iat", json!(now.to_string())),
        ("iat", json!(null)),
        ("jti", json!(null)),
        ("jti", json!("")),
        ("jti", json!(7)),
    ] {
        let mut claims = world.claims("POST", TOKEN);
        claims[name] = value.clone();
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        }
        let refused = world.redeem("rp", &code, &[&world.key.proof(&claims)]).await;
        assert_eq!(error(&refused), "invalid_dpop_proof", "{name}: {value}");
        assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    }
    let good = || world.claims("POST", TOKEN);
    let mut header = world.key.header();
    header["typ"] = "JWT".into();
    let other_typ = world.key.sign(&header, &good());
    let mut private = world.key.header();
    private["jwk"]["d"] = "AAAA".into();
    let private = world.key.sign(&private, &good());
    let mut anothers = world.key.header();
    anothers["jwk"] = Prover::new().jwk;
    let anothers = world.key.sign(&anothers, &good());
    let mut unsigned = world.key.header();
    unsigned["alg"] = "none".into();
    let unsigned = world.key.sign(&unsigned, &good());
    let (one, other) = (world.proof(), world.proof());
    for proofs in [
        vec![other_typ.as_str()],
        vec![&private],
        vec![&anothers],
        vec![&unsigned],
        vec!["nonsense"],
        vec![""],
        vec![&one, &other],
        vec![&one, &one],
    ] {
        assert_eq!(error(&world.redeem("rp", &code, &proofs).await), "invalid_dpop_proof", "{proofs:?}");
    }
    // What differs without a difference.
    let mut claims = world.claims("POST", TOKEN);
    claims["htu"] = "HTTPS://OP.example:443/oidcop/token?a=b#c".into();
    claims["iat"] = (now + 8).into();
    claims["more"] = json!({ "of": "it" });
    let answer = world.redeem("rp", &code, &[&world.key.proof(&claims)]).await;
    assert_eq!(answer.status(), StatusCode::OK, "{:?}", body(&answer));
}

#[tokio::test]
async fn the_client_is_authenticated_before_its_proof_is_looked_at() {
    let world = World::new("{}").await;
    let pairs = [("client_id", "rp"), ("client_secret", "wrong"), ("grant_type", "client_credentials")];
    let refused = form(&world.op, TOKEN, &[("dpop", "nonsense")], &pairs).await;
    assert_eq!(error(&refused), "invalid_client");
}

/// RFC 9449 §11.1.
#[tokio::test]
async fn a_proof_counts_once_at_every_node_and_once_beside_a_token() {
    let world = World::new("{}").await;
    let proof = world.proof();
    let own = [("grant_type", "client_credentials")];
    assert_eq!(world.ask("rp", &[&proof], &own).await.status(), StatusCode::OK);
    assert_eq!(error(&world.ask("rp", &[&proof], &own).await), "invalid_dpop_proof");
    let next = World { op: restarted(&world.op).await, ..World::new("{}").await };
    assert_eq!(error(&next.ask("rp", &[&proof], &own).await), "invalid_dpop_proof");

    let answer = world.tokens("rp").await;
    let token = text(&answer, "access_token");
    let proof = world.key.proof(&world.beside(token));
    assert_eq!(world.show("DPoP", token, &[&proof]).await.status(), StatusCode::OK);
    for _ in 0..3 {
        assert_eq!(error(&world.show("DPoP", token, &[&proof]).await), "invalid_dpop_proof");
        advance(&world.op, 20);
    }
}

/// RFC 9449 §7: the proof is for this token.
#[tokio::test]
async fn the_proof_beside_a_token_names_the_token_and_the_request() {
    let world = World::new("{}").await;
    let (answer, other) = (world.tokens("rp").await, world.tokens("rp").await);
    let token = text(&answer, "access_token");
    let mut wrong = Vec::new();
    for (name, value) in [
        ("ath", json!(null)),
        ("ath", json!(base64url(&sha256(text(&other, "access_token").as_bytes())))),
        ("ath", json!("")),
        ("htm", json!("POST")),
        ("htu", json!("https://op.example/oidcop/token")),
        ("iat", json!(world.op.now().0 - 3_600)),
        ("iat", json!(world.op.now().0 + 3_600)),
    ] {
        let mut claims = world.beside(token);
        claims[name] = value.clone();
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        }
        wrong.push(world.key.proof(&claims));
    }
    for proof in &wrong {
        let refused = world.show("DPoP", token, &[proof]).await;
        assert!(challenge(&refused).contains("error=\"invalid_dpop_proof\""), "{proof}");
    }
    let (one, two) = (world.key.proof(&world.beside(token)), world.key.proof(&world.beside(token)));
    assert_eq!(error(&world.show("DPoP", token, &[&one, &two]).await), "invalid_dpop_proof");
    assert_eq!(world.show("dpop", token, &[&one]).await.status(), StatusCode::OK);
}

/// RFC 9449 §8, §9.
#[tokio::test]
async fn a_nonce_that_is_required_is_given_and_then_needed() {
    let world = World::new("dpop: { nonce: required, nonce_lifetime: 2m }").await;
    let code = world.code("rp").await;
    let refused = world.redeem("rp", &code, &[&world.proof()]).await;
    assert_eq!((refused.status(), error(&refused).as_str()), (StatusCode::BAD_REQUEST, "use_dpop_nonce"));
    let nonce = header(&refused, "dpop-nonce").to_owned();
    let mut claims = world.claims("POST", TOKEN);
    claims["nonce"] = nonce.clone().into();
    let answer = world.redeem("rp", &code, &[&world.key.proof(&claims)]).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(header(&answer, "dpop-nonce"), "", "the client has the nonce of this moment");
    let answer = body(&answer);
    let token = text(&answer, "access_token");
    let refused = world.show("DPoP", token, &[&world.key.proof(&world.beside(token))]).await;
    assert!(challenge(&refused).contains("error=\"use_dpop_nonce\""));
    assert_eq!(header(&refused, "dpop-nonce"), nonce);
    let with = |nonce: &str| {
        let mut claims = world.beside(token);
        claims["nonce"] = nonce.into();
        world.key.proof(&claims)
    };
    assert_eq!(world.show("DPoP", token, &[&with(&nonce)]).await.status(), StatusCode::OK);
    advance(&world.op, 60);
    let shown = world.show("DPoP", token, &[&with(&nonce)]).await;
    assert_eq!(shown.status(), StatusCode::OK);
    assert!(![nonce.as_str(), ""].contains(&header(&shown, "dpop-nonce")), "another one is given in time");
    advance(&world.op, 60);
    for old in [nonce.as_str(), "made up"] {
        assert_eq!(error(&world.show("DPoP", token, &[&with(old)]).await), "use_dpop_nonce");
    }
}

#[tokio::test]
async fn nonces_can_be_off() {
    let world = World::new("dpop: { nonce: off }").await;
    let mut claims = world.claims("POST", TOKEN);
    claims["nonce"] = "anything".into();
    let own = [("grant_type", "client_credentials"), ("scope", "api")];
    let answer = world.ask("rp", &[&world.key.proof(&claims)], &own).await;
    assert_eq!((answer.status(), header(&answer, "dpop-nonce")), (StatusCode::OK, ""));
}

/// A proof that another process may have taken counts here only with a nonce of this one.
#[tokio::test]
async fn after_a_start_a_proof_must_be_known_to_be_new() {
    let world = World::new("{}").await;
    let answer = world.tokens("rp").await;
    let token = text(&answer, "access_token");
    let used = world.key.proof(&world.beside(token));
    let shown = world.show("DPoP", token, &[&used]).await;
    let old_nonce = header(&shown, "dpop-nonce").to_owned();
    let next = World { op: restarted(&world.op).await, key: world.key, ..World::new("{}").await };
    let refused = next.show("DPoP", token, &[&used]).await;
    assert_eq!(error(&refused), "use_dpop_nonce");
    let new_nonce = header(&refused, "dpop-nonce").to_owned();
    let with = |nonce: &str, ahead: u64| {
        let mut claims = next.beside(token);
        claims["jti"] = format!("after-{nonce}-{ahead}").into();
        claims["iat"] = (next.op.now().0 + ahead).into();
        claims["nonce"] = nonce.into();
        next.key.proof(&claims)
    };
    assert_eq!(error(&next.show("DPoP", token, &[&with(&old_nonce, 0)]).await), "use_dpop_nonce");
    assert_eq!(next.show("DPoP", token, &[&with(&new_nonce, 0)]).await.status(), StatusCode::OK);
    assert_eq!(next.show("DPoP", token, &[&with(&new_nonce, 59)]).await.status(), StatusCode::OK);
    advance(&next.op, 11);
    let later = next.key.proof(&next.beside(token));
    assert_eq!(next.show("DPoP", token, &[&later]).await.status(), StatusCode::OK);
    let mut fast = next.beside(token);
    fast["iat"] = (next.op.now().0 + 11).into();
    assert_eq!(error(&next.show("DPoP", token, &[&next.key.proof(&fast)]).await), "use_dpop_nonce");
}

/// RFC 9449 §5.
#[tokio::test]
async fn a_public_clients_refresh_token_is_bound_and_a_confidential_ones_is_not() {
    let world = World::new("{}").await;
    let answer = world.tokens("spa").await;
    let refresh = text(&answer, "refresh_token");
    let thief = Prover::new().proof(&world.claims("POST", TOKEN));
    assert_eq!(error(&world.refresh("spa", refresh, &[]).await), "invalid_grant");
    assert_eq!(error(&world.refresh("spa", refresh, &[&thief]).await), "invalid_grant");
    let answer = world.refresh("spa", refresh, &[&world.proof()]).await;
    assert_eq!(answer.status(), StatusCode::OK, "a thief spoils nothing");
    let answer = body(&answer);
    assert_eq!(text(&answer, "token_type"), "DPoP");
    let next = text(&answer, "refresh_token");
    assert_eq!(error(&world.refresh("spa", next, &[]).await), "invalid_grant");

    let answer = world.tokens("rp").await;
    let other = Prover::new();
    let proof = other.proof(&world.claims("POST", TOKEN));
    let answer = body(&world.refresh("rp", text(&answer, "refresh_token"), &[&proof]).await);
    assert_eq!(claims(&world.op, text(&answer, "access_token"))["cnf"], json!({ "jkt": other.jkt }));
    let plain = body(&world.refresh("rp", text(&answer, "refresh_token"), &[]).await);
    assert_eq!(text(&plain, "token_type"), "Bearer");
}

/// RFC 9449 §5.2.
#[tokio::test]
async fn who_registered_for_bound_tokens_gets_no_other() {
    let world = World::new("{}").await;
    let code = world.code("bound").await;
    assert_eq!(error(&world.redeem("bound", &code, &[]).await), "invalid_dpop_proof");
    assert_eq!(world.redeem("bound", &code, &[&world.proof()]).await.status(), StatusCode::OK);
}

/// RFC 9449 §10.
#[tokio::test]
async fn a_code_for_a_key_is_redeemed_with_that_key() {
    let world = World::new("{}").await;
    let mut grant = grant(&world.op, "rp", &world.sid, "openid");
    grant.code_challenge = Some(base64url(&sha256(VERIFIER.as_bytes())));
    grant.dpop_jkt = Some(world.key.jkt.clone());
    let code = give(&world.op, grant).await.unwrap().code.unwrap();
    let thief = Prover::new().proof(&world.claims("POST", TOKEN));
    assert_eq!(error(&world.redeem("rp", &code, &[]).await), "invalid_grant");
    assert_eq!(error(&world.redeem("rp", &code, &[&thief]).await), "invalid_grant");
    assert_eq!(world.redeem("rp", &code, &[&world.proof()]).await.status(), StatusCode::OK);
}

/// RFC 9449 §10.1.
#[tokio::test]
async fn a_pushed_request_is_bound_to_the_key_that_pushed_it() {
    let world = World::new("{}").await;
    let challenge = base64url(&sha256(VERIFIER.as_bytes()));
    let push = async |proofs: &[&str], jkt: Option<&str>| {
        let mut pairs = vec![
            ("client_id", "rp"),
            ("client_secret", SECRET),
            ("response_type", "code"),
            ("redirect_uri", REDIRECT),
            ("scope", "openid"),
            ("code_challenge", challenge.as_str()),
            ("code_challenge_method", "S256"),
        ];
        pairs.extend(jkt.map(|jkt| ("dpop_jkt", jkt)));
        let headers: Vec<_> = proofs.iter().map(|proof| ("dpop", *proof)).collect();
        form(&world.op, "/oidcop/par", &headers, &pairs).await
    };
    let proof = || world.key.proof(&world.claims("POST", "/oidcop/par"));
    let other = Prover::new().jkt;
    assert_eq!(error(&push(&[&proof()], Some(&other)).await), "invalid_dpop_proof");
    assert_eq!(error(&push(&[&world.proof()], None).await), "invalid_dpop_proof", "of another endpoint");
    for answer in [push(&[&proof()], None).await, push(&[&proof()], Some(&world.key.jkt)).await] {
        assert_eq!(answer.status(), StatusCode::CREATED, "{:?}", body(&answer));
        let handle = text(&body(&answer), "request_uri").rsplit(':').next().unwrap().to_owned();
        let stored =
            record::get::<Pushed>(world.op.store(), Pushed::digest_of(&handle), world.op.now()).await;
        assert_eq!(stored.unwrap().unwrap().record.params.one("dpop_jkt"), Some(world.key.jkt.as_str()));
    }
}
