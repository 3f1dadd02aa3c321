//! Cross-origin resource sharing of a route. Fetch §3.2. It opens a route to scripts; it protects nothing.

use super::denial::Denial;
use super::settings;
use crate::base::uri;
use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Response, StatusCode};
use pingora::http::ResponseHeader;

/// A route's sharing, ready to be used.
pub(super) struct Cors {
    any: bool,
    origins: Vec<String>,
    methods: HeaderValue,
    headers: HeaderValue,
    expose: HeaderValue,
    max_age: HeaderValue,
    credentials: bool,
    pub forward_preflight: bool,
}

impl Cors {
    pub fn new(written: &settings::Cors) -> Result<Cors, String> {
        let list = |items: &[String]| {
            HeaderValue::from_str(&items.join(", ")).map_err(|_| "`cors` holds what no header can".to_owned())
        };
        Ok(Cors {
            any: written.origins.iter().any(|origin| origin == "*"),
            origins: written.origins.iter().filter_map(|origin| uri::origin(origin)).collect(),
            methods: list(&written.methods)?,
            headers: list(&written.headers)?,
            expose: list(&written.expose)?,
            max_age: HeaderValue::from(written.max_age.0.as_secs()),
            credentials: written.credentials,
            forward_preflight: written.forward_preflight,
        })
    }

    /// Fetch §3.2.2: an OPTIONS with these two headers, and nothing else, is a preflight.
    pub fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
        *method == Method::OPTIONS
            && headers.contains_key(header::ORIGIN)
            && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
    }

    /// Whether it is a preflight of an origin whose scripts may call here.
    pub fn welcomes(&self, method: &Method, headers: &HeaderMap) -> bool {
        Cors::is_preflight(method, headers) && self.allowed(headers).is_some()
    }

    pub fn preflight(&self, headers: &HeaderMap) -> Result<Response<Bytes>, Denial> {
        if self.allowed(headers).is_none() {
            return Err(Denial::Forbidden("Scripts of this origin may not call here"));
        }
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let answer = response.headers_mut();
        answer.insert(header::ACCESS_CONTROL_ALLOW_METHODS, self.methods.clone());
        answer.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, self.headers.clone());
        answer.insert(header::ACCESS_CONTROL_MAX_AGE, self.max_age.clone());
        Ok(response)
    }

    /// Marks an answer for its origin, denials too: a script must be able to read its challenge. What an upstream says
    /// of sharing does not count here.
    pub fn mark(&self, headers: &HeaderMap, response: &mut ResponseHeader) -> pingora::Result<()> {
        for name in [
            header::ACCESS_CONTROL_ALLOW_ORIGIN,
            header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
        ] {
            response.remove_header(&name);
        }
        for (name, value) in self.marks(headers) {
            response.insert_header(name, value)?;
        }
        // Answers differ by origin, and caches must know.
        if !self.any {
            response.append_header(header::VARY, "Origin")?;
        }
        Ok(())
    }

    fn marks(&self, headers: &HeaderMap) -> Vec<(HeaderName, HeaderValue)> {
        let mut marks = Vec::with_capacity(4);
        if let Some(origin) = self.allowed(headers) {
            marks.push((header::ACCESS_CONTROL_ALLOW_ORIGIN, origin));
            marks.push((header::ACCESS_CONTROL_EXPOSE_HEADERS, self.expose.clone()));
            if self.credentials {
                marks.push((header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true")));
            }
        }
        marks
    }

    fn allowed(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let mut given = headers.get_all(header::ORIGIN).iter();
        let (origin, None) = (given.next()?, given.next()) else { return None };
        if self.any {
            return Some(HeaderValue::from_static("*"));
        }
        // Compared as browsers serialise it: text for text.
        self.origins.iter().any(|known| known.as_bytes() == origin.as_bytes()).then(|| origin.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cors(origins: &[&str], credentials: bool) -> Cors {
        let origins: Vec<_> = origins.iter().map(|origin| format!("\"{origin}\"")).collect();
        let written = format!(r#"{{ "origins": [{}], "credentials": {credentials} }}"#, origins.join(","));
        Cors::new(&serde_json::from_str(&written).unwrap()).unwrap()
    }

    fn from(origin: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::ORIGIN, origin.parse().unwrap());
        headers.insert(header::ACCESS_CONTROL_REQUEST_METHOD, HeaderValue::from_static("PUT"));
        headers
    }

    #[test]
    fn only_a_listed_origin_may_call() {
        let cors = cors(&["https://app.example", "https://other.example:8443"], true);
        for origin in ["https://app.example", "https://other.example:8443"] {
            let marks = cors.marks(&from(origin));
            assert_eq!(marks[0], (header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.parse().unwrap()));
            assert_eq!(marks[2].0, header::ACCESS_CONTROL_ALLOW_CREDENTIALS);
            assert_eq!(cors.preflight(&from(origin)).unwrap().status(), 204);
        }
        for origin in [
            "https://app.example.evil.example",
            "https://evil.example",
            "http://app.example",
            "https://app.example:444",
            "https://APP.example",
            "https://app.example/",
            "null",
            "*",
            "https://other.example",
        ] {
            assert!(cors.marks(&from(origin)).is_empty(), "{origin}");
            assert!(matches!(cors.preflight(&from(origin)), Err(Denial::Forbidden(_))), "{origin}");
        }
        let mut two = from("https://app.example");
        two.append(header::ORIGIN, HeaderValue::from_static("https://app.example"));
        assert!(cors.marks(&two).is_empty());
    }

    #[test]
    fn a_star_lets_any_origin_in_without_credentials() {
        let cors = cors(&["*"], false);
        let marks = cors.marks(&from("https://anyone.example"));
        assert_eq!(marks[0], (header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")));
        assert_eq!(marks.len(), 2);
        assert!(cors.marks(&HeaderMap::new()).is_empty());
    }

    #[test]
    fn only_the_preflight_of_a_listed_origin_may_pass_the_policy() {
        let cors = cors(&["https://app.example"], false);
        assert!(cors.welcomes(&Method::OPTIONS, &from("https://app.example")));
        assert!(!cors.welcomes(&Method::OPTIONS, &from("https://evil.example")));
        assert!(!cors.welcomes(&Method::GET, &from("https://app.example")));
    }

    #[test]
    fn a_preflight_is_an_options_with_both_headers() {
        let whole = from("https://app.example");
        assert!(Cors::is_preflight(&Method::OPTIONS, &whole));
        assert!(!Cors::is_preflight(&Method::GET, &whole));
        for missing in [header::ORIGIN, header::ACCESS_CONTROL_REQUEST_METHOD] {
            let mut headers = whole.clone();
            headers.remove(missing);
            assert!(!Cors::is_preflight(&Method::OPTIONS, &headers));
        }
    }
}
