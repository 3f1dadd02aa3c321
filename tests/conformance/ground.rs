//! What a module stands on: a provider under `conf/conformance.yaml` with a scripted clock, the relying parties' sites, and
//! a browser. The provider is a function here, so that a wait of a minute takes no time.

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, header};
use oidcop_proxy::base::clock::{Clock, Timestamp};
use oidcop_proxy::base::fetch::{Asked, Fault, Fetch, Fetched};
use oidcop_proxy::base::random::Random;
use oidcop_proxy::base::secret::AtRestKey;
use oidcop_proxy::base::work::Work;
use oidcop_proxy::config;
use oidcop_proxy::op::{Kit, Op, Peer, Settings};
use oidcop_proxy::store::memory::Memory;
use oidcop_proxy::store::{Change, Durability, Expect, Listed, Range, Store};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex};
use tokio::sync::OnceCell;
use url::Url;

pub const ALICE: (&str, &str) = ("alice", "correct horse battery staple");
pub const TOMAS: (&str, &str) = ("tomas", "three blind mice");

/// Where the relying party lives.
const SITE: &str = "https://rp.example";

/// The cookie that the provider's iframe reads.
const BROWSER_STATE: &str = "__Host-oidcop_state";

/// How a plan runs a module.
#[derive(Clone, Copy, Debug)]
pub struct Variant {
    pub response_type: &'static str,
    pub form_post: bool,
    pub auth: &'static str,
}

impl Variant {
    pub const fn of(response_type: &'static str) -> Variant {
        Variant { response_type, form_post: false, auth: "client_secret_basic" }
    }

    pub fn has(&self, part: &str) -> bool {
        self.response_type.split(' ').any(|known| known == part)
    }
}

pub struct Ground {
    pub op: Op,
    pub clock: Clock,
    pub sites: Sites,
    pub variant: Variant,
}

/// What the relying parties publish, and what was posted to them.
#[derive(Clone, Default)]
pub struct Sites {
    pages: Arc<Mutex<HashMap<String, String>>>,
    pub posted: Arc<Mutex<Vec<(String, String)>>>,
}

impl Sites {
    pub fn publish(&self, url: &str, text: impl Into<String>) {
        self.pages.lock().unwrap().insert(url.to_owned(), text.into());
    }

    fn answer(&self, asked: &Asked) -> Result<Fetched, Fault> {
        if asked.method == http::Method::POST {
            let body = String::from_utf8(asked.body.to_vec()).unwrap();
            self.posted.lock().unwrap().push((asked.url.clone(), body));
            return Ok(Fetched::ok("", ""));
        }
        match self.pages.lock().unwrap().get(&asked.url) {
            Some(page) => Ok(Fetched::ok("application/json", page.clone())),
            None => Err(Fault::Unreachable(asked.url.clone())),
        }
    }
}

fn settings() -> Settings {
    let file = Path::new("conf/conformance.yaml");
    let text = std::fs::read_to_string(file).unwrap();
    let loaded = config::load_text(file, &text, &|_| None).unwrap_or_else(|faults| panic!("{faults}"));
    loaded.config.op.expect("conf/conformance.yaml has a provider")
}

/// Two in the afternoon of 2027-01-15.
const START: Timestamp = Timestamp(1_800_021_600);

/// Making RSA keys is slow: every provider begins with the same ones, as after a restart.
async fn made_keys() -> Vec<Change> {
    static MADE: OnceCell<Vec<Listed>> = OnceCell::const_new();
    let made = MADE.get_or_init(|| async {
        let store = Arc::new(Memory::new());
        let nowhere = Fetch::scripted(|asked| Err(Fault::Unreachable(asked.url.clone())));
        Op::open(kit(store.clone(), Clock::scripted(START), nowhere), settings()).await.unwrap();
        let mut made = Vec::new();
        for shelf in ["key", "key_ring"] {
            made.extend(store.list(&Range::Shelf(shelf), None, 1_000, START).await.unwrap());
        }
        made
    });
    let put = |Listed { key, entry }: &Listed| Change::Put {
        key: key.clone(),
        value: entry.value.clone(),
        expires: entry.expires,
        dead: entry.dead,
        index: Vec::new(),
        expect: Expect::Absent,
    };
    made.await.iter().map(put).collect()
}

fn kit(store: Arc<dyn Store>, clock: Clock, fetch: Fetch) -> Kit {
    Kit {
        store,
        work: Work::scripted(clock.clone()),
        clock,
        random: Random::system(),
        at_rest: AtRestKey::new([7; 32]),
        fetch,
    }
}

impl Ground {
    pub async fn new(variant: Variant) -> Ground {
        let (store, clock, sites) = (Arc::new(Memory::new()), Clock::scripted(START), Sites::default());
        store.commit(made_keys().await, Durability::Durable, START).await.unwrap();
        let answering = sites.clone();
        let fetch = Fetch::scripted(move |asked| answering.answer(asked));
        let op = Op::open(kit(store, clock.clone(), fetch), settings()).await.unwrap();
        Ground { op, clock, sites, variant }
    }

    pub fn wait(&self, seconds: u64) {
        self.clock.advance(std::time::Duration::from_secs(seconds));
    }

    pub fn issuer(&self) -> String {
        self.op.settings().issuer.clone()
    }

    pub async fn metadata(&self) -> Value {
        let response = self.send("GET", "/.well-known/openid-configuration", &[], Bytes::new()).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
        json(&response)
    }

    /// A request of a program: no cookies.
    pub async fn send(
        &self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Response<Bytes> {
        let path = url.strip_prefix(self.op.origin()).unwrap_or(url);
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.op.handle(request.body(body).unwrap(), &peer(&self.op)).await
    }

    pub async fn form(&self, url: &str, headers: &[(&str, &str)], pairs: &[(&str, &str)]) -> Response<Bytes> {
        let body: String = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        let mut headers = headers.to_vec();
        headers.push(("content-type", "application/x-www-form-urlencoded"));
        self.send("POST", url, &headers, body.into()).await
    }
}

fn peer(op: &Op) -> Peer {
    Peer {
        address: [127, 0, 0, 1].into(),
        certificate: None,
        chain: Vec::new(),
        host: op.origin().trim_start_matches("https://").to_owned(),
        request_id: "conformance".into(),
    }
}

pub fn json(response: &Response<Bytes>) -> Value {
    serde_json::from_slice(response.body())
        .unwrap_or_else(|_| panic!("not JSON: {} {:?}", response.status(), response.body()))
}

/// A person's browser.
pub struct Browser<'a> {
    ground: &'a Ground,
    cookies: BTreeMap<String, String>,
}

/// What the browser shows, or where it was sent.
#[derive(Debug)]
pub enum Sight {
    Page(Page),
    /// At the relying party, with the parameters of the response in the mode in which they came.
    Arrived(Arrived),
}

pub struct Page {
    pub path: String,
    pub html: String,
    pub status: StatusCode,
    pub headers: HeaderMap,
}

#[derive(Debug, Clone)]
pub struct Arrived {
    pub address: String,
    pub mode: &'static str,
    pub params: BTreeMap<String, String>,
}

impl Browser<'_> {
    pub fn new(ground: &Ground) -> Browser<'_> {
        Browser { ground, cookies: BTreeMap::new() }
    }

    pub async fn open(&mut self, url: &str) -> Sight {
        let response = self.send("GET", url, None).await;
        self.follow(url, response).await
    }

    /// A form of somebody's page, sent to `url`.
    pub async fn post(&mut self, url: &str, pairs: &[(&str, &str)]) -> Sight {
        let response = self.send("POST", url, Some(pairs)).await;
        self.follow(url, response).await
    }

    async fn send(&mut self, method: &str, url: &str, pairs: Option<&[(&str, &str)]>) -> Response<Bytes> {
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = cookies.join("; ");
        let mut headers = vec![("accept-language", "en")];
        if !cookies.is_empty() {
            headers.push(("cookie", &cookies));
        }
        let response = match pairs {
            Some(pairs) => self.ground.form(url, &headers, pairs).await,
            None => self.ground.send(method, url, &headers, Bytes::new()).await,
        };
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

    async fn follow(&mut self, url: &str, response: Response<Bytes>) -> Sight {
        let (mut path, mut response) = (url.to_owned(), response);
        while response.status() == StatusCode::SEE_OTHER {
            let to = response.headers()[header::LOCATION].to_str().unwrap().to_owned();
            let ours = to.strip_prefix(self.ground.op.origin()).unwrap_or(&to).to_owned();
            if !ours.starts_with('/') {
                return Sight::Arrived(Arrived::by_redirect(&to));
            }
            response = self.send("GET", &ours, None).await;
            path = ours;
        }
        let (status, headers) = (response.status(), response.headers().clone());
        let page = Page { path, html: String::from_utf8(response.body().to_vec()).unwrap(), status, headers };
        match page.posts_to() {
            Some(address) if !address.starts_with('/') && page.has("continue") => Sight::Arrived(Arrived {
                address,
                mode: "form_post",
                params: page.hidden().into_iter().collect(),
            }),
            _ => Sight::Page(page),
        }
    }

    pub async fn press(&mut self, page: &Page, pairs: &[(&str, &str)]) -> Sight {
        let hidden = page.hidden();
        let mut all: Vec<(&str, &str)> = hidden.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        all.extend(pairs);
        let to = page.posts_to().unwrap_or_else(|| page.path.clone());
        self.post(&to, &all).await
    }

    /// The `session_state` (Session Management §3.2) that the provider's iframe would compute in this browser now, with the
    /// salt of `told`.
    pub fn session_state(&self, client_id: &str, told: &str) -> String {
        let salt = told.rsplit_once('.').unwrap().1;
        let state = self.cookies.get(BROWSER_STATE).map_or("", String::as_str);
        let text = format!("{client_id} {SITE} {state} {salt}");
        let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
        let digest: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{digest}.{salt}")
    }

    /// From wherever `sight` is to the relying party, signing in and allowing where asked.
    pub async fn onward(&mut self, mut sight: Sight, (username, password): (&str, &str)) -> Arrived {
        for _ in 0..6 {
            sight = match sight {
                Sight::Arrived(arrived) => return arrived,
                Sight::Page(page) if page.has("sign-in") => {
                    let fields = [("username", username), ("password", password), ("action", "sign-in")];
                    self.press(&page, &fields).await
                }
                Sight::Page(page) if page.has("allow") => self.press(&page, &[("action", "allow")]).await,
                Sight::Page(page) => panic!("a page that leads nowhere: {page:?}"),
            };
        }
        panic!("the pages never end: {sight:?}")
    }
}

impl Sight {
    #[track_caller]
    pub fn page(self) -> Page {
        match self {
            Sight::Page(page) => page,
            Sight::Arrived(arrived) => panic!("sent to the client: {arrived:?}"),
        }
    }

    #[track_caller]
    pub fn arrived(self) -> Arrived {
        match self {
            Sight::Arrived(arrived) => arrived,
            Sight::Page(page) => panic!("no answer to the client but a page: {page:?}"),
        }
    }
}

/// What a person sees of it; the style is long.
impl std::fmt::Debug for Page {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let main = self.html.split_once("<main>").map_or(self.html.as_str(), |(_, main)| main);
        write!(f, "{} {} {main}", self.status, self.path)
    }
}

impl Page {
    pub fn has(&self, id: &str) -> bool {
        self.html.contains(&format!("id=\"{id}\""))
    }

    /// An error page: it says no, and goes nowhere.
    #[track_caller]
    pub fn refuses(&self) {
        assert!(self.status.is_client_error() && self.has("request-id"), "{self:?}");
    }

    fn posts_to(&self) -> Option<String> {
        let (_, rest) = self.html.split_once("action=\"")?;
        rest.split('"').next().map(plain)
    }

    pub fn hidden(&self) -> Vec<(String, String)> {
        let inputs = self.html.split("<input type=\"hidden\" name=\"").skip(1);
        let pair = |text: &str| {
            let (name, rest) = text.split_once("\" value=\"").unwrap();
            (plain(name), plain(rest.split('"').next().unwrap()))
        };
        inputs.map(pair).collect()
    }
}

impl Arrived {
    fn by_redirect(to: &str) -> Arrived {
        let url = Url::parse(to).unwrap();
        let fragment = url.fragment().map(str::to_owned);
        let (mode, text) = match &fragment {
            Some(fragment) => ("fragment", fragment.as_str()),
            None => ("query", url.query().unwrap_or("")),
        };
        let params = form_urlencoded::parse(text.as_bytes()).into_owned().collect();
        let mut address = url.clone();
        address.set_fragment(None);
        if mode == "query" {
            address.set_query(None);
        }
        Arrived { address: address.into(), mode, params }
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.params.get(name).map(String::as_str)
    }

    #[track_caller]
    pub fn error(&self) -> &str {
        self.get("error").unwrap_or_else(|| panic!("no error: {self:?}"))
    }
}

/// HTML's text as it was before it was escaped.
fn plain(text: &str) -> String {
    let entities =
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#x27;", "'"), ("&#x2f;", "/"), ("&amp;", "&")];
    entities.iter().fold(text.to_owned(), |text, (entity, plain)| text.replace(entity, plain))
}
