//! A person at the pages without a browser: a cookie jar, links followed, forms filled in and sent as a browser sends them.

use super::http::{Answer, Client};
use std::collections::BTreeMap;
use url::Url;

/// Redirects within the provider before we call it a loop.
const MAX_REDIRECTS: usize = 12;

pub struct Person {
    client: Client,
    pub username: String,
    pub password: String,
    /// Name → value; the tests have one provider, so one jar.
    pub cookies: BTreeMap<String, String>,
    /// Sent with every page request.
    pub languages: Option<String>,
}

/// Where following redirects ended.
#[derive(Debug)]
pub enum Arrived {
    /// At a page of the provider.
    Page(Page),
    /// At an address that is somebody else's.
    Elsewhere(Url),
}

#[derive(Debug)]
pub struct Page {
    pub url: Url,
    pub answer: Answer,
}

impl Person {
    pub fn new(client: Client, username: &str, password: &str) -> Self {
        let (username, password) = (username.to_owned(), password.to_owned());
        Self { client, username, password, cookies: BTreeMap::new(), languages: None }
    }

    /// Goes to `url` and follows redirects while they stay at its origin.
    pub async fn visit(&mut self, url: &str) -> Arrived {
        self.travel(Url::parse(url).unwrap(), None, None).await
    }

    /// Presses the button with this id, with `fields` (by element id) typed into its form.
    pub async fn press(&mut self, page: &Page, button: &str, fields: &[(&str, &str)]) -> Arrived {
        let html = page.answer.text();
        let form = Form::with(&html, button)
            .unwrap_or_else(|| panic!("{} has no button {button}:\n{html}", page.url));
        let target = page.url.join(&form.action).unwrap();
        let pairs = form.filled(fields);
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        if form.method.eq_ignore_ascii_case("post") {
            self.travel(target, Some(body), Some(page.url.clone())).await
        } else {
            let mut target = target;
            target.set_query(Some(&body));
            self.travel(target, None, Some(page.url.clone())).await
        }
    }

    /// Visits `url`, signs in and allows wherever asked, and ends where the client's redirect URI is.
    pub async fn authorize(&mut self, url: &str) -> Url {
        let mut arrived = self.visit(url).await;
        for _ in 0..6 {
            let page = match arrived {
                Arrived::Elsewhere(url) => return url,
                Arrived::Page(page) => page,
            };
            arrived = if page.has("password") {
                self.sign_in(&page).await
            } else if page.has("allow") {
                self.press(&page, "allow", &[]).await
            } else {
                panic!(
                    "neither sign-in nor consent at {}:\n{:?}\n{}",
                    page.url,
                    page.answer,
                    page.answer.text()
                );
            };
        }
        panic!("signing in never ends: {arrived:?}");
    }

    pub async fn sign_in(&mut self, page: &Page) -> Arrived {
        let (username, password) = (self.username.clone(), self.password.clone());
        self.press(page, "sign-in", &[("username", &username), ("password", &password)]).await
    }

    async fn travel(&mut self, mut url: Url, mut body: Option<String>, mut from: Option<Url>) -> Arrived {
        let origin = url.origin();
        for _ in 0..MAX_REDIRECTS {
            if url.origin() != origin {
                return Arrived::Elsewhere(url);
            }
            let answer = self.request(&url, body.take(), from.take()).await;
            match answer.header("location") {
                Some(location) if (300..400).contains(&answer.status) => url = url.join(&location).unwrap(),
                _ => return Arrived::Page(Page { url, answer }),
            }
        }
        panic!("a redirect loop at {url}");
    }

    async fn request(&mut self, url: &Url, body: Option<String>, from: Option<Url>) -> Answer {
        let mut target = url.clone();
        target.set_fragment(None);
        let mut call = match &body {
            None => self.client.get(target.as_str()),
            Some(_) => self.client.post(target.as_str()),
        };
        if let Some(body) = &body {
            let pairs: Vec<_> = form_urlencoded::parse(body.as_bytes()).into_owned().collect();
            let pairs: Vec<_> = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            call = call.form(&pairs).header("origin", &url.origin().ascii_serialization());
        }
        if let Some(from) = from {
            call = call.header("referer", from.as_str());
        }
        if let Some(languages) = &self.languages {
            call = call.header("accept-language", languages);
        }
        if !self.cookies.is_empty() {
            let pairs: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            call = call.header("cookie", &pairs.join("; "));
        }
        let answer = call.header("accept", "text/html,*/*;q=0.8").send().await;
        for cookie in answer.headers.get_all("set-cookie") {
            self.keep(cookie.to_str().unwrap());
        }
        answer
    }

    fn keep(&mut self, cookie: &str) {
        let (pair, attributes) = cookie.split_once(';').unwrap_or((cookie, ""));
        let (name, value) = pair.split_once('=').unwrap();
        let gone = attributes.split(';').any(|a| a.trim().eq_ignore_ascii_case("max-age=0"));
        if gone || value.is_empty() {
            self.cookies.remove(name);
        } else {
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
    }
}

impl Page {
    /// Whether an element with this id is there.
    pub fn has(&self, id: &str) -> bool {
        let html = self.answer.text();
        tags(&html).any(|tag| attribute(tag, "id").as_deref() == Some(id))
    }
}

impl Arrived {
    #[track_caller]
    pub fn page(self) -> Page {
        match self {
            Self::Page(page) => page,
            Self::Elsewhere(url) => panic!("a page was expected, not a redirect to {url}"),
        }
    }

    #[track_caller]
    pub fn elsewhere(self) -> Url {
        match self {
            Self::Elsewhere(url) => url,
            Self::Page(page) => {
                panic!("a redirect was expected at {}: {:?}\n{}", page.url, page.answer, page.answer.text())
            }
        }
    }
}

/// A form as it stands in the page.
struct Form {
    action: String,
    method: String,
    /// (id, name, value) of what is sent whatever is pressed.
    fields: Vec<(String, String, String)>,
    button: Option<(String, String)>,
}

impl Form {
    /// The form that the button with this id sends.
    fn with(html: &str, button: &str) -> Option<Self> {
        let mut current: Option<Self> = None;
        let mut found = false;
        for tag in tags(html) {
            let (kind, value) = (tag_name(tag), |name: &str| attribute(tag, name).unwrap_or_default());
            match (kind.as_str(), current.as_mut()) {
                ("form", _) => {
                    let method = attribute(tag, "method").unwrap_or_else(|| "get".into());
                    current =
                        Some(Self { action: value("action"), method, fields: Vec::new(), button: None });
                }
                ("/form", _) if found => return current,
                ("/form", _) => current = None,
                ("input" | "button", Some(form)) if value("id") == button => {
                    found = true;
                    form.button = Some((value("name"), value("value")));
                    if let Some(action) = attribute(tag, "formaction") {
                        form.action = action;
                    }
                }
                ("input", Some(form)) if value("type") != "submit" => {
                    let unchecked = value("type") == "checkbox" && attribute(tag, "checked").is_none();
                    if !unchecked {
                        form.fields.push((value("id"), value("name"), value("value")));
                    }
                }
                _ => {}
            }
        }
        None
    }

    fn filled(&self, typed: &[(&str, &str)]) -> Vec<(String, String)> {
        let mut pairs = Vec::new();
        for (id, name, value) in &self.fields {
            let typed = typed.iter().find(|(field, _)| field == id).map(|(_, value)| (*value).to_owned());
            pairs.push((name.clone(), typed.unwrap_or_else(|| value.clone())));
        }
        pairs.extend(self.button.clone().filter(|(name, _)| !name.is_empty()));
        pairs.retain(|(name, _)| !name.is_empty());
        pairs
    }
}

/// The insides of the tags of a document, in order.
fn tags(html: &str) -> impl Iterator<Item = &str> {
    html.split('<').skip(1).map(|rest| rest.split('>').next().unwrap_or(""))
}

fn tag_name(tag: &str) -> String {
    tag.split(|c: char| c.is_whitespace()).next().unwrap_or("").to_ascii_lowercase()
}

/// An attribute's unescaped value; a bare attribute has an empty one.
fn attribute(tag: &str, name: &str) -> Option<String> {
    let mut rest = tag;
    while let Some(at) = rest.find(name) {
        let before = rest[..at].chars().next_back();
        let after = rest[at + name.len()..].trim_start();
        if before.is_some_and(char::is_whitespace) {
            match after.strip_prefix('=') {
                None if after.is_empty() || !after.starts_with('-') => return Some(String::new()),
                None => {}
                Some(value) => return Some(unescape(quoted(value.trim_start()))),
            }
        }
        rest = &rest[at + name.len()..];
    }
    None
}

fn quoted(value: &str) -> &str {
    match value.chars().next() {
        Some(quote @ ('"' | '\'')) => value[1..].split(quote).next().unwrap_or(""),
        _ => value.split_whitespace().next().unwrap_or(""),
    }
}

fn unescape(text: &str) -> String {
    let mut plain = text.to_owned();
    for (entity, character) in [
        ("&quot;", "\""),
        ("&#34;", "\""),
        ("&#x27;", "'"),
        ("&#39;", "'"),
        ("&#x2f;", "/"),
        ("&#47;", "/"),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&amp;", "&"),
    ] {
        plain = plain.replace(entity, character);
    }
    plain
}
