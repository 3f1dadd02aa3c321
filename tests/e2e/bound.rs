//! Tokens bound to their sender, by the real binary: a key (RFC 9449) or a client certificate (RFC 8705).

use crate::harness::party::nonce;
use crate::harness::server::free_port;
use crate::harness::{Answer, Client, House, Party, Server};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{CertificateParams, KeyPair as Pair};
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn point(raw: &[u8]) -> Value {
    json!({ "kty": "EC", "crv": "P-256", "x": encoded(&raw[1..33]), "y": encoded(&raw[33..65]) })
}

struct Key(EcdsaKeyPair);

impl Key {
    fn new() -> Self {
        let (random, form) = (ring::rand::SystemRandom::new(), &ECDSA_P256_SHA256_FIXED_SIGNING);
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(form, &random).unwrap();
        Self(EcdsaKeyPair::from_pkcs8(form, pkcs8.as_ref(), &random).unwrap())
    }

    /// A proof for this request, with these claims besides.
    fn proof(&self, method: &str, url: &str, more: Value) -> String {
        let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": point(self.0.public_key().as_ref()) });
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let mut claims = json!({ "jti": nonce(), "htm": method, "htu": url, "iat": now });
        claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let signed = format!("{}.{}", encoded(header.to_string()), encoded(claims.to_string()));
        let signature = self.0.sign(&ring::rand::SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", encoded(signature.as_ref()))
    }
}

async fn robot(server: &Server) -> Party {
    let metadata = json!({ "grant_types": ["client_credentials"], "response_types": [] });
    Party::register_with(server, metadata).await
}

fn is_refused(answer: &Answer, error: &str) {
    let challenge = answer.header("www-authenticate").unwrap_or_default();
    assert_eq!(answer.status, 401, "{challenge}");
    assert!(challenge.starts_with("DPoP ") && challenge.contains(error), "{challenge}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bound_to_a_key_a_token_passes_with_each_proof_once() {
    let server = Server::quickstart();
    let (party, key) = (robot(&server).await, Key::new());
    let url = party.endpoint("token_endpoint");
    let call = party.client.post(url).basic(&party.id, &party.secret);
    let call = call.header("dpop", &key.proof("POST", url, json!({})));
    let answer =
        call.form(&[("grant_type", "client_credentials"), ("scope", "api")]).send().await.expect(200);
    assert_eq!(answer.json()["token_type"], "DPoP");
    let token = answer.json()["access_token"].as_str().unwrap().to_owned();
    let api = server.url("/api/");
    let ath = encoded(ring::digest::digest(&ring::digest::SHA256, token.as_bytes()));
    let show = async |scheme: &str, proof: &str| {
        let call = server.client().get(&api).header("authorization", &format!("{scheme} {token}"));
        call.header("dpop", proof).send().await
    };
    // So soon after the start a proof needs a nonce; later it may do without.
    let mut more = json!({ "ath": ath });
    let first = show("DPoP", &key.proof("GET", &api, more.clone())).await;
    if first.status != 200 {
        is_refused(&first, "use_dpop_nonce");
    }
    more["nonce"] = first.header("dpop-nonce").unwrap().into();
    let good = key.proof("GET", &api, more.clone());
    assert!(show("DPoP", &good).await.expect(200).text().contains(&party.id));
    is_refused(&show("DPoP", &good).await, "invalid_dpop_proof");
    is_refused(
        &show("DPoP", &key.proof("GET", &server.url("/api/x"), more.clone())).await,
        "invalid_dpop_proof",
    );
    is_refused(&show("DPoP", &Key::new().proof("GET", &api, more.clone())).await, "invalid_dpop_proof");
    is_refused(&show("Bearer", &key.proof("GET", &api, more.clone())).await, "invalid_token");
    party.revoke(&token).await.expect(200);
    is_refused(&show("DPoP", &key.proof("GET", &api, more)).await, "invalid_token");
}

#[tokio::test(flavor = "multi_thread")]
async fn bound_to_a_certificate_a_token_passes_on_a_connection_that_shows_it() {
    let house = House::new("quickstart");
    let port = free_port();
    house.edit(|text| {
        let text = text.replacen(
            "\nfront:\n",
            &format!("\nfront:\n    mtls: {{ listen: [\"127.0.0.1:{port}\"] }}\n"),
            1,
        );
        text.replacen("\nop:\n", &format!("\nop:\n    mtls: {{ origin: \"https://127.0.0.1:{port}\" }}\n"), 1)
    });
    let server = house.start();
    let (key, stranger) = (Pair::generate().unwrap(), Pair::generate().unwrap());
    let shown = |key: &Pair| {
        let made =
            CertificateParams::new(vec!["robot.example".to_owned()]).unwrap().self_signed(key).unwrap();
        Client::showing(&server.ca_file(), made.der().clone(), key.serialize_der())
    };
    let (own, other) = (shown(&key), shown(&stranger));
    let party = Party::register_with(
        &server,
        json!({
            "grant_types": ["client_credentials"], "response_types": [],
            "token_endpoint_auth_method": "self_signed_tls_client_auth",
            "tls_client_certificate_bound_access_tokens": true,
            "jwks": { "keys": [point(key.public_key_raw())] },
        }),
    )
    .await;
    let url = party.metadata["mtls_endpoint_aliases"]["token_endpoint"].as_str().unwrap().to_owned();
    let form = [("grant_type", "client_credentials"), ("scope", "api"), ("client_id", party.id.as_str())];
    other.post(&url).form(&form).send().await.expect_error(401, "invalid_client");
    let elsewhere = party.endpoint("token_endpoint");
    own.fresh().post(elsewhere).form(&form).send().await.expect_error(401, "invalid_client");
    for client in [own.clone(), own.h2()] {
        let answer = client.post(&url).form(&form).send().await.expect(200).json();
        let token = answer["access_token"].as_str().unwrap();
        let api = format!("https://127.0.0.1:{port}/api/");
        assert!(client.get(&api).bearer(token).send().await.expect(200).text().contains(&party.id));
        other.get(&api).bearer(token).send().await.expect_error(401, "invalid_token");
        own.fresh().get(server.url("/api/")).bearer(token).send().await.expect_error(401, "invalid_token");
    }
}
