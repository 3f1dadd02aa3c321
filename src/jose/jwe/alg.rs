//! What may encrypt (RFC 7518 §4, §5), and nothing else: PBES2, RSA1_5, `dir`, plain key wrapping and 192-bit keys
//! cannot be expressed.

use crate::jose::Fault;
use aws_lc_rs::rsa::{OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepAlgorithm};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How the content encryption key reaches the recipient: `alg`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, JsonSchema)]
pub enum JweAlg {
    #[serde(rename = "RSA-OAEP")]
    RsaOaep,
    #[serde(rename = "RSA-OAEP-256")]
    RsaOaep256,
    #[serde(rename = "ECDH-ES")]
    EcdhEs,
    #[serde(rename = "ECDH-ES+A128KW")]
    EcdhEsA128Kw,
    #[serde(rename = "ECDH-ES+A256KW")]
    EcdhEsA256Kw,
}

/// How the content is encrypted: `enc`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, JsonSchema)]
pub enum JweEnc {
    #[serde(rename = "A128CBC-HS256")]
    A128CbcHs256,
    #[serde(rename = "A256CBC-HS512")]
    A256CbcHs512,
    #[serde(rename = "A128GCM")]
    A128Gcm,
    #[serde(rename = "A256GCM")]
    A256Gcm,
}

/// Both, as a party registers them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Encryption {
    pub alg: JweAlg,
    pub enc: JweEnc,
}

impl Encryption {
    /// From registered names. OIDC Registration §2: without `enc` it is A128CBC-HS256. `None`: one is unknown.
    pub fn parse(alg: &str, enc: Option<&str>) -> Option<Encryption> {
        let enc = enc.map_or(Some(JweEnc::A128CbcHs256), JweEnc::parse)?;
        Some(Encryption { alg: JweAlg::parse(alg)?, enc })
    }
}

impl JweAlg {
    pub const ALL: [JweAlg; 5] =
        [JweAlg::RsaOaep, JweAlg::RsaOaep256, JweAlg::EcdhEs, JweAlg::EcdhEsA128Kw, JweAlg::EcdhEsA256Kw];

    /// Exact: algorithm names are case-sensitive.
    pub fn parse(name: &str) -> Option<JweAlg> {
        JweAlg::ALL.into_iter().find(|alg| alg.name() == name)
    }

    /// As it stands in `alg`.
    pub const fn name(self) -> &'static str {
        match self {
            JweAlg::RsaOaep => "RSA-OAEP",
            JweAlg::RsaOaep256 => "RSA-OAEP-256",
            JweAlg::EcdhEs => "ECDH-ES",
            JweAlg::EcdhEsA128Kw => "ECDH-ES+A128KW",
            JweAlg::EcdhEsA256Kw => "ECDH-ES+A256KW",
        }
    }

    /// Whether it needs an RSA key; the others need a key on a curve.
    pub const fn is_rsa(self) -> bool {
        matches!(self, JweAlg::RsaOaep | JweAlg::RsaOaep256)
    }

    pub(super) const fn oaep(self) -> Option<&'static OaepAlgorithm> {
        match self {
            JweAlg::RsaOaep => Some(&OAEP_SHA1_MGF1SHA1),
            JweAlg::RsaOaep256 => Some(&OAEP_SHA256_MGF1SHA256),
            _ => None,
        }
    }

    /// The size of the key that wraps, in bytes; `None`: the agreed key encrypts the content itself.
    pub(super) const fn wrapping(self) -> Option<usize> {
        match self {
            JweAlg::EcdhEsA128Kw => Some(16),
            JweAlg::EcdhEsA256Kw => Some(32),
            _ => None,
        }
    }
}

impl JweEnc {
    pub const ALL: [JweEnc; 4] =
        [JweEnc::A128CbcHs256, JweEnc::A256CbcHs512, JweEnc::A128Gcm, JweEnc::A256Gcm];

    pub fn parse(name: &str) -> Option<JweEnc> {
        JweEnc::ALL.into_iter().find(|enc| enc.name() == name)
    }

    pub const fn name(self) -> &'static str {
        match self {
            JweEnc::A128CbcHs256 => "A128CBC-HS256",
            JweEnc::A256CbcHs512 => "A256CBC-HS512",
            JweEnc::A128Gcm => "A128GCM",
            JweEnc::A256Gcm => "A256GCM",
        }
    }

    /// Of the content encryption key, in bytes.
    pub(super) const fn key_size(self) -> usize {
        match self {
            JweEnc::A128Gcm => 16,
            JweEnc::A128CbcHs256 | JweEnc::A256Gcm => 32,
            JweEnc::A256CbcHs512 => 64,
        }
    }
}

impl fmt::Display for JweAlg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for JweEnc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The kinds of keys there are for encryption.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum KeyKind {
    #[serde(rename = "RSA")]
    Rsa,
    #[serde(rename = "P-256")]
    P256,
    #[serde(rename = "P-384")]
    P384,
    #[serde(rename = "P-521")]
    P521,
    X25519,
}

impl KeyKind {
    pub const ALL: [KeyKind; 5] =
        [KeyKind::Rsa, KeyKind::P256, KeyKind::P384, KeyKind::P521, KeyKind::X25519];

    /// The curve as it stands in `crv`, or `RSA`.
    pub const fn name(self) -> &'static str {
        match self {
            KeyKind::Rsa => "RSA",
            KeyKind::P256 => "P-256",
            KeyKind::P384 => "P-384",
            KeyKind::P521 => "P-521",
            KeyKind::X25519 => "X25519",
        }
    }

    pub fn is_for(self, alg: JweAlg) -> bool {
        alg.is_rsa() == (self == KeyKind::Rsa)
    }

    /// Of a coordinate, in bytes (RFC 7518 §6.2.1.2).
    pub(super) const fn coordinate(self) -> usize {
        match self {
            KeyKind::Rsa => 0,
            KeyKind::P256 | KeyKind::X25519 => 32,
            KeyKind::P384 => 48,
            KeyKind::P521 => 66,
        }
    }

    pub(super) fn agreement(self) -> Result<&'static aws_lc_rs::agreement::Algorithm, Fault> {
        use aws_lc_rs::agreement::{ECDH_P256, ECDH_P384, ECDH_P521, X25519};
        match self {
            KeyKind::P256 => Ok(&ECDH_P256),
            KeyKind::P384 => Ok(&ECDH_P384),
            KeyKind::P521 => Ok(&ECDH_P521),
            KeyKind::X25519 => Ok(&X25519),
            KeyKind::Rsa => Err(Fault::Algorithm),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_and_others_are_unknown() {
        for alg in JweAlg::ALL {
            assert_eq!(JweAlg::parse(alg.name()), Some(alg));
            assert_eq!(serde_json::to_value(alg).unwrap(), alg.name());
        }
        for enc in JweEnc::ALL {
            assert_eq!(JweEnc::parse(enc.name()), Some(enc));
            assert_eq!(serde_json::to_value(enc).unwrap(), enc.name());
        }
        for kind in KeyKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
        for refused in ["RSA1_5", "dir", "A128KW", "A128GCMKW", "PBES2-HS256+A128KW", "ECDH-ES+A192KW", ""] {
            assert_eq!(JweAlg::parse(refused), None, "{refused}");
        }
        for refused in ["A192GCM", "A192CBC-HS384", "A128CBC", "none", ""] {
            assert_eq!(JweEnc::parse(refused), None, "{refused}");
        }
    }

    #[test]
    fn what_a_party_leaves_out_has_a_default() {
        let how = Encryption::parse("RSA-OAEP", None).unwrap();
        assert_eq!(how, Encryption { alg: JweAlg::RsaOaep, enc: JweEnc::A128CbcHs256 });
        assert_eq!(Encryption::parse("RSA-OAEP", Some("A192GCM")), None);
        assert_eq!(Encryption::parse("dir", None), None);
    }
}
