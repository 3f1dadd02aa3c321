//! `key …`.

use super::{Refused, Reply, refused};
use crate::jose::alg::Algorithm;
use crate::jose::rotation::State;
use crate::op::{Fault, Op};
use serde_json::{Value, json};

/// `[{ kid, alg, state, created, since, next_change }]`; the last is when the schedule moves it on, if it does.
pub(super) async fn list(op: &Op) -> Reply {
    let policy = op.rotation_policy();
    let ring = op.ring();
    let rows = ring.keys().iter().map(|entry| {
        let after = match entry.state {
            State::Current if policy.every.is_zero() => None,
            State::Current => Some(policy.every),
            State::Retiring => Some(policy.retire_for),
            State::VerifyOnly => Some(policy.verify_for),
            // Moves up when the current key's time is over.
            State::Next => None,
        };
        json!({
            "kid": entry.key.kid(),
            "alg": entry.key.alg().name(),
            "state": entry.state,
            "created": entry.created.0,
            "since": entry.since.0,
            "next_change": after.map(|after| entry.since.plus(after).0),
        })
    });
    Ok(Value::Array(rows.collect()))
}

/// The list afterwards.
pub(super) async fn rotate(op: &Op, alg: Option<&str>) -> Reply {
    let alg = match alg.map(|name| (name, Algorithm::parse(name))) {
        None => None,
        Some((_, Some(alg))) => Some(alg),
        Some((name, None)) => return refused(format!("there is no algorithm {name}")),
    };
    if let Some(alg) = alg.filter(|alg| op.ring().signer(*alg).is_none()) {
        return refused(format!("there is no signing key for {}", alg.name()));
    }
    op.rotate_keys(alg, op.now()).await?;
    list(op).await
}

/// The list afterwards.
pub(super) async fn revoke(op: &Op, kid: &str) -> Reply {
    match op.revoke_key(kid, op.now()).await? {
        true => list(op).await,
        false => refused(format!("there is no key {kid}")),
    }
}

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Refused {
        Refused(fault.to_string())
    }
}
