//! `client token`, `client tokens`, `client revoke-token`: initial access tokens (RFC 7591 §1.2).

use super::{Refused, Reply, refused};
use crate::base::clock::Timestamp;
use crate::base::uri;
use crate::op::Op;
use crate::op::endpoint::registration::digest;
use crate::op::record::initial_access::InitialAccess;
use crate::op::settings::Registration;
use crate::store::record::{Record, delete, get, list as page, put};
use crate::store::{Durability, Expect, MAX_PAGE, Range};
use serde_json::{Value, json};
use std::time::Duration;

/// `{ initial_access_token, token_id, uses, expires, redirect_hosts, scopes }`; the token is shown once.
pub(super) async fn make(
    op: &Op,
    uses: Option<u64>,
    lifetime: Option<u64>,
    redirect_hosts: Vec<String>,
    scopes: Vec<String>,
) -> Reply {
    if op.settings.registration != Registration::InitialAccessToken {
        return refused("op.registration is not initial_access_token: nobody would ask for one");
    }
    if uses == Some(0) || lifetime == Some(0) {
        return refused("a token that is good for nothing is none: uses and lifetime begin at 1");
    }
    if let Some(host) = redirect_hosts.iter().find(|host| {
        uri::host(&format!("https://{host}/")).is_none_or(|alone| !alone.eq_ignore_ascii_case(host))
    }) {
        return refused(format!("{host} is not a host: say it without scheme, port and path"));
    }
    let token = op.random().token().map_err(|fault| Refused(fault.to_string()))?;
    let now = op.now();
    let record = InitialAccess {
        digest: digest(&token),
        created: now,
        expires: lifetime.map_or(Timestamp::NEVER, |seconds| now.plus(Duration::from_secs(seconds))),
        uses,
        used: 0,
        redirect_hosts: redirect_hosts.into_iter().map(|host| host.to_ascii_lowercase()).collect(),
        scopes,
    };
    op.store().commit(vec![put(&record, Expect::Absent)?], Durability::Durable, now).await?;
    let mut body = row(&record);
    if let Some(members) = body.as_object_mut() {
        members.insert("initial_access_token".into(), token.into());
    }
    Ok(body)
}

/// `[{ token_id, created, expires, uses, used, redirect_hosts, scopes }]`
pub(super) async fn list(op: &Op) -> Reply {
    let mut rows = Vec::new();
    let mut after: Option<Vec<u8>> = None;
    loop {
        let range = Range::Shelf(InitialAccess::SHELF);
        let found = page::<InitialAccess>(op.store(), &range, after.as_deref(), MAX_PAGE, op.now()).await?;
        rows.extend(found.iter().map(|stored| row(&stored.record)));
        match found.last() {
            Some(last) if found.len() == MAX_PAGE => after = Some(last.record.digest.clone().into_bytes()),
            _ => return Ok(Value::Array(rows)),
        }
    }
}

fn row(token: &InitialAccess) -> Value {
    json!({
        "token_id": token.digest,
        "created": token.created,
        // 0 = never, as for secrets (RFC 7591 §3.2.1).
        "expires": if token.expires == Timestamp::NEVER { 0 } else { token.expires.0 },
        "uses": token.uses,
        "used": token.used,
        "redirect_hosts": token.redirect_hosts,
        "scopes": token.scopes,
    })
}

/// `{ token_id, revoked: true }`; clients that were registered with it stay.
pub(super) async fn revoke(op: &Op, token_id: &str) -> Reply {
    if get::<InitialAccess>(op.store(), token_id.to_owned(), op.now()).await?.is_none() {
        return refused(format!("there is no initial access token {token_id}"));
    }
    let change = delete::<InitialAccess>(token_id.to_owned(), Expect::Anything);
    op.store().commit(vec![change], Durability::Durable, op.now()).await?;
    Ok(json!({ "token_id": token_id, "revoked": true }))
}
