//! Self-registration: a person who has no account makes one (Initiating User Registration via OpenID Connect 1.0 §4,
//! `prompt=create`) and is signed in with it. Off unless the operator turns it on. An e-mail address is a claim, never a
//! key: it links to nothing and nobody.

use super::{Form, Need, Prompt, Situation, Step, common, denied, page, visible};
use crate::base::secret::Secret;
use crate::op::Op;
use crate::op::acr;
use crate::op::directory::{Added, NewPerson, account_of, is_username, password};
use crate::op::error::{Code, Result};
use crate::op::page::context;
use crate::op::record::interaction::Answers;
use crate::op::request::params::Params;
use crate::op::serve::set;
use crate::op::throttle::Counter;
use crate::op::token::parents::Marked;
use async_trait::async_trait;
use bytes::Bytes;
use http::{Response, StatusCode, header};
use serde_json::{Map, Value, json};

#[cfg(test)]
mod tests;

pub struct Create;

/// The longest name, in characters, as it is shown.
const MAX_NAME: usize = 100;
/// RFC 5321 §4.5.3.1.3: the longest path, without its brackets.
const MAX_EMAIL: usize = 254;

#[async_trait]
impl Prompt for Create {
    fn name(&self) -> &'static str {
        "create"
    }
    fn spec(&self) -> &'static str {
        "Initiating User Registration via OpenID Connect 1.0 §4"
    }
    fn may_be_requested(&self, op: &Op) -> bool {
        op.settings.self_registration.enabled
    }

    async fn need(&self, op: &Op, at: Situation<'_>) -> Result<Need> {
        let wanted = at.answers.creating.unwrap_or_else(|| at.request.asks("create"));
        // A new account cannot be the one that the request names.
        let possible = op.settings.self_registration.enabled && at.request.accepts_subject("");
        let done = at.session.is_some_and(|s| at.answers.signed_in.as_ref() == Some(&s.record.sid));
        Ok(match wanted && possible && !done {
            true => Need::Ask(Code::InteractionRequired),
            false => Need::Satisfied,
        })
    }

    async fn show(&self, op: &Op, at: Situation<'_>, form: &Form<'_>) -> Result<Response<Bytes>> {
        let hint = at.request.login_hint.clone().unwrap_or_default();
        let typed = match is_email(&hint) {
            true => Typed { email: hint, ..Typed::default() },
            false => Typed { username: hint, ..Typed::default() },
        };
        show(op, at, form, &typed, None)
    }

    async fn submit(&self, op: &Op, at: Situation<'_>, form: &Form<'_>, params: &Params) -> Result<Step> {
        match params.one("action") {
            Some("cancel") => return Ok(denied()),
            Some("sign-in") => {
                let answers = Answers { creating: Some(false), ..at.answers.clone() };
                return Ok(Step::Next(answers, None));
            }
            _ => {}
        }
        let typed = Typed::of(params);
        let again = |problem| show(op, at, form, &typed, Some(problem)).map(Step::Again);
        let new = match typed.person(op, params) {
            Ok(new) => new,
            Err(problem) => return again(problem),
        };
        // From here on the answer tells whether there is an account of this name: only so often to one address.
        let counter = Counter::self_registrations(&op.settings.throttle, form.call.peer.address);
        if let Err(error) = op.shared.throttle.spend(&counter, at.now) {
            return again(Problem::Throttled(error.retry_after.unwrap_or(1)));
        }
        if op.person(&new.account, at.now).await?.is_some() {
            return again(Problem::Taken);
        }
        let kit = &op.shared.kit;
        let hash = match password::hash(&kit.work, &kit.random, new.password).await {
            Ok(hash) => hash,
            Err(error) => {
                tracing::warn!(request_id = %form.call.peer.request_id, cause = ?error.cause, "a password was not hashed");
                return again(Problem::Busy);
            }
        };
        let person = NewPerson { account: new.account, password: hash, claims: new.claims };
        let account = match op.add_stranger(person, at.now).await? {
            Added::Taken => return again(Problem::Taken),
            Added::Now(account) => account,
        };
        tracing::info!(request_id = %form.call.peer.request_id, account, "somebody made an account");
        let marked = Marked::account(op, &account, at.now).await?;
        let signed_in = op.sign_in(&account, acr::PASSWORD, &marked, at.session, at.now).await?;
        let sid = Some(signed_in.session.record.sid.clone());
        let answers = Answers { signed_in: sid, another: false, creating: None, ..at.answers.clone() };
        Ok(Step::Next(answers, Some(signed_in)))
    }
}

/// What the form shows again.
#[derive(Default)]
struct Typed {
    username: String,
    name: String,
    email: String,
}

/// What the form says, and is in order.
struct Wanted {
    account: String,
    password: Secret,
    claims: Map<String, Value>,
}

#[derive(Clone, Copy)]
enum Problem {
    Username,
    Taken,
    Name,
    Email,
    Short,
    Differ,
    /// Seconds to wait.
    Throttled(u64),
    Busy,
}

impl Typed {
    fn of(params: &Params) -> Typed {
        let text = |name| params.one(name).unwrap_or_default().trim().to_owned();
        Typed { username: text("username"), name: text("name"), email: text("email") }
    }

    fn person(&self, op: &Op, params: &Params) -> std::result::Result<Wanted, Problem> {
        let account = account_of(&self.username);
        // Names of strangers are what every keyboard has: none of them looks like another.
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-@+".contains(c);
        // An upstream may make a path of it: neither `.` nor `..`.
        let said = account.contains(|c: char| c.is_ascii_alphanumeric());
        if !is_username(&account) || !account.chars().all(plain) || !said {
            return Err(Problem::Username);
        }
        let name = visible(&self.name);
        if name.is_empty() || self.name.chars().count() > MAX_NAME {
            return Err(Problem::Name);
        }
        if !is_email(&self.email) {
            return Err(Problem::Email);
        }
        let password = params.one("password").unwrap_or_default();
        if !password::is_long_enough(op, password) {
            return Err(Problem::Short);
        }
        if params.one("password-again") != Some(password) {
            return Err(Problem::Differ);
        }
        let claims = json!({
            "name": name,
            "preferred_username": account,
            "email": self.email,
            "email_verified": false,
        });
        let claims = claims.as_object().cloned().unwrap_or_default();
        Ok(Wanted { account, password: Secret::new(password), claims })
    }
}

/// Whether it has the form of an address (HTML §4.10.5.1.5, less strict): nobody is written to.
fn is_email(text: &str) -> bool {
    let fine =
        |part: &str| !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || c.is_ascii_graphic());
    let odd = |c: char| "<>()[],;:\\\"@".contains(c);
    text.len() <= MAX_EMAIL
        && text.rsplit_once('@').is_some_and(|(local, domain)| {
            fine(local)
                && fine(domain)
                && !local.contains(odd)
                && !domain.contains(odd)
                && !domain.starts_with('.')
        })
}

fn show(
    op: &Op,
    at: Situation<'_>,
    form: &Form<'_>,
    typed: &Typed,
    problem: Option<Problem>,
) -> Result<Response<Bytes>> {
    let page = page("create.html", at, form);
    let (text, field) = match problem {
        None => (None, None),
        Some(Problem::Username) => (Some("problem-username"), Some("username")),
        Some(Problem::Taken) => (Some("problem-taken"), Some("username")),
        Some(Problem::Name) => (Some("problem-name"), Some("name")),
        Some(Problem::Email) => (Some("problem-email"), Some("email")),
        Some(Problem::Short) => (Some("problem-password"), Some("password")),
        Some(Problem::Differ) => (Some("problem-differ"), Some("password")),
        Some(Problem::Throttled(_)) => (Some("problem-many"), None),
        Some(Problem::Busy) => (Some("problem-busy"), None),
    };
    let (status, wait) = match problem {
        Some(Problem::Throttled(wait)) => (StatusCode::TOO_MANY_REQUESTS, Some(wait)),
        Some(Problem::Busy) => (StatusCode::SERVICE_UNAVAILABLE, Some(1)),
        _ => (StatusCode::OK, None),
    };
    let least = op.settings.passwords.min_length.to_string();
    let common = common(at, form, page.locale());
    let variables = context! {
        username => &typed.username,
        name => &typed.name,
        email => &typed.email,
        problem => text,
        field => field,
        least => least,
        ..common
    };
    let mut response = page.render(op, status, variables)?;
    if let Some(seconds) = wait {
        set(&mut response, header::RETRY_AFTER, &seconds.to_string());
    }
    Ok(response)
}
