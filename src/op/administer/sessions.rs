//! `session …`.

use super::{Reply, refused};
use crate::op::Op;
use crate::op::record::session::{BY_ACCOUNT, Session};
use crate::op::token::revoke;
use crate::store::record::{Record, get, index, list as page};
use crate::store::{MAX_PAGE, Range};
use serde_json::{Value, json};

/// `[{ sid, username, auth_time, last_seen, expires, amr, clients }]`
pub(super) async fn list(op: &Op, username: Option<&str>) -> Reply {
    let found = found(op, username).await?;
    Ok(Value::Array(found.iter().map(row).collect()))
}

/// `{ ended: N }`; the sessions' tokens, and live exchanges with them, have ended.
pub(super) async fn end(op: &Op, sid: Option<&str>, username: Option<&str>) -> Reply {
    let sids: Vec<String> = match (sid, username) {
        (Some(sid), None) => {
            let known = get::<Session>(op.store(), sid.to_owned(), op.now()).await?;
            known.filter(|stored| !stored.dead).map(|stored| stored.record.sid).into_iter().collect()
        }
        (None, Some(_)) => found(op, username).await?.into_iter().map(|session| session.sid).collect(),
        _ => return refused("name either a session or a user"),
    };
    if sids.is_empty() {
        return refused("there is no such session");
    }
    for sid in &sids {
        revoke::session(op, sid, op.now()).await?;
    }
    Ok(json!({ "ended": sids.len() }))
}

async fn found(op: &Op, username: Option<&str>) -> Result<Vec<Session>, super::Refused> {
    let range = match username {
        Some(name) => Range::Index(index(BY_ACCOUNT, &name.to_lowercase())),
        None => Range::Shelf(Session::SHELF),
    };
    let (mut sessions, mut after): (Vec<Session>, Option<Vec<u8>>) = (Vec::new(), None);
    loop {
        let found = page::<Session>(op.store(), &range, after.as_deref(), MAX_PAGE, op.now()).await?;
        let full = found.len() == MAX_PAGE;
        after = found.last().map(|stored| stored.record.sid.clone().into_bytes());
        sessions.extend(found.into_iter().filter(|stored| !stored.dead).map(|stored| stored.record));
        if !full {
            return Ok(sessions);
        }
    }
}

fn row(session: &Session) -> Value {
    json!({
        "sid": session.sid,
        "username": session.account,
        "auth_time": session.auth_time.0,
        "last_seen": session.last_seen.0,
        "expires": session.expires.0,
        "amr": session.amr,
        "clients": session.clients,
    })
}
