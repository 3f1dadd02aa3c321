//! The endpoints: one file each, one row each.
//!
//! A row knows its name (also the word in `op.paths` and the metric label), its specification, its methods, how its
//! errors look, whether scripts of other origins may read it, and what it adds to the metadata.

pub(super) mod configuration;
pub(super) mod introspection;
pub(super) mod jwks;
pub(super) mod registration;
pub(super) mod revocation;
pub(super) mod token;
pub(super) mod userinfo;

mod authorization;
mod check_session;
mod interaction;
mod par;
mod session;
mod start;
mod webfinger;

use super::error::{Error, Result};
use super::{Op, Peer};
use crate::base::clock::Timestamp;
use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, Request, Response};
use serde_json::{Map, Value};

/// How an endpoint says that something went wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ErrorForm {
    /// RFC 6749 §5.2: JSON; 401 with a challenge for failed client authentication.
    Json,
    /// RFC 6750 §3: a `WWW-Authenticate: Bearer` challenge, and the same as JSON.
    Bearer,
    /// A page for a person.
    Page,
}

/// Which scripts may read the answers (CORS; never with credentials).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cors {
    /// None: pages and what browsers navigate to.
    Never,
    /// Any origin: public documents, and endpoints that need no ambient authority.
    AnyOrigin,
}

/// One request on its way through an endpoint.
#[derive(Debug)]
pub struct Call<'a> {
    pub request: &'a Request<Bytes>,
    pub peer: &'a Peer,
    /// What follows the endpoint's own path: empty, or starts with `/`.
    pub rest: &'a str,
    pub now: Timestamp,
}

/// A row of [`ENDPOINTS`].
#[async_trait]
pub trait Endpoint: Sync + Send {
    /// Its name: in `op.paths`, in metrics, and (unless [`Endpoint::well_known`]) its last path segment.
    fn name(&self) -> &'static str;
    /// The section that defines it.
    fn spec(&self) -> &'static str;
    fn methods(&self) -> &'static [Method];
    fn error_form(&self) -> ErrorForm;
    fn cors(&self) -> Cors;
    /// True for documents whose path a specification fixes; they live at [`Endpoint::fixed_paths`] only.
    fn fixed_paths(&self, _op: &Op) -> Vec<String> {
        Vec::new()
    }
    /// Whether more path segments may follow (`/registration/CLIENT`).
    fn takes_rest(&self) -> bool {
        false
    }
    /// Adds its members to the metadata document.
    fn describe(&self, _op: &Op, _metadata: &mut Map<String, Value>) {}

    async fn answer(&self, op: &Op, call: Call<'_>) -> Result<Response<Bytes>>;
}

/// Every endpoint there is. Routing, metadata, configuration words and metric labels are derived from this table.
pub const ENDPOINTS: &[&dyn Endpoint] = &[
    &configuration::Configuration,
    &authorization::AuthorizationEndpoint,
    &par::PushedRequests,
    &interaction::Interaction,
    &session::EndSession,
    &check_session::CheckSession,
    &token::Token,
    &userinfo::Userinfo,
    &introspection::Introspection,
    &revocation::Revocation,
    &registration::Registration,
    &jwks::Jwks,
    &webfinger::WebFinger,
    &start::Start,
];

/// A request that no row answers, as its own error.
pub fn nothing_here() -> Error {
    Error::new(super::error::Code::NotFound, "There is no such endpoint")
}
