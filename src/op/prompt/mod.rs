//! What a person may be asked on the way to an authorization response: one file per prompt, one row each, in the
//! order in which they are asked.

mod consent;
mod create;
mod details;
mod login;
mod otp;
mod select_account;
#[cfg(test)]
mod tests;

use super::Op;
use super::browser::{Browser, SignedIn};
use super::endpoint::Call;
use super::error::{Code, Error, Result};
use super::page::{Locale, Page};
use super::record::client::Client;
use super::record::interaction::Answers;
use super::record::session::Session;
use super::request::AuthorizationRequest;
use super::request::params::Params;
use crate::base::clock::Timestamp;
use crate::base::uri;
use crate::op::page::{Variable, context};
use crate::store::record::Stored;
use async_trait::async_trait;
use bytes::Bytes;
use http::Response;

/// How things stand between a request and the person it waits for.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    pub client: &'a Client,
    pub request: &'a AuthorizationRequest,
    pub answers: &'a Answers,
    pub session: Option<&'a Stored<Session>>,
    pub now: Timestamp,
}

/// The form a prompt shows: where it goes, and what proves that it came from there.
pub struct Form<'a> {
    pub call: &'a Call<'a>,
    pub browser: &'a Browser,
    pub action: String,
    pub token: String,
}

/// What a prompt has to say about a situation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Need {
    /// Nothing to ask.
    Satisfied,
    /// Ask; with `prompt=none` this is the error instead.
    Ask(Code),
}

/// What came of a submitted form.
#[derive(Debug)]
pub enum Step {
    /// The person answered: look at the prompts again.
    Next(Answers, Option<SignedIn>),
    /// Show this answer (the form once more, with what was wrong).
    Again(Response<Bytes>),
    /// The authorization ends with this error.
    Refused(Error),
}

/// A row of [`PROMPTS`].
#[async_trait]
pub trait Prompt: Sync + Send {
    /// Its name: also the form's `prompt` field, and the value of the `prompt` parameter that forces it, if there is one.
    fn name(&self) -> &'static str;
    /// The section that defines it.
    fn spec(&self) -> &'static str;
    /// Whether its form is taken even when it is not this prompt's turn: a sign-in is what the person wants, whatever
    /// another tab did meanwhile.
    fn is_always_taken(&self) -> bool {
        false
    }
    /// Whether it is a value of the `prompt` parameter.
    fn may_be_requested(&self, _: &Op) -> bool {
        true
    }
    async fn need(&self, op: &Op, at: Situation<'_>) -> Result<Need>;
    async fn show(&self, op: &Op, at: Situation<'_>, form: &Form<'_>) -> Result<Response<Bytes>>;
    async fn submit(&self, op: &Op, at: Situation<'_>, form: &Form<'_>, params: &Params) -> Result<Step>;
}

pub const PROMPTS: &[&dyn Prompt] =
    &[&select_account::SelectAccount, &create::Create, &login::Login, &otp::Otp, &consent::Consent];

/// The values of the `prompt` parameter (OpenID Connect Core §3.1.2.1).
pub fn values(op: &Op) -> Vec<&'static str> {
    let rows = PROMPTS.iter().filter(|prompt| prompt.may_be_requested(op)).map(|prompt| prompt.name());
    std::iter::once("none").chain(rows).collect()
}

/// The first prompt that must be asked, and the error that stands for it under `prompt=none`.
pub async fn first_need(op: &Op, at: Situation<'_>) -> Result<Option<(&'static dyn Prompt, Code)>> {
    for prompt in PROMPTS {
        if let Need::Ask(code) = prompt.need(op, at).await? {
            tracing::trace!(prompt = prompt.name(), spec = prompt.spec(), "a prompt is due");
            return Ok(Some((*prompt, code)));
        }
    }
    Ok(None)
}

/// What a person sees who says no.
fn denied() -> Step {
    Step::Refused(Error::new(Code::AccessDenied, "The person did not allow the request"))
}

/// A page with `form`, in the language the request asks for. Its form may end at the client.
fn page<'a>(template: &'static str, at: Situation<'_>, form: &Form<'a>) -> Page<'a> {
    let to = &at.request.return_to;
    let page = Page::new(template, form.call.request).in_one_of(&at.request.ui_locales).shows(web(at
        .client
        .metadata
        .logo_uri
        .as_deref()));
    if to.mode().is_none_or(|mode| mode.redirects()) { page.posts_to(to.uri()) } else { page }
}

/// The variables every prompt's page has.
fn common(at: Situation<'_>, form: &Form<'_>, locale: &Locale) -> Variable {
    context! {
        action => &form.action,
        form_token => &form.token,
        client => face(at.client, locale),
        display => &at.request.display,
    }
}

/// What people are shown of a client. Everything in it is the client's own word: escaped, and links are web links.
fn face(client: &Client, locale: &Locale) -> Variable {
    let metadata = &client.metadata;
    let text = |member: &str, plain: &Option<String>| {
        let localized =
            metadata.localized.get(&format!("{member}#{}", locale.tag())).and_then(|v| v.as_str());
        localized.or(plain.as_deref()).map(str::to_owned)
    };
    let link =
        |member: &str, plain: &Option<String>| text(member, plain).filter(|uri| uri::is_https_url(uri));
    let name = text("client_name", &metadata.client_name).map(|name| visible(&name));
    let name = name.filter(|name| !name.is_empty());
    let host = || metadata.redirect_uris.first().and_then(|uri| host(uri));
    context! {
        name => name.or_else(host).unwrap_or_else(|| client.client_id.clone()),
        logo => web(metadata.logo_uri.as_deref()),
        policy => link("policy_uri", &metadata.policy_uri),
        terms => link("tos_uri", &metadata.tos_uri),
    }
}

/// Without characters that would hide what a name is: controls and those that turn the writing direction.
fn visible(name: &str) -> String {
    let turning =
        |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    name.chars().filter(|c| !c.is_control() && !turning(*c)).take(100).collect::<String>().trim().to_owned()
}

fn web(uri: Option<&str>) -> Option<&str> {
    uri.filter(|uri| uri::is_https_url(uri))
}

/// Host and port of a web address, the scheme of anything else.
fn host(uri: &str) -> Option<String> {
    match uri::origin(uri) {
        Some(origin) => origin.split_once("://").map(|(_, host)| host.to_owned()),
        None => uri.split_once(':').map(|(scheme, _)| scheme.to_owned()),
    }
}
