//! Sector identifiers (OpenID Connect Core §8.1, OpenID Connect Registration §5): the document at
//! `sector_identifier_uri` must name every redirect URI. The only thing registration fetches.

use super::metadata::sector_host;
use crate::base::uri::{self, Redirect};
use crate::op::Op;
use crate::op::error::{Code, Error, Result};
use crate::op::record::client::Metadata;
use std::collections::BTreeSet;

/// The hosts that the redirect URIs put a client into. A native application's loopback addresses and schemes of its own
/// say nothing of who made it (RFC 8252 §7): by them alone it is a sector of its own.
pub(crate) fn hosts(metadata: &Metadata) -> BTreeSet<String> {
    let native = metadata.application_type == "native";
    let shared = |uri: &str| native && uri::redirect(uri) != Some(Redirect::Https);
    let uris = metadata.redirect_uris.iter().filter(|uri| !shared(uri));
    uris.filter_map(|uri| sector_host(uri)).collect()
}

/// The largest document that is read.
const MAX: usize = 64 << 10;

pub(super) async fn check(op: &Op, metadata: &Metadata) -> Result<()> {
    let Some(uri) = &metadata.sector_identifier_uri else { return Ok(()) };
    let refuse = |says: &'static str| Error::new(Code::InvalidClientMetadata, says);
    let fetched = op.shared.kit.fetch.get(uri, "application/json", MAX).await;
    let fetched =
        fetched.map_err(|fault| refuse("sector_identifier_uri could not be fetched").because(fault))?;
    if fetched.status != http::StatusCode::OK {
        return Err(refuse("sector_identifier_uri did not answer with 200"));
    }
    let listed: Vec<String> = serde_json::from_slice(&fetched.body)
        .map_err(|_| refuse("sector_identifier_uri did not answer with a JSON list of URIs"))?;
    match metadata.redirect_uris.iter().all(|uri| listed.contains(uri)) {
        true => Ok(()),
        false => Err(refuse("a redirect URI is missing from the document at sector_identifier_uri")),
    }
}

#[cfg(test)]
mod tests;
