//! Signature algorithms (RFC 7518 §3, RFC 8037, RFC 9864). `none` is not among them, and a MAC is another type: no
//! function takes both.

use crate::base::encode::base64url;
use ring::digest;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;

/// Public-key signatures.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Algorithm {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    /// RFC 8037's name; the curve is always Ed25519 here.
    EdDSA,
    /// RFC 9864's name of the same. Both are accepted for each other; what was registered is what is written.
    Ed25519,
}

/// The kind of key an algorithm needs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Family {
    Rsa,
    P256,
    P384,
    Ed25519,
}

/// MACs under a shared secret, known by name so that they can be refused or offered by name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum MacAlgorithm {
    HS256,
    HS384,
    HS512,
}

impl Algorithm {
    pub const ALL: [Algorithm; 10] = [
        Algorithm::RS256,
        Algorithm::RS384,
        Algorithm::RS512,
        Algorithm::PS256,
        Algorithm::PS384,
        Algorithm::PS512,
        Algorithm::ES256,
        Algorithm::ES384,
        Algorithm::EdDSA,
        Algorithm::Ed25519,
    ];

    /// Exact: algorithm names are case-sensitive (RFC 7515 §4.1.1).
    pub fn parse(name: &str) -> Option<Algorithm> {
        Algorithm::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    /// As it stands in `alg`.
    pub const fn name(self) -> &'static str {
        match self {
            Algorithm::RS256 => "RS256",
            Algorithm::RS384 => "RS384",
            Algorithm::RS512 => "RS512",
            Algorithm::PS256 => "PS256",
            Algorithm::PS384 => "PS384",
            Algorithm::PS512 => "PS512",
            Algorithm::ES256 => "ES256",
            Algorithm::ES384 => "ES384",
            Algorithm::EdDSA => "EdDSA",
            Algorithm::Ed25519 => "Ed25519",
        }
    }

    pub const fn family(self) -> Family {
        match self {
            Algorithm::ES256 => Family::P256,
            Algorithm::ES384 => Family::P384,
            Algorithm::EdDSA | Algorithm::Ed25519 => Family::Ed25519,
            _ => Family::Rsa,
        }
    }

    /// The same signature, perhaps under its other name.
    pub fn is(self, other: Algorithm) -> bool {
        self == other || (self.family() == Family::Ed25519 && other.family() == Family::Ed25519)
    }

    /// `at_hash`, `c_hash` (OIDC Core §3.1.3.6, §3.3.2.11): the left half of the digest the algorithm uses;
    /// SHA-512 for Ed25519.
    pub fn half_hash(self, value: &str) -> String {
        match self {
            Algorithm::RS256 | Algorithm::PS256 | Algorithm::ES256 => left_half(&digest::SHA256, value),
            Algorithm::RS384 | Algorithm::PS384 | Algorithm::ES384 => left_half(&digest::SHA384, value),
            _ => left_half(&digest::SHA512, value),
        }
    }

    pub(super) const fn foreign(self) -> jsonwebtoken::Algorithm {
        match self {
            Algorithm::RS256 => jsonwebtoken::Algorithm::RS256,
            Algorithm::RS384 => jsonwebtoken::Algorithm::RS384,
            Algorithm::RS512 => jsonwebtoken::Algorithm::RS512,
            Algorithm::PS256 => jsonwebtoken::Algorithm::PS256,
            Algorithm::PS384 => jsonwebtoken::Algorithm::PS384,
            Algorithm::PS512 => jsonwebtoken::Algorithm::PS512,
            Algorithm::ES256 => jsonwebtoken::Algorithm::ES256,
            Algorithm::ES384 => jsonwebtoken::Algorithm::ES384,
            Algorithm::EdDSA | Algorithm::Ed25519 => jsonwebtoken::Algorithm::EdDSA,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Algorithm {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Algorithm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Algorithm, D::Error> {
        struct Name;
        impl Visitor<'_> for Name {
            type Value = Algorithm;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a signature algorithm such as RS256, PS256, ES256 or EdDSA")
            }
            fn visit_str<E: de::Error>(self, name: &str) -> Result<Algorithm, E> {
                Algorithm::parse(name).ok_or_else(|| E::invalid_value(de::Unexpected::Str(name), &self))
            }
        }
        deserializer.deserialize_str(Name)
    }
}

impl JsonSchema for Algorithm {
    fn schema_name() -> Cow<'static, str> {
        "Algorithm".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "enum": Algorithm::ALL.map(Algorithm::name) })
    }
}

impl MacAlgorithm {
    pub const ALL: [MacAlgorithm; 3] = [MacAlgorithm::HS256, MacAlgorithm::HS384, MacAlgorithm::HS512];

    pub fn parse(name: &str) -> Option<MacAlgorithm> {
        MacAlgorithm::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    pub const fn name(self) -> &'static str {
        match self {
            MacAlgorithm::HS256 => "HS256",
            MacAlgorithm::HS384 => "HS384",
            MacAlgorithm::HS512 => "HS512",
        }
    }

    /// The octets a secret must have at least (RFC 7518 §3.2, OIDC Core §16.19): those of the hash.
    pub const fn least_secret(self) -> usize {
        match self {
            MacAlgorithm::HS256 => 32,
            MacAlgorithm::HS384 => 48,
            MacAlgorithm::HS512 => 64,
        }
    }

    /// As [`Algorithm::half_hash`].
    pub fn half_hash(self, value: &str) -> String {
        match self {
            MacAlgorithm::HS256 => left_half(&digest::SHA256, value),
            MacAlgorithm::HS384 => left_half(&digest::SHA384, value),
            MacAlgorithm::HS512 => left_half(&digest::SHA512, value),
        }
    }
}

impl fmt::Display for MacAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

fn left_half(algorithm: &'static digest::Algorithm, value: &str) -> String {
    let hash = digest::digest(algorithm, value.as_bytes());
    let (half, _) = hash.as_ref().split_at(hash.as_ref().len() / 2);
    base64url(half)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_and_others_are_unknown() {
        for algorithm in Algorithm::ALL {
            assert_eq!(Algorithm::parse(algorithm.name()), Some(algorithm));
            assert_eq!(MacAlgorithm::parse(algorithm.name()), None);
        }
        for name in
            ["none", "None", "NONE", "", "rs256", "RS256 ", "HS256", "ES512", "ES256K", "RS1", "Ed448"]
        {
            assert_eq!(Algorithm::parse(name), None, "{name}");
        }
    }

    #[test]
    fn the_two_names_of_ed25519_are_one_algorithm() {
        assert!(Algorithm::EdDSA.is(Algorithm::Ed25519) && Algorithm::Ed25519.is(Algorithm::EdDSA));
        assert!(!Algorithm::RS256.is(Algorithm::PS256));
    }

    #[test]
    fn half_hashes_are_those_of_the_specification() {
        // OIDC Core §A.4.
        assert_eq!(
            Algorithm::RS256.half_hash("Qcb0Orv1zh30vL1MPRsbm-diHiMwcLyZvn1arpZv-Jxf_11jnpEX3Tgfvk"),
            "LDktKdoQak3Pk0cnXxCltA"
        );
        assert_eq!(Algorithm::ES384.half_hash("x").len(), 32);
        assert_eq!(Algorithm::EdDSA.half_hash("x"), Algorithm::Ed25519.half_hash("x"));
        assert_eq!(Algorithm::EdDSA.half_hash("x").len(), 43);
    }
}
