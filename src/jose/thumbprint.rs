//! The name of a key that follows from the key itself (RFC 7638), SHA-256, base64url: our `kid`s and `jkt`.

use super::jwk::Material;
use crate::base::encode::base64url;
use crate::base::secret::sha256;

/// 43 characters. RFC 7638 §3.2, RFC 8037 §2: the required members only, in lexical order, without white space.
pub(super) fn thumbprint(material: &Material) -> String {
    // Every value is base64url or a constant: nothing to escape.
    let text = match material {
        Material::Rsa { n, e } => {
            format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, base64url(e), base64url(n))
        }
        Material::Ec { family: _, crv, x, y } => {
            format!(r#"{{"crv":"{crv}","kty":"EC","x":"{}","y":"{}"}}"#, base64url(x), base64url(y))
        }
        Material::Ed25519 { x } => {
            format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, base64url(x))
        }
    };
    base64url(&sha256(text.as_bytes()))
}
