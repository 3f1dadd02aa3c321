//! The template of a header's value: text with placeholders. Read once, when the configuration is; nothing a caller
//! sends is ever read as a template.

use crate::base::near::nearest;
use crate::proxy::header::visible;
use crate::proxy::policy::Permit;
use std::borrow::Cow;
use std::net::IpAddr;

#[derive(Clone, Debug, PartialEq)]
pub(in crate::proxy) struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Text(String),
    Value { field: Field, default: Option<String> },
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Field {
    Subject,
    Client,
    Scope,
    Username,
    Sid,
    Acr,
    AuthTime,
    Expires,
    RequestId,
    Address,
}

const FIELDS: &[(&str, Field)] = &[
    ("subject", Field::Subject),
    ("client", Field::Client),
    ("scope", Field::Scope),
    ("username", Field::Username),
    ("sid", Field::Sid),
    ("acr", Field::Acr),
    ("auth_time", Field::AuthTime),
    ("expires", Field::Expires),
    ("request_id", Field::RequestId),
    ("address", Field::Address),
];

/// Of whom it speaks.
pub(in crate::proxy) struct Caller<'a> {
    pub permit: &'a Permit,
    pub request_id: &'a str,
    pub address: IpAddr,
}

impl Template {
    /// The error is a sentence for the operator.
    pub fn parse(text: &str) -> Result<Template, String> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at(at);
            plain.push_str(before);
            if let Some(after) = from.strip_prefix("{{") {
                plain.push('{');
                rest = after;
            } else if let Some(after) = from.strip_prefix("}}") {
                plain.push('}');
                rest = after;
            } else {
                let inner = from.strip_prefix('{').and_then(|inner| inner.split_once('}'));
                let Some((inner, after)) = inner else {
                    return Err(format!(
                        "`{text}` has a brace without its other half; a brace itself is `{{{{`"
                    ));
                };
                if !plain.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut plain)));
                }
                parts.push(placeholder(inner)?);
                rest = after;
            }
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        let literal = parts.iter().filter_map(|part| match part {
            Part::Text(text) => Some(text.as_str()),
            Part::Value { default, .. } => default.as_deref(),
        });
        match literal.flat_map(str::chars).find(|c| !(' '..='~').contains(c)) {
            Some(odd) => Err(format!("a header cannot hold {odd:?}")),
            None => Ok(Template(parts)),
        }
    }

    /// `None`: something it needs is absent, or nothing is left to say.
    pub fn render(&self, caller: &Caller<'_>) -> Option<String> {
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Text(plain) => text.push_str(plain),
                Part::Value { field, default } => match field.of(caller).filter(|value| !value.is_empty()) {
                    Some(value) => text.push_str(&visible(&value)),
                    None => text.push_str(default.as_deref()?),
                },
            }
        }
        (!text.is_empty()).then_some(text)
    }
}

fn placeholder(inner: &str) -> Result<Part, String> {
    let (name, default) = match inner.split_once(":-") {
        Some((name, default)) => (name, Some(default.to_owned())),
        None => (inner, None),
    };
    if let Some((_, field)) = FIELDS.iter().find(|(known, _)| *known == name) {
        return Ok(Part::Value { field: *field, default });
    }
    let known: Vec<String> = FIELDS.iter().map(|(known, _)| (*known).to_owned()).collect();
    Err(match nearest(name, &known) {
        Some(near) => format!("there is no placeholder `{name}`: did you mean `{near}`?"),
        None => format!("there is no placeholder `{name}`; known are {}", known.join(", ")),
    })
}

impl Field {
    fn of<'a>(self, caller: &'a Caller<'_>) -> Option<Cow<'a, str>> {
        match self {
            Field::RequestId => return Some(caller.request_id.into()),
            Field::Address => return Some(caller.address.to_string().into()),
            _ => {}
        }
        let facts = caller.permit.facts()?;
        Some(match self {
            // RFC 9700 §4.15: a client that acts for itself must not be taken for a person.
            Field::Subject => facts.account.as_ref().map(|_| facts.subject.as_str())?.into(),
            Field::Client => facts.client_id.as_str().into(),
            Field::Scope => facts.scope.join(" ").into(),
            Field::Username => facts.username.as_deref()?.into(),
            Field::Sid => facts.sid.as_deref()?.into(),
            Field::Acr => facts.acr.as_deref()?.into(),
            Field::AuthTime => facts.auth_time?.0.to_string().into(),
            Field::Expires => facts.expires.0.to_string().into(),
            Field::RequestId | Field::Address => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::identity::token::tests::facts;
    use crate::proxy::policy;
    use std::sync::Arc;

    fn rendered(text: &str) -> Option<String> {
        let permit = Permit::for_tests(Arc::new(facts()));
        let caller = Caller { permit: &permit, request_id: "id-1", address: "192.0.2.1".parse().unwrap() };
        Template::parse(text).unwrap().render(&caller)
    }

    #[test]
    fn placeholders_become_what_is_known_of_the_caller() {
        for (text, expected) in [
            ("{username}", Some("alice")),
            ("u={subject};c={client}", Some("u=Gr%C3%BC%C3%9Fe 100%25;c=client-1")),
            ("{scope} {request_id} {address}", Some("api read id-1 192.0.2.1")),
            ("{expires}/{auth_time}", Some("1000/7")),
            ("{acr}", None),
            ("x{acr}", None),
            ("{acr:-none}", Some("none")),
            ("{acr:-}{sid}", Some("sid-1")),
            ("{acr:-}", None),
            ("{{{username}}}", Some("{alice}")),
            ("plain", Some("plain")),
        ] {
            assert_eq!(rendered(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn without_a_caller_only_the_request_is_known() {
        let permit = policy::preflight();
        let caller = Caller { permit: &permit, request_id: "id-1", address: "192.0.2.1".parse().unwrap() };
        assert_eq!(Template::parse("{username}").unwrap().render(&caller), None);
        assert_eq!(Template::parse("{username:-guest}").unwrap().render(&caller).as_deref(), Some("guest"));
        assert_eq!(Template::parse("{request_id}").unwrap().render(&caller).as_deref(), Some("id-1"));
    }

    #[test]
    fn a_template_that_cannot_be_meant_is_refused_with_advice() {
        let said = Template::parse("{usrname}").unwrap_err();
        assert_eq!(said, "there is no placeholder `usrname`: did you mean `username`?");
        for bad in ["{", "}", "{username", "username}", "{}", "{a{b}}", "ä", "a\r\nb", "{acr:-\u{1}}"] {
            assert!(Template::parse(bad).is_err(), "{bad:?}");
        }
    }
}
