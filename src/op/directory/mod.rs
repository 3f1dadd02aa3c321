//! Who people are: the file of seeds, and over it what the command line wrote into the store.

mod claims;
mod django;
mod file;
pub mod password;
mod rehash;
pub mod second_factor;
mod stored;
#[cfg(test)]
mod tests;

pub(super) use claims::standard as standard_claims;
pub(super) use claims::{fault as claim_fault, of_scope};
pub(super) use file::entry_faults;
pub use file::faults as user_file_faults;
pub use stored::{Added, NewPerson};

use super::clients::SeedFault;
use super::error::Result;
use super::record::mark::Mark;
use super::{Op, Settings};
use crate::base::clock::Timestamp;
use crate::base::encode::base64url;
use crate::base::secret::{Secret, sha256};
use crate::store::Store;
use crate::store::record;
use async_trait::async_trait;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// The longest user name that is looked up, in bytes.
pub const MAX_USERNAME: usize = 256;

/// A person, as the directories know them.
#[derive(Clone, Debug)]
pub struct Person {
    /// The account's identifier at home: the user name in lower case. Never shown to a client.
    pub account: String,
    /// A PHC string, or a hash as Django writes it; without one nobody signs in with a password.
    pub password: Option<Secret>,
    /// OpenID Connect Core §5.1, without `sub`.
    pub claims: Arc<Map<String, Value>>,
    pub disabled: bool,
}

impl Person {
    /// What the pages call them.
    pub fn name(&self) -> &str {
        self.claims.get("name").and_then(Value::as_str).unwrap_or(&self.account)
    }
}

/// What one directory knows of an account.
#[derive(Clone, Debug)]
pub struct Entry {
    pub password: Option<Secret>,
    /// [`digest`] of the hash in the next directory that this password is the same as; of another hash it knows nothing.
    pub instead_of: Option<String>,
    /// `None`: ask the next directory.
    pub claims: Option<Arc<Map<String, Value>>>,
}

/// Where people are looked up. Two production forms: the file of seeds, and the store.
#[async_trait]
pub trait Directory: Send + Sync {
    /// What it knows of `account`.
    async fn find(&self, account: &str, now: Timestamp) -> Result<Option<Entry>>;

    /// Every account it knows something of.
    async fn accounts(&self, now: Timestamp) -> Result<Vec<String>>;

    /// What operators call it.
    fn origin(&self) -> &'static str;
}

/// Who somebody was at the provider whose place this one takes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Elsewhere {
    /// What subjects were made from, if not the account.
    pub uid: Option<String>,
    /// The public subject, if it follows from nothing.
    pub subject: Option<String>,
}

/// Everybody the provider knows.
pub struct People {
    /// The directories in the order in which they are believed.
    directories: Vec<Box<dyn Directory>>,
    /// By account: only those of whom there is something to say.
    elsewhere: HashMap<String, Elsewhere>,
    /// The most PBKDF2 iterations any password of the file takes.
    iterations: u32,
}

impl People {
    /// Reads the file that `settings` name.
    pub(super) fn load(
        settings: &Settings,
        store: Arc<dyn Store>,
    ) -> std::result::Result<People, Vec<SeedFault>> {
        let mut seeds = file::Seeds::load(settings)?;
        let (elsewhere, iterations) = (std::mem::take(&mut seeds.elsewhere), seeds.iterations());
        let directories: Vec<Box<dyn Directory>> = vec![Box::new(stored::Stored(store)), Box::new(seeds)];
        Ok(People { directories, elsewhere, iterations })
    }

    /// What subjects of `account` were made from before.
    pub(super) fn name_elsewhere<'a>(&'a self, account: &'a str) -> &'a str {
        self.elsewhere.get(account).and_then(|known| known.uid.as_deref()).unwrap_or(account)
    }

    /// Whether `account` is what another one's subjects are made from: whoever got it would be known as that person.
    pub(super) fn is_somebody_elsewhere(&self, account: &str) -> bool {
        let is = |uid: &String| account_of(uid) == account;
        self.elsewhere.iter().any(|(own, known)| own != account && known.uid.as_ref().is_some_and(is))
    }

    /// The public subject that `account` was given before, if it follows from nothing.
    pub(super) fn fixed_subject(&self, account: &str) -> Option<&str> {
        self.elsewhere.get(account)?.subject.as_deref()
    }

    /// Every account, in order, with where it comes from: the last directory that knows it, since those before only
    /// change something about it.
    pub(super) async fn accounts(&self, now: Timestamp) -> Result<BTreeMap<String, &'static str>> {
        let mut all = BTreeMap::new();
        for directory in &self.directories {
            all.extend(
                directory.accounts(now).await?.into_iter().map(|account| (account, directory.origin())),
            );
        }
        Ok(all)
    }
}

/// Whether somebody may be called so. A colon would reach into the namespace of clients that act for themselves.
pub fn is_username(account: &str) -> bool {
    let odd = |c: char| c.is_control() || c.is_whitespace() || c == ':';
    (1..=MAX_USERNAME).contains(&account.len()) && !account.contains(odd)
}

/// The account a user name means: names are compared without case and without space around them.
pub fn account_of(username: &str) -> String {
    username.trim().to_lowercase()
}

/// What a hash is called by.
fn digest(hash: &Secret) -> String {
    base64url(&sha256(hash.expose().as_bytes()))
}

impl Op {
    /// The person whose user name this is; disabled people are found, and said to be so.
    pub(super) async fn person(&self, username: &str, now: Timestamp) -> Result<Option<Person>> {
        let account = account_of(username);
        if account.is_empty() || account.len() > MAX_USERNAME {
            return Ok(None);
        }
        let (mut password, mut claims, mut instead_of) = (None, None, None);
        for directory in &self.people.directories {
            if let Some(entry) = directory.find(&account, now).await? {
                if instead_of.is_some() && instead_of != entry.password.as_ref().map(digest) {
                    // It was changed there since: perhaps because the old one had become known.
                    password = None;
                }
                instead_of = entry.instead_of;
                password = password.or(entry.password);
                claims = claims.or(entry.claims);
            }
        }
        // What the store changed about somebody who is no longer in the file is not a person.
        let Some(claims) = claims else { return Ok(None) };
        let mark = record::get::<Mark>(self.store(), Mark::of_account(&account), now).await?;
        let disabled = mark.is_some_and(|mark| mark.record.disabled);
        Ok(Some(Person { account, password, claims, disabled }))
    }

    /// Every claim that some scope releases, for the metadata.
    pub(super) fn claim_names(&self) -> Vec<String> {
        claims::names(&self.settings)
    }
}
