//! Answers of the edge's own for a route: a welcome page, a maintenance page. GET and HEAD only.

use super::denial::Denial;
use super::settings::Respond;
use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Response, StatusCode};
use std::fs;

/// The largest file that is kept in memory, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// A page, ready to be sent.
pub(super) struct Page {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Page {
    /// Reads the file, if there is one.
    pub fn new(written: &Respond) -> Result<Page, String> {
        let status = StatusCode::from_u16(written.status)
            .ok()
            .filter(|status| status.as_u16() >= 200)
            .ok_or_else(|| format!("{} is no status of an answer", written.status))?;
        let mut headers = HeaderMap::new();
        let value =
            |text: &str| HeaderValue::from_str(text).map_err(|_| format!("`{text}` is no header value"));
        headers.insert(header::CONTENT_TYPE, value(&written.content_type)?);
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        // A page of words and styles; whoever wants more says so in `headers`.
        let policy = "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'; \
                      base-uri 'none'";
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
        for (name, text) in &written.headers {
            let name: HeaderName = name.parse().map_err(|_| format!("`{name}` is no header name"))?;
            headers.insert(name, value(text)?);
        }
        Ok(Page { status, headers, body: body(written)? })
    }

    pub fn answer(&self, method: &Method) -> Result<Response<Bytes>, Denial> {
        if !matches!(*method, Method::GET | Method::HEAD) {
            return Err(Denial::Method("GET, HEAD".into()));
        }
        let mut response = Response::new(self.body.clone());
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers.clone();
        Ok(response)
    }
}

fn body(written: &Respond) -> Result<Bytes, String> {
    match (&written.body, &written.file) {
        (Some(_), Some(_)) => Err("`body` and `file` are both given".into()),
        (Some(body), None) => Ok(Bytes::from(body.clone())),
        (None, None) => Ok(Bytes::new()),
        (None, Some(file)) => {
            let shown = file.display();
            let length = fs::metadata(file).map_err(|error| format!("{shown}: {error}"))?.len();
            if length > MAX_FILE {
                return Err(format!("{shown}: larger than 1 MiB"));
            }
            fs::read(file).map(Bytes::from).map_err(|error| format!("{shown}: {error}"))
        }
    }
}
