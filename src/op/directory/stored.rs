//! The accounts in the store: made by the command line or by people themselves, or a new password for somebody in the
//! file.

use super::{Directory, Entry};
use crate::base::clock::Timestamp;
use crate::base::secret::Secret;
use crate::op::Op;
use crate::op::error::Result;
use crate::op::record::account::Account;
use crate::op::record::mark::Mark;
use crate::op::token::life::Parent;
use crate::store::record::Record;
use crate::store::{Durability, Expect, MAX_PAGE, Range, Store, record};
use async_trait::async_trait;
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::Duration;

pub struct Stored(pub Arc<dyn Store>);

/// Somebody who makes an account.
pub struct NewPerson {
    pub account: String,
    /// A PHC string.
    pub password: String,
    pub claims: Map<String, Value>,
}

/// What came of it.
pub enum Added {
    Now(String),
    /// There is, or was, somebody of that name.
    Taken,
}

impl Op {
    /// Makes an account for somebody nobody vouches for: what may still hang on an earlier account of that name is dead,
    /// and a name that was marked (disabled, say) is not given away.
    pub(in crate::op) async fn add_stranger(&self, new: NewPerson, now: Timestamp) -> Result<Added> {
        let NewPerson { account, password, claims } = new;
        if self.people.is_somebody_elsewhere(&account) {
            return Ok(Added::Taken);
        }
        let dead_since = now.minus(Duration::from_secs(1));
        let mark = Mark { of: Mark::of_account(&account), dead_since, disabled: false };
        let record =
            Account { id: account.clone(), password, claims: Some(claims), created: now, instead_of: None };
        let changes = vec![record::put(&record, Expect::Absent)?, record::put(&mark, Expect::Absent)?];
        match self.store().commit(changes, Durability::Durable, now).await {
            Ok(_) => {
                self.lives().end(&Parent::Account(account.clone())).await;
                Ok(Added::Now(account))
            }
            Err(fault) if fault.is_conflict() => Ok(Added::Taken),
            Err(fault) => Err(fault.into()),
        }
    }
}

#[async_trait]
impl Directory for Stored {
    async fn find(&self, account: &str, now: Timestamp) -> Result<Option<Entry>> {
        let found = record::get::<Account>(&*self.0, account.to_owned(), now).await?;
        Ok(found.map(|found| Entry {
            password: (!found.record.password.is_empty()).then(|| Secret::new(found.record.password)),
            instead_of: found.record.instead_of,
            claims: found.record.claims.map(Arc::new),
        }))
    }

    async fn accounts(&self, now: Timestamp) -> Result<Vec<String>> {
        let (range, mut after) = (Range::Shelf(Account::SHELF), None::<String>);
        let mut all = Vec::new();
        loop {
            let start = after.as_deref().map(str::as_bytes);
            let page = record::list::<Account>(&*self.0, &range, start, MAX_PAGE, now).await?;
            let full = page.len() == MAX_PAGE;
            after = page.last().map(|stored| stored.record.id.clone());
            all.extend(page.into_iter().map(|stored| stored.record.id));
            if !full {
                return Ok(all);
            }
        }
    }

    fn origin(&self) -> &'static str {
        "store"
    }
}
