//! Every algorithm that the metadata advertises: signatures and MACs both ways, encryption both ways, DPoP proofs, and the
//! response modes that carry tokens.

use crate::ground::{ALICE, Browser, Ground, Variant, json};
use crate::metadata::each;
use crate::party::{Party, REDIRECT, STATE};
use bytes::Bytes;
use http::{Response, StatusCode};
use oidcop_proxy::base::random::Random;
use oidcop_proxy::jose::jwe::{Allowed, Content, decrypt, encrypt, is_encrypted};
use oidcop_proxy::jose::{
    Algorithm, Audience, DecryptionKey, Encryption, EncryptionKey, Expiry, Family, JweAlg, JweEnc, JwkSet,
    KeyKind, KeySource, MacAlgorithm, MacJws, MacKey, Rules, SigningKey, verify,
};
use serde_json::{Map, Value, json};

const CODE: Variant = Variant::of("code");
const SIGNED: &str = "application/token-introspection+jwt";

/// What of the provider's a member is about.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    IdToken,
    Userinfo,
    Introspection,
    Authorization,
    RequestObject,
}

impl Kind {
    fn of(member: &str) -> Kind {
        let starts = |name: &str| member.starts_with(name);
        match () {
            () if starts("id_token_") => Kind::IdToken,
            () if starts("userinfo_") => Kind::Userinfo,
            () if starts("introspection_") => Kind::Introspection,
            () if starts("authorization_") => Kind::Authorization,
            () if starts("request_object_") => Kind::RequestObject,
            () => panic!("nobody uses {member}"),
        }
    }

    fn registered(self, what: &str) -> String {
        match self {
            Kind::IdToken => format!("id_token_{what}"),
            Kind::Userinfo => format!("userinfo_{what}"),
            Kind::Introspection => format!("introspection_{what}"),
            Kind::Authorization => format!("authorization_{what}"),
            Kind::RequestObject => panic!("what a client makes is told by its own members"),
        }
    }

    /// The token of this kind that comes of a whole flow.
    async fn made(self, party: &Party<'_>) -> String {
        let mut browser = Browser::new(party.ground);
        if self == Kind::Authorization {
            let sight = party.ask(&mut browser, &[("response_mode", "jwt")]).await;
            return browser.onward(sight, ALICE).await.get("response").unwrap().to_owned();
        }
        let sight = party.ask(&mut browser, &[]).await;
        let code = browser.onward(sight, ALICE).await.get("code").unwrap().to_owned();
        let answer = party.redeem(&code).await;
        assert_eq!(answer.status(), StatusCode::OK, "{:?}", answer.body());
        let body = json(&answer);
        let access = body["access_token"].as_str().unwrap();
        match self {
            Kind::IdToken => body["id_token"].as_str().unwrap().to_owned(),
            Kind::Userinfo => {
                let bearer = format!("Bearer {access}");
                let endpoint = party.endpoint("userinfo_endpoint").await;
                text(&party.ground.send("GET", &endpoint, &[("authorization", &bearer)], Bytes::new()).await)
            }
            _ => text(&party.introspect_as(access, SIGNED).await),
        }
    }
}

fn text(response: &Response<Bytes>) -> String {
    assert_eq!(response.status(), StatusCode::OK, "{:?}", response.body());
    String::from_utf8(response.body().to_vec()).unwrap()
}

/// Each algorithm can be registered and is then the one that is used.
pub async fn signed(member: &str, value: &Value) {
    let kind = Kind::of(member);
    if kind == Kind::RequestObject {
        return request_objects(value).await;
    }
    for alg in each(value) {
        let ground = Ground::new(CODE).await;
        let name = kind.registered("signed_response_alg");
        let party = Party::register_with(&ground, json!({name.clone(): alg})).await;
        assert_eq!(party.registered[&name], alg);
        let token = kind.made(&party).await;
        opened(&party, &token, alg).await;
    }
}

/// The claims of a token of the provider's, whose signature by `alg` is verified.
async fn opened(party: &Party<'_>, token: &str, alg: &str) -> Map<String, Value> {
    let issuer = party.ground.issuer();
    let algorithms: Vec<_> = Algorithm::parse(alg).into_iter().collect();
    let rules = Rules {
        issuer: Some(&issuer),
        audience: Audience::Includes(&[&party.id]),
        expiry: Expiry::IfPresent,
        ..Rules::new(&algorithms, party.ground.clock.now())
    };
    if let Some(mac) = MacAlgorithm::parse(alg) {
        let key = MacKey::new(party.secret.as_bytes());
        return MacJws::parse(token).unwrap().verify(&key, &[mac], &rules).unwrap();
    }
    let keys = JwkSet::from_value(&party.keys().await).unwrap();
    let verified =
        verify(token, &KeySource::Set(&keys), &rules).unwrap_or_else(|fault| panic!("{alg}: {fault}"));
    assert_eq!(verified.header.alg.name(), alg);
    verified.claims
}

/// Each algorithm with each content encryption.
pub async fn encrypted(member: &str, algs: &Value, encs: &Value) {
    let kind = Kind::of(member);
    for alg in each(algs) {
        for enc in each(encs) {
            let how = Encryption::parse(alg, Some(enc)).unwrap();
            let ground = Ground::new(CODE).await;
            if kind == Kind::RequestObject {
                sealed_request(&ground, how).await;
                continue;
            }
            let rsa = how.alg.is_rsa();
            let key = DecryptionKey::generate(if rsa { KeyKind::Rsa } else { KeyKind::P256 }).unwrap();
            let mut jwk = key.public().to_json();
            jwk.insert("use".into(), "enc".into());
            jwk.insert("kid".into(), key.kid().into());
            let members = json!({
                "jwks": {"keys": [jwk]},
                kind.registered("signed_response_alg"): "ES256",
                kind.registered("encrypted_response_alg"): alg,
                kind.registered("encrypted_response_enc"): enc,
            });
            let party = Party::register_with(&ground, members).await;
            let token = kind.made(&party).await;
            assert!(is_encrypted(&token), "{member} {alg} {enc}: {token}");
            let allowed = Allowed { algs: &[how.alg], encs: &[how.enc] };
            let opened_up = decrypt(&token, std::slice::from_ref(&key), allowed).unwrap();
            assert_eq!(opened_up.header.cty.as_deref(), Some("JWT"));
            opened(&party, std::str::from_utf8(&opened_up.payload).unwrap(), "ES256").await;
        }
    }
    assert_eq!((JweAlg::ALL.len(), JweEnc::ALL.len()), (each(algs).len(), each(encs).len()));
}

/// A key for `alg`, and its set.
fn own_key(alg: Algorithm) -> (SigningKey, Value) {
    let key = match alg.family() {
        // Slow to make; the same numbers serve every RSA algorithm.
        Family::Rsa => SigningKey::from_pkcs8(alg, &crate::party::rp_key(0).to_pkcs8().unwrap()).unwrap(),
        _ => SigningKey::generate(alg).unwrap(),
    };
    let mut jwk = key.public().to_json();
    for name in ["alg", "use"] {
        jwk.remove(name);
    }
    jwk.insert("kid".into(), key.kid().into());
    (key, json!({"keys": [jwk]}))
}

/// Each algorithm of request objects: signed by the client, under its secret, or not at all.
async fn request_objects(value: &Value) {
    for alg in each(value) {
        let ground = Ground::new(CODE).await;
        let mut members = json!({"request_object_signing_alg": alg});
        let key = Algorithm::parse(alg).map(own_key);
        if let Some((_, jwks)) = &key {
            members["jwks"] = jwks.clone();
        }
        let party = Party::register_with(&ground, members).await;
        assert_eq!(party.registered["request_object_signing_alg"], alg);
        let object = party.object(&[]);
        let claims = object.to_string();
        let token = match (&key, MacAlgorithm::parse(alg)) {
            (Some((key, _)), _) => key.sign("oauth-authz-req+jwt", claims.as_bytes()).unwrap(),
            (None, Some(mac)) => {
                let key = MacKey::new(party.secret.as_bytes());
                key.sign(mac, "oauth-authz-req+jwt", claims.as_bytes()).unwrap()
            }
            (None, None) => {
                assert_eq!(alg, "none");
                Party::unsigned(&object)
            }
        };
        crate::core::with_object(&party, &[("request", &token), ("state", "outside"), ("nonce", "outside")])
            .await;
    }
}

async fn sealed_request(ground: &Ground, how: Encryption) {
    let (key, jwks) = own_key(Algorithm::ES256);
    let members = json!({
        "jwks": jwks,
        "request_object_signing_alg": "ES256",
        "request_object_encryption_alg": how.alg.name(),
        "request_object_encryption_enc": how.enc.name(),
    });
    let party = Party::register_with(ground, members).await;
    let signed = key.sign("oauth-authz-req+jwt", party.object(&[]).to_string().as_bytes()).unwrap();
    let keys = party.keys().await;
    let fits = |jwk: &&Value| jwk["use"] == "enc" && (jwk["kty"] == "RSA") == how.alg.is_rsa();
    let theirs = keys["keys"].as_array().unwrap().iter().find(fits).expect("a key to encrypt to");
    let theirs = EncryptionKey::parse(theirs.as_object().unwrap()).unwrap();
    let token = encrypt(signed.as_bytes(), &theirs, how, Content::NESTED, &Random::system()).unwrap();
    crate::core::with_object(&party, &[("request", &token), ("state", "outside"), ("nonce", "outside")])
        .await;
}

/// Each algorithm of client assertions.
pub async fn assertions(value: &Value) {
    for alg in each(value) {
        let asymmetric = Algorithm::parse(alg);
        let method = if asymmetric.is_some() { "private_key_jwt" } else { "client_secret_jwt" };
        let ground = Ground::new(Variant { auth: method, ..CODE }).await;
        let mut members = json!({"token_endpoint_auth_signing_alg": alg});
        let key = asymmetric.map(own_key);
        if let Some((_, jwks)) = &key {
            members["jwks"] = jwks.clone();
        }
        let mut party = Party::register_with(&ground, members).await;
        if let Some((key, _)) = key {
            party.key = key;
        }
        party.flow(&mut Browser::new(&ground), &[]).await;
    }
}

/// Each mode carries a whole answer.
pub async fn response_modes(value: &Value) {
    for mode in each(value) {
        let ground = Ground::new(CODE).await;
        let party = Party::register(&ground).await;
        let mut browser = Browser::new(&ground);
        let sight = party.ask(&mut browser, &[("response_mode", mode)]).await;
        let arrived = browser.onward(sight, ALICE).await;
        let carrier = match mode {
            "jwt" => "query",
            other => other.trim_end_matches(".jwt"),
        };
        assert_eq!(arrived.mode, carrier, "{mode}");
        let said = match arrived.get("response") {
            Some(token) if mode.ends_with("jwt") => opened(&party, token, "RS256").await,
            None if !mode.ends_with("jwt") => {
                arrived.params.iter().map(|(name, value)| (name.clone(), json!(value))).collect()
            }
            _ => panic!("{mode}: {arrived:?}"),
        };
        assert_eq!(said["state"], STATE);
        assert_eq!(said["iss"], ground.issuer());
        assert_eq!(party.redeem(said["code"].as_str().unwrap()).await.status(), StatusCode::OK);
    }
}

/// Each algorithm of DPoP proofs: a token bound to its key, used with it.
pub async fn dpop(value: &Value) {
    for alg in each(value) {
        let ground = Ground::new(CODE).await;
        let party = Party::register_with(&ground, json!({"dpop_bound_access_tokens": true})).await;
        let (key, jwks) = own_key(Algorithm::parse(alg).unwrap());
        let mut browser = Browser::new(&ground);
        let sight = party.ask(&mut browser, &[]).await;
        let arrived = browser.onward(sight, ALICE).await;
        let code = arrived.get("code").unwrap();
        let fields = [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", REDIRECT)];
        let endpoint = party.endpoint("token_endpoint").await;
        let proof = |method: &str, url: &str, token: Option<&str>, nonce: Option<&str>| {
            let ath = token.map(|token| crate::party::digest(token.as_bytes()));
            let jti = crate::party::unique();
            let iat = ground.clock.now();
            let mut claims = json!({"jti": jti, "htm": method, "htu": url, "iat": iat});
            for (name, value) in [("ath", ath.as_deref()), ("nonce", nonce)] {
                if let Some(value) = value {
                    claims[name] = json!(value);
                }
            }
            proof_of(&key, alg, &jwks["keys"][0], &claims)
        };
        let mut answer = party.token_with(&fields, &proof("POST", &endpoint, None, None)).await;
        if json(&answer)["error"] == "use_dpop_nonce" {
            let nonce = answer.headers()["dpop-nonce"].to_str().unwrap().to_owned();
            answer = party.token_with(&fields, &proof("POST", &endpoint, None, Some(&nonce))).await;
        }
        let body = json(&answer);
        assert_eq!(body["token_type"], "DPoP", "{alg}: {body}");
        let access = body["access_token"].as_str().unwrap();
        let url = party.endpoint("userinfo_endpoint").await;
        let nonce = answer.headers().get("dpop-nonce").map(|nonce| nonce.to_str().unwrap().to_owned());
        let proof = proof("GET", &url, Some(access), nonce.as_deref());
        let headers = [("authorization", format!("DPoP {access}")), ("dpop", proof)];
        let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
        let userinfo = ground.send("GET", &url, &headers, Bytes::new()).await;
        assert_eq!(userinfo.status(), StatusCode::OK, "{alg}: {:?}", userinfo.body());
        let bearer = format!("Bearer {access}");
        let stolen = ground.send("GET", &url, &[("authorization", &bearer)], Bytes::new()).await;
        assert_eq!(stolen.status(), StatusCode::UNAUTHORIZED);
    }
}

/// RFC 9449 §4.2: with the public key in the header.
fn proof_of(key: &SigningKey, alg: &str, jwk: &Value, claims: &Value) -> String {
    use base64::Engine as _;
    let pem = base64::engine::general_purpose::STANDARD.encode(&*key.to_pkcs8().unwrap());
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{pem}\n-----END PRIVATE KEY-----\n");
    let (name, family) =
        if alg == "Ed25519" { ("EdDSA", Family::Ed25519) } else { (alg, key.alg().family()) };
    let key = match family {
        Family::Rsa => jsonwebtoken::EncodingKey::from_rsa_pem(pem.as_bytes()),
        Family::Ed25519 => jsonwebtoken::EncodingKey::from_ed_pem(pem.as_bytes()),
        _ => jsonwebtoken::EncodingKey::from_ec_pem(pem.as_bytes()),
    };
    let mut header = jsonwebtoken::Header::new(name.parse().unwrap());
    header.typ = Some("dpop+jwt".into());
    let mut jwk = jwk.clone();
    jwk.as_object_mut().unwrap().remove("kid");
    header.jwk = Some(serde_json::from_value(jwk).unwrap());
    jsonwebtoken::encode(&header, claims, &key.unwrap()).unwrap()
}
