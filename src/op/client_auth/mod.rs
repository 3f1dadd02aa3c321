//! Client authentication: one file per method, one row each (RFC 6749 §2.3, OpenID Connect Core §9).

use super::Op;
use super::error::Result;
use super::record::client::Client;
use super::request::params::Params;
use crate::base::clock::Timestamp;
use async_trait::async_trait;
use http::HeaderMap;
use std::sync::Arc;

/// Proof that a request came from this client. Only this module makes one.
#[derive(Clone, Debug)]
pub struct Authenticated {
    client: Arc<Client>,
    method: &'static str,
}

impl Authenticated {
    pub fn client(&self) -> &Arc<Client> {
        &self.client
    }
    /// The wire name of the method that proved it.
    pub fn method(&self) -> &'static str {
        self.method
    }
}

/// What a client presented.
#[derive(Debug)]
pub struct Credentials<'a> {
    pub headers: &'a HeaderMap,
    pub params: &'a Params,
    pub now: Timestamp,
}

/// A row of [`METHODS`].
#[async_trait]
pub trait ClientAuth: Sync + Send {
    /// The `token_endpoint_auth_method`.
    fn name(&self) -> &'static str;
    /// The section that defines it.
    fn spec(&self) -> &'static str;
    /// The client id these credentials claim, if they are of this method's form; nothing is proven yet.
    fn claims(&self, presented: &Credentials<'_>) -> Result<Option<String>>;
    /// Proves that they are the client's.
    async fn prove(&self, op: &Op, client: &Client, presented: &Credentials<'_>) -> Result<()>;
}

pub const METHODS: &[&dyn ClientAuth] = &[];
