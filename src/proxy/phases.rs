//! pingora's phases of a request, in the order of its life, a few lines each.

use super::admit::{Step, admit, note, outlive};
use super::answer;
use super::context::Context;
use super::denial::Denial;
use super::front::{self, Exchange};
use super::header::{Forwarded, backward, forward, tame_connection};
use super::policy::Permit;
use super::route::{Route, Target};
use super::upstream::{Ask, Pool};
use super::{ATTEMPTS, Edge, Shared};
use crate::op::{COOKIES, DPOP_NONCE};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::FutureExt;
use http::header;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::modules::http::HttpModules;
use pingora::proxy::{FailToProxy, ProxyHttp, Session};
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorSource, ErrorType, Result};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

/// Of a body that nobody read, so long is taken before the connection is given up.
const DRAIN: Duration = Duration::from_secs(2);

#[async_trait]
impl ProxyHttp for Edge {
    type CTX = Context;

    /// Pins the configuration.
    fn new_ctx(&self) -> Context {
        Context::new(self.0.state.load_full(), self.0.kit.clone())
    }

    /// None: a compressed answer next to reflected input gives secrets away (BREACH).
    fn init_downstream_modules(&self, _modules: &mut HttpModules) {}

    async fn early_request_filter(&self, session: &mut Session, context: &mut Context) -> Result<()> {
        front::head_done(&session.downstream_session);
        note(session, context);
        let limits = context.state.limits;
        session.set_read_timeout(Some(limits.client_read.0));
        session.set_write_timeout(Some(limits.client_write.0));
        session.set_total_drain_timeout(Some(DRAIN));
        Ok(())
    }

    async fn request_filter(&self, session: &mut Session, context: &mut Context) -> Result<bool> {
        let decided = AssertUnwindSafe(admit(&self.0, session, context)).catch_unwind().await;
        match decided.unwrap_or_else(|_| Err(panicked(&self.0))) {
            Ok(Step::Forward) => {
                tame_connection(session.req_header_mut())?;
                return Ok(false);
            }
            Ok(Step::Answer(response)) => answer::write(session, context, response).await?,
            Err(Denial::ClientGone) => {
                context.denied(Denial::ClientGone);
                return Error::err_down(ErrorType::ConnectionClosed);
            }
            Err(denial) => answer::refuse(session, context, denial).await?,
        }
        Ok(true)
    }

    async fn upstream_peer(&self, session: &mut Session, context: &mut Context) -> Result<Box<HttpPeer>> {
        let (Some(_permit), Some((route, pool))) = (&context.permit, target(context)) else {
            return bug(context, "a request without a permit or an upstream is about to be forwarded");
        };
        let ask = Ask { upgrade: context.upgrade, read_timeout: route.read_timeout };
        if context.upgrade {
            session.set_read_timeout(Some(pool.written.timeouts.websocket.0));
        }
        context.tries += 1;
        let Some((peer, told)) = pool.pick(ask).await else {
            context.kit.metrics.upstream_failed(&pool.name, "unresolved");
            context.denial = Some(Denial::Upstream("no address of the upstream is known".into()));
            return Err(Error::new_up(ErrorType::ConnectNoRoute));
        };
        context.line.upstream = Some(told);
        Ok(peer)
    }

    /// Nothing was sent yet: another address may be tried whatever the method.
    fn fail_to_connect(
        &self,
        _session: &mut Session,
        peer: &HttpPeer,
        context: &mut Context,
        mut error: Box<Error>,
    ) -> Box<Error> {
        if let Some((_, pool)) = target(context) {
            context.kit.metrics.upstream_failed(&pool.name, "connect");
            if let Some(socket) = peer._address.as_inet() {
                pool.failed(*socket);
            }
        }
        error.set_retry(context.tries < ATTEMPTS);
        error
    }

    /// Something may have been sent: only what is harmless to repeat and still at hand is.
    fn error_while_proxy(
        &self,
        peer: &HttpPeer,
        session: &mut Session,
        error: Box<Error>,
        context: &mut Context,
        reused: bool,
    ) -> Box<Error> {
        let mut error = error.more_context(format!("peer: {peer}"));
        let safe = session.req_header().method.is_idempotent() && !session.as_ref().retry_buffer_truncated();
        if safe && context.tries < ATTEMPTS {
            error.retry.decide_reuse(reused);
        } else {
            error.set_retry(false);
        }
        error
    }

    async fn request_body_filter(
        &self,
        session: &mut Session,
        body: &mut Option<Bytes>,
        end: bool,
        context: &mut Context,
    ) -> Result<()> {
        let length = body.as_ref().map_or(0, Bytes::len);
        context.line.bytes_in += u64::try_from(length).unwrap_or(u64::MAX);
        let limit = context.route.as_ref().map_or(0, |route| route.body_limit);
        if context.line.bytes_in > limit && !session.was_upgraded() {
            context.denial = Some(Denial::BodyTooLarge);
            return Err(Error::explain(ErrorType::HTTPStatus(413), "the body is too large").into_down());
        }
        // cloudflare/pingora#935: an empty last piece would be written as a second chunk terminator.
        if end && length == 0 {
            *body = None;
        }
        unexpired(context)
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        request: &mut RequestHeader,
        context: &mut Context,
    ) -> Result<()> {
        let (Some(permit), Some((route, pool)), Some(authority)) =
            (&context.permit, target(context), &context.authority)
        else {
            return bug(context, "a request without a permit is about to be forwarded");
        };
        let trailers = pool.speaks_h2() && takes_trailers(session.req_header());
        forward(
            request,
            &Forwarded {
                names: &context.state.names,
                permit,
                client: context.client,
                chain: context.chain.clone(),
                authority: authority.as_str(),
                request_id: &context.request_id,
                cookies: COOKIES,
                route_headers: &route.headers,
                pass_credentials: route.pass_credentials,
                templates: &route.told,
                token: context.token.as_ref(),
                trailers,
            },
        )?;
        if let Some(host) = &pool.written.host {
            request.insert_header(header::HOST, host.as_str())?;
        }
        Ok(())
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        context: &mut Context,
    ) -> Result<()> {
        context.line.status = response.status.as_u16();
        if response.status.is_informational() && response.status.as_u16() != 101 {
            return Ok(());
        }
        backward(response, COOKIES, &context.request_id, context.hsts.as_ref())?;
        // RFC 9449 §8.2.
        if let Some(nonce) = context.permit.as_ref().and_then(Permit::nonce) {
            response.insert_header(DPOP_NONCE, nonce)?;
        }
        if let Some(cors) = context.route.as_ref().and_then(|route| route.cors.as_ref()) {
            cors.mark(&session.req_header().headers, response)?;
        }
        // A drain that began after the head was read.
        if Exchange::current().is_some_and(|exchange| exchange.draining()) {
            session.set_keepalive(None);
        }
        if lasts(response) && outlive(&self.0, context).is_err() {
            return bug(context, "a stream cannot be bound to its token");
        }
        Ok(())
    }

    fn response_body_filter(
        &self,
        _session: &mut Session,
        body: &mut Option<Bytes>,
        _end: bool,
        context: &mut Context,
    ) -> Result<Option<Duration>> {
        context.line.bytes_out += u64::try_from(body.as_ref().map_or(0, Bytes::len)).unwrap_or(u64::MAX);
        unexpired(context)?;
        Ok(None)
    }

    async fn logging(&self, session: &mut Session, error: Option<&Error>, context: &mut Context) {
        front::request_done(&session.downstream_session);
        if let Some(written) = session.response_written() {
            context.line.status = written.status.as_u16();
        }
        context.line.bytes_out = u64::try_from(session.body_bytes_sent()).unwrap_or(u64::MAX);
        context.finished = Some(error.is_some());
    }

    async fn fail_to_proxy(
        &self,
        session: &mut Session,
        error: &Error,
        context: &mut Context,
    ) -> FailToProxy {
        let denial = context.denial.take().unwrap_or_else(|| cause(error));
        if let (Denial::Upstream(_) | Denial::UpstreamSlow(_), Some((_, pool))) = (&denial, target(context)) {
            context.kit.metrics.upstream_failed(&pool.name, denial.word());
        }
        let code = denial.status().as_u16();
        context.line.cause.get_or_insert_with(|| error.to_string());
        session.set_keepalive(None);
        let begun = session.response_written().is_some_and(|response| !response.status.is_informational());
        if begun || denial == Denial::ClientGone {
            context.denied(denial);
        } else if let Err(error) = answer::refuse(session, context, denial).await {
            tracing::debug!(request_id = %context.request_id, %error, "the client did not take its answer");
        }
        FailToProxy { error_code: code, can_reuse_downstream: false }
    }

    /// The access log tells of every request; pingora's line would hold the query.
    fn suppress_error_log(&self, _session: &Session, context: &Context, error: &Error) -> bool {
        tracing::debug!(request_id = %context.request_id, %error, "a request failed");
        true
    }

    /// Never with the query, which may hold secrets.
    fn request_summary(&self, _session: &Session, context: &Context) -> String {
        let line = &context.line;
        format!("{} {}{} {}", line.method, line.host, line.path, context.request_id)
    }
}

fn panicked(shared: &Shared) -> Denial {
    shared.kit.metrics.panics.inc();
    Denial::Bug("a panic")
}

fn bug<T>(context: &mut Context, says: &'static str) -> Result<T> {
    context.denial = Some(Denial::Bug(says));
    Err(Error::explain(ErrorType::InternalError, says).into_in())
}

/// Where the request goes, if it goes on.
fn target(context: &Context) -> Option<(Arc<Route>, Arc<Pool>)> {
    let route = context.route.clone()?;
    match &route.target {
        Target::Upstream(pool) => {
            let pool = pool.clone();
            Some((route, pool))
        }
        Target::Page(_) | Target::Nowhere => None,
    }
}

/// Streams are judged once, and end with their token even while they are busy.
fn unexpired(context: &Context) -> Result<()> {
    if context.deadline.is_some() && context.expired() {
        return Err(Error::explain(ErrorType::ConnectionClosed, "the access token has expired").into_down());
    }
    Ok(())
}

/// Whether an answer may go on for long.
fn lasts(response: &ResponseHeader) -> bool {
    let length = response.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let length: Option<u64> = length.and_then(|value| value.parse().ok());
    response.status.as_u16() == 101 || length.is_none_or(|length| length > 1 << 20)
}

/// RFC 9110 §10.1.4: the client takes trailers, as gRPC needs.
fn takes_trailers(head: &RequestHeader) -> bool {
    let te = head.headers.get(header::TE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    te.split(',').any(|coding| coding.trim().eq_ignore_ascii_case("trailers"))
}

/// What went wrong while proxying, as its answer.
fn cause(error: &Error) -> Denial {
    let says = error.to_string();
    let slow = matches!(
        error.etype(),
        ErrorType::ConnectTimedout
            | ErrorType::ReadTimedout
            | ErrorType::WriteTimedout
            | ErrorType::TLSHandshakeTimedout
    );
    match (error.esource(), error.etype()) {
        (_, ErrorType::HTTPStatus(413)) => Denial::BodyTooLarge,
        (ErrorSource::Upstream, _) if slow => Denial::UpstreamSlow(says),
        (ErrorSource::Upstream, _) => Denial::Upstream(says),
        (ErrorSource::Downstream, ErrorType::ReadTimedout) => Denial::BodySlow,
        (ErrorSource::Downstream, ErrorType::InvalidHTTPHeader) | (_, ErrorType::InvalidHTTPHeader) => {
            Denial::Malformed("The request holds a header that cannot be forwarded")
        }
        (ErrorSource::Downstream, _) => Denial::ClientGone,
        _ => Denial::Bug("an error of the proxy"),
    }
}
