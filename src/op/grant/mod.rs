//! The grant types of the token endpoint: one file each, one row each (RFC 6749 §4).
//!
//! A grant proves its credential and returns an [`Issue`]: what may be minted. It mints nothing itself.

use super::Op;
use super::client_auth::Authenticated;
use super::error::Result;
use super::request::params::Params;
use super::token::mint::Issue;
use crate::base::clock::Timestamp;
use async_trait::async_trait;

/// A row of [`GRANTS`].
#[async_trait]
pub trait Grant: Sync + Send {
    /// The `grant_type`.
    fn name(&self) -> &'static str;
    /// The section that defines it.
    fn spec(&self) -> &'static str;
    /// The client was authenticated by its registered method and may use this grant.
    async fn prove(&self, op: &Op, client: &Authenticated, params: &Params, now: Timestamp) -> Result<Issue>;
}

pub const GRANTS: &[&dyn Grant] = &[];
