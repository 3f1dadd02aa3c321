//! The only place an OAuth token is born.

use crate::op::record::family::{Authorization, Family, Lineage};
use crate::store::Change;

/// What a grant proved: everything that may be minted, and the changes that must be committed with it.
#[derive(Debug)]
pub struct Issue {
    /// Who and what for. For client_credentials `account` is empty.
    pub authorization: Authorization,
    /// The family to mint in; `None` for client_credentials.
    pub family: Option<Family>,
    /// A refresh token to hand out, if any, with the lineage it belongs to (already part of `family`).
    pub refresh: Option<(String, Lineage)>,
    pub nonce: Option<String>,
    /// An ID token is due (`openid` was granted).
    pub id_token: bool,
    /// The scope and resources of this answer (may be narrower than the authorization's).
    pub scope: Vec<String>,
    pub resources: Vec<String>,
    /// The grant's own changes (code spent, family written), committed together with the parents' checks.
    pub changes: Vec<Change>,
}
