//! `client …`.

use super::{Refused, Reply, refused};
use crate::op::Op;
use crate::op::endpoint::registration::{self, metadata};
use crate::op::record::client::Client;
use crate::op::token::revoke;
use crate::store::record::{delete, get, list as page, put};
use crate::store::{Durability, Expect, MAX_PAGE, Range};
use serde_json::{Map, Value, json};

/// The registration answer (RFC 7591 §3.2.1), with the secret that is shown once.
pub(super) async fn add(op: &Op, sent: &Map<String, Value>) -> Reply {
    if let Some(unknown) = sent.keys().find(|name| !metadata::is_known(name)) {
        return refused(format!("{unknown} is not a member this provider knows"));
    }
    let made = registration::make(op, sent, "command line", op.now()).await?;
    Ok(registration::description(op, &made.client, made.secret.as_deref(), None))
}

/// `[{ client_id, client_name, origin, token_endpoint_auth_method, grant_types, redirect_uris, created }]`
pub(super) async fn list(op: &Op) -> Reply {
    let mut rows: Vec<Value> = op.clients.seeds().map(|client| row(client)).collect();
    rows.sort_by_key(|row| row.get("client_id").map(Value::to_string));
    let mut after: Option<Vec<u8>> = None;
    loop {
        let range = Range::Shelf(<Client as crate::store::record::Record>::SHELF);
        let found = page::<Client>(op.store(), &range, after.as_deref(), MAX_PAGE, op.now()).await?;
        rows.extend(found.iter().map(|stored| row(&stored.record)));
        match found.last() {
            Some(last) if found.len() == MAX_PAGE => after = Some(last.record.client_id.clone().into_bytes()),
            _ => return Ok(Value::Array(rows)),
        }
    }
}

fn row(client: &Client) -> Value {
    json!({
        "client_id": client.client_id,
        "client_name": client.metadata.client_name,
        "origin": client.origin,
        "token_endpoint_auth_method": client.metadata.token_endpoint_auth_method,
        "grant_types": client.metadata.grant_types,
        "redirect_uris": client.metadata.redirect_uris,
        "created": client.created.0,
    })
}

/// The client's metadata and where it came from.
pub(super) async fn show(op: &Op, client_id: &str) -> Reply {
    let Some(client) = op.client(client_id, op.now()).await? else { return unknown(client_id) };
    let mut body = registration::description(op, &client, None, None);
    if let Some(members) = body.as_object_mut() {
        members.insert("origin".into(), client.origin.clone().into());
    }
    Ok(body)
}

/// `{ client_id, client_secret, client_secret_expires_at }`; the old secret is refused from now on.
pub(super) async fn rotate_secret(op: &Op, client_id: &str) -> Reply {
    not_a_seed(op, client_id)?;
    let Some(stored) = get::<Client>(op.store(), client_id.to_owned(), op.now()).await? else {
        return unknown(client_id);
    };
    if !metadata::needs_secret(&stored.record.metadata.token_endpoint_auth_method) {
        return refused(format!("{client_id} authenticates without a secret"));
    }
    let secret = op.new_secret(&stored.record.metadata)?;
    let secret_digest = Some(registration::digest(&secret));
    let secret_sealed = op.sealed_secret(client_id, &stored.record.metadata, &secret)?;
    let secret_expires = registration::secret_expiry(op, op.now());
    let client = Client { secret_digest, secret_sealed, secret_expires, ..stored.record };
    let change = put(&client, Expect::Version(stored.version))?;
    op.store().commit(vec![change], Durability::Durable, op.now()).await?;
    Ok(json!({
        "client_id": client_id,
        "client_secret": secret,
        "client_secret_expires_at": secret_expires.map_or(0, |at| at.0),
    }))
}

/// `{ client_id, removed: true }`; its tokens, and live exchanges with them, have ended.
pub(super) async fn remove(op: &Op, client_id: &str) -> Reply {
    not_a_seed(op, client_id)?;
    if get::<Client>(op.store(), client_id.to_owned(), op.now()).await?.is_none() {
        return unknown(client_id);
    }
    revoke::client(op, client_id, true).await?;
    let change = delete::<Client>(client_id.to_owned(), Expect::Anything);
    op.store().commit(vec![change], Durability::Durable, op.now()).await?;
    Ok(json!({ "client_id": client_id, "removed": true }))
}

fn not_a_seed(op: &Op, client_id: &str) -> Result<(), Refused> {
    match op.clients.seeds().any(|seed| seed.client_id == client_id) {
        true => refused(format!("{client_id} comes from clients_file: change it there and reload")),
        false => Ok(()),
    }
}

fn unknown<T>(client_id: &str) -> Result<T, Refused> {
    refused(format!("there is no client {client_id}"))
}
