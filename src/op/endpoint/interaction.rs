//! Where a person answers what an authorization request asks. Not part of any specification. GET shows the prompt whose
//! turn it is, as often as one likes; POST takes its form and ends in a redirect. Completed once, it is gone.

use super::authorization::{give, respond};
use super::{Call, Cors, Endpoint, ErrorForm};
use crate::base::encode::{base64url, from_base64url_exact};
use crate::base::secret::{equal, sha256};
use crate::op::Op;
use crate::op::browser::{Browser, forged_form};
use crate::op::error::{Code, Error, Result, invalid_request};
use crate::op::prompt::{Form, PROMPTS, Situation, Step, first_need};
use crate::op::record::client::Client;
use crate::op::record::interaction::Interaction as Waiting;
use crate::op::record::pushed::Pushed;
use crate::op::record::session::Session;
use crate::op::request::params::Params;
use crate::op::response_mode;
use crate::op::serve::{self, see_other};
use crate::store::record::{self, Stored};
use crate::store::{Durability, Expect};
use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, Response};
use std::sync::Arc;

#[derive(Debug)]
pub struct Interaction;

impl Interaction {
    /// The path of the interaction `handle`.
    pub(super) fn path_of(&self, op: &Op, handle: &str) -> String {
        let paths = serve::paths(op, self);
        format!("{}/{handle}", paths.first().map(String::as_str).unwrap_or_default())
    }
}

#[async_trait]
impl Endpoint for Interaction {
    fn name(&self) -> &'static str {
        "interaction"
    }
    fn spec(&self) -> &'static str {
        "OpenID Connect Core §3.1.2.3"
    }
    fn methods(&self) -> &'static [Method] {
        &[Method::GET, Method::POST]
    }
    fn error_form(&self) -> ErrorForm {
        ErrorForm::Page
    }
    fn cors(&self) -> Cors {
        Cors::Never
    }
    fn takes_rest(&self) -> bool {
        true
    }

    async fn answer(&self, op: &Op, call: Call<'_>) -> Result<Response<Bytes>> {
        let handle =
            call.rest.strip_prefix('/').filter(|handle| from_base64url_exact::<32>(handle).is_some());
        let handle = handle.ok_or_else(super::nothing_here)?;
        let digest = base64url(&sha256(handle.as_bytes()));
        let waiting = record::get::<Waiting>(op.store(), digest, call.now).await?.ok_or_else(gone)?;
        let browser = Browser::of(call.request.headers())
            .filter(|browser| equal(browser.digest().as_bytes(), waiting.record.browser.as_bytes()))
            .ok_or_else(another_browser)?;
        let client = op.client(&waiting.record.request.client_id, call.now).await?.ok_or_else(gone)?;
        let session = op.browser_session(call.request.headers(), call.now).await?;
        let form = Form {
            call: &call,
            browser: &browser,
            action: self.path_of(op, handle),
            token: browser.form_token(op, &["interaction", &waiting.record.digest]),
        };
        let turn = Turn { op, waiting, client, session, form };
        if call.request.method() == Method::POST { turn.take().await } else { turn.show().await }
    }
}

/// One visit to an interaction.
struct Turn<'a> {
    op: &'a Op,
    waiting: Stored<Waiting>,
    client: Arc<Client>,
    session: Option<Stored<Session>>,
    form: Form<'a>,
}

impl Turn<'_> {
    fn situation(&self) -> Situation<'_> {
        let waiting = &self.waiting.record;
        Situation {
            client: &self.client,
            request: &waiting.request,
            answers: &waiting.answers,
            session: self.session.as_ref(),
            now: self.form.call.now,
        }
    }

    async fn show(self) -> Result<Response<Bytes>> {
        match first_need(self.op, self.situation()).await? {
            Some((prompt, _)) => prompt.show(self.op, self.situation(), &self.form).await,
            // Another tab signed in meanwhile.
            None => self.complete().await,
        }
    }

    async fn take(mut self) -> Result<Response<Bytes>> {
        let (op, request) = (self.op, self.form.call.request);
        let params = Params::from_body(request, &op.settings.limits)?;
        let purpose = ["interaction", self.waiting.record.digest.as_str()];
        if !self.form.browser.vouches(op, request.headers(), params.one("form_token"), &purpose) {
            return Err(forged_form());
        }
        let named = params.one("prompt").unwrap_or_default();
        let prompt = PROMPTS.iter().find(|prompt| prompt.name() == named);
        let prompt = prompt.ok_or_else(|| invalid_request("The form names no prompt"))?;
        let turn =
            first_need(op, self.situation()).await?.is_some_and(|(due, _)| due.name() == prompt.name());
        if !turn && !prompt.is_always_taken() {
            // A form of a page that is out of date: show what is due.
            return see_other(&self.form.action);
        }
        match prompt.submit(op, self.situation(), &self.form, &params).await? {
            Step::Again(response) => Ok(response),
            Step::Refused(error) => self.refuse(&error).await,
            Step::Next(answers, signed_in) => {
                self.waiting.record.answers = answers;
                let cookie = signed_in.map(|signed_in| {
                    self.session = Some(signed_in.session);
                    signed_in.cookie
                });
                let mut response = self.proceed().await?;
                if let Some(cookie) = cookie {
                    cookie.send(&mut response);
                }
                Ok(response)
            }
        }
    }

    /// The next prompt, or the end.
    async fn proceed(self) -> Result<Response<Bytes>> {
        if first_need(self.op, self.situation()).await?.is_none() {
            return self.complete().await;
        }
        let change = record::put(&self.waiting.record, Expect::Version(self.waiting.version))?;
        match self.op.store().commit(vec![change], Durability::Soon, self.form.call.now).await {
            Err(fault) if !fault.is_conflict() => Err(fault.into()),
            // In a conflict another tab was faster: the page shows what is due now.
            _ => see_other(&self.form.action),
        }
    }

    /// Gives out what was asked for and ends the interaction in one commit: however many tabs get here, one gets it.
    async fn complete(self) -> Result<Response<Bytes>> {
        let Some(session) = &self.session else { return Err(gone()) };
        let waiting = &self.waiting.record;
        let end = record::delete::<Waiting>(waiting.digest.clone(), Expect::Version(self.waiting.version));
        let given = give(self.op, self.situation(), session, vec![end]).await;
        let now = self.form.call.now;
        if given.as_ref().is_err_and(|error| ENDED.contains(&error.code)) {
            let left = record::get::<Waiting>(self.op.store(), waiting.digest.clone(), now).await?;
            if left.is_none_or(|left| left.version != self.waiting.version) {
                return Err(gone());
            }
        }
        respond(self.op, self.form.call, self.situation(), &session.record.sid, given).await
    }

    async fn refuse(self, error: &Error) -> Result<Response<Bytes>> {
        let waiting = &self.waiting.record;
        let end = record::delete::<Waiting>(waiting.digest.clone(), Expect::Version(self.waiting.version));
        let mut changes = vec![end];
        let pushed = waiting.request.pushed.iter();
        changes.extend(pushed.map(|digest| record::delete::<Pushed>(digest.clone(), Expect::Anything)));
        match self.op.store().commit(changes, Durability::Durable, self.form.call.now).await {
            Err(fault) if fault.is_conflict() => Err(gone()),
            Err(fault) => Err(fault.into()),
            Ok(_) => {
                let to = &waiting.request.return_to;
                response_mode::refuse(self.op, self.form.call, &self.client, to, error).await
            }
        }
    }
}

/// What an answer fails with when another tab was faster, among other reasons.
const ENDED: [Code; 3] = [Code::AccessDenied, Code::TemporarilyUnavailable, Code::InvalidRequestUri];

fn gone() -> Error {
    invalid_request("This sign-in was completed already, or it has expired")
}

fn another_browser() -> Error {
    invalid_request("This sign-in was begun in another browser, or the browser keeps no cookies")
}
