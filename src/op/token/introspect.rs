//! Judging a token. The proxy, userinfo and the introspection endpoint ask here and get the same answer.

use super::life::Life;
use crate::base::clock::Timestamp;
use std::sync::Arc;

/// A token as somebody presented it.
#[derive(Clone, Copy)]
pub struct Presented<'a> {
    /// The string itself. At most 64 KiB is looked at.
    pub token: &'a str,
}

/// What the provider vouches for about an access token. Shared and immutable: a seen token costs no allocation.
#[derive(Debug)]
pub struct Facts {
    pub client_id: String,
    /// The `sub` as the audience sees it.
    pub subject: String,
    /// The account at home; `None` if a client acts for itself (client_credentials).
    pub account: Option<String>,
    /// What the person types to sign in; for introspection's `username`.
    pub username: Option<String>,
    pub scope: Vec<String>,
    pub audience: Vec<String>,
    pub jti: String,
    /// The family's id, if there is one.
    pub family: Option<String>,
    pub sid: Option<String>,
    pub issued: Timestamp,
    pub expires: Timestamp,
    pub auth_time: Option<Timestamp>,
    pub acr: Option<String>,
    /// Ends when any parent ends.
    pub life: Arc<Life>,
}

/// The provider's judgement. Why a token is not active is nobody's business outside (RFC 7662 §2.2).
#[derive(Clone, Debug)]
pub enum Verdict {
    Active(Arc<Facts>),
    Inactive,
}
