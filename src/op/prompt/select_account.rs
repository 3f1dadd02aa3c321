//! Which account to go on with (`prompt=select_account`, OpenID Connect Core §3.1.2.1): the session's, or another one
//! by signing in. Where nobody is signed in, the sign-in page is the choice.

use super::{Form, Need, Prompt, Situation, Step, common, denied, page};
use crate::op::Op;
use crate::op::error::{Code, Result};
use crate::op::page::context;
use crate::op::record::interaction::Answers;
use crate::op::request::params::Params;
use async_trait::async_trait;
use bytes::Bytes;
use http::{Response, StatusCode};

pub struct SelectAccount;

#[async_trait]
impl Prompt for SelectAccount {
    fn name(&self) -> &'static str {
        "select_account"
    }
    fn spec(&self) -> &'static str {
        "OpenID Connect Core §3.1.2.1"
    }

    async fn need(&self, _: &Op, at: Situation<'_>) -> Result<Need> {
        let asked = at.request.asks("select_account") && !at.request.asks("login") && !at.answers.another;
        let Some(session) = at.session.filter(|_| asked) else { return Ok(Need::Satisfied) };
        let sid = Some(&session.record.sid);
        let answered = at.answers.chosen.as_ref() == sid || at.answers.signed_in.as_ref() == sid;
        Ok(if answered { Need::Satisfied } else { Need::Ask(Code::AccountSelectionRequired) })
    }

    async fn show(&self, op: &Op, at: Situation<'_>, form: &Form<'_>) -> Result<Response<Bytes>> {
        let page = page("select_account.html", at, form);
        let person = super::consent::person(op, at).await?;
        let common = common(at, form, page.locale());
        page.render(op, StatusCode::OK, context! { person => person, ..common })
    }

    async fn submit(&self, _: &Op, at: Situation<'_>, _: &Form<'_>, params: &Params) -> Result<Step> {
        let mut answers = Answers { ..at.answers.clone() };
        match params.one("action") {
            Some("cancel") => return Ok(denied()),
            Some("another") => answers.another = true,
            _ => answers.chosen = at.session.map(|session| session.record.sid.clone()),
        }
        Ok(Step::Next(answers, None))
    }
}
