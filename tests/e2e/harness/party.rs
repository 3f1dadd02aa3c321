//! A scripted relying party: registers itself, asks for authorization, and uses what it gets. What it asserts are the
//! shapes every relying party relies on; the foreign ones are in `rp/`.

use super::http::{Answer, Client};
use super::person::{Arrived, Person};
use super::server::Server;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, Ordering};
use url::Url;

/// Where the scripted relying party says it lives. Nothing is there: the person's travels end at it.
pub const CALLBACK: &str = "https://127.0.0.1:8090/callback";

#[derive(Clone)]
pub struct Party {
    pub client: Client,
    pub metadata: Value,
    pub registered: Value,
    pub id: String,
    pub secret: String,
    pub redirect_uri: String,
}

/// What a token answer brought.
#[derive(Debug, Clone)]
pub struct Tokens {
    pub all: Value,
    pub access: String,
    pub refresh: Option<String>,
    pub id: Option<String>,
}

/// An authorization request that was sent and not answered yet.
pub struct Asked {
    pub url: String,
    pub state: String,
    pub verifier: String,
}

/// Different in every call of this process and unguessable enough for a test.
pub fn nonce() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let digest =
        ring::digest::digest(&ring::digest::SHA256, format!("{}-{count}", std::process::id()).as_bytes());
    URL_SAFE_NO_PAD.encode(digest.as_ref())
}

impl Party {
    /// Discovers and registers at `server`, with the metadata most clients send.
    pub async fn register(server: &Server) -> Self {
        Self::register_with(server, json!({})).await
    }

    /// The same, with these members of the registration instead of or beside the usual ones.
    pub async fn register_with(server: &Server, members: Value) -> Self {
        Self::register_at(server.client(), &server.issuer(), members).await
    }

    /// The same over this client's trust, on a connection of its own.
    pub async fn register_at(client: &Client, issuer: &str, members: Value) -> Self {
        let client = client.fresh();
        let url = format!("{issuer}/.well-known/openid-configuration");
        let metadata = client.get(url).send().await.expect(200).json();
        assert_eq!(metadata["issuer"], issuer);
        let mut request = json!({
            "client_name": "Scripted relying party",
            "redirect_uris": [CALLBACK],
            "post_logout_redirect_uris": ["https://127.0.0.1:8090/signed-out"],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "scope": "openid profile email api offline_access",
        });
        for (name, value) in members.as_object().unwrap() {
            request[name] = value.clone();
        }
        let url = metadata["registration_endpoint"].as_str().unwrap();
        let registered = client.post(url).json(&request).send().await.expect(201).json();
        let text = |name: &str| registered[name].as_str().unwrap_or_default().to_owned();
        Self {
            id: text("client_id"),
            secret: text("client_secret"),
            redirect_uri: request["redirect_uris"][0].as_str().unwrap().to_owned(),
            client,
            metadata,
            registered,
        }
    }

    pub fn endpoint(&self, name: &str) -> &str {
        self.metadata[name].as_str().unwrap_or_else(|| panic!("the metadata has no {name}"))
    }

    /// An authorization request with PKCE for these scopes, and these parameters beside or instead of the usual ones.
    pub fn ask(&self, scope: &str, extra: &[(&str, &str)]) -> Asked {
        let (state, verifier) = (nonce(), nonce());
        let digest = ring::digest::digest(&ring::digest::SHA256, verifier.as_bytes());
        let challenge = URL_SAFE_NO_PAD.encode(digest.as_ref());
        let mut parameters: Vec<(&str, &str)> = vec![
            ("response_type", "code"),
            ("client_id", &self.id),
            ("redirect_uri", &self.redirect_uri),
            ("scope", scope),
            ("state", &state),
            ("nonce", "n-0S6_WzA2Mj"),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        parameters.retain(|(name, _)| !extra.iter().any(|(other, _)| other == name));
        parameters.extend_from_slice(extra);
        let url = Url::parse_with_params(self.endpoint("authorization_endpoint"), parameters).unwrap();
        Asked { url: url.into(), state, verifier }
    }

    /// The code of an answer to `asked`, after checking what a client must (RFC 6749 §4.1.2, RFC 9207).
    #[track_caller]
    pub fn code(&self, asked: &Asked, answer: &Url) -> String {
        assert!(answer.as_str().starts_with(&self.redirect_uri), "{answer}");
        let value = |name: &str| parameter(answer, name);
        assert_eq!(value("error"), None, "{answer}");
        assert_eq!(value("state").as_deref(), Some(asked.state.as_str()), "{answer}");
        assert_eq!(value("iss").as_deref(), self.metadata["issuer"].as_str(), "{answer}");
        value("code").unwrap_or_else(|| panic!("no code in {answer}"))
    }

    pub fn redemption<'a>(&'a self, asked: &'a Asked, code: &'a str) -> Vec<(&'static str, &'a str)> {
        vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &self.redirect_uri),
            ("code_verifier", &asked.verifier),
        ]
    }

    pub async fn token(&self, fields: &[(&str, &str)]) -> Answer {
        self.token_over(&self.client, fields).await.unwrap()
    }

    /// The same over another connection, or why there was no answer.
    pub async fn token_over(&self, client: &Client, fields: &[(&str, &str)]) -> std::io::Result<Answer> {
        let call = client.post(self.endpoint("token_endpoint")).basic(&self.id, &self.secret);
        call.form(fields).try_send().await
    }

    pub async fn redeem(&self, asked: &Asked, code: &str) -> Tokens {
        let answer = self.token(&self.redemption(asked, code)).await.expect(200);
        assert_eq!(answer.header("cache-control").as_deref(), Some("no-store"));
        Tokens::of(&answer)
    }

    /// The whole code flow with this person: tokens for `scope`.
    pub async fn sign_in(&self, person: &mut Person, scope: &str) -> Tokens {
        let offline = scope.split(' ').any(|word| word == "offline_access");
        let asked = self.ask(scope, if offline { &[("prompt", "consent")] } else { &[] });
        let answer = person.authorize(&asked.url).await;
        let code = self.code(&asked, &answer);
        self.redeem(&asked, &code).await
    }

    pub async fn refresh(&self, token: &str) -> Answer {
        self.token(&[("grant_type", "refresh_token"), ("refresh_token", token)]).await
    }

    pub async fn introspect(&self, token: &str) -> Value {
        let call = self.client.post(self.endpoint("introspection_endpoint")).basic(&self.id, &self.secret);
        call.form(&[("token", token)]).send().await.expect(200).json()
    }

    pub async fn revoke(&self, token: &str) -> Answer {
        let call = self.client.post(self.endpoint("revocation_endpoint")).basic(&self.id, &self.secret);
        call.form(&[("token", token)]).send().await
    }

    /// RP-initiated logout: where the person is sent afterwards.
    pub async fn sign_out(&self, person: &mut Person, tokens: &Tokens, state: &str) -> Url {
        let parameters = [
            ("id_token_hint", tokens.id.as_deref().unwrap()),
            ("post_logout_redirect_uri", self.registered["post_logout_redirect_uris"][0].as_str().unwrap()),
            ("state", state),
        ];
        let url = Url::parse_with_params(self.endpoint("end_session_endpoint"), parameters).unwrap();
        match person.visit(url.as_str()).await {
            Arrived::Elsewhere(url) => url,
            Arrived::Page(page) => person.press(&page, "sign-out", &[]).await.elsewhere(),
        }
    }

    pub async fn userinfo(&self, token: &str) -> Answer {
        self.client.get(self.endpoint("userinfo_endpoint")).bearer(token).send().await
    }
}

impl Tokens {
    #[track_caller]
    pub fn of(answer: &Answer) -> Self {
        let all = answer.json();
        let text = |name: &str| all[name].as_str().map(str::to_owned);
        assert_eq!(all["token_type"], "Bearer", "{all}");
        assert!(all["expires_in"].as_u64().is_some_and(|seconds| seconds > 0), "{all}");
        Self {
            access: text("access_token").unwrap(),
            refresh: text("refresh_token"),
            id: text("id_token"),
            all,
        }
    }

    #[track_caller]
    pub fn refresh_token(&self) -> &str {
        self.refresh.as_deref().unwrap_or_else(|| panic!("no refresh token in {}", self.all))
    }
}

/// A query parameter of an address.
pub fn parameter(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// The claims of a JWT, unverified.
pub fn claims(jwt: &str) -> Value {
    let part = jwt.split('.').nth(1).unwrap_or_else(|| panic!("not a JWT: {jwt}"));
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}
