//! Checking a password at sign-in, and replacing a hash of somebody else's making by one of ours once it was right.

use super::django::Pbkdf2;
use super::{Person, digest, password};
use crate::base::secret::Secret;
use crate::op::Op;
use crate::op::error::Result;
use crate::op::record::account::Account;
use crate::store::record::{get, put};
use crate::store::{Durability, Expect};

impl Op {
    /// Whether `password` is the person's (see [`password::verify`]). A hash that came from Django is replaced in the
    /// store by an argon2id one; should that fail, the sign-in does not.
    pub(in crate::op) async fn is_password(&self, person: Option<&Person>, password: Secret) -> Result<bool> {
        let work = &self.shared.kit.work;
        let right = password::verify(work, person, password.clone(), self.people.iterations).await?;
        if let Some(person) = person.filter(|_| right)
            && let Some(hash) = person.password.as_ref()
            && Pbkdf2::parse(hash.expose()).is_some()
            && let Err(error) = self.rehash(&person.account, password, digest(hash)).await
        {
            tracing::warn!(cause = ?error.cause, "a password was right but is not hashed anew");
        }
        Ok(right)
    }

    async fn rehash(&self, account: &str, password: Secret, instead_of: String) -> Result<()> {
        let (kit, now) = (&self.shared.kit, self.now());
        let password = password::hash(&kit.work, &kit.random, password).await?;
        let stored = get::<Account>(self.store(), account.to_owned(), now).await?;
        let (account, expect) = match stored {
            // Changed by the command line in this very moment: that one counts.
            Some(stored) if !stored.record.password.is_empty() && stored.record.instead_of.is_none() => {
                return Ok(());
            }
            Some(stored) => (stored.record, Expect::Version(stored.version)),
            None => (Account { id: account.to_owned(), created: now, ..Account::default() }, Expect::Absent),
        };
        let account = Account { password, instead_of: Some(instead_of), ..account };
        match self.store().commit(vec![put(&account, expect)?], Durability::Durable, now).await {
            Err(fault) if !fault.is_conflict() => Err(fault.into()),
            _ => Ok(()),
        }
    }
}
