//! Certificates that tokens are bound to (RFC 8705 §3), and where the endpoints are that ask for one (§5). That a client
//! holds the key of its certificate was proved in the handshake.

use crate::base::encode::base64url;
use crate::base::secret::{equal, sha256};
use crate::op::endpoint::{Endpoint, ErrorForm};
use crate::op::{Op, serve};
use serde_json::{Map, Value};

/// `x5t#S256`: base64url of the SHA-256 of the certificate in DER.
pub(super) fn thumbprint(certificate: &[u8]) -> String {
    base64url(&sha256(certificate))
}

/// RFC 8705 §3: the very certificate the token is bound to.
pub(super) fn is_of(certificate: Option<&[u8]>, bound: &str) -> bool {
    certificate.is_some_and(|certificate| equal(thumbprint(certificate).as_bytes(), bound.as_bytes()))
}

/// Whether it answers on the listener that asks for certificates: what clients call themselves, and no page for people.
pub(in crate::op) fn is_aliased(endpoint: &dyn Endpoint) -> bool {
    let open = ["configuration", "jwks", "registration", "webfinger"];
    endpoint.error_form() != ErrorForm::Page && !open.contains(&endpoint.name())
}

/// What the metadata says of certificates (RFC 8705 §3.3, §5); nothing if there is no listener for them.
pub(in crate::op) fn describe(op: &Op, metadata: &mut Map<String, Value>) {
    let Some(mtls) = &op.settings.mtls else { return };
    let mut aliases = Map::new();
    for (member, address) in metadata.iter().filter(|(member, _)| member.ends_with("_endpoint")) {
        let path = address.as_str().and_then(|address| address.strip_prefix(op.origin()));
        if let Some(path) = path.filter(|path| serve::endpoint(op, path).is_some_and(is_aliased)) {
            aliases.insert(member.clone(), format!("{}{path}", mtls.origin).into());
        }
    }
    metadata.insert("mtls_endpoint_aliases".into(), aliases.into());
    metadata.insert("tls_client_certificate_bound_access_tokens".into(), true.into());
}

#[cfg(test)]
mod tests;
