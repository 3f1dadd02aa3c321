//! The only writer to a downstream session: answers of ours and of the provider, and what a denial says, as JSON or a
//! small page.

use super::context::Context;
use super::denial::Denial;
use super::front::Exchange;
use super::policy::Permit;
use crate::op::DPOP_NONCE;
use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Response, StatusCode};
use pingora::Result;
use pingora::http::ResponseHeader;
use pingora::proxy::Session;
use std::time::Duration;

/// Of a request body that nobody reads, so much is swallowed before an early answer, in bytes and time. Some HTTP/2
/// clients lose an answer that is followed by RST_STREAM(NO_ERROR).
const SWALLOWED: usize = 1 << 20;
const SWALLOWING: Duration = Duration::from_secs(2);

/// Writes a whole answer.
pub(super) async fn write(
    session: &mut Session,
    context: &mut Context,
    response: Response<Bytes>,
) -> Result<()> {
    let (parts, body) = response.into_parts();
    let mut head = ResponseHeader::from(parts);
    let status = head.status;
    let bodiless = status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED;
    if bodiless {
        head.remove_header(&header::CONTENT_LENGTH);
    } else if !head.headers.contains_key(header::CONTENT_LENGTH) {
        head.insert_header(header::CONTENT_LENGTH, body.len())?;
    }
    if !head.headers.contains_key(header::X_CONTENT_TYPE_OPTIONS) {
        head.insert_header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")?;
    }
    head.insert_header("X-Request-Id", context.request_id.as_str())?;
    if let Some(nonce) = context.permit.as_ref().and_then(Permit::nonce) {
        head.insert_header(DPOP_NONCE, nonce)?;
    }
    if let Some(hsts) = &context.hsts {
        head.insert_header(header::STRICT_TRANSPORT_SECURITY, hsts.clone())?;
    }
    if let Some(cors) = context.route.as_ref().and_then(|route| route.cors.as_ref()) {
        cors.mark(&session.req_header().headers, &mut head)?;
    }
    if session.is_http2() {
        swallow(session).await;
    }
    if Exchange::current().is_some_and(|exchange| exchange.draining()) {
        session.set_keepalive(None);
    }
    context.line.status = status.as_u16();
    let empty = bodiless || body.is_empty() || session.req_header().method == Method::HEAD;
    session.write_response_header(Box::new(head), empty).await?;
    if !empty {
        session.write_response_body(Some(body), true).await?;
    }
    Ok(())
}

async fn swallow(session: &mut Session) {
    let work = async {
        let mut swallowed = 0;
        while swallowed < SWALLOWED && !session.is_body_done() {
            match session.downstream_session.read_request_body().await {
                Ok(Some(chunk)) => swallowed += chunk.len(),
                _ => return,
            }
        }
    };
    let _ = tokio::time::timeout(SWALLOWING, work).await;
}

/// Says why a request ends here.
pub(super) async fn refuse(session: &mut Session, context: &mut Context, denial: Denial) -> Result<()> {
    let response = render(&denial, &session.req_header().headers, &context.request_id);
    if matches!(denial, Denial::BodyTooLarge | Denial::BodySlow | Denial::HeadTooLarge | Denial::Malformed(_))
    {
        session.set_keepalive(None);
    }
    context.denied(denial);
    write(session, context, response).await
}

pub(super) fn render(denial: &Denial, headers: &HeaderMap, request_id: &str) -> Response<Bytes> {
    let (word, says, status) = (denial.word(), denial.says(), denial.status());
    let page = wants_page(headers);
    let body = if page { html(status, says, request_id) } else { json(word, says, request_id) };
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    let answer = response.headers_mut();
    let kind = if page { "text/html; charset=utf-8" } else { "application/json" };
    answer.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    answer.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if page {
        let policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'";
        answer.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    }
    if let Some(seconds) = denial.retry_after() {
        answer.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if let Denial::Challenge(challenge) = denial {
        for value in challenge.headers().filter_map(|text| HeaderValue::from_str(&text).ok()) {
            answer.append(header::WWW_AUTHENTICATE, value);
        }
        if let Some(nonce) = challenge.nonce().and_then(|nonce| HeaderValue::from_str(nonce).ok()) {
            answer.insert(DPOP_NONCE, nonce);
        }
    }
    let told = match denial {
        Denial::Method(allowed) => Some((header::ALLOW, allowed.clone())),
        _ => None,
    };
    if let Some((name, value)) = told
        && let Ok(value) = HeaderValue::from_str(&value)
    {
        answer.insert(name, value);
    }
    response
}

/// A browser that shows a page says so; programs get JSON.
fn wants_page(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accept.split(',').any(|kind| kind.trim_start().starts_with("text/html"))
}

fn json(word: &str, says: &str, request_id: &str) -> String {
    serde_json::json!({ "error": word, "error_description": says, "request_id": request_id }).to_string()
}

/// `says` is a text of ours and the id is plain: nothing needs escaping.
fn html(status: StatusCode, says: &str, request_id: &str) -> String {
    let code = status.as_u16();
    let reason = status.canonical_reason().unwrap_or("Error");
    format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{code} {reason}</title>\
         <style>:root{{color-scheme:light dark}}body{{font:1rem/1.5 system-ui,sans-serif;max-width:36rem;\
         margin:15vh auto;padding:0 1rem}}small{{opacity:.7}}</style>\
         <h1>{reason}</h1><p>{says}.</p><p><small>{code} · {request_id}</small></p></html>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denial_is_a_page_for_browsers_and_json_for_programs() {
        let mut headers = HeaderMap::new();
        let denial = Denial::TooMany(7);
        let json = render(&denial, &headers, "id-1");
        assert_eq!(json.status(), 429);
        assert_eq!(json.headers()[header::RETRY_AFTER], "7");
        assert_eq!(json.headers()[header::CACHE_CONTROL], "no-store");
        let body: serde_json::Value = serde_json::from_slice(json.body()).unwrap();
        assert_eq!(body["error"], "too_many_requests");
        assert_eq!(body["request_id"], "id-1");
        headers.insert(header::ACCEPT, "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8".parse().unwrap());
        let page = render(&denial, &headers, "id-1");
        assert_eq!(page.headers()[header::CONTENT_TYPE], "text/html; charset=utf-8");
        assert!(page.headers().contains_key(header::CONTENT_SECURITY_POLICY));
        assert!(std::str::from_utf8(page.body()).unwrap().contains("Too many requests; try again later."));
    }

    #[test]
    fn what_is_allowed_instead_is_said() {
        let denial = Denial::Method("GET, HEAD".into());
        let response = render(&denial, &HeaderMap::new(), "id");
        assert_eq!(
            (response.status().as_u16(), &response.headers()[header::ALLOW]),
            (405, &HeaderValue::from_static("GET, HEAD"))
        );
    }
}
