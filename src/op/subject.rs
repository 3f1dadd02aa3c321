//! Subject identifiers (OpenID Connect Core §8): what a client knows a person by. Never the account's own name.

use super::Op;
use super::endpoint::registration::metadata::sector_host;
use super::record::client::Client;
use super::settings::SubjectType;
use crate::base::encode::base64url;
use crate::base::secret::hmac_sha256;

/// What `sub` begins with where a client acts for itself. No person's identifier contains a colon.
const CLIENT_NAMESPACE: &str = "client:";

impl Op {
    /// The `sub` by which `client` knows `account`.
    pub(super) fn subject(&self, client: &Client, account: &str) -> String {
        let sector = match client.metadata.subject_type {
            SubjectType::Public => return self.public_subject(account),
            SubjectType::Pairwise => sector(client),
        };
        base64url(&hmac_sha256(
            &self.shared.subject_key,
            &[b"pairwise", sector.as_bytes(), account.as_bytes()],
        ))
    }

    /// The public `sub` of `account`: the same for every client that is not pairwise.
    pub(super) fn public_subject(&self, account: &str) -> String {
        base64url(&hmac_sha256(&self.shared.subject_key, &[b"public", account.as_bytes()]))
    }
}

/// The `sub` of a client that acts for itself (RFC 9068 §2.2): in a namespace no person can have (RFC 9700 §4.15).
pub(super) fn of_client(client_id: &str) -> String {
    format!("{CLIENT_NAMESPACE}{client_id}")
}

/// OpenID Connect Core §8.1: the host of the sector identifier URI, or of the (only) redirect URI host. Registration
/// refuses a pairwise client with several hosts and no sector identifier.
pub(super) fn sector(client: &Client) -> String {
    let metadata = &client.metadata;
    let uri = metadata.sector_identifier_uri.as_ref().or(metadata.redirect_uris.first());
    uri.and_then(|uri| sector_host(uri)).unwrap_or_else(|| client.client_id.clone())
}
