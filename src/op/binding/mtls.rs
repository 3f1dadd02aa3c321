//! The thumbprint of a client's certificate (RFC 8705 §3.1). That the client holds its key was proved in the handshake.

use crate::base::encode::base64url;
use crate::base::secret::{equal, sha256};

/// `x5t#S256`: base64url of the SHA-256 of the certificate in DER.
pub(super) fn thumbprint(certificate: &[u8]) -> String {
    base64url(&sha256(certificate))
}

/// RFC 8705 §3: the very certificate the token is bound to.
pub(super) fn is_of(certificate: Option<&[u8]>, bound: &str) -> bool {
    certificate.is_some_and(|certificate| equal(thumbprint(certificate).as_bytes(), bound.as_bytes()))
}
