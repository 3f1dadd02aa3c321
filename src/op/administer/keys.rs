//! `key …`.

use super::{Refused, Reply, refused};
use crate::base::clock::Timestamp;
use crate::jose::rotation::{self, Note, Purpose, State};
use crate::op::{Fault, Op};
use serde_json::{Value, json};

/// `[{ kid, use, alg, state, created, since, next, next_change }]`: `alg` is the signature algorithm, or the kind of
/// key that others encrypt to; `next` says what the schedule does with it and on which day (`promotes 2027-02-22`),
/// `next_change` the moment. Both are null where nothing happens until it is rotated by hand.
pub(super) async fn list(op: &Op) -> Reply {
    let policy = op.rotation_policy();
    let notes = op.ring().notes();
    let row = |note: &Note| {
        let next = rotation::outlook(note, &notes, &policy);
        json!({
            "kid": note.kid,
            "use": match note.purpose {
                Purpose::Sign(_) => "sig",
                Purpose::Decrypt(_) => "enc",
            },
            "alg": note.purpose.name(),
            "state": note.state,
            "created": note.created.0,
            "since": note.since.0,
            "next": next.map(|(fate, at)| format!("{} {}", fate.name(), day(at))),
            "next_change": next.map(|(_, at)| at.0),
        })
    };
    Ok(Value::Array(notes.iter().map(row).collect()))
}

/// `2027-02-22`
fn day(at: Timestamp) -> String {
    let seconds = i64::try_from(at.0).ok();
    let moment = seconds.and_then(|seconds| time::OffsetDateTime::from_unix_timestamp(seconds).ok());
    moment.map_or_else(|| "never".into(), |moment| moment.date().to_string())
}

/// The list afterwards. `alg` is as the list names it.
pub(super) async fn rotate(op: &Op, alg: Option<&str>) -> Reply {
    let purpose = match alg.map(|name| (name, Purpose::parse(name))) {
        None => None,
        Some((_, Some(purpose))) => Some(purpose),
        Some((name, None)) => return refused(format!("there is no algorithm {name}")),
    };
    let known = |purpose: Purpose| {
        let notes = op.ring().notes();
        notes.iter().any(|note| note.purpose.is(purpose) && note.state == State::Current)
    };
    if let Some(purpose) = purpose.filter(|purpose| !known(*purpose)) {
        return refused(format!("there is no key for {purpose}"));
    }
    op.rotate_keys(purpose, op.now()).await?;
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
