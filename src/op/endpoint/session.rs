//! RP-initiated logout (OpenID Connect RP-Initiated Logout 1.0): GET and POST alike. Nothing is ended, and nobody sent
//! anywhere, on the word of a stranger: without a valid `id_token_hint` the person is asked, and only a registered
//! `post_logout_redirect_uri` is gone to. Clients are told over the back channel by `notify/`, over the front channel by the
//! page this ends with.

mod front_channel;

use super::{Call, Cors, Endpoint, ErrorForm};
use crate::base::clock::Timestamp;
use crate::op::Op;
use crate::op::browser::{Browser, forged_form};
use crate::op::cookie;
use crate::op::directory::Person;
use crate::op::error::{Result, invalid_request};
use crate::op::page::Page;
use crate::op::page::{Variable, context};
use crate::op::record::client::Client;
use crate::op::record::session::Session;
use crate::op::request::params::Params;
use crate::op::request::{Hint, id_token_hint, ui_locales};
use crate::op::response_mode::append_query;
use crate::op::serve::{self, see_other};
use crate::op::session_state;
use crate::op::token::revoke;
use crate::store::record::Stored;
use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, Response, StatusCode};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// What still fits a redirect's header.
const MAX_STATE: usize = 4_096;

/// What the form of the confirmation carries on from the request.
const CARRIED: [&str; 4] = ["client_id", "post_logout_redirect_uri", "state", "ui_locales"];

#[derive(Debug)]
pub struct EndSession;

#[async_trait]
impl Endpoint for EndSession {
    fn name(&self) -> &'static str {
        "session"
    }
    fn spec(&self) -> &'static str {
        "OpenID Connect RP-Initiated Logout §2"
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
    fn describe(&self, op: &Op, metadata: &mut Map<String, Value>) {
        metadata.insert("end_session_endpoint".into(), json!(serve::address(op, self)));
        for channel in ["frontchannel", "backchannel"] {
            // OpenID Connect Front-Channel Logout §3, Back-Channel Logout §2.1.
            metadata.insert(format!("{channel}_logout_supported"), true.into());
            metadata.insert(format!("{channel}_logout_session_supported"), true.into());
        }
    }

    async fn answer(&self, op: &Op, call: Call<'_>) -> Result<Response<Bytes>> {
        let params = Params::from_either(call.request, &op.settings.limits)?;
        let request = LogoutRequest::check(op, &params, call.now).await?;
        let session = op.browser_session(call.request.headers(), call.now).await?;
        let Some(session) = session else { return request.done(op, &call) };
        if params.one("form_token").is_some() {
            return confirmed(op, &call, &params, request, &session).await;
        }
        if request.names(op, &session.record) {
            return end(op, &call, request, &session).await;
        }
        self.ask(op, &call, &params, request, &session).await
    }
}

/// A logout request that passed its checks.
struct LogoutRequest {
    client: Option<Arc<Client>>,
    hint: Option<Hint>,
    /// A registered address of the client's, with `state` if it was sent.
    return_to: Option<String>,
    ui_locales: Vec<String>,
    /// Whom the client says it means, in whatever form. Nothing rests on it.
    logout_hint: Option<String>,
}

impl LogoutRequest {
    async fn check(op: &Op, params: &Params, now: Timestamp) -> Result<LogoutRequest> {
        let hint = match params.one("id_token_hint") {
            Some(token) => Some(id_token_hint(op, token, now).await?),
            None => None,
        };
        let named = params.one("client_id");
        if let (Some(hint), Some(named)) = (&hint, named)
            && hint.client_id != named
        {
            // RP-Initiated Logout §2: both must mean the same client.
            return Err(invalid_request("The id_token_hint was issued to another client"));
        }
        let client = match hint.as_ref().map(|hint| hint.client_id.as_str()).or(named) {
            Some(id) => op.client(id, now).await?,
            None => None,
        };
        let return_to = return_address(client.as_deref(), params)?;
        let logout_hint = params.one("logout_hint").map(str::to_owned);
        Ok(LogoutRequest { client, hint, return_to, ui_locales: ui_locales(params)?, logout_hint })
    }

    /// Whether the client proved, by an ID token of it, that it means the person who is signed in here.
    fn names(&self, op: &Op, session: &Session) -> bool {
        let (Some(hint), Some(client)) = (&self.hint, &self.client) else { return false };
        hint.sid.as_ref() == Some(&session.sid) || hint.subject == op.subject(client, &session.account)
    }

    /// RP-Initiated Logout §2: whether `logout_hint` means somebody else than who is signed in. It may be a session, a
    /// subject, a user name or an e-mail address.
    fn means_another(&self, op: &Op, session: &Session, person: Option<&Person>) -> bool {
        let Some(hint) = self.logout_hint.as_deref() else { return false };
        let subject = self.client.as_ref().map(|client| op.subject(client, &session.account));
        let claim = |name: &str| person.and_then(|person| person.claims.get(name)).and_then(Value::as_str);
        let names = [Some(session.sid.as_str()), subject.as_deref(), claim("preferred_username")];
        let loose = [Some(session.account.as_str()), claim("email")];
        !names.contains(&Some(hint)) && !loose.iter().flatten().any(|name| name.eq_ignore_ascii_case(hint))
    }

    /// Where the person goes when nobody is signed in (any more).
    fn done(&self, op: &Op, call: &Call<'_>) -> Result<Response<Bytes>> {
        match &self.return_to {
            Some(uri) => see_other(uri),
            None => self.page(op, call, "signed-out-title", "signed-out-says"),
        }
    }

    fn page(&self, op: &Op, call: &Call<'_>, title: &str, says: &str) -> Result<Response<Bytes>> {
        let page = Page::new("signed_out.html", call.request).in_one_of(&self.ui_locales);
        page.render(op, StatusCode::OK, context! { title => title, says => says })
    }
}

/// RP-Initiated Logout §3: exactly one that was registered; `state` comes back only if it was sent.
fn return_address(client: Option<&Client>, params: &Params) -> Result<Option<String>> {
    let Some(asked) = params.one("post_logout_redirect_uri") else { return Ok(None) };
    let registered = client.map(|client| client.metadata.post_logout_redirect_uris.as_slice());
    if !registered.unwrap_or_default().iter().any(|known| known == asked) {
        return Err(invalid_request("The post_logout_redirect_uri is not registered for this client"));
    }
    match params.one("state") {
        Some(state) if state.len() > MAX_STATE => Err(invalid_request("The parameter state is too long")),
        Some(state) => Ok(Some(append_query(asked, &[("state", state)]))),
        None => Ok(Some(asked.to_owned())),
    }
}

impl EndSession {
    /// RP-Initiated Logout §2: without a hint, or with one of somebody else, the person decides.
    async fn ask(
        &self,
        op: &Op,
        call: &Call<'_>,
        params: &Params,
        request: LogoutRequest,
        session: &Stored<Session>,
    ) -> Result<Response<Bytes>> {
        let browser = Browser::of_or_new(op, call.request.headers())?;
        let person = op.person(&session.record.account, call.now).await?;
        let client_id = request.client.as_ref().map(|client| client.client_id.as_str());
        let value = |name: &str| if name == "client_id" { client_id } else { params.one(name) };
        let fields: Vec<Variable> = CARRIED
            .iter()
            .filter_map(|name| value(name).map(|value| Variable::from_iter([*name, value])))
            .collect();
        let mut page = Page::new("logout.html", call.request).in_one_of(&request.ui_locales);
        if let Some(uri) = &request.return_to {
            page = page.posts_to(uri);
        }
        let variables = context! {
            action => serve::paths(op, self).first(),
            form_token => browser.form_token(op, &["logout", &session.record.sid]),
            fields => fields,
            another => request.means_another(op, &session.record, person.as_ref()),
            person => person.map(|person| person.name().to_owned()),
        };
        let mut response = page.render(op, StatusCode::OK, variables)?;
        browser.remember(&mut response);
        Ok(response)
    }
}

async fn confirmed(
    op: &Op,
    call: &Call<'_>,
    params: &Params,
    request: LogoutRequest,
    session: &Stored<Session>,
) -> Result<Response<Bytes>> {
    let headers = call.request.headers();
    let purpose = ["logout", session.record.sid.as_str()];
    let vouched = Browser::of(headers)
        .is_some_and(|browser| browser.vouches(op, headers, params.one("form_token"), &purpose));
    if !vouched || call.request.method() != Method::POST {
        return Err(forged_form());
    }
    if params.one("action") == Some("sign-out") {
        return end(op, call, request, session).await;
    }
    request.page(op, call, "stayed-title", "stayed-says")
}

/// Ends the session with its tokens, and only then answers: by a page if clients have something to show in it.
async fn end(
    op: &Op,
    call: &Call<'_>,
    request: LogoutRequest,
    session: &Stored<Session>,
) -> Result<Response<Bytes>> {
    let ended = revoke::session(op, &session.record.sid, call.now).await?;
    let frames = match &ended {
        Some(session) => front_channel::addresses(op, session, call.now).await?,
        None => Vec::new(),
    };
    let mut response = match frames.as_slice() {
        [] => request.done(op, call)?,
        frames => front_channel::page(op, call, &request.ui_locales, frames, request.return_to.as_deref())?,
    };
    for name in [cookie::SESSION, cookie::BROWSER] {
        cookie::clear(&mut response, name);
    }
    cookie::set_state(&mut response, &session_state::of(op, None));
    Ok(response)
}

#[cfg(test)]
mod tests;
