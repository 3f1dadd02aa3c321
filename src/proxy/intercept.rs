//! The provider's mount on the issuer's host: a request becomes an `http::Request<Bytes>`, its body read under a cap
//! and one deadline, and the provider's answer goes back as it is. What the provider says is none of its business.

use super::context::Context;
use super::denial::Denial;
use super::front::Exchange;
use super::header::joined_cookies;
use crate::op::{Op, Peer};
use bytes::{Bytes, BytesMut};
use http::{Request, Response, header};
use pingora::proxy::Session;

/// Asks the provider. The body is read only if there is one.
pub(super) async fn ask(
    op: &Op,
    session: &mut Session,
    context: &mut Context,
) -> Result<Response<Bytes>, Denial> {
    let limit = op.settings().limits.body.bytes();
    let total = context.state.limits.body_time.0;
    let body = tokio::time::timeout(total, body(session, limit)).await.unwrap_or(Err(Denial::BodySlow))?;
    context.line.bytes_in = u64::try_from(body.len()).unwrap_or(u64::MAX);
    let request = request(session, body).ok_or(Denial::Malformed("The request cannot be read"))?;
    let exchange = Exchange::current();
    let peer = Peer {
        address: context.client,
        certificate: exchange.as_ref().and_then(|exchange| exchange.client_certificate.clone()),
        chain: exchange.map(|exchange| exchange.client_chain.clone()).unwrap_or_default(),
        host: context.authority.as_ref().map(|authority| authority.as_str().to_owned()).unwrap_or_default(),
        request_id: context.request_id.clone(),
    };
    Ok(op.handle(request, &peer).await)
}

async fn body(session: &mut Session, limit: usize) -> Result<Bytes, Denial> {
    let declared = declared_length(session);
    if declared.is_some_and(|length| length > u64::try_from(limit).unwrap_or(u64::MAX)) {
        return Err(Denial::BodyTooLarge);
    }
    if session.is_body_empty() {
        return Ok(Bytes::new());
    }
    let expected = session
        .get_header(header::EXPECT)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
    if expected {
        session.downstream_session.write_continue_response().await.map_err(|_| Denial::ClientGone)?;
    }
    let mut first: Option<Bytes> = None;
    let mut all = BytesMut::new();
    while let Some(chunk) =
        session.downstream_session.read_request_body().await.map_err(|_| Denial::ClientGone)?
    {
        let have = all.len() + first.as_ref().map_or(0, Bytes::len);
        if have + chunk.len() > limit {
            return Err(Denial::BodyTooLarge);
        }
        // Most bodies come in one piece and are not copied.
        if have == 0 {
            first = Some(chunk);
        } else {
            if let Some(first) = first.take() {
                all.extend_from_slice(&first);
            }
            all.extend_from_slice(&chunk);
        }
    }
    Ok(first.unwrap_or_else(|| all.freeze()))
}

/// What Content-Length says, if it says something.
pub(super) fn declared_length(session: &Session) -> Option<u64> {
    session.get_header(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// In origin form, whatever the protocol.
fn request(session: &Session, body: Bytes) -> Option<Request<Bytes>> {
    let head = session.req_header();
    let target = head.uri.path_and_query()?.as_str();
    let mut request = Request::builder().method(head.method.clone()).uri(target).body(body).ok()?;
    *request.headers_mut() = head.headers.clone();
    if let Some(cookies) = joined_cookies(&head.headers) {
        request.headers_mut().insert(header::COOKIE, cookies);
    }
    Some(request)
}
