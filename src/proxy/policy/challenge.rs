//! What a client without a sufficient token is told. RFC 6750 §3.

use http::StatusCode;

/// A `WWW-Authenticate: Bearer` challenge and the status it comes with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::proxy) struct Challenge {
    case: Case,
    realm: String,
    scope: Vec<String>,
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
}

impl Challenge {
    /// `scope` is what would be sufficient.
    pub(super) fn new(case: Case, realm: &str, scope: &[String]) -> Challenge {
        Challenge { case, realm: realm.to_owned(), scope: scope.to_vec() }
    }

    pub fn status(&self) -> StatusCode {
        match self.case {
            Case::Missing | Case::Invalid => StatusCode::UNAUTHORIZED,
            Case::Ambiguous(_) => StatusCode::BAD_REQUEST,
            Case::Insufficient => StatusCode::FORBIDDEN,
        }
    }

    pub fn word(&self) -> &'static str {
        match self.case {
            Case::Missing => "no_credentials",
            Case::Ambiguous(_) => "invalid_request",
            Case::Invalid => "invalid_token",
            Case::Insufficient => "insufficient_scope",
        }
    }

    pub fn says(&self) -> &'static str {
        match self.case {
            Case::Missing => "An access token is needed",
            Case::Ambiguous(says) => says,
            Case::Invalid => "The access token is not valid here",
            Case::Insufficient => "The access token lacks a scope that is needed",
        }
    }

    /// The value of `WWW-Authenticate`. The texts are ours, the issuer's and the configuration's: `faults` has refused
    /// scopes that would need quoting.
    pub fn header(&self) -> String {
        let mut header = format!("Bearer realm=\"{}\"", self.realm);
        if self.case != Case::Missing {
            header.push_str(&format!(", error=\"{}\", error_description=\"{}\"", self.word(), self.says()));
        }
        if !self.scope.is_empty() {
            header.push_str(&format!(", scope=\"{}\"", self.scope.join(" ")));
        }
        header
    }
}
