//! What went wrong, once for the caller (`code` and `says`, public by construction) and once for the log (`cause`,
//! which never leaves). RFC 6749 §5.2 and §4.1.2.1, RFC 6750 §3.1, OpenID Connect Core §3.1.2.6, RFC 7591 §3.2.2.

use crate::base::{random, secret, work};
use crate::store;
use http::StatusCode;
use std::borrow::Cow;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $wire:literal, $status:ident;)*) => {
        /// An error code as its specification registers it.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum Code { $($(#[$doc])* $name,)* }

        impl Code {
            pub const ALL: &[Code] = &[$(Code::$name,)*];

            /// The `error` member or parameter.
            pub fn wire(self) -> &'static str {
                match self { $(Code::$name => $wire,)* }
            }

            /// The status where the error is an answer of its own (not a redirect).
            pub fn status(self) -> StatusCode {
                match self { $(Code::$name => StatusCode::$status,)* }
            }
        }
    };
}

codes! {
    InvalidRequest = "invalid_request", BAD_REQUEST;
    InvalidClient = "invalid_client", UNAUTHORIZED;
    InvalidGrant = "invalid_grant", BAD_REQUEST;
    InvalidScope = "invalid_scope", BAD_REQUEST;
    /// RFC 8707 §2.
    InvalidTarget = "invalid_target", BAD_REQUEST;
    UnauthorizedClient = "unauthorized_client", BAD_REQUEST;
    UnsupportedGrantType = "unsupported_grant_type", BAD_REQUEST;
    UnsupportedResponseType = "unsupported_response_type", BAD_REQUEST;
    /// RFC 7009 §2.2.1.
    UnsupportedTokenType = "unsupported_token_type", BAD_REQUEST;
    AccessDenied = "access_denied", FORBIDDEN;
    LoginRequired = "login_required", BAD_REQUEST;
    InteractionRequired = "interaction_required", BAD_REQUEST;
    ConsentRequired = "consent_required", BAD_REQUEST;
    AccountSelectionRequired = "account_selection_required", BAD_REQUEST;
    /// OpenID Connect Core Unmet Authentication Requirements 1.0.
    UnmetAuthenticationRequirements = "unmet_authentication_requirements", BAD_REQUEST;
    RequestNotSupported = "request_not_supported", BAD_REQUEST;
    RequestUriNotSupported = "request_uri_not_supported", BAD_REQUEST;
    /// OpenID Connect Core §3.1.2.6, RFC 9101 §7.
    InvalidRequestUri = "invalid_request_uri", BAD_REQUEST;
    InvalidRequestObject = "invalid_request_object", BAD_REQUEST;
    /// RFC 9396 §5.
    InvalidAuthorizationDetails = "invalid_authorization_details", BAD_REQUEST;
    /// RFC 9449 §5, §8.
    InvalidDpopProof = "invalid_dpop_proof", BAD_REQUEST;
    UseDpopNonce = "use_dpop_nonce", BAD_REQUEST;
    RegistrationNotSupported = "registration_not_supported", BAD_REQUEST;
    /// RFC 6750 §3.1.
    InvalidToken = "invalid_token", UNAUTHORIZED;
    InsufficientScope = "insufficient_scope", FORBIDDEN;
    /// RFC 7591 §3.2.2.
    InvalidRedirectUri = "invalid_redirect_uri", BAD_REQUEST;
    InvalidClientMetadata = "invalid_client_metadata", BAD_REQUEST;
    InvalidSoftwareStatement = "invalid_software_statement", BAD_REQUEST;
    UnapprovedSoftwareStatement = "unapproved_software_statement", BAD_REQUEST;
    /// Not registered anywhere; says what the status says.
    NotFound = "not_found", NOT_FOUND;
    MethodNotAllowed = "method_not_allowed", METHOD_NOT_ALLOWED;
    TooLarge = "request_too_large", PAYLOAD_TOO_LARGE;
    TooManyRequests = "too_many_requests", TOO_MANY_REQUESTS;
    TemporarilyUnavailable = "temporarily_unavailable", SERVICE_UNAVAILABLE;
    ServerError = "server_error", INTERNAL_SERVER_ERROR;
}

/// An error of the provider.
#[derive(Clone, Debug)]
pub struct Error {
    pub code: Code,
    /// A sentence for whoever wrote the request: ASCII without `"` and `\` (RFC 6749 §5.2), and nothing secret.
    pub says: Cow<'static, str>,
    /// For the log only.
    pub cause: Option<String>,
    /// Seconds for `Retry-After`.
    pub retry_after: Option<u64>,
    /// What was presented, or should have been, is a DPoP-bound token: a challenge names that scheme.
    pub dpop: bool,
}

pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub fn new(code: Code, says: impl Into<Cow<'static, str>>) -> Error {
        Error { code, says: says.into(), cause: None, retry_after: None, dpop: false }
    }

    pub fn because(mut self, cause: impl ToString) -> Error {
        self.cause = Some(cause.to_string());
        self
    }

    pub fn retry_after(mut self, seconds: u64) -> Error {
        self.retry_after = Some(seconds);
        self
    }

    /// About a DPoP-bound token or its proof.
    pub fn of_dpop(mut self) -> Error {
        self.dpop = true;
        self
    }

    /// `says` as it may stand in JSON, a header or a query: characters outside RFC 6749 §5.2's set become `?`.
    pub fn description(&self) -> String {
        let allowed = |c: char| matches!(c, ' '..='!' | '#'..='[' | ']'..='~');
        self.says.chars().map(|c| if allowed(c) { c } else { '?' }).take(400).collect()
    }
}

/// Shorthands for the codes that appear most.
pub fn invalid_request(says: impl Into<Cow<'static, str>>) -> Error {
    Error::new(Code::InvalidRequest, says)
}
pub fn invalid_grant(says: impl Into<Cow<'static, str>>) -> Error {
    Error::new(Code::InvalidGrant, says)
}
pub fn invalid_client(says: impl Into<Cow<'static, str>>) -> Error {
    Error::new(Code::InvalidClient, says)
}
pub fn server_error(cause: impl ToString) -> Error {
    Error::new(Code::ServerError, "The provider could not answer").because(cause)
}
pub fn unavailable(cause: impl ToString) -> Error {
    let error =
        Error::new(Code::TemporarilyUnavailable, "The provider is overloaded or its store is unavailable");
    error.because(cause).retry_after(1)
}

impl From<store::Fault> for Error {
    fn from(fault: store::Fault) -> Error {
        match fault {
            store::Fault::Overloaded | store::Fault::Unavailable(_) => unavailable(fault),
            // A conflict that nobody expected is retried by the client.
            store::Fault::Conflict { .. } => unavailable(fault),
            store::Fault::Limit(_) | store::Fault::Damaged(_) => server_error(fault),
        }
    }
}

impl From<random::NoRandomness> for Error {
    fn from(fault: random::NoRandomness) -> Error {
        unavailable(fault)
    }
}

impl From<secret::Unopened> for Error {
    fn from(fault: secret::Unopened) -> Error {
        server_error(fault)
    }
}

impl From<work::Overloaded> for Error {
    fn from(fault: work::Overloaded) -> Error {
        unavailable(fault)
    }
}
