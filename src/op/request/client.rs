//! `client_id` (RFC 6749 §4.1.1): a client that is registered and not disabled.

use super::Params;
use crate::base::clock::Timestamp;
use crate::op::Op;
use crate::op::error::{Result, invalid_request};
use crate::op::record::client::Client;
use crate::op::record::mark::Mark;
use crate::store::record;
use std::sync::Arc;

pub(super) async fn check(op: &Op, params: &Params, now: Timestamp) -> Result<Arc<Client>> {
    let id = params.required("client_id")?;
    // The same words for both: which clients were disabled is nobody's business.
    let unknown = || invalid_request("No client is registered under this client_id");
    let client = op.client(id, now).await?.ok_or_else(unknown)?;
    let mark = record::get::<Mark>(op.store(), Mark::of_client(id), now).await?;
    match mark {
        Some(mark) if mark.record.disabled => Err(unknown()),
        _ => Ok(client),
    }
}
