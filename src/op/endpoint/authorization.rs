//! The authorization endpoint (OpenID Connect Core §3.1.2, RFC 6749 §3.1): GET and POST alike. It answers at once if
//! nothing must be asked, and otherwise sends the person to an interaction.

use super::interaction::Interaction;
use super::{Call, Cors, Endpoint, ErrorForm};
use crate::base::clock::Timestamp;
use crate::base::encode::base64url;
use crate::base::secret::sha256;
use crate::op::Op;
use crate::op::browser::Browser;
use crate::op::error::{Code, Error, Result};
use crate::op::page;
use crate::op::prompt::{Situation, first_need};
use crate::op::record::family::Authorization;
use crate::op::record::interaction::{Answers, Interaction as Waiting};
use crate::op::record::pushed::Pushed;
use crate::op::record::session::Session;
use crate::op::request::params::Params;
use crate::op::request::{self, AuthorizationRequest, Refusal};
use crate::op::response_mode;
use crate::op::serve::{self, see_other};
use crate::op::session_state;
use crate::op::throttle::Counter;
use crate::op::token::mint::{self, FrontAnswer, FrontGrant};
use crate::store::record::{self, Stored};
use crate::store::{Change, Durability, Expect};
use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, Response};
use serde_json::{Map, Value, json};

#[derive(Debug)]
pub struct AuthorizationEndpoint;

#[async_trait]
impl Endpoint for AuthorizationEndpoint {
    fn name(&self) -> &'static str {
        "authorization"
    }
    fn spec(&self) -> &'static str {
        "OpenID Connect Core §3.1.2"
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
        for (name, value) in [
            ("authorization_endpoint", json!(serve::address(op, self))),
            ("claims_supported", json!(op.claim_names())),
            ("display_values_supported", json!(request::DISPLAYS)),
            ("ui_locales_supported", json!(page::tags().collect::<Vec<_>>())),
        ] {
            metadata.insert(name.to_owned(), value);
        }
        request::object::describe(op, metadata);
    }

    async fn answer(&self, op: &Op, call: Call<'_>) -> Result<Response<Bytes>> {
        let params = Params::from_either(call.request, &op.settings.limits)?;
        let (request, client) = match request::authorize(op, &params, call.now).await {
            Ok(checked) => checked,
            Err(Refusal::Page(error)) => return Err(error),
            Err(Refusal::Return(client, to, error)) => {
                return response_mode::refuse(op, &call, &client, &to, &error).await;
            }
        };
        let session = op.browser_session(call.request.headers(), call.now).await?;
        let answers = Answers::default();
        let at = Situation {
            client: &client,
            request: &request,
            answers: &answers,
            session: session.as_ref(),
            now: call.now,
        };
        match (first_need(op, at).await?, &session) {
            (None, Some(session)) => {
                let given = give(op, at, session, Vec::new()).await;
                respond(op, &call, at, &session.record.sid, given).await
            }
            (Some((_, code)), _) if request.asks("none") => {
                let error = Error::new(code, "The request needs a person and prompt=none forbids to ask");
                let mut response =
                    response_mode::refuse(op, &call, &client, &request.return_to, &error).await?;
                let sid = session.as_ref().map(|session| session.record.sid.as_str());
                session_state::keep(op, call.request.headers(), sid, &mut response);
                Ok(response)
            }
            _ => wait(op, &call, request).await,
        }
    }
}

/// What an authorization response says, besides what each of them does.
pub(super) type Pairs = Vec<(&'static str, String)>;

/// What is given out, or the error, to the client.
pub(super) async fn respond(
    op: &Op,
    call: &Call<'_>,
    at: Situation<'_>,
    sid: &str,
    given: Result<Pairs>,
) -> Result<Response<Bytes>> {
    let request = at.request;
    match given {
        Ok(mut pairs) => {
            let state = session_state::for_answer(op, request, sid)?;
            pairs.extend(state.map(|state| ("session_state", state)));
            let pairs: Vec<_> = pairs.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let mut response =
                response_mode::respond(op, call, at.client, &request.return_to, &pairs).await?;
            session_state::keep(op, call.request.headers(), Some(sid), &mut response);
            Ok(response)
        }
        Err(error) => response_mode::refuse(op, call, at.client, &request.return_to, &error).await,
    }
}

/// Gives out what the response type of a request yields to which nothing is left to ask; `changes` are committed with it
/// or not at all.
pub(super) async fn give(
    op: &Op,
    at: Situation<'_>,
    session: &Stored<Session>,
    changes: Vec<Change>,
) -> Result<Pairs> {
    let request = at.request;
    op.touch_session(session, Some(&request.client_id), at.now).await?;
    let session = &session.record;
    let authorization = Authorization {
        client_id: request.client_id.clone(),
        account: session.account.clone(),
        subject: op.subject(at.client, &session.account),
        scope: request.scope.clone(),
        resources: request.resources.clone(),
        sid: Some(session.sid.clone()),
        auth_time: session.auth_time,
        acr: acr(op, request, session)?,
        amr: session.amr.clone(),
        offline: request.asks_scope("offline_access"),
        wants_auth_time: request.max_age.is_some()
            || request.claims.wants_auth_time()
            || at.client.metadata.require_auth_time,
        claims: request.claims.clone(),
        claims_locales: request.claims_locales.clone(),
        authorization_details: request.authorization_details.clone(),
        ..Authorization::default()
    };
    let mut changes = changes;
    // RFC 9126 §7.3: once. Before all else, so that whoever comes second learns why.
    changes
        .extend(request.pushed.iter().map(|digest| record::delete::<Pushed>(digest.clone(), Expect::Alive)));
    let grant = FrontGrant {
        authorization,
        response_type: request.response_type,
        redirect_uri: request.return_to.uri().to_owned(),
        code_challenge: request.code_challenge.clone(),
        nonce: request.nonce.clone(),
        dpop_jkt: request.dpop_jkt.clone(),
        changes,
    };
    match mint::front(op, at.client, grant, at.now).await {
        Ok(given) => Ok(pairs(given)),
        Err(error) => Err(if is_used_up(op, request, at.now).await? { request::used_up() } else { error }),
    }
}

/// Whether another answer was given to the pushed request that `request` is.
async fn is_used_up(op: &Op, request: &AuthorizationRequest, now: Timestamp) -> Result<bool> {
    let Some(digest) = &request.pushed else { return Ok(false) };
    Ok(record::get::<Pushed>(op.store(), digest.clone(), now).await?.is_none())
}

/// RFC 6749 §4.1.2, §4.2.2, OpenID Connect Core §3.2.2.5.
fn pairs(given: FrontAnswer) -> Pairs {
    let mut pairs = Pairs::new();
    pairs.extend(given.code.map(|code| ("code", code)));
    if let Some(access) = given.access {
        pairs.extend([
            ("access_token", access.token),
            ("token_type", access.token_type.to_owned()),
            ("expires_in", access.expires_in.to_string()),
            ("scope", access.scope),
        ]);
    }
    pairs.extend(given.id_token.map(|token| ("id_token", token)));
    pairs
}

/// What the sign-in amounts to. OpenID Connect Core §5.5.1.1: without an essential `acr` it failed.
fn acr(op: &Op, request: &AuthorizationRequest, session: &Session) -> Result<Option<String>> {
    let acr = op.acr(&session.amr, &request.acr_values);
    let essential = &request.essential_acr;
    if essential.is_empty() || acr.as_ref().is_some_and(|acr| essential.contains(acr)) {
        return Ok(acr);
    }
    let says = "The sign-in does not meet the essential acr that the request asks for";
    Err(Error::new(Code::UnmetAuthenticationRequirements, says))
}

/// Stores the request for the person at this browser, and sends them to it. A POST ends in a GET (RFC 9700 §4.12).
async fn wait(op: &Op, call: &Call<'_>, request: AuthorizationRequest) -> Result<Response<Bytes>> {
    let begun = Counter::interactions(&op.settings.throttle, call.peer.address);
    op.shared.throttle.spend(&begun, call.now)?;
    let browser = Browser::of_or_new(op, call.request.headers())?;
    let handle = op.random().token()?;
    let waiting = Waiting {
        digest: base64url(&sha256(handle.as_bytes())),
        browser: browser.digest(),
        request,
        created: call.now,
        expires: call.now.plus(op.settings.lifetimes.interaction.0),
        answers: Answers::default(),
    };
    let change = record::put(&waiting, Expect::Absent)?;
    // A crash costs the person a second start, not more.
    op.store().commit(vec![change], Durability::Soon, call.now).await?;
    let mut response = see_other(&Interaction.path_of(op, &handle))?;
    browser.remember(&mut response);
    Ok(response)
}
