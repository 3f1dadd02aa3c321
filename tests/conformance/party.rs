//! A relying party as the modules have one: registers itself, asks, and checks what it gets as OpenID Connect Core has it
//! check (§3.1.3.7, §3.2.2.11, §3.3.2.8 and on).

use crate::ground::{ALICE, Arrived, Browser, Ground, Sight, json};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{Response, StatusCode};
use oidcop_proxy::base::clock::Timestamp;
use oidcop_proxy::jose::{
    Algorithm, Audience, Expiry, JwkSet, KeySource, MacAlgorithm, MacKey, Rules, SigningKey, verify,
};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

pub const REDIRECT: &str = "https://rp.example/cb";
pub const BYE: &str = "https://rp.example/bye";
pub const STATE: &str = "st ate/+%";
pub const NONCE: &str = "n-0S6_WzA2Mj";

pub struct Party<'a> {
    pub ground: &'a Ground,
    pub registered: Value,
    pub id: String,
    pub secret: String,
    pub auth: String,
    /// What it signs assertions and request objects with.
    pub key: SigningKey,
}

/// What a flow brought.
#[derive(Debug)]
pub struct Gained {
    pub arrived: Arrived,
    /// The token answer, if there was a code.
    pub token: Option<Value>,
    /// The last ID token: the token endpoint's, or the front channel's.
    pub id_token: String,
    pub claims: Map<String, Value>,
    pub access: Option<String>,
}

/// Two keys of the relying parties: RSA keys are slow to make.
pub fn rp_key(number: usize) -> SigningKey {
    static MADE: OnceLock<[SigningKey; 2]> = OnceLock::new();
    MADE.get_or_init(|| [0, 1].map(|_| SigningKey::generate(Algorithm::RS256).unwrap()))[number].clone()
}

pub fn key_set(key: &SigningKey) -> Value {
    let mut members = key.public().to_json();
    members.insert("kid".into(), key.kid().into());
    members.insert("use".into(), "sig".into());
    members.insert("alg".into(), "RS256".into());
    json!({ "keys": [members] })
}

impl<'a> Party<'a> {
    pub async fn register(ground: &'a Ground) -> Party<'a> {
        Party::register_with(ground, json!({})).await
    }

    /// With these members beside or instead of the usual ones.
    pub async fn register_with(ground: &'a Ground, members: Value) -> Party<'a> {
        let response = Party::try_register(ground, members).await;
        assert_eq!(response.status(), StatusCode::CREATED, "{:?}", response.body());
        Party::of(ground, json(&response))
    }

    pub async fn try_register(ground: &Ground, members: Value) -> Response<Bytes> {
        let variant = ground.variant;
        let mut request = json!({
            "client_name": "Conformance",
            "redirect_uris": [REDIRECT],
            "post_logout_redirect_uris": [BYE],
            "response_types": [variant.response_type],
            "grant_types": ["authorization_code", "implicit", "refresh_token"],
            "token_endpoint_auth_method": variant.auth,
            "contacts": ["certification@rp.example"],
        });
        if variant.auth == "private_key_jwt" {
            request["jwks"] = key_set(&rp_key(0));
        }
        for (name, value) in members.as_object().unwrap() {
            request[name] = value.clone();
        }
        let endpoint = ground.metadata().await["registration_endpoint"].as_str().unwrap().to_owned();
        ground
            .send("POST", &endpoint, &[("content-type", "application/json")], request.to_string().into())
            .await
    }

    fn of(ground: &'a Ground, registered: Value) -> Party<'a> {
        let text = |name: &str| registered[name].as_str().unwrap_or_default().to_owned();
        Party {
            ground,
            id: text("client_id"),
            secret: text("client_secret"),
            auth: text("token_endpoint_auth_method"),
            key: rp_key(0),
            registered,
        }
    }

    pub async fn endpoint(&self, name: &str) -> String {
        self.ground.metadata().await[name].as_str().unwrap_or_else(|| panic!("no {name}")).to_owned()
    }

    /// An authorization request, changed by `changes`; an empty value leaves a parameter out.
    pub fn params(&self, changes: &[(&str, &str)]) -> Vec<(String, String)> {
        let variant = self.ground.variant;
        let mut all = vec![
            ("client_id", self.id.as_str()),
            ("redirect_uri", REDIRECT),
            ("scope", "openid"),
            ("state", STATE),
            ("nonce", NONCE),
            ("response_type", variant.response_type),
        ];
        if variant.form_post {
            all.push(("response_mode", "form_post"));
        }
        for (name, value) in changes {
            all.retain(|(known, _)| known != name);
            all.push((name, value));
        }
        all.retain(|(_, value)| !value.is_empty());
        all.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    pub async fn url(&self, changes: &[(&str, &str)]) -> String {
        let endpoint = self.endpoint("authorization_endpoint").await;
        let query: String =
            form_urlencoded::Serializer::new(String::new()).extend_pairs(self.params(changes)).finish();
        format!("{endpoint}?{query}")
    }

    /// What the browser sees when it is sent to the authorization endpoint.
    pub async fn ask(&self, browser: &mut Browser<'_>, changes: &[(&str, &str)]) -> Sight {
        browser.open(&self.url(changes).await).await
    }

    /// The error that comes back to the client without anybody being asked.
    pub async fn refused(&self, browser: &mut Browser<'_>, changes: &[(&str, &str)]) -> String {
        let arrived = self.ask(browser, changes).await.arrived();
        assert_eq!(arrived.get("state"), Some(STATE), "{arrived:?}");
        arrived.error().to_owned()
    }

    /// The whole flow of the variant, with every check a relying party makes.
    pub async fn flow(&self, browser: &mut Browser<'_>, changes: &[(&str, &str)]) -> Gained {
        let sight = self.ask(browser, changes).await;
        let arrived = browser.onward(sight, ALICE).await;
        self.gain(arrived, changes).await
    }

    /// Everything that follows an authorization response.
    pub async fn gain(&self, arrived: Arrived, changes: &[(&str, &str)]) -> Gained {
        let variant = self.ground.variant;
        let nonce = changes.iter().find(|(name, _)| *name == "nonce").map_or(NONCE, |(_, nonce)| *nonce);
        let mode = match (variant.form_post, variant.response_type) {
            (true, _) => "form_post",
            (false, "code" | "none") => "query",
            (false, _) => "fragment",
        };
        assert_eq!(arrived.mode, mode, "{arrived:?}");
        assert_eq!((arrived.get("error"), arrived.get("state")), (None, Some(STATE)), "{arrived:?}");
        // RFC 9207 §2.4.
        assert_eq!(arrived.get("iss"), Some(self.ground.issuer().as_str()));
        let parts = [("code", "code"), ("id_token", "id_token"), ("token", "access_token")];
        for (part, parameter) in parts {
            assert_eq!(arrived.get(parameter).is_some(), variant.has(part), "{part}: {arrived:?}");
        }
        let mut gained =
            Gained { token: None, id_token: String::new(), claims: Map::new(), access: None, arrived };
        if let Some(id_token) = gained.arrived.get("id_token") {
            gained.claims = self.check_id_token(id_token, nonce).await;
            gained.id_token = id_token.to_owned();
            self.check_hash(&gained, "c_hash", gained.arrived.get("code"));
            self.check_hash(&gained, "at_hash", gained.arrived.get("access_token"));
        }
        if let Some(token) = gained.arrived.get("access_token") {
            assert_eq!(gained.arrived.get("token_type"), Some("Bearer"));
            assert!(gained.arrived.get("expires_in").unwrap().parse::<u64>().unwrap() > 0);
            gained.access = Some(token.to_owned());
        }
        if let Some(code) = gained.arrived.get("code") {
            let verifier = changes.iter().any(|(name, _)| *name == "code_challenge").then_some(VERIFIER);
            let answer = self.redeem_with(code, verifier).await;
            assert_eq!(answer.status(), StatusCode::OK, "{:?}", answer.body());
            assert_eq!(answer.headers()["cache-control"], "no-store");
            let body = json(&answer);
            assert_eq!(body["token_type"], "Bearer");
            let claims = self.check_id_token(body["id_token"].as_str().unwrap(), nonce).await;
            // §3.3.3.6: the same person, whichever way the token came.
            for name in ["iss", "sub"].iter().filter(|_| !gained.claims.is_empty()) {
                assert_eq!(claims[*name], gained.claims[*name]);
            }
            gained.claims = claims;
            gained.id_token = body["id_token"].as_str().unwrap().to_owned();
            gained.access = Some(body["access_token"].as_str().unwrap().to_owned());
            gained.token = Some(body);
        }
        gained
    }

    fn check_hash(&self, gained: &Gained, name: &str, of: Option<&str>) {
        let hash = of.map(|value| Algorithm::RS256.half_hash(value));
        assert_eq!(gained.claims.get(name).and_then(Value::as_str), hash.as_deref(), "{name}");
    }

    pub async fn keys(&self) -> Value {
        json(&self.ground.send("GET", &self.endpoint("jwks_uri").await, &[], Bytes::new()).await)
    }

    /// §3.1.3.7.
    pub async fn check_id_token(&self, token: &str, nonce: &str) -> Map<String, Value> {
        let keys = JwkSet::from_value(&self.keys().await).unwrap();
        let issuer = self.ground.issuer();
        let registered = self.registered["id_token_signed_response_alg"].as_str().unwrap();
        let algorithms = [Algorithm::parse(registered).unwrap()];
        let rules = Rules {
            issuer: Some(&issuer),
            audience: Audience::Includes(&[&self.id]),
            required: &["sub", "iat"],
            expiry: Expiry::Required,
            ..Rules::new(&algorithms, self.ground.clock.now())
        };
        let verified =
            verify(token, &KeySource::Set(&keys), &rules).unwrap_or_else(|fault| panic!("{fault}"));
        assert!(verified.header.kid.is_some());
        let said = verified.claims.get("nonce").and_then(Value::as_str).unwrap_or("");
        assert_eq!(said, nonce);
        assert!(verified.claims["sub"].as_str().unwrap().len() <= 255);
        verified.claims
    }

    pub async fn redeem(&self, code: &str) -> Response<Bytes> {
        self.redeem_with(code, None).await
    }

    async fn redeem_with(&self, code: &str, verifier: Option<&str>) -> Response<Bytes> {
        let mut fields =
            vec![("grant_type", "authorization_code"), ("code", code), ("redirect_uri", REDIRECT)];
        fields.extend(verifier.map(|verifier| ("code_verifier", verifier)));
        self.token(&fields).await
    }

    /// A token request, authenticated as registered.
    pub async fn token(&self, fields: &[(&str, &str)]) -> Response<Bytes> {
        let assertion = self.assertion(&[("aud", json!(self.endpoint("token_endpoint").await))]);
        self.token_by(fields, &assertion).await
    }

    pub async fn token_by(&self, fields: &[(&str, &str)], assertion: &str) -> Response<Bytes> {
        self.call_by(&self.endpoint("token_endpoint").await, fields, assertion).await
    }

    /// A token request with a DPoP proof.
    pub async fn token_with(&self, fields: &[(&str, &str)], proof: &str) -> Response<Bytes> {
        let endpoint = self.endpoint("token_endpoint").await;
        self.call_with(&endpoint, fields, &self.assertion(&[]), &[("dpop", proof)]).await
    }

    /// An introspection whose answer is wanted as `accept`.
    pub async fn introspect_as(&self, token: &str, accept: &str) -> Response<Bytes> {
        let endpoint = self.endpoint("introspection_endpoint").await;
        self.call_with(&endpoint, &[("token", token)], &self.assertion(&[]), &[("accept", accept)]).await
    }

    /// A request to an endpoint that authenticates clients.
    pub async fn call_by(&self, endpoint: &str, fields: &[(&str, &str)], assertion: &str) -> Response<Bytes> {
        self.call_with(endpoint, fields, assertion, &[]).await
    }

    async fn call_with(
        &self,
        endpoint: &str,
        fields: &[(&str, &str)],
        assertion: &str,
        more: &[(&str, &str)],
    ) -> Response<Bytes> {
        let mut fields = fields.to_vec();
        let mut headers = more.to_vec();
        let basic = format!("Basic {}", STANDARD.encode(format!("{}:{}", self.id, self.secret)));
        match self.auth.as_str() {
            "client_secret_basic" => headers.push(("authorization", basic.as_str())),
            "client_secret_post" => {
                fields.extend([("client_id", self.id.as_str()), ("client_secret", &self.secret)])
            }
            "private_key_jwt" | "client_secret_jwt" => fields.extend([
                ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
                ("client_assertion", assertion),
            ]),
            "none" => fields.push(("client_id", self.id.as_str())),
            other => panic!("{other}"),
        }
        self.ground.form(endpoint, &headers, &fields).await
    }

    /// A client assertion (RFC 7523 §3), changed by `changes`.
    pub fn assertion(&self, changes: &[(&str, Value)]) -> String {
        let expires = self.ground.clock.now().plus(std::time::Duration::from_secs(60));
        let audience = self.ground.issuer();
        let mut claims =
            json!({"iss": self.id, "sub": self.id, "jti": unique(), "exp": expires, "aud": audience});
        for (name, value) in changes {
            claims[*name] = value.clone();
        }
        let claims = claims.to_string();
        match self.registered["token_endpoint_auth_signing_alg"].as_str().and_then(MacAlgorithm::parse) {
            Some(mac) => MacKey::new(self.secret.as_bytes()).sign(mac, "JWT", claims.as_bytes()).unwrap(),
            None => self.key.sign("JWT", claims.as_bytes()).unwrap(),
        }
    }

    pub async fn userinfo(&self, access: &str) -> Value {
        let bearer = format!("Bearer {access}");
        let endpoint = self.endpoint("userinfo_endpoint").await;
        let response = self.ground.send("GET", &endpoint, &[("authorization", &bearer)], Bytes::new()).await;
        assert_eq!(response.status(), StatusCode::OK, "{:?}", response.body());
        json(&response)
    }

    /// Where the claims that scopes ask for are: userinfo, or the ID token where there is no access token (§5.4).
    pub async fn said_of_person(&self, gained: &Gained) -> Map<String, Value> {
        match &gained.access {
            Some(access) => self.userinfo(access).await.as_object().unwrap().clone(),
            None => gained.claims.clone(),
        }
    }

    /// An unsigned request object (§6.1) of `claims`.
    pub fn unsigned(claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.", part(&json!({"alg": "none"})), part(claims))
    }

    /// The parameters of a request as the claims of a request object.
    pub fn object(&self, changes: &[(&str, &str)]) -> Value {
        Value::Object(
            self.params(changes).into_iter().map(|(name, value)| (name, Value::String(value))).collect(),
        )
    }
}

/// A text that no other call gives.
pub fn unique() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    COUNT.fetch_add(1, Ordering::Relaxed).to_string()
}

/// base64url of the SHA-256.
pub fn digest(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref())
}

pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
/// RFC 7636 Appendix B.
pub const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// The claims that a scope asks for (§5.4).
pub fn claims_of(scope: &str) -> BTreeSet<&'static str> {
    let claims: &[&str] = match scope {
        "profile" => &[
            "name",
            "family_name",
            "given_name",
            "middle_name",
            "nickname",
            "preferred_username",
            "profile",
            "picture",
            "website",
            "gender",
            "birthdate",
            "zoneinfo",
            "locale",
            "updated_at",
        ],
        "email" => &["email", "email_verified"],
        "address" => &["address"],
        "phone" => &["phone_number", "phone_number_verified"],
        _ => &[],
    };
    claims.iter().copied().collect()
}

/// The moment a claim names.
pub fn moment(claims: &Map<String, Value>, name: &str) -> Timestamp {
    Timestamp(claims.get(name).and_then(Value::as_u64).unwrap_or_else(|| panic!("no {name} in {claims:?}")))
}
