//! Public keys as JSON (RFC 7517, RFC 7518 §6, RFC 8037 §2), parsed once and kept. Only public keys: members of a
//! private or symmetric key make a key unusable and are told to the caller, never kept.

use super::alg::{Algorithm, Family};
use super::jwe::{EncryptionKey, JweAlg};
use super::thumbprint::thumbprint;
use super::{Fault, json};
use crate::base::encode::{base64url, from_base64url};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ParsedPublicKey};
use jsonwebtoken::DecodingKey;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// A key set's text, in bytes.
pub const MAX_SET: usize = 64 << 10;
/// Keys in a set, usable or not.
pub const MAX_KEYS: usize = 64;
/// A `kid`, in bytes. It is opaque: compared, never interpreted.
const MAX_KID: usize = 512;

/// RFC 7518 §6.2.2, §6.3.2, §6.4.1: what must never stand in a public key.
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// The numbers of a public key, big-endian.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Material {
    Rsa { n: Vec<u8>, e: Vec<u8> },
    Ec { family: Family, crv: &'static str, x: Vec<u8>, y: Vec<u8> },
    Ed25519 { x: Vec<u8> },
}

/// A public signature key that has passed every check: its size, its curve, its use. Cheap to clone.
#[derive(Clone)]
pub struct Jwk(Arc<Inner>);

struct Inner {
    kid: Option<String>,
    alg: Option<Algorithm>,
    thumbprint: String,
    material: Material,
    check: DecodingKey,
}

impl Jwk {
    /// One key. A fault says why it cannot be used for verifying signatures.
    pub fn parse(members: &Map<String, Value>) -> Result<Jwk, Fault> {
        if has_private_members(members) {
            return Err(Fault::Key("it has private members"));
        }
        // RFC 7517 §4.2, §4.3: a key that says what it is for is not used for something else.
        if optional(members, "use")?.is_some_and(|usage| usage != "sig") {
            return Err(Fault::Key("it is not for signatures"));
        }
        if let Some(operations) = members.get("key_ops") {
            let list = operations.as_array().ok_or(Fault::Malformed("key_ops is not a list"))?;
            if !list.iter().any(|operation| operation == "verify") {
                return Err(Fault::Key("it is not for verifying"));
            }
        }
        let kid = kid(members)?;
        let alg = match optional(members, "alg")? {
            None => None,
            Some(name) => Some(Algorithm::parse(name).ok_or(Fault::Algorithm)?),
        };
        let material = material(members)?;
        if alg.is_some_and(|alg| alg.family() != material.family()) {
            return Err(Fault::Key("its alg needs another kind of key"));
        }
        Jwk::new(kid.map(str::to_owned), alg, material)
    }

    /// Checks the numbers: RSA sizes, points on their curve.
    pub(super) fn new(kid: Option<String>, alg: Option<Algorithm>, material: Material) -> Result<Jwk, Fault> {
        let check = material.check()?;
        Ok(Jwk(Arc::new(Inner { kid, alg, thumbprint: thumbprint(&material), material, check })))
    }

    pub fn kid(&self) -> Option<&str> {
        self.0.kid.as_deref()
    }

    /// The one algorithm the key is for, if it says so.
    pub fn alg(&self) -> Option<Algorithm> {
        self.0.alg
    }

    pub fn family(&self) -> Family {
        self.0.material.family()
    }

    /// RFC 7638, SHA-256, base64url.
    pub fn thumbprint(&self) -> &str {
        &self.0.thumbprint
    }

    pub fn is_for(&self, alg: Algorithm) -> bool {
        self.family() == alg.family() && self.alg().is_none_or(|own| own.is(alg))
    }

    /// The public members, ready to publish: `kty`, `use`, `alg` and `kid` if known, and the numbers.
    pub fn to_json(&self) -> Map<String, Value> {
        let mut members = self.0.material.members();
        members.insert("use".to_owned(), json!("sig"));
        if let Some(alg) = self.alg() {
            members.insert("alg".to_owned(), json!(alg.name()));
        }
        if let Some(kid) = self.kid() {
            members.insert("kid".to_owned(), json!(kid));
        }
        members
    }

    /// `signature` in base64url, as it stands in a token. Whether `alg` may be used at all is the caller's question.
    pub(super) fn verifies(&self, alg: Algorithm, signed: &[u8], signature: &str) -> bool {
        self.is_for(alg)
            && jsonwebtoken::crypto::verify(signature, signed, &self.0.check, alg.foreign()).unwrap_or(false)
    }
}

impl std::fmt::Debug for Jwk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Jwk({:?}, {})", self.family(), self.thumbprint())
    }
}

impl Material {
    pub(super) fn family(&self) -> Family {
        match self {
            Material::Rsa { .. } => Family::Rsa,
            Material::Ec { family, .. } => *family,
            Material::Ed25519 { .. } => Family::Ed25519,
        }
    }

    /// From an uncompressed point (SEC 1 §2.3.3).
    pub(super) fn from_point(family: Family, point: &[u8]) -> Option<Material> {
        let (crv, size) = match family {
            Family::P256 => ("P-256", 32),
            Family::P384 => ("P-384", 48),
            _ => return None,
        };
        let coordinates = point.strip_prefix(&[4])?;
        let (x, y) = coordinates.split_at_checked(size)?;
        (y.len() == size).then(|| Material::Ec { family, crv, x: x.to_vec(), y: y.to_vec() })
    }

    fn members(&self) -> Map<String, Value> {
        let members = match self {
            Material::Rsa { n, e } => json!({ "kty": "RSA", "n": base64url(n), "e": base64url(e) }),
            Material::Ec { crv, x, y, .. } => {
                json!({ "kty": "EC", "crv": crv, "x": base64url(x), "y": base64url(y) })
            }
            Material::Ed25519 { x } => json!({ "kty": "OKP", "crv": "Ed25519", "x": base64url(x) }),
        };
        match members {
            Value::Object(map) => map,
            _ => Map::new(),
        }
    }

    fn check(&self) -> Result<DecodingKey, Fault> {
        match self {
            Material::Rsa { n, e } => {
                check_rsa(n, e)?;
                Ok(DecodingKey::from_rsa_raw_components(n, e))
            }
            Material::Ec { family, x, y, .. } => {
                let point = [&[4], x.as_slice(), y.as_slice()].concat();
                let on_curve = match family {
                    Family::P256 => ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &point).is_ok(),
                    _ => ParsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, &point).is_ok(),
                };
                if !on_curve {
                    return Err(Fault::Key("its point is not on the curve"));
                }
                Ok(DecodingKey::from_ec_der(&point))
            }
            Material::Ed25519 { x } => Ok(DecodingKey::from_ed_der(x)),
        }
    }
}

/// RFC 7518 §3.3, §4.3: 2048 bits or more; the upper cap bounds the cost of an operation.
pub(super) fn check_rsa(n: &[u8], e: &[u8]) -> Result<(), Fault> {
    let bits = n.first().map_or(0, |first| n.len() * 8 - usize::try_from(first.leading_zeros()).unwrap_or(8));
    if !(2_048..=8_192).contains(&bits) {
        return Err(Fault::Key("its RSA modulus is not between 2048 and 8192 bits"));
    }
    let small = e.len() <= 8 && e.last().is_some_and(|last| last % 2 == 1) && e > [1].as_slice();
    if !small || e.first() == Some(&0) {
        return Err(Fault::Key("its RSA exponent is not acceptable"));
    }
    Ok(())
}

/// The usable public keys of a party. RFC 7517 §5: keys that are not understood are passed over.
#[derive(Clone, Default, Debug)]
pub struct JwkSet {
    keys: Vec<Jwk>,
    /// A key that does not say what it is for stands here too.
    encryption: Vec<EncryptionKey>,
    private_members: bool,
}

impl JwkSet {
    /// `{"keys": […]}` within [`MAX_SET`] and [`MAX_KEYS`].
    pub fn parse(text: &[u8]) -> Result<JwkSet, Fault> {
        if text.len() > MAX_SET {
            return Err(Fault::TooLarge { what: "a key set", most: MAX_SET });
        }
        JwkSet::from_members(&json::object(text)?)
    }

    /// A set that stands inside another document (client metadata), already parsed.
    pub fn from_value(value: &Value) -> Result<JwkSet, Fault> {
        JwkSet::from_members(value.as_object().ok_or(Fault::Malformed("a key set is not an object"))?)
    }

    fn from_members(members: &Map<String, Value>) -> Result<JwkSet, Fault> {
        let listed = members.get("keys").and_then(Value::as_array);
        let listed = listed.ok_or(Fault::Malformed("a key set without a list of keys"))?;
        if listed.len() > MAX_KEYS {
            return Err(Fault::TooLarge { what: "the number of keys in a set", most: MAX_KEYS });
        }
        let objects: Vec<_> = listed.iter().filter_map(Value::as_object).collect();
        Ok(JwkSet {
            keys: objects.iter().filter_map(|members| Jwk::parse(members).ok()).collect(),
            encryption: objects.iter().filter_map(|members| EncryptionKey::parse(members).ok()).collect(),
            private_members: objects.iter().any(|members| has_private_members(members)),
        })
    }

    pub fn keys(&self) -> &[Jwk] {
        &self.keys
    }

    /// What to encrypt to with `alg`: the first key that says `use: enc` and this `alg`; without one, the first that
    /// says `use: enc`; without one, the first that does not say otherwise.
    pub fn encryption_key(&self, alg: JweAlg) -> Option<&EncryptionKey> {
        let mut best: Option<((bool, bool), &EncryptionKey)> = None;
        for key in &self.encryption {
            let Some(fitness) = key.fitness(alg) else { continue };
            if best.is_none_or(|(known, _)| fitness > known) {
                best = Some((fitness, key));
            }
        }
        best.map(|(_, key)| key)
    }

    /// The set gives private or symmetric keys away. They are never used; a registration should be refused for it.
    pub fn has_private_members(&self) -> bool {
        self.private_members
    }
}

pub(super) fn has_private_members(members: &Map<String, Value>) -> bool {
    PRIVATE.iter().any(|name| members.contains_key(*name))
}

/// A text that may be missing but must not be of another type.
pub(super) fn optional<'a>(
    members: &'a Map<String, Value>,
    name: &'static str,
) -> Result<Option<&'a str>, Fault> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Fault::Malformed("a member of a key is not a text")),
    }
}

pub(super) fn kid(members: &Map<String, Value>) -> Result<Option<&str>, Fault> {
    let kid = optional(members, "kid")?;
    if kid.is_some_and(|kid| kid.len() > MAX_KID) {
        return Err(Fault::TooLarge { what: "kid", most: MAX_KID });
    }
    Ok(kid)
}

fn bytes(members: &Map<String, Value>, name: &'static str) -> Result<Vec<u8>, Fault> {
    let text = optional(members, name)?.ok_or(Fault::Key("a member is missing"))?;
    from_base64url(text).ok_or(Fault::Malformed("a member of a key is not base64url"))
}

/// RFC 7518 §6.2.1.2: the full size of a coordinate, zeros included.
pub(super) fn coordinate(
    members: &Map<String, Value>,
    name: &'static str,
    size: usize,
) -> Result<Vec<u8>, Fault> {
    match bytes(members, name) {
        Ok(value) if value.len() != size => Err(Fault::Key("a coordinate is not of its curve's size")),
        other => other,
    }
}

pub(super) fn material(members: &Map<String, Value>) -> Result<Material, Fault> {
    let exactly = |name, size| coordinate(members, name, size);
    let kty = optional(members, "kty")?.ok_or(Fault::Key("kty is missing"))?;
    let crv = optional(members, "crv")?;
    match (kty, crv) {
        ("RSA", _) => {
            Ok(Material::Rsa { n: unsigned(bytes(members, "n")?), e: unsigned(bytes(members, "e")?) })
        }
        ("EC", Some("P-256")) => Ok(Material::Ec {
            family: Family::P256,
            crv: "P-256",
            x: exactly("x", 32)?,
            y: exactly("y", 32)?,
        }),
        ("EC", Some("P-384")) => Ok(Material::Ec {
            family: Family::P384,
            crv: "P-384",
            x: exactly("x", 48)?,
            y: exactly("y", 48)?,
        }),
        ("OKP", Some("Ed25519")) => Ok(Material::Ed25519 { x: exactly("x", 32)? }),
        _ => Err(Fault::Key("its kind or curve is not supported")),
    }
}

/// Leading zeros are forbidden (RFC 7518 §2) but written by some: taken off, so that thumbprints are those of the number.
fn unsigned(bytes: Vec<u8>) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes.into_iter().skip(zeros).collect()
}

#[cfg(test)]
mod tests;
