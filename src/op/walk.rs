//! A browser for tests: keeps cookies, reads forms, and walks from an authorization request to its answer. Compiled
//! for tests only.

use super::directory::password::hash_cheaply;
use super::fixture::{self, peer};
use super::record::account::Account;
use super::record::client::Client;
use super::{Kit, Op, Peer};
use crate::base::clock::Timestamp;
use crate::base::otp::totp;
use crate::store::record::put;
use crate::store::{Durability, Expect};
use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use url::Url;

pub(crate) const ALICE: (&str, &str) = ("alice", "wonderland");
pub(crate) const BOB: (&str, &str) = ("bob", "builder-of-things");
pub(crate) const REDIRECT: &str = "https://rp.example/cb?kept=1";
pub(crate) const CLIENT: &str = "web";
/// A client that cannot keep a secret.
pub(crate) const APP: &str = "app";
pub(crate) const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

pub(crate) struct Walk {
    pub op: Op,
    pub cookies: BTreeMap<String, String>,
    pub headers: Vec<(&'static str, String)>,
    pub peer: Peer,
}

/// A provider with two people and two clients.
pub(crate) async fn op(extra: &str) -> Op {
    op_over(fixture::kit(), extra).await
}

/// The same over `kit`.
pub(crate) async fn op_over(kit: Kit, extra: &str) -> Op {
    let op = Op::open(kit, fixture::settings(extra)).await.unwrap();
    person(
        &op,
        ALICE,
        json!({"name": "Alice <Liddell>", "email": "alice@people.example", "email_verified": true}),
    )
    .await;
    person(&op, BOB, json!({"name": "Bob"})).await;
    client(&op, CLIENT, json!({})).await;
    client(&op, APP, json!({"token_endpoint_auth_method": "none"})).await;
    op
}

pub(crate) async fn person(op: &Op, (name, password): (&str, &str), claims: Value) {
    let account = Account {
        id: name.to_owned(),
        password: hash_cheaply(password),
        claims: claims.as_object().cloned(),
        created: Timestamp(1),
        instead_of: None,
    };
    let change = put(&account, Expect::Anything).unwrap();
    op.store().commit(vec![change], Durability::Durable, op.now()).await.unwrap();
}

/// Registers a client with `more` metadata.
pub(crate) async fn client(op: &Op, id: &str, more: Value) {
    let mut metadata = json!({
        "redirect_uris": [REDIRECT, "https://rp.example/other"],
        "response_types": ["code"],
        "grant_types": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_method": "client_secret_basic",
        "application_type": "web",
        "client_name": "The Shop",
        "id_token_signed_response_alg": "RS256",
        "post_logout_redirect_uris": ["https://rp.example/bye?kept=1"],
    });
    metadata.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let metadata = serde_json::from_value(metadata).unwrap();
    let client = Client { client_id: id.to_owned(), metadata, ..Client::default() };
    let change = put(&client, Expect::Anything).unwrap();
    op.store().commit(vec![change], Durability::Durable, op.now()).await.unwrap();
}

/// The path and query of an authorization request: [`CLIENT`]'s, changed by `changes` (an empty value removes).
pub(crate) fn request(changes: &[(&str, &str)]) -> String {
    let mut all = vec![
        ("client_id", CLIENT),
        ("redirect_uri", REDIRECT),
        ("response_type", "code"),
        ("scope", "openid profile"),
        ("state", "a b&c=\"<'>"),
        ("nonce", "n-1"),
    ];
    for (name, value) in changes {
        all.retain(|(known, _)| known != name || *name == "resource");
        all.push((name, value));
    }
    all.retain(|(_, value)| !value.is_empty());
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(all).finish();
    format!("/oidcop/authorization?{query}")
}

impl Walk {
    pub async fn new() -> Walk {
        Walk::at(op("{}").await)
    }

    /// A browser without cookies.
    pub fn at(op: Op) -> Walk {
        Walk { op, cookies: BTreeMap::new(), headers: Vec::new(), peer: peer() }
    }

    pub async fn get(&mut self, path: &str) -> Response<Bytes> {
        self.send("GET", path, &[]).await
    }

    pub async fn post(&mut self, path: &str, pairs: &[(&str, &str)]) -> Response<Bytes> {
        self.send("POST", path, pairs).await
    }

    async fn send(&mut self, method: &str, path: &str, pairs: &[(&str, &str)]) -> Response<Bytes> {
        let path = path.strip_prefix(self.op.origin()).unwrap_or(path);
        let mut request = Request::builder().method(method).uri(path);
        if !self.cookies.is_empty() {
            let all: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request = request.header(header::COOKIE, all.join("; "));
        }
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        let mut body = Bytes::new();
        if method == "POST" {
            request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
            body = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish().into();
        }
        let response = self.op.handle(request.body(body).unwrap(), &self.peer).await;
        for line in response.headers().get_all(header::SET_COOKIE) {
            let line = line.to_str().unwrap();
            let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
            if line.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        response
    }

    /// Opens `path` and goes where it redirects to, as long as that is ours.
    pub async fn open(&mut self, path: &str) -> Sight {
        let response = self.get(path).await;
        self.follow(path, response).await
    }

    async fn follow(&mut self, path: &str, response: Response<Bytes>) -> Sight {
        let (mut path, mut response) = (path.to_owned(), response);
        while response.status() == StatusCode::SEE_OTHER {
            let to = fixture::header(&response, "location").to_owned();
            if !to.starts_with('/') {
                return Sight { path: to, html: String::new(), response };
            }
            response = self.get(&to).await;
            path = to;
        }
        let html = String::from_utf8(response.body().to_vec()).unwrap();
        Sight { path, html, response }
    }

    /// Sends the form of `page` with `pairs` besides its hidden fields.
    pub async fn submit(&mut self, page: &Sight, pairs: &[(&str, &str)]) -> Sight {
        let hidden = page.hidden();
        let mut all: Vec<(&str, &str)> = hidden.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        all.extend(pairs);
        let response = self.post(&page.path, &all).await;
        self.follow(&page.path, response).await
    }

    pub async fn sign_in(&mut self, page: &Sight, (username, password): (&str, &str)) -> Sight {
        assert!(page.has("sign-in"), "{page:?}");
        self.submit(page, &[("username", username), ("password", password), ("action", "sign-in")]).await
    }

    pub async fn allow(&mut self, page: &Sight) -> Sight {
        assert!(page.has("allow"), "{page:?}");
        self.submit(page, &[("action", "allow")]).await
    }

    /// Sets up an authenticator app on `page`: the app, and the page with the recovery codes.
    pub async fn enrol(&mut self, page: &Sight) -> (App, Sight) {
        let app = App::of(page);
        let code = app.code(self.op.now());
        let codes = self.submit(page, &[("code", &code), ("action", "confirm")]).await;
        (app, codes)
    }

    /// Proves the second factor on `page` with what `app` shows.
    pub async fn confirm(&mut self, page: &Sight, app: &App) -> Sight {
        assert!(page.has("use-recovery"), "{page:?}");
        let code = app.code(self.op.now());
        self.submit(page, &[("code", &code), ("action", "confirm")]).await
    }

    /// From `request` to the answer, signing in and allowing where asked.
    pub async fn through(&mut self, request: &str, person: (&str, &str)) -> Answer {
        let mut sight = self.open(request).await;
        if sight.has("sign-in") {
            sight = self.sign_in(&sight, person).await;
        }
        if sight.has("allow") {
            sight = self.allow(&sight).await;
        }
        sight.answer()
    }
}

/// An authenticator app.
pub(crate) struct App(Vec<u8>);

impl App {
    /// One that was told the secret of an enrolment page by typing it.
    pub fn of(page: &Sight) -> App {
        let mut bits = String::new();
        for letter in page.text("secret").replace(' ', "").chars() {
            // RFC 4648 §6.
            let five = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".find(letter).unwrap();
            bits += &format!("{five:05b}");
        }
        let byte = |at: usize| u8::from_str_radix(&bits[at..at + 8], 2).unwrap();
        App((0..bits.len() / 8).map(|nth| byte(nth * 8)).collect())
    }

    pub fn code(&self, now: Timestamp) -> String {
        totp(&self.0, now)
    }
}

/// What the browser shows, or the address of ours it was sent away from.
#[derive(Debug)]
pub(crate) struct Sight {
    pub path: String,
    pub html: String,
    pub response: Response<Bytes>,
}

impl Sight {
    pub fn has(&self, id: &str) -> bool {
        self.html.contains(&format!("id=\"{id}\""))
    }

    /// Whether this is an error page that says `words`.
    pub fn refuses(&self, words: &str) -> bool {
        self.has("request-id") && self.html.contains(words) && self.response.status().is_client_error()
    }

    /// What stands in the element `id`, which holds nothing but text.
    pub fn text(&self, id: &str) -> String {
        let (_, rest) =
            self.html.split_once(&format!("id=\"{id}\"")).unwrap_or_else(|| panic!("no {id}: {self:?}"));
        plain(rest.split_once('>').unwrap().1.split('<').next().unwrap())
    }

    pub fn hidden(&self) -> Vec<(String, String)> {
        let inputs = self.html.split("<input type=\"hidden\" name=\"").skip(1);
        let pair = |text: &str| {
            let (name, rest) = text.split_once("\" value=\"").unwrap();
            (plain(name), plain(rest.split('"').next().unwrap()))
        };
        inputs.map(pair).collect()
    }

    /// What came to the client.
    pub fn answer(&self) -> Answer {
        let url = Url::parse(&self.path).unwrap_or_else(|_| panic!("no answer to the client: {self:?}"));
        let address = self.path.split(['?', '#']).next().unwrap();
        let mut params: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
        let fragment = form_urlencoded::parse(url.fragment().unwrap_or_default().as_bytes());
        params.extend(fragment.into_owned());
        Answer { address: address.to_owned(), in_fragment: url.fragment().is_some(), params }
    }
}

/// An authorization response.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub address: String,
    pub in_fragment: bool,
    /// Of the query and of the fragment.
    pub params: BTreeMap<String, String>,
}

impl Answer {
    pub fn get(&self, name: &str) -> &str {
        self.params.get(name).map_or("", String::as_str)
    }
    pub fn error(&self) -> &str {
        self.get("error")
    }
    pub fn has_code(&self) -> bool {
        self.get("code").len() == 43 && !self.params.contains_key("error")
    }
}

/// HTML's text as it was before it was escaped.
pub(crate) fn plain(text: &str) -> String {
    let mut text = text.to_owned();
    for (entity, c) in
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#x27;", "'"), ("&#x2f;", "/"), ("&amp;", "&")]
    {
        text = text.replace(entity, c);
    }
    text
}
