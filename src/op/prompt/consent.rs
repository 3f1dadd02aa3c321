//! What the person allows the client (OpenID Connect Core §3.1.2.4), remembered per account and client.

use super::details;
use super::{Form, Need, Prompt, Situation, Step, common, denied, host, page};
use crate::op::Op;
use crate::op::error::{Code, Result};
use crate::op::page::Locale;
use crate::op::page::context;
use crate::op::record::consent::Consent as Remembered;
use crate::op::record::interaction::Answers;
use crate::op::request::params::Params;
use crate::op::settings::SubjectType;
use crate::store::record::{self, Stored};
use crate::store::{Durability, Expect};
use async_trait::async_trait;
use bytes::Bytes;
use http::{Response, StatusCode};

pub struct Consent;

/// How often a write is tried against concurrent ones.
const TRIES: usize = 8;

#[async_trait]
impl Prompt for Consent {
    fn name(&self) -> &'static str {
        "consent"
    }
    fn spec(&self) -> &'static str {
        "OpenID Connect Core §3.1.2.4"
    }

    async fn need(&self, op: &Op, at: Situation<'_>) -> Result<Need> {
        const ASK: Need = Need::Ask(Code::ConsentRequired);
        let Some(session) = at.session else { return Ok(ASK) };
        let account = &session.record.account;
        if at.answers.allowed_by.as_ref() == Some(account) {
            return Ok(Need::Satisfied);
        }
        // OpenID Connect Core §11: offline access is asked for each time.
        if at.request.asks("consent") || at.request.asks_scope("offline_access") {
            return Ok(ASK);
        }
        let id = Remembered::id_of(account, &at.client.client_id);
        let remembered = record::get::<Remembered>(op.store(), id, at.now).await?;
        let covered = remembered.is_some_and(|remembered| covers(op, &remembered.record, at));
        Ok(if covered { Need::Satisfied } else { ASK })
    }

    async fn show(&self, op: &Op, at: Situation<'_>, form: &Form<'_>) -> Result<Response<Bytes>> {
        let page = page("consent.html", at, form);
        let locale = page.locale();
        let person = person(op, at).await?;
        let common = common(at, form, locale);
        let variables = context! {
            person => person,
            scopes => described(op, at, locale),
            details => besides(op, at, locale),
            authorization_details => details::described(op, &at.request.authorization_details, locale),
            return_host => host(at.request.return_to.uri()),
            ..common
        };
        page.render(op, StatusCode::OK, variables)
    }

    async fn submit(&self, op: &Op, at: Situation<'_>, _: &Form<'_>, params: &Params) -> Result<Step> {
        // Only a plain yes is one.
        let Some(session) = at.session.filter(|_| params.one("action") == Some("allow")) else {
            return Ok(denied());
        };
        let account = session.record.account.clone();
        remember(op, at, &account).await?;
        let answers = Answers { allowed_by: Some(account), ..at.answers.clone() };
        Ok(Step::Next(answers, None))
    }
}

fn covers(op: &Op, remembered: &Remembered, at: Situation<'_>) -> bool {
    let all = |asked: &[String], allowed: &[String]| asked.iter().all(|asked| allowed.contains(asked));
    all(&at.request.scope, &remembered.scope)
        && all(&at.request.resources, &remembered.resources)
        && all(&claims(op, at), &remembered.claims)
        && details::covers(&remembered.authorization_details, &at.request.authorization_details)
}

/// The claims the client gets beyond those of the scopes (OpenID Connect Core §5.5).
fn claims(op: &Op, at: Situation<'_>) -> Vec<String> {
    op.beyond_scope(&at.client.client_id, &at.request.claims, &at.request.scope).into_iter().collect()
}

/// Adds what was allowed to what was allowed before.
async fn remember(op: &Op, at: Situation<'_>, account: &str) -> Result<()> {
    let id = Remembered::id_of(account, &at.client.client_id);
    let mut tries = 0;
    loop {
        let before = record::get::<Remembered>(op.store(), id.clone(), at.now).await?;
        let expect = before.as_ref().map_or(Expect::Absent, |before| Expect::Version(before.version));
        let (mut scope, mut resources, mut named) = before
            .map(|Stored { record: before, .. }| (before.scope, before.resources, before.claims))
            .unwrap_or_default();
        union(&mut scope, &at.request.scope);
        union(&mut resources, &at.request.resources);
        union(&mut named, &claims(op, at));
        let consent = Remembered {
            account: account.to_owned(),
            client_id: at.client.client_id.clone(),
            scope,
            resources,
            claims: named,
            authorization_details: at.request.authorization_details.clone(),
            given: at.now,
            expires: at.now.plus(op.settings.lifetimes.consent.0),
        };
        let change = record::put(&consent, expect)?;
        match op.store().commit(vec![change], Durability::Durable, at.now).await {
            Err(fault) if fault.is_conflict() && tries < TRIES => tries += 1,
            result => return Ok(result.map(|_| ())?),
        }
    }
}

fn union(all: &mut Vec<String>, more: &[String]) {
    for one in more {
        if !all.contains(one) {
            all.push(one.clone());
        }
    }
}

/// What the pages call the person who is signed in.
pub(super) async fn person(op: &Op, at: Situation<'_>) -> Result<String> {
    let Some(session) = at.session else { return Ok(String::new()) };
    let person = op.person(&session.record.account, at.now).await?;
    Ok(person.map(|person| person.name().to_owned()).unwrap_or_default())
}

/// The scopes in plain words: the operator's, else ours, else by name.
fn described(op: &Op, at: Situation<'_>, locale: &Locale) -> Vec<String> {
    let pairwise = at.client.metadata.subject_type == SubjectType::Pairwise;
    let words = |scope: &String| {
        let special = op.settings.clients.get(&at.client.client_id).and_then(|rules| rules.scopes.get(scope));
        let own = special.or_else(|| op.settings.scopes.get(scope)).map(|scope| &scope.describe);
        let own = own.and_then(|words| words.get(locale.tag()).or_else(|| words.get("en")));
        let message = match scope.as_str() {
            // OpenID Connect Core §8: nobody else knows them by this identifier.
            "openid" if pairwise => "scope-openid-pairwise".to_owned(),
            scope => format!("scope-{scope}"),
        };
        own.cloned()
            .or_else(|| locale.own(&message, &[]))
            .unwrap_or_else(|| locale.text("other-scope", &[("scope", scope)]))
    };
    let mut described: Vec<String> = at.request.scope.iter().map(words).collect();
    for claim in claims(op, at) {
        let own = locale.own(&format!("claim-{claim}"), &[]);
        let named = own.unwrap_or_else(|| format!("“{claim}”"));
        described.push(locale.text("see-claim", &[("claim", &named)]));
    }
    if described.is_empty() {
        described.push(locale.text("no-scope", &[]));
    }
    described
}

/// What the request asks for besides scopes, a line each, in the person's language.
fn besides(_: &Op, _: Situation<'_>, _: &Locale) -> Vec<String> {
    Vec::new()
}
