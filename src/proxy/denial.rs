//! Why a request is not let through, and what its answer says. The answer itself is written by answer.rs.

use crate::proxy::policy::Challenge;
use http::StatusCode;

/// A request that ends here. What it carries is public by construction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Denial {
    /// 400: no two readers would agree on what was asked.
    Malformed(&'static str),
    /// 431.
    HeadTooLarge,
    /// 405, with what would be allowed.
    Method(String),
    /// 421: RFC 9110 §15.5.20.
    UnknownHost,
    /// 404.
    NoRoute,
    /// 403: policy `deny`, or a WebSocket where none is allowed.
    Forbidden(&'static str),
    /// 400, 401 or 403 with a challenge.
    Challenge(Challenge),
    /// 413.
    BodyTooLarge,
    /// 408.
    BodySlow,
    /// 429, with the seconds until another try makes sense.
    TooMany(u64),
    /// 503: the edge has its hands full.
    Busy,
    /// 503: what would decide cannot be asked. The cause is logged.
    Undecided(String),
    /// 502: the upstream cannot be reached or talks nonsense. The cause is logged.
    Upstream(String),
    /// 504.
    UpstreamSlow(String),
    /// 499, never sent: the client went away.
    ClientGone,
    /// 500: a mistake of ours.
    Bug(&'static str),
}

impl Denial {
    pub fn status(&self) -> StatusCode {
        match self {
            Denial::Malformed(_) => StatusCode::BAD_REQUEST,
            Denial::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Denial::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Denial::UnknownHost => StatusCode::MISDIRECTED_REQUEST,
            Denial::NoRoute => StatusCode::NOT_FOUND,
            Denial::Forbidden(_) => StatusCode::FORBIDDEN,
            Denial::Challenge(challenge) => challenge.status(),
            Denial::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Denial::BodySlow => StatusCode::REQUEST_TIMEOUT,
            Denial::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
            Denial::Busy | Denial::Undecided(_) => StatusCode::SERVICE_UNAVAILABLE,
            Denial::Upstream(_) => StatusCode::BAD_GATEWAY,
            Denial::UpstreamSlow(_) => StatusCode::GATEWAY_TIMEOUT,
            Denial::ClientGone => StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST),
            Denial::Bug(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The word of the answer, of log lines and of metric labels.
    pub fn word(&self) -> &'static str {
        match self {
            Denial::Malformed(_) => "invalid_request",
            Denial::HeadTooLarge => "head_too_large",
            Denial::Method(_) => "method_not_allowed",
            Denial::UnknownHost => "unknown_host",
            Denial::NoRoute => "not_found",
            Denial::Forbidden(_) => "forbidden",
            Denial::Challenge(challenge) => challenge.word(),
            Denial::BodyTooLarge => "body_too_large",
            Denial::BodySlow => "body_too_slow",
            Denial::TooMany(_) => "too_many_requests",
            Denial::Busy => "busy",
            Denial::Undecided(_) => "undecided",
            Denial::Upstream(_) => "bad_gateway",
            Denial::UpstreamSlow(_) => "gateway_timeout",
            Denial::ClientGone => "client_gone",
            Denial::Bug(_) => "server_error",
        }
    }

    /// A sentence for the client.
    pub fn says(&self) -> &'static str {
        match self {
            Denial::Malformed(says) | Denial::Forbidden(says) => says,
            Denial::HeadTooLarge => "The request head is too large",
            Denial::Method(_) => "This method is not allowed here",
            Denial::UnknownHost => "This server does not answer for that host",
            Denial::NoRoute => "There is nothing here",
            Denial::Challenge(challenge) => challenge.says(),
            Denial::BodyTooLarge => "The request body is too large",
            Denial::BodySlow => "The request body took too long",
            Denial::TooMany(_) => "Too many requests; try again later",
            Denial::Busy => "The server is busy; try again in a moment",
            Denial::Undecided(_) => "The server cannot decide right now; try again in a moment",
            Denial::Upstream(_) => "The server behind this one did not give a proper answer",
            Denial::UpstreamSlow(_) => "The server behind this one did not answer in time",
            Denial::ClientGone => "The client went away",
            Denial::Bug(_) => "Something went wrong here",
        }
    }

    /// Seconds for `Retry-After`.
    pub fn retry_after(&self) -> Option<u64> {
        match self {
            Denial::TooMany(seconds) => Some(*seconds),
            Denial::Busy | Denial::Undecided(_) => Some(1),
            _ => None,
        }
    }
}
