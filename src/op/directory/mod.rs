//! Who people are.

use super::error::Result;
use crate::base::clock::Timestamp;
use async_trait::async_trait;
use serde_json::{Map, Value};
use std::sync::Arc;

/// A person, as a directory knows them.
#[derive(Clone, Debug)]
pub struct Person {
    /// The account's identifier at home.
    pub account: String,
    /// OpenID Connect Core §5.1, without `sub`.
    pub claims: Arc<Map<String, Value>>,
    pub disabled: bool,
}

/// Where people are looked up. Two production forms: the file of seeds, and the store.
#[async_trait]
pub trait Directory: Send + Sync {
    /// The person whose user name this is. Names are compared without case.
    async fn find(&self, username: &str, now: Timestamp) -> Result<Option<Person>>;
    /// The person's password hash (PHC string), if they have one.
    async fn password(&self, account: &str, now: Timestamp) -> Result<Option<String>>;
}
