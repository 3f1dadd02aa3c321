//! `acr_values`, else the client's `default_acr_values` (OpenID Connect Core §3.1.2.1): a wish, never refused for.

use super::Params;
use crate::op::error::Result;
use crate::op::record::client::Client;

const MAX: usize = 20;

pub(super) fn check(client: &Client, params: &Params) -> Result<Vec<String>> {
    let asked = super::words(params, "acr_values", MAX)?;
    Ok(if asked.is_empty() { client.metadata.default_acr_values.clone() } else { asked })
}
