//! The parameters of a request: a form body or a query, read once, under caps, duplicates refused
//! (RFC 6749 §3.1, §3.2), except `resource` (RFC 8707 §2) and `audience` (RFC 8693 §2.1).

use crate::op::error::{Code, Error, Result, invalid_request};
use crate::op::settings::Limits;
use bytes::Bytes;
use http::{Request, header};
use serde::{Deserialize, Serialize};

/// Names and values in the order they came. A parameter without a value is as if it was not sent (RFC 6749 §3.1).
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Params(Vec<(String, String)>);

/// The parameters that may be repeated.
const REPEATABLE: [&str; 2] = ["resource", "audience"];

impl Params {
    /// A form body. Another content type, or an empty one with a body, is refused.
    pub fn from_body(request: &Request<Bytes>, limits: &Limits) -> Result<Params> {
        let kind =
            request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
        let kind = kind.split(';').next().unwrap_or("").trim();
        if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(invalid_request("The body must be application/x-www-form-urlencoded"));
        }
        Params::parse(request.body(), limits)
    }

    pub fn from_query(request: &Request<Bytes>, limits: &Limits) -> Result<Params> {
        Params::parse(request.uri().query().unwrap_or("").as_bytes(), limits)
    }

    /// The form body of a POST, the query of anything else (OpenID Connect Core §3.1.2.1: both mean the same).
    pub fn from_either(request: &Request<Bytes>, limits: &Limits) -> Result<Params> {
        if request.method() == http::Method::POST {
            Params::from_body(request, limits)
        } else {
            Params::from_query(request, limits)
        }
    }

    pub fn parse(text: &[u8], limits: &Limits) -> Result<Params> {
        if text.len() > limits.body.bytes() {
            return Err(Error::new(Code::TooLarge, "The request is too large"));
        }
        let pairs: Vec<_> = form_urlencoded::parse(text).take(limits.parameters.saturating_add(1)).collect();
        Params::collect(pairs.iter().map(|(name, value)| (name.as_ref(), value.as_ref())), limits)
    }

    /// `pairs`, under the caps of every request.
    pub fn collect<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>, limits: &Limits) -> Result<Params> {
        let mut kept: Vec<(String, String)> = Vec::new();
        for (nth, (name, value)) in pairs.enumerate() {
            if nth >= limits.parameters {
                return Err(invalid_request("There are too many parameters"));
            }
            if name.len() + value.len() > limits.parameter.bytes() {
                return Err(invalid_request("A parameter is too long"));
            }
            if value.contains(['\u{FFFD}', '\0']) || name.contains('\u{FFFD}') {
                return Err(invalid_request("A parameter is not UTF-8 text"));
            }
            if value.is_empty() {
                continue;
            }
            if !REPEATABLE.contains(&name) && kept.iter().any(|(known, _)| known == name) {
                return Err(invalid_request("A parameter is given twice"));
            }
            kept.push((name.to_owned(), value.to_owned()));
        }
        Ok(Params(kept))
    }

    /// These, and those of `others` whose names are not among them.
    pub fn over(mut self, others: &Params) -> Params {
        let more: Vec<_> = others.0.iter().filter(|(name, _)| self.one(name).is_none()).cloned().collect();
        self.0.extend(more);
        self
    }

    /// Those whose names `drops` does not pick.
    pub fn without(&self, drops: impl Fn(&str) -> bool) -> Params {
        Params(self.0.iter().filter(|(name, _)| !drops(name)).cloned().collect())
    }

    /// These with `name`, whatever it was before.
    pub fn with(&self, name: &str, value: &str) -> Params {
        let mut all = self.without(|known| known == name);
        all.0.push((name.to_owned(), value.to_owned()));
        all
    }

    pub fn one(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn required(&self, name: &'static str) -> Result<&str> {
        self.one(name).ok_or_else(|| invalid_request(format!("The parameter {name} is missing")))
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }
}

impl std::fmt::Debug for Params {
    /// Names only: values may be secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Params> {
        Params::parse(text.as_bytes(), &Limits::default())
    }

    #[test]
    fn a_parameter_given_twice_is_refused_but_resource_may_repeat() {
        assert_eq!(parse("a=1&a=2").unwrap_err().code, Code::InvalidRequest);
        assert_eq!(parse("a=1&%61=1").unwrap_err().code, Code::InvalidRequest);
        let params = parse("resource=x&resource=y&a=&a=1").unwrap();
        assert_eq!(params.all("resource").collect::<Vec<_>>(), ["x", "y"]);
        assert_eq!(params.one("a"), Some("1"));
    }

    #[test]
    fn caps_come_before_cost() {
        let many: String = (0..101).map(|n| format!("p{n}=1&")).collect();
        assert_eq!(parse(&many).unwrap_err().code, Code::InvalidRequest);
        let long = format!("a={}", "x".repeat(65 << 10));
        assert_eq!(parse(&long).unwrap_err().code, Code::InvalidRequest);
        let huge = format!("a={}", "x".repeat(300 << 10));
        assert_eq!(parse(&huge).unwrap_err().code, Code::TooLarge);
    }

    #[test]
    fn text_that_is_not_utf_8_is_refused() {
        assert!(parse("a=%ff").is_err());
        assert!(parse("a=%00").is_err());
    }
}
