//! How an authorization response travels: one file per mode, one row each
//! (OAuth 2.0 Multiple Response Type Encoding Practices §2.1, OAuth 2.0 Form Post Response Mode).

use super::Op;
use super::error::Result;
use super::request::ReturnAddress;
use bytes::Bytes;
use http::Response;

/// A row of [`MODES`].
pub trait ResponseMode: Sync + Send {
    /// The `response_mode`.
    fn name(&self) -> &'static str;
    /// The section that defines it.
    fn spec(&self) -> &'static str;
    /// Sends `params` to where the client asked for them.
    fn respond(&self, op: &Op, to: &ReturnAddress, params: &[(&str, &str)]) -> Result<Response<Bytes>>;
}

pub const MODES: &[&dyn ResponseMode] = &[];
