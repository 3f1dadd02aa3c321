//! The pages people see.

use super::error::Error;
use super::{Op, Peer};
use bytes::Bytes;
use http::{Request, Response};

/// The error page: never a redirect.
pub(super) fn error(_op: &Op, error: &Error, _request: &Request<Bytes>, _peer: &Peer) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(error.description()));
    *response.status_mut() = error.code.status();
    super::serve::set(&mut response, http::header::CONTENT_TYPE, "text/plain; charset=utf-8");
    response
}
