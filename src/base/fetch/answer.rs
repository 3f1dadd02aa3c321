//! Reading an answer within its limits.

use super::Fault;
use bytes::{Bytes, BytesMut};
use http::header::{AGE, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderName};
use http::{HeaderMap, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use std::time::Duration;

/// A complete answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fetched {
    /// Redirects are answers like any other: nobody follows them.
    pub status: StatusCode,
    /// Lower case, without parameters; empty if the server named none.
    pub content_type: String,
    pub body: Bytes,
    /// How much longer the server calls it fresh (`Cache-Control: max-age` less `Age`); `None` if it does not say,
    /// zero for `no-store` and `no-cache`.
    pub max_age: Option<Duration>,
}

impl Fetched {
    /// A 200 with `body`, for scripts.
    pub fn ok(content_type: &str, body: impl Into<Bytes>) -> Fetched {
        Fetched {
            status: StatusCode::OK,
            content_type: content_type.to_owned(),
            body: body.into(),
            max_age: None,
        }
    }
}

pub(super) async fn read(response: Response<Incoming>, max: usize) -> Result<Fetched, Fault> {
    let (head, mut body) = response.into_parts();
    if text(&head.headers, &CONTENT_ENCODING).is_some_and(|coding| !coding.eq_ignore_ascii_case("identity")) {
        return Err(Fault::Http("the answer is encoded although that was not asked for".to_owned()));
    }
    // Refused before a byte of it is read.
    let announced = text(&head.headers, &CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
    if announced.is_some_and(|length| usize::try_from(length).map_or(true, |length| length > max)) {
        return Err(Fault::TooLarge(max));
    }
    let mut bytes = BytesMut::new();
    while !body.is_end_stream() {
        let Some(frame) = body.frame().await else { break };
        let frame = frame.map_err(|error| Fault::Http(error.to_string()))?;
        if let Ok(data) = frame.into_data() {
            if data.len() > max - bytes.len() {
                return Err(Fault::TooLarge(max));
            }
            bytes.extend_from_slice(&data);
        }
    }
    Ok(Fetched {
        status: head.status,
        content_type: content_type(&head.headers),
        body: bytes.freeze(),
        max_age: max_age(&head.headers),
    })
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn content_type(headers: &HeaderMap) -> String {
    let written = text(headers, &CONTENT_TYPE).unwrap_or_default();
    written.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// RFC 9111 §5.2.2.
fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let mut fresh = None;
    for line in headers.get_all(CACHE_CONTROL) {
        for directive in line.to_str().ok()?.split(',') {
            let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
            match name.trim().to_ascii_lowercase().as_str() {
                "no-store" | "no-cache" => return Some(Duration::ZERO),
                "max-age" => fresh = value.trim().trim_matches('"').parse::<u32>().ok(),
                _ => {}
            }
        }
    }
    let age = text(headers, &AGE).and_then(|age| age.trim().parse::<u32>().ok()).unwrap_or(0);
    fresh.map(|fresh| Duration::from_secs(u64::from(fresh.saturating_sub(age))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn freshness_is_read_from_cache_control() {
        for (cache_control, age, expected) in [
            (None, None, None),
            (Some("max-age=60"), None, Some(60)),
            (Some("public, Max-Age=60, must-revalidate"), Some("20"), Some(40)),
            (Some("max-age=60"), Some("100"), Some(0)),
            (Some("max-age=60, no-store"), None, Some(0)),
            (Some("max-age=-1"), None, None),
            (Some("max-age=99999999999999999999"), None, None),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(value) = cache_control {
                headers.insert(CACHE_CONTROL, HeaderValue::from_static(value));
            }
            if let Some(value) = age {
                headers.insert(AGE, HeaderValue::from_static(value));
            }
            assert_eq!(max_age(&headers), expected.map(Duration::from_secs), "{cache_control:?}");
        }
    }
}
