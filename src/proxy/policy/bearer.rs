//! An access token from the Authorization header only. RFC 6750 §2.1, §3; RFC 9068 §4; RFC 9449 §7; RFC 8705 §3. Whose
//! tokens it takes is the verifier's business; what a token is bound to is asked for in each request. Tokens in bodies (RFC 6750 §2.2) and queries (§2.3) are not taken.

use super::challenge::Case;
use super::{Asked, Challenge, Judged, Permit, Policy};
use crate::op::{Facts, Presented, Scheme, Shown, Unproven, Verdict};
use crate::proxy::denial::Denial;
use crate::proxy::front::Exchange;
use crate::proxy::settings::{self, Binding};
use crate::proxy::verifier::Verifier;
use http::{HeaderMap, Uri, header};
use std::sync::Arc;

/// A longer one is not looked at.
const MAX_TOKEN: usize = 16 << 10;

pub(super) struct Bearer;

impl Policy for Bearer {
    fn name(&self) -> &'static str {
        "bearer"
    }

    fn spec(&self) -> &'static str {
        "RFC 6750 §2.1, RFC 9068 §4, RFC 9449 §7.1, RFC 8705 §3"
    }

    fn is_for(&self, rule: &settings::Policy) -> bool {
        matches!(rule, settings::Policy::Bearer(_))
    }

    fn judge<'a>(&self, asked: Asked<'a>) -> Judged<'a> {
        let settings::Policy::Bearer(rule) = asked.rule else {
            return Judged::Now(Err(Denial::Bug("the bearer policy was given another's rule")));
        };
        let Some(verifier) = asked.verifier else {
            return Judged::Now(Err(Denial::Bug("the bearer policy has no issuer to ask")));
        };
        let (scheme, token) = match presented(asked.uri, asked.headers) {
            Ok(presented) => presented,
            Err(case) => return Judged::Now(Err(refusal(case, Scheme::Bearer, verifier, rule))),
        };
        let bench = Bench { asked, verifier, rule, scheme, token };
        if let Some(verdict) = verifier.seen(Presented { token }) {
            return Judged::Now(bench.weigh(verdict));
        }
        Judged::Later(Box::pin(async move {
            match verifier.introspect(Presented { token }).await {
                Ok(verdict) => bench.weigh(verdict),
                Err(fault) => Err(Denial::Undecided(fault)),
            }
        }))
    }
}

fn refusal(case: Case, scheme: Scheme, verifier: &Verifier, rule: &settings::Bearer) -> Denial {
    let scope = match case {
        // RFC 6750 §3: the scope necessary to access the resource.
        Case::Missing | Case::Insufficient if rule.any_scope.is_empty() => rule.scopes.as_slice(),
        _ => &[],
    };
    let mut challenge = Challenge::new(case, scheme, verifier.issuer(), scope);
    match case {
        // RFC 9449 §9.
        Case::Nonce => challenge.nonce = verifier.dpop_nonce(),
        Case::Missing => challenge.bound_only = rule.binding == Binding::Required,
        _ => {}
    }
    Denial::Challenge(challenge)
}

/// What is said when the token's life has ended since it was judged.
pub(super) fn ended(asked: Asked<'_>) -> Denial {
    let scheme = presented(asked.uri, asked.headers).map_or(Scheme::Bearer, |(scheme, _)| scheme);
    let realm = asked.verifier.map_or("", Verifier::issuer);
    Denial::Challenge(Challenge::new(Case::Invalid, scheme, realm, &[]))
}

/// The token as presented, with its scheme.
fn presented<'a>(uri: &Uri, headers: &'a HeaderMap) -> Result<(Scheme, &'a str), Case> {
    if uri.query().is_some_and(names_token) {
        return Err(Case::Ambiguous("An access token must not be in the query"));
    }
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Err(Case::Missing) };
    if values.next().is_some() {
        return Err(Case::Ambiguous("The request has two Authorization headers"));
    }
    let value = value.to_str().map_err(|_| Case::Invalid)?;
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    // RFC 9110 §11.1: the scheme is case-insensitive. Another scheme is no access token at all.
    let scheme = Scheme::parse(scheme).ok_or(Case::Missing)?;
    let token = token.trim_matches(' ');
    if is_token(token) { Ok((scheme, token)) } else { Err(Case::Invalid) }
}

/// RFC 6750 §2.1: b64token.
fn is_token(token: &str) -> bool {
    let bare = token.trim_end_matches('=');
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
    !bare.is_empty() && token.len() <= MAX_TOKEN && bare.bytes().all(good)
}

/// Whether a query names `access_token`, however it is escaped.
fn names_token(query: &str) -> bool {
    // Most queries do not hold its letters in any form: looked at without decoding first.
    let suspicious = query.contains('%') || query.contains("access_token");
    suspicious && form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == "access_token")
}

/// What a verdict is weighed with.
struct Bench<'a> {
    asked: Asked<'a>,
    verifier: &'a Verifier,
    rule: &'a settings::Bearer,
    scheme: Scheme,
    token: &'a str,
}

impl Bench<'_> {
    fn weigh(&self, verdict: Verdict) -> Result<Permit, Denial> {
        let refused = |case| refusal(case, self.scheme, self.verifier, self.rule);
        let facts = match verdict {
            Verdict::Active(facts) if !facts.life.is_dead() => facts,
            _ => return Err(refused(Case::Invalid)),
        };
        suffices(&facts, self.rule).map_err(refused)?;
        // What nothing is bound to is the usual case, and costs nothing here.
        if self.scheme == Scheme::Bearer && facts.confirmation.is_empty() {
            return match self.rule.binding {
                Binding::Any => Ok(Permit { facts: Some(facts), nonce: None }),
                Binding::Required => Err(refusal(Case::Unbound, Scheme::Dpop, self.verifier, self.rule)),
            };
        }
        let nonce = self.proven(&facts)?;
        Ok(Permit { facts: Some(facts), nonce })
    }

    /// Whether the token is its sender's. Last, since the proof counts once.
    fn proven(&self, facts: &Facts) -> Result<Option<String>, Denial> {
        let exchange = Exchange::current();
        let certificate = exchange
            .as_ref()
            .filter(|_| self.asked.direct)
            .and_then(|exchange| exchange.client_certificate.as_deref());
        let shown = Shown {
            token: self.token,
            scheme: self.scheme,
            headers: self.asked.headers,
            method: self.asked.method,
            authority: self.asked.authority,
            path: self.asked.uri.path(),
            certificate,
        };
        let unproven = match self.verifier.proves(facts, &shown) {
            Ok(nonce) => return Ok(nonce),
            Err(unproven) => unproven,
        };
        let bound = facts.confirmation.jkt.is_some();
        let scheme = if bound { Scheme::Dpop } else { self.scheme };
        let refused = |case| Err(refusal(case, scheme, self.verifier, self.rule));
        match unproven {
            Unproven::Token(_) => refused(Case::Invalid),
            Unproven::Proof(says) => refused(Case::Proof(says)),
            Unproven::Nonce => refused(Case::Nonce),
            Unproven::Busy => Err(Denial::Busy),
        }
    }
}

fn suffices(facts: &Arc<Facts>, rule: &settings::Bearer) -> Result<(), Case> {
    // RFC 9068 §4: a token of another audience is not valid here, whatever its scopes.
    if !facts.audience.contains(&rule.resource) {
        return Err(Case::Invalid);
    }
    let any = rule.any_scope.is_empty() || rule.any_scope.iter().any(|scope| facts.scope.contains(scope));
    if any && rule.scopes.iter().all(|scope| facts.scope.contains(scope)) {
        Ok(())
    } else {
        Err(Case::Insufficient)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::Timestamp;
    use crate::op::Life;

    fn ask<'a>(query: &str, headers: &'a HeaderMap) -> Result<(Scheme, &'a str), Case> {
        presented(&format!("/api{query}").parse().unwrap(), headers)
    }

    fn with(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn a_token_is_taken_from_the_authorization_header_whatever_the_case_of_its_scheme() {
        for value in ["Bearer abc", "bearer abc", "BEARER abc", "Bearer  abc", "Bearer abc "] {
            assert_eq!(ask("?x=1", &with(&[value])), Ok((Scheme::Bearer, "abc")), "{value}");
        }
        assert_eq!(ask("", &with(&["Bearer a-b._~+/c=="])), Ok((Scheme::Bearer, "a-b._~+/c==")));
        assert_eq!(ask("", &with(&["dpop abc"])), Ok((Scheme::Dpop, "abc")));
    }

    #[test]
    fn other_schemes_are_no_credentials_and_malformed_tokens_are_invalid() {
        for value in ["Basic YTpi", "Digest x", "Bearerabc", "", "abc"] {
            assert_eq!(ask("", &with(&[value])), Err(Case::Missing), "{value:?}");
        }
        assert_eq!(ask("", &HeaderMap::new()), Err(Case::Missing));
        for value in
            ["Bearer", "Bearer ", "Bearer a b", "Bearer a,b", "Bearer \"a\"", "Bearer =", "Bearer a=b"]
        {
            assert_eq!(ask("", &with(&[value])), Err(Case::Invalid), "{value:?}");
        }
        let long = format!("Bearer {}", "a".repeat(MAX_TOKEN + 1));
        assert_eq!(ask("", &with(&[&long])), Err(Case::Invalid));
        let mut odd = HeaderMap::new();
        odd.append(header::AUTHORIZATION, http::HeaderValue::from_bytes(b"Bearer \xff").unwrap());
        assert_eq!(ask("", &odd), Err(Case::Invalid));
    }

    #[test]
    fn two_tokens_and_tokens_in_the_query_are_bad_requests() {
        for values in [["Bearer a", "Bearer a"], ["Bearer a", "Basic b"], ["Basic b", "Bearer a"]] {
            assert!(matches!(ask("", &with(&values)), Err(Case::Ambiguous(_))), "{values:?}");
        }
        for query in [
            "?access_token=x",
            "?a=b&access_token=x",
            "?access%5Ftoken=x",
            "?%61ccess_token",
            "?access_token",
        ] {
            assert!(matches!(ask(query, &with(&["Bearer a"])), Err(Case::Ambiguous(_))), "{query}");
            assert!(matches!(ask(query, &HeaderMap::new()), Err(Case::Ambiguous(_))), "{query}");
        }
        for query in ["?access_tokens=x", "?x=access_token", "?access-token=x"] {
            assert_eq!(ask(query, &with(&["Bearer a"])), Ok((Scheme::Bearer, "a")), "{query}");
        }
    }

    #[test]
    fn audience_comes_before_scope() {
        let facts = Arc::new(Facts {
            client_id: "c".into(),
            subject: "s".into(),
            account: None,
            username: None,
            scope: vec!["api".into(), "read".into()],
            audience: vec!["https://api.example".into()],
            jti: "j".into(),
            family: None,
            sid: None,
            issued: Timestamp(0),
            expires: Timestamp(1),
            auth_time: None,
            acr: None,
            confirmation: Default::default(),
            authorization_details: Vec::new(),
            act: None,
            life: Life::root(),
        });
        let rule = |resource: &str, scopes: &[&str], any: &[&str]| settings::Bearer {
            resource: resource.into(),
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            any_scope: any.iter().map(|scope| (*scope).to_owned()).collect(),
            binding: Binding::Any,
        };
        let here = "https://api.example";
        assert_eq!(suffices(&facts, &rule(here, &[], &[])), Ok(()));
        assert_eq!(suffices(&facts, &rule(here, &["api", "read"], &["write", "read"])), Ok(()));
        assert_eq!(suffices(&facts, &rule(here, &["api", "write"], &[])), Err(Case::Insufficient));
        assert_eq!(suffices(&facts, &rule(here, &["api"], &["write"])), Err(Case::Insufficient));
        for other in ["https://api.example/", "https://API.example", "https://api.example.evil.example", ""] {
            assert_eq!(suffices(&facts, &rule(other, &["write"], &[])), Err(Case::Invalid), "{other}");
        }
    }
}
