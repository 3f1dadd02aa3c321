//! Sector identifiers (OpenID Connect Core §8.1, OpenID Connect Registration §5): the document at
//! `sector_identifier_uri` must name every redirect URI. The only thing registration fetches.

use crate::op::Op;
use crate::op::error::{Code, Error, Result};
use crate::op::record::client::Metadata;

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
