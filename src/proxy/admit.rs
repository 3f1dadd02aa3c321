//! From a request head to a decision: answer here, or forward. The order of the checks is the order of this file;
//! what costs more comes later, and nothing is decided by what was not checked before.

use super::Shared;
use super::authority::Authority;
use super::context::{Context, OP};
use super::cors::Cors;
use super::denial::Denial;
use super::forward_auth;
use super::front::{Exchange, Scope};
use super::identity::key_set;
use super::intercept::{self, declared_length};
use super::policy::{self, Asked, Permit};
use super::route::{Route, Target};
use super::{head, path, shadow};
use crate::op::{Dead, Life};
use bytes::Bytes;
use http::{Response, header};
use pingora::proxy::Session;
use std::net::IpAddr;
use std::sync::Arc;

/// What becomes of a request.
pub(super) enum Step {
    Answer(Response<Bytes>),
    Forward,
}

/// Decides. What it learns on the way is left in the context.
pub(super) async fn admit(
    shared: &Shared,
    session: &mut Session,
    context: &mut Context,
) -> Result<Step, Denial> {
    let state = context.state.clone();
    head::check(session.req_header(), &state.limits)?;
    context.places.push(state.places.enter()?);
    let authority =
        Authority::of(&session.req_header().uri, &session.req_header().headers).map_err(Denial::Malformed)?;
    context.line.host = authority.as_str().to_owned();
    let raw = session.req_header().raw_path();
    let raw = raw.split(|byte| *byte == b'?').next().unwrap_or_default();
    let checked = path::check(raw).map_err(Denial::Malformed)?;
    let path = String::from_utf8(raw.to_vec()).map_err(|_| Denial::Malformed("The path is not text"))?;
    if path != session.req_header().uri.path() {
        return Err(Denial::Malformed("The path is malformed"));
    }
    if !state.routes.knows(&authority) {
        return Err(Denial::UnknownHost);
    }
    context.hsts = state.hsts_for(&authority);
    let authority = context.authority.insert(authority);
    if let Some(gate) = state.gate(authority, &path) {
        context.line.route = Some("forward-auth".into());
        return forward_auth::answer(shared, gate, session, context).await.map(Step::Answer);
    }
    if state.is_key_set(authority, &path) {
        context.line.verdict = OP;
        context.line.route = Some("edge-keys".into());
        let head = session.req_header();
        return key_set(&shared.own.keys, &state.plan, &head.method, &head.headers).map(Step::Answer);
    }
    if let Some(denial) = shadow(&state, authority, &path, checked) {
        return Err(denial);
    }
    if state.is_ops(authority, &path) {
        context.line.route = Some(OP.into());
        // RFC 6749 §2.3: one way to authenticate; whichever we took, a log or a filter may have seen the other.
        if session.req_header().headers.get_all(header::AUTHORIZATION).iter().nth(1).is_some() {
            return Err(Denial::Malformed("The request has two Authorization headers"));
        }
        let Some(op) = &state.op else { return Err(Denial::NoRoute) };
        let answer = intercept::ask(op, session, context).await?;
        context.line.verdict = OP;
        return Ok(Step::Answer(answer));
    }
    let route = state.routes.find(authority, &path, checked, &session.req_header().method)?.clone();
    context.line.route = Some(route.name.clone());
    context.line.policy = Some(route.policy.name());
    context.route = Some(route.clone());
    pass(shared, &route, session, context).await
}

/// The route's own rules.
async fn pass(
    shared: &Shared,
    route: &Arc<Route>,
    session: &mut Session,
    context: &mut Context,
) -> Result<Step, Denial> {
    let head = session.req_header();
    if let Some(cors) = &route.cors
        && Cors::is_preflight(&head.method, &head.headers)
        && !cors.forward_preflight
    {
        context.line.verdict = "preflight";
        return cors.preflight(&head.headers).map(Step::Answer);
    }
    route.limiter.by_address(context.client)?;
    let permit = permit(route, session, context).await?;
    let facts = permit.facts().cloned();
    let (subject, client) =
        facts.as_ref().map(|facts| (facts.subject.as_str(), facts.client_id.as_str())).unzip();
    route.limiter.by_caller(subject, client)?;
    context.permitted(permit);
    context.places.extend(route.limiter.enter()?);
    context.upgrade = is_websocket(session);
    if context.upgrade && !route.websocket {
        return Err(Denial::Forbidden("No WebSocket may be opened here"));
    }
    let declared = declared_length(session);
    if declared.is_some_and(|length| length > route.body_limit) {
        return Err(Denial::BodyTooLarge);
    }
    match &route.target {
        Target::Page(page) => page.answer(&session.req_header().method).map(Step::Answer),
        Target::Nowhere => Err(Denial::NoRoute),
        Target::Upstream(_) => {
            let short = session.is_body_empty() || declared.is_some_and(|length| length <= 64 << 10);
            if let Some((mint, facts)) = route.mint.as_ref().zip(facts.as_ref()) {
                let value = mint.value(&shared.own, &shared.kit, facts).await?;
                context.token = Some((mint.header().clone(), value));
            }
            if context.upgrade || !short {
                outlive(shared, context)?;
            }
            Ok(Step::Forward)
        }
    }
}

/// The policy's judgement; a preflight that is to be forwarded carries no token and needs none.
async fn permit(route: &Route, session: &mut Session, context: &Context) -> Result<Permit, Denial> {
    let head = session.req_header();
    let welcome = route.cors.as_ref().is_some_and(|cors| cors.welcomes(&head.method, &head.headers));
    // Fetch §4.8: a preflight has no body; with one it would carry a stranger's data past the policy.
    if welcome && session.is_body_empty() {
        return Ok(policy::preflight());
    }
    let head = session.req_header();
    let asked = Asked {
        verifier: context.state.verifier.as_ref(),
        rule: &route.rule,
        method: &head.method,
        authority: context.authority.as_ref().map_or("", Authority::as_str),
        uri: &head.uri,
        headers: &head.headers,
        direct: true,
    };
    policy::judge(route.policy, asked).await
}

/// From now on this exchange may last: it ends with its token's `exp`.
pub(super) fn outlive(shared: &Shared, context: &mut Context) -> Result<(), Denial> {
    let Some(facts) = context.permit.as_ref().and_then(Permit::facts) else { return Ok(()) };
    if context.deadline.is_some() {
        return Ok(());
    }
    let scope = Scope::current().ok_or(Denial::Bug("no scope to bind a deadline to"))?;
    // A life of this exchange's own: ending it ends nothing else.
    let ended = |Dead| Denial::Forbidden("The access token has ended");
    let life = Life::child(std::slice::from_ref(&facts.life)).map_err(ended)?;
    scope.bind(&life).map_err(ended)?;
    shared.deadlines.add(facts.expires, &life);
    context.deadline = Some(life);
    Ok(())
}

/// RFC 6455 §4.1. HTTP/2 has no upgrades, and pingora forwards no other.
fn is_websocket(session: &Session) -> bool {
    let upgrade = session.get_header(header::UPGRADE);
    !session.is_http2() && upgrade.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// Notes who asks what, before anything is decided.
pub(super) fn note(session: &Session, context: &mut Context) {
    let head = session.req_header();
    let exchange = Exchange::current();
    let socket = session.client_addr().and_then(|address| address.as_inet()).map(|address| address.ip());
    let peer: Option<IpAddr> = exchange.as_ref().map(|exchange| exchange.peer.ip()).or(socket);
    if let Some(peer) = peer {
        let caller = head::caller(peer, &head.headers, &context.state.trusted);
        context.client = caller.address;
        context.chain = caller.chain;
        if let Some(id) = caller.request_id {
            context.request_id = id;
        }
        context.line.address = Some(caller.address);
    }
    context.line.protocol = if session.is_http2() { "h2" } else { "h1" };
    context.line.method = head.method.as_str().to_owned();
    context.line.path = head.uri.path().chars().take(512).collect();
}
