//! What a client without a sufficient token is told. RFC 6750 §3, RFC 9449 §7.1.

use crate::op::{DPOP_ALGS, Scheme};
use http::StatusCode;

/// A `WWW-Authenticate` challenge and the status it comes with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::proxy) struct Challenge {
    case: Case,
    scheme: Scheme,
    realm: String,
    scope: Vec<String>,
    /// Without credentials: a token that is bound to nothing would not do either.
    pub(super) bound_only: bool,
    /// For `use_dpop_nonce`.
    pub(super) nonce: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Case {
    /// No credentials at all: no error code (RFC 6750 §3.1).
    Missing,
    /// Two tokens, or one where none may be.
    Ambiguous(&'static str),
    /// Not, or no longer, good for this resource. Why is nobody's business.
    Invalid,
    /// Good, but not for this.
    Insufficient,
    /// A token that anybody could use, where it must be bound to its sender.
    Unbound,
    /// RFC 9449 §7.1: its proof does not count.
    Proof(&'static str),
    /// RFC 9449 §9: the proof needs a nonce of the provider's.
    Nonce,
}

impl Challenge {
    /// `scope` is what would be sufficient.
    pub(super) fn new(case: Case, scheme: Scheme, realm: &str, scope: &[String]) -> Challenge {
        let (realm, scope) = (realm.to_owned(), scope.to_vec());
        Challenge { case, scheme, realm, scope, bound_only: false, nonce: None }
    }

    pub fn status(&self) -> StatusCode {
        match self.case {
            Case::Missing | Case::Invalid | Case::Unbound | Case::Proof(_) | Case::Nonce => {
                StatusCode::UNAUTHORIZED
            }
            Case::Ambiguous(_) => StatusCode::BAD_REQUEST,
            Case::Insufficient => StatusCode::FORBIDDEN,
        }
    }

    pub fn word(&self) -> &'static str {
        match self.case {
            Case::Missing => "no_credentials",
            Case::Ambiguous(_) => "invalid_request",
            Case::Invalid | Case::Unbound => "invalid_token",
            Case::Proof(_) => "invalid_dpop_proof",
            Case::Nonce => "use_dpop_nonce",
            Case::Insufficient => "insufficient_scope",
        }
    }

    pub fn says(&self) -> &'static str {
        match self.case {
            Case::Missing => "An access token is needed",
            Case::Ambiguous(says) | Case::Proof(says) => says,
            Case::Unbound => "The access token must be bound to its sender",
            Case::Nonce => "The DPoP proof must carry the nonce of this answer",
            Case::Invalid => "The access token is not valid here",
            Case::Insufficient => "The access token lacks a scope that is needed",
        }
    }

    /// The values of `WWW-Authenticate`, one for each scheme that is offered.
    pub fn headers(&self) -> impl Iterator<Item = String> + '_ {
        let (bearer, dpop) = match (self.case, self.scheme) {
            // RFC 9449 §7.2: without credentials, all that would be taken.
            (Case::Missing, _) => (!self.bound_only, true),
            (_, scheme) => (scheme == Scheme::Bearer, scheme == Scheme::Dpop),
        };
        let schemes = [(bearer, Scheme::Bearer), (dpop, Scheme::Dpop)];
        schemes.into_iter().filter(|(offered, _)| *offered).map(|(_, scheme)| self.header(scheme))
    }

    /// `DPoP-Nonce`.
    pub fn nonce(&self) -> Option<&str> {
        self.nonce.as_deref()
    }

    /// The texts are ours, the issuer's and the configuration's: `faults` has refused scopes that would need quoting.
    fn header(&self, scheme: Scheme) -> String {
        let mut header = format!("{} realm=\"{}\"", scheme.name(), self.realm);
        if self.case != Case::Missing {
            header.push_str(&format!(", error=\"{}\", error_description=\"{}\"", self.word(), self.says()));
        }
        if !self.scope.is_empty() {
            header.push_str(&format!(", scope=\"{}\"", self.scope.join(" ")));
        }
        if scheme == Scheme::Dpop {
            header.push_str(&format!(", algs=\"{DPOP_ALGS}\""));
        }
        header
    }
}
