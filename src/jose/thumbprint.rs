//! The name of a key that follows from the key itself (RFC 7638), SHA-256, base64url: our `kid`s and `jkt`.
//! 43 characters. RFC 7638 §3.2, RFC 8037 §2: the required members only, in lexical order, without white space.

use super::jwk::Material;
use crate::base::encode::base64url;
use crate::base::secret::sha256;

pub(super) fn thumbprint(material: &Material) -> String {
    match material {
        Material::Rsa { n, e } => rsa(n, e),
        Material::Ec { family: _, crv, x, y } => curve(crv, x, y),
        Material::Ed25519 { x } => octets("Ed25519", x),
    }
}

// Every value is base64url or a constant: nothing to escape.

pub(super) fn rsa(n: &[u8], e: &[u8]) -> String {
    digest(&format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, base64url(e), base64url(n)))
}

pub(super) fn curve(crv: &str, x: &[u8], y: &[u8]) -> String {
    digest(&format!(r#"{{"crv":"{crv}","kty":"EC","x":"{}","y":"{}"}}"#, base64url(x), base64url(y)))
}

/// A curve of RFC 8037.
pub(super) fn octets(crv: &str, x: &[u8]) -> String {
    digest(&format!(r#"{{"crv":"{crv}","kty":"OKP","x":"{}"}}"#, base64url(x)))
}

fn digest(text: &str) -> String {
    base64url(&sha256(text.as_bytes()))
}
