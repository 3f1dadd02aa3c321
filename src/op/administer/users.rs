//! `user …`. People of `users_file` are never written to: a new password or a mark in the store goes before the file.

use super::{Refused, Reply, refused};
use crate::base::secret::Secret;
use crate::op::Op;
use crate::op::directory::{self, Person, password};
use crate::op::record::account::Account;
use crate::op::record::second_factor::SecondFactor;
use crate::op::token::revoke;
use crate::store::record::{delete, get, put};
use crate::store::{Durability, Expect};
use serde_json::{Map, Value, json};

/// `{ username }`
pub(super) async fn add(op: &Op, username: &str, password: String, claims: Map<String, Value>) -> Reply {
    let id = directory::account_of(username);
    if !directory::is_username(&id) {
        let most = directory::MAX_USERNAME;
        return refused(format!(
            "a user name has 1 to {most} bytes without spaces, colons and control characters"
        ));
    }
    if let Some((name, says)) =
        claims.iter().find_map(|(name, value)| Some((name, directory::claim_fault(name, value)?)))
    {
        return refused(format!("the claim {name} {says}"));
    }
    if op.people.is_somebody_elsewhere(&id) {
        return refused(format!("{id} is the uid of somebody else in users_file"));
    }
    if op.person(&id, op.now()).await?.is_some() {
        return refused(format!("there is a user {id} already"));
    }
    let password = hash(op, password).await?;
    let account =
        Account { id: id.clone(), password, claims: Some(claims), created: op.now(), instead_of: None };
    match op.store().commit(vec![put(&account, Expect::Absent)?], Durability::Durable, op.now()).await {
        Err(fault) if fault.is_conflict() => refused(format!("there is a user {id} already")),
        other => other.map(|_| json!({ "username": id })).map_err(Refused::from),
    }
}

/// `{ username }`; everything that rests on the old password has ended: sessions, tokens, live exchanges.
pub(super) async fn passwd(op: &Op, username: &str, password: String) -> Reply {
    let person = known(op, username).await?;
    let id = person.account;
    let password = hash(op, password).await?;
    let stored = get::<Account>(op.store(), id.clone(), op.now()).await?;
    let (account, expect) = match stored {
        Some(stored) => {
            (Account { password, instead_of: None, ..stored.record }, Expect::Version(stored.version))
        }
        // Somebody of the file: the claims stay there.
        None => {
            (Account { id: id.clone(), password, created: op.now(), ..Account::default() }, Expect::Absent)
        }
    };
    revoke::account_with(op, &id, person.disabled, vec![put(&account, expect)?]).await?;
    Ok(json!({ "username": id }))
}

/// `[{ username, name, email, origin, disabled, otp }]`; `otp`: whether there is a second factor
pub(super) async fn list(op: &Op) -> Reply {
    let mut rows = Vec::new();
    for (name, origin) in op.people.accounts(op.now()).await? {
        // What the store changed about somebody who is no longer in the file is not a person.
        let Some(person) = op.person(&name, op.now()).await? else { continue };
        rows.push(json!({
            "username": name,
            "name": person.claims.get("name"),
            "email": person.claims.get("email"),
            "origin": origin,
            "disabled": person.disabled,
            "otp": op.second_factor(&name, op.now()).await?.is_some(),
        }));
    }
    Ok(Value::Array(rows))
}

/// `{ username, disabled: true }`; sessions, tokens and live exchanges have ended.
pub(super) async fn disable(op: &Op, username: &str) -> Reply {
    let person = known(op, username).await?;
    revoke::account(op, &person.account, true).await?;
    Ok(json!({ "username": person.account, "disabled": true }))
}

/// `{ username, disabled: false }`; what ended stays ended.
pub(super) async fn enable(op: &Op, username: &str) -> Reply {
    let person = known(op, username).await?;
    revoke::enable_account(op, &person.account).await?;
    Ok(json!({ "username": person.account, "disabled": false }))
}

/// `{ username }`; the second factor is gone, and what rests on it has ended: sessions, tokens, live exchanges.
pub(super) async fn otp_reset(op: &Op, username: &str) -> Reply {
    let person = known(op, username).await?;
    let Some(factor) = op.second_factor(&person.account, op.now()).await? else {
        return refused(format!("{} has no second factor", person.account));
    };
    let gone = delete::<SecondFactor>(person.account.clone(), Expect::Version(factor.version));
    revoke::account_with(op, &person.account, person.disabled, vec![gone]).await?;
    Ok(json!({ "username": person.account }))
}

async fn known(op: &Op, username: &str) -> Result<Person, Refused> {
    match op.person(username, op.now()).await? {
        Some(person) => Ok(person),
        None => refused(format!("there is no user {}", directory::account_of(username))),
    }
}

async fn hash(op: &Op, password: String) -> Result<String, Refused> {
    if !password::is_long_enough(op, &password) {
        let (least, most) = (op.settings.passwords.min_length, password::MAX_PASSWORD);
        return refused(format!(
            "a password has at least {least} characters (op.passwords.min_length) and at most {most} bytes"
        ));
    }
    let kit = &op.shared.kit;
    Ok(password::hash(&kit.work, &kit.random, Secret::new(password)).await?)
}
