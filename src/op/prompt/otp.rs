//! The second factor: a code of an authenticator app (RFC 6238) or a recovery code, asked for where the request's
//! authentication context (or the operator) needs it. Somebody who has none enrols here, right after a sign-in.

use super::{Form, Need, Prompt, Situation, Step, common, denied, page};
use crate::op::Op;
use crate::op::acr::{self, Wish};
use crate::op::directory::second_factor::{Draft, Enrolled, Proof, in_fours, prove};
use crate::op::error::{Code, Result, server_error};
use crate::op::page::{context, qr};
use crate::op::record::session::Session;
use crate::op::request::params::Params;
use crate::op::serve::set;
use crate::op::throttle::Counter;
use crate::store::record::Stored;
use async_trait::async_trait;
use bytes::Bytes;
use http::{Response, StatusCode, header};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use std::time::Duration;

#[cfg(test)]
mod tests;

pub struct Otp;

/// Somebody enrols only so soon after the password: a browser left alone enrols nobody else's app.
const FRESH: Duration = Duration::from_secs(600);

/// With less recovery codes than this somebody is told that they are few.
const FEW: usize = 3;

#[async_trait]
impl Prompt for Otp {
    fn name(&self) -> &'static str {
        "otp"
    }
    fn spec(&self) -> &'static str {
        "RFC 6238 §5.2"
    }
    fn may_be_requested(&self, _: &Op) -> bool {
        false
    }

    async fn need(&self, op: &Op, at: Situation<'_>) -> Result<Need> {
        // OpenID Connect Core §3.1.2.6: authentication that needs a page.
        Ok(if due(op, at).await? { Need::Ask(Code::LoginRequired) } else { Need::Satisfied })
    }

    async fn show(&self, op: &Op, at: Situation<'_>, form: &Form<'_>) -> Result<Response<Bytes>> {
        let session = session(at)?;
        match op.second_factor(&session.record.account, at.now).await? {
            Some(_) => ask(op, at, form, false, None),
            None => offer(op, at, form, session, false),
        }
    }

    async fn submit(&self, op: &Op, at: Situation<'_>, form: &Form<'_>, params: &Params) -> Result<Step> {
        let (session, action) = (session(at)?, params.one("action"));
        let code = params.one("code").unwrap_or_default();
        if action == Some("cancel") {
            return Ok(denied());
        }
        if op.second_factor(&session.record.account, at.now).await?.is_none() {
            return enrol(op, at, form, session, code).await;
        }
        match action {
            Some("use-recovery") => ask(op, at, form, true, None).map(Step::Again),
            Some("use-app") => ask(op, at, form, false, None).map(Step::Again),
            _ => check(op, at, form, session, code, action == Some("recover")).await,
        }
    }
}

/// Whether the person must prove a second factor that the session has not.
async fn due(op: &Op, at: Situation<'_>) -> Result<bool> {
    let Some(session) = at.session.map(|stored| &stored.record) else { return Ok(false) };
    if acr::proven(&session.amr) {
        return Ok(false);
    }
    match acr::wish(&op.settings, at.request, &session.amr) {
        Wish::Nothing => Ok(false),
        Wish::Must => Ok(true),
        // What is voluntary never keeps a request from being answered.
        Wish::IfEnrolled if at.request.asks("none") => Ok(false),
        Wish::IfEnrolled => Ok(op.second_factor(&session.account, at.now).await?.is_some()),
    }
}

/// Whether the person would have to enrol, and the last sign-in is too long ago for that.
pub(super) async fn wants_fresh_sign_in(op: &Op, at: Situation<'_>) -> Result<bool> {
    let Some(session) = at.session.map(|stored| &stored.record) else { return Ok(false) };
    Ok(at.now.since(session.auth_time) > FRESH
        && due(op, at).await?
        && op.second_factor(&session.account, at.now).await?.is_none())
}

fn session(at: Situation<'_>) -> Result<&Stored<Session>> {
    at.session.ok_or_else(|| server_error("a second factor is asked of nobody"))
}

#[derive(Clone, Copy)]
enum Problem {
    Wrong,
    /// Seconds to wait.
    Throttled(u64),
}

/// The page that asks for a code of the app, or for a recovery code.
fn ask(
    op: &Op,
    at: Situation<'_>,
    form: &Form<'_>,
    recovery: bool,
    problem: Option<Problem>,
) -> Result<Response<Bytes>> {
    let page = page("otp.html", at, form);
    let (status, text, wait) = match problem {
        None => (StatusCode::OK, None, None),
        Some(Problem::Wrong) if recovery => (StatusCode::OK, Some("problem-recovery"), None),
        Some(Problem::Wrong) => (StatusCode::OK, Some("problem-otp"), None),
        Some(Problem::Throttled(wait)) => {
            (StatusCode::TOO_MANY_REQUESTS, Some("problem-throttled"), Some(wait))
        }
    };
    let common = common(at, form, page.locale());
    let variables = context! { name => issuer_name(op), recovery => recovery, problem => text, ..common };
    let mut response = page.render(op, status, variables)?;
    if let Some(seconds) = wait {
        set(&mut response, header::RETRY_AFTER, &seconds.to_string());
    }
    Ok(response)
}

async fn check(
    op: &Op,
    at: Situation<'_>,
    form: &Form<'_>,
    session: &Stored<Session>,
    code: &str,
    recovery: bool,
) -> Result<Step> {
    let account = &session.record.account;
    let again = |problem| ask(op, at, form, recovery, Some(problem)).map(Step::Again);
    // A counter of its own: whoever guesses codes keeps nobody from the password, and the other way round.
    let throttle = &op.settings.throttle;
    let counters =
        [Counter::second_factor(throttle, account), Counter::address(throttle, form.call.peer.address)];
    let attempt = match op.shared.throttle.admit(&counters, at.now) {
        Ok(attempt) => attempt,
        Err(seconds) => return again(Problem::Throttled(seconds)),
    };
    let proof = match prove(op, account, code, at.now).await {
        Ok(Some(proof)) => proof,
        Ok(None) => return again(Problem::Wrong),
        Err(error) => {
            attempt.forgive();
            return Err(error);
        }
    };
    attempt.forgive();
    let signed_in = op.step_up(session, acr::SECOND_FACTOR, at.now).await?;
    let Proof::Recovery(left) = proof else { return Ok(Step::Next(at.answers.clone(), Some(signed_in))) };
    let page = page("recovery_codes.html", at, form);
    let common = common(at, form, page.locale());
    let mut response =
        page.render(op, StatusCode::OK, context! { left => left.to_string(), few => left < FEW, ..common })?;
    signed_in.cookie.send(&mut response);
    Ok(Step::Again(response))
}

/// The secret this interaction offers to this session.
fn draft(op: &Op, form: &Form<'_>, session: &Stored<Session>) -> Draft {
    Draft::of(op, &session.record.account, &[&form.token, &session.record.sid])
}

/// The page that sets up an app.
fn offer(
    op: &Op,
    at: Situation<'_>,
    form: &Form<'_>,
    session: &Stored<Session>,
    wrong: bool,
) -> Result<Response<Bytes>> {
    let secret = draft(op, form, session).text();
    let address = key_uri(issuer_name(op), &session.record.account, &secret);
    let picture = qr(&address);
    let page = page("otp_enrol.html", at, form);
    let common = common(at, form, page.locale());
    let variables = context! {
        otpauth => &address,
        secret => in_fours(&secret, " "),
        qr_width => picture.as_ref().map(|(width, _)| width),
        qr_path => picture.as_ref().map(|(_, path)| path),
        problem => wrong.then_some("problem-enrol"),
        ..common
    };
    page.render(op, StatusCode::OK, variables)
}

async fn enrol(
    op: &Op,
    at: Situation<'_>,
    form: &Form<'_>,
    session: &Stored<Session>,
    code: &str,
) -> Result<Step> {
    let codes = match draft(op, form, session).confirm(op, &session.record.account, code, at.now).await? {
        Enrolled::Wrong => return offer(op, at, form, session, true).map(Step::Again),
        // Another tab was faster: the page asks for its code now.
        Enrolled::Before => return Ok(Step::Next(at.answers.clone(), None)),
        Enrolled::Now(codes) => codes,
    };
    let signed_in = op.step_up(session, acr::SECOND_FACTOR, at.now).await?;
    let page = page("recovery_codes.html", at, form);
    let common = common(at, form, page.locale());
    let mut response = page.render(op, StatusCode::OK, context! { codes => codes, ..common })?;
    signed_in.cookie.send(&mut response);
    Ok(Step::Again(response))
}

/// What the app calls us.
fn issuer_name(op: &Op) -> &str {
    let settings = &op.settings;
    let named = settings.second_factor.issuer_name.as_ref().or(settings.pages.name.as_ref());
    named.map_or_else(|| op.host(), String::as_str)
}

/// The form that apps read off a QR code.
fn key_uri(issuer: &str, account: &str, secret: &str) -> String {
    let plain = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let (issuer, account) = (plain(issuer), plain(account));
    format!(
        "otpauth://totp/{issuer}:{account}?secret={secret}&issuer={issuer}&algorithm=SHA1&digits=6&period=30"
    )
}
