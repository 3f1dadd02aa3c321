//! The accounts in the store: made by the command line, or a new password for somebody in the file.

use super::{Directory, Entry};
use crate::base::clock::Timestamp;
use crate::base::secret::Secret;
use crate::op::error::Result;
use crate::op::record::account::Account;
use crate::store::record::Record;
use crate::store::{MAX_PAGE, Range, Store, record};
use async_trait::async_trait;
use std::sync::Arc;

pub struct Stored(pub Arc<dyn Store>);

#[async_trait]
impl Directory for Stored {
    async fn find(&self, account: &str, now: Timestamp) -> Result<Option<Entry>> {
        let found = record::get::<Account>(&*self.0, account.to_owned(), now).await?;
        Ok(found.map(|found| Entry {
            password: (!found.record.password.is_empty()).then(|| Secret::new(found.record.password)),
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
        "command line"
    }
}
