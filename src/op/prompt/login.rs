//! Sign-in by user name and password (OpenID Connect Core §3.1.2.3). An unknown name looks and costs what a wrong
//! password does; failures are throttled before anything is looked up.

use super::{Form, Need, Prompt, Situation, Step, common, denied, otp, page};
use crate::base::secret::Secret;
use crate::op::Op;
use crate::op::acr;
use crate::op::directory::account_of;
use crate::op::error::{Code, Error, Result};
use crate::op::page::context;
use crate::op::record::interaction::Answers;
use crate::op::request::params::Params;
use crate::op::serve::set;
use crate::op::throttle::Counter;
use crate::op::token::parents::Marked;
use async_trait::async_trait;
use bytes::Bytes;
use http::{Response, StatusCode, header};

pub struct Login;

#[async_trait]
impl Prompt for Login {
    fn name(&self) -> &'static str {
        "login"
    }
    fn spec(&self) -> &'static str {
        "OpenID Connect Core §3.1.2.3"
    }
    fn is_always_taken(&self) -> bool {
        true
    }

    async fn need(&self, op: &Op, at: Situation<'_>) -> Result<Need> {
        const ASK: Need = Need::Ask(Code::LoginRequired);
        let Some(session) = at.session.map(|stored| &stored.record) else { return Ok(ASK) };
        // OpenID Connect Core §3.1.2.1: another person than the request names will not do.
        if !at.request.accepts_subject(&op.subject(at.client, &session.account)) {
            return Ok(ASK);
        }
        if at.answers.signed_in.as_ref() == Some(&session.sid) {
            return Ok(Need::Satisfied);
        }
        let age = at.now.since(session.auth_time).as_secs();
        // max_age=0 is prompt=login, also within the second of the last sign-in.
        let too_old = at.request.max_age.is_some_and(|most| most == 0 || age > most);
        let again = at.request.asks("login") || at.answers.another || too_old;
        let again = again || otp::wants_fresh_sign_in(op, at).await?;
        Ok(if again { ASK } else { Need::Satisfied })
    }

    async fn show(&self, op: &Op, at: Situation<'_>, form: &Form<'_>) -> Result<Response<Bytes>> {
        // Re-authentication: the same person, most likely.
        let known = at.session.filter(|_| !at.answers.another).map(|stored| stored.record.account.clone());
        let username = at.request.login_hint.clone().or(known).unwrap_or_default();
        show(op, at, form, &username, None)
    }

    async fn submit(&self, op: &Op, at: Situation<'_>, form: &Form<'_>, params: &Params) -> Result<Step> {
        if params.one("action") == Some("cancel") {
            return Ok(denied());
        }
        if params.one("action") == Some("create") && op.settings.self_registration.enabled {
            let answers = Answers { creating: Some(true), ..at.answers.clone() };
            return Ok(Step::Next(answers, None));
        }
        let username = params.one("username").unwrap_or_default();
        let account = account_of(username);
        let again = |problem| show(op, at, form, username, Some(problem)).map(Step::Again);
        let Some(secret) = params.one("password").filter(|_| !account.is_empty()).map(Secret::new) else {
            return again(Problem::Credentials);
        };
        let throttle = &op.settings.throttle;
        let counters =
            [Counter::account(throttle, &account), Counter::address(throttle, form.call.peer.address)];
        let attempt = match op.shared.throttle.admit(&counters, at.now) {
            Ok(attempt) => attempt,
            Err(seconds) => return again(Problem::Throttled(seconds)),
        };
        // Before the password is looked up: one that is changed from here on does not sign in.
        let found =
            async { Ok((Marked::account(op, &account, at.now).await?, op.person(&account, at.now).await?)) };
        let (marked, person) = match found.await {
            Ok(found) => found,
            Err(error) => {
                attempt.forgive();
                return Err(error);
            }
        };
        match op.is_password(person.as_ref(), secret).await {
            Ok(true) => attempt.forgive(),
            Ok(false) => return again(Problem::Credentials),
            Err(error) => {
                attempt.forgive();
                tracing::warn!(request_id = %form.call.peer.request_id, cause = ?error.cause, "a password was not checked");
                return again(Problem::Busy);
            }
        }
        let Some(person) = person else { return again(Problem::Credentials) };
        if !at.request.accepts_subject(&op.subject(at.client, &person.account)) {
            let says = "Another person signed in than the request names";
            return Ok(Step::Refused(Error::new(Code::LoginRequired, says)));
        }
        // What was issued in the second of the account's mark is dead: a session begun now would ask for itself again.
        if !marked.spares(at.now) {
            return again(Problem::Changed);
        }
        let signed_in = op.sign_in(&person.account, acr::PASSWORD, &marked, at.session, at.now).await?;
        let sid = signed_in.session.record.sid.clone();
        let answers = Answers { signed_in: Some(sid), another: false, creating: None, ..at.answers.clone() };
        Ok(Step::Next(answers, Some(signed_in)))
    }
}

#[derive(Clone, Copy)]
enum Problem {
    Credentials,
    /// Seconds to wait.
    Throttled(u64),
    Busy,
    /// Within this second.
    Changed,
}

fn show(
    op: &Op,
    at: Situation<'_>,
    form: &Form<'_>,
    username: &str,
    problem: Option<Problem>,
) -> Result<Response<Bytes>> {
    let page = page("login.html", at, form);
    let (status, text, wait) = match problem {
        None => (StatusCode::OK, None, None),
        Some(Problem::Credentials) => (StatusCode::OK, Some("problem-credentials"), None),
        Some(Problem::Throttled(wait)) => {
            (StatusCode::TOO_MANY_REQUESTS, Some("problem-throttled"), Some(wait))
        }
        Some(Problem::Busy) => (StatusCode::SERVICE_UNAVAILABLE, Some("problem-busy"), Some(1)),
        Some(Problem::Changed) => (StatusCode::SERVICE_UNAVAILABLE, Some("problem-changed"), Some(1)),
    };
    let common = common(at, form, page.locale());
    let creates = op.settings.self_registration.enabled;
    let variables = context! { username => username, problem => text, creates => creates, ..common };
    let mut response = page.render(op, status, variables)?;
    if let Some(seconds) = wait {
        set(&mut response, header::RETRY_AFTER, &seconds.to_string());
    }
    Ok(response)
}
