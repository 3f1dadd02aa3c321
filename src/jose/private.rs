//! Private signing keys as JSON (RFC 7517, RFC 7518 §6), as another program left them: read once, to be taken over
//! with their `kid`. Numbers that may be left out (RFC 7518 §6.3.2) are computed. Symmetric keys are passed over.

use super::alg::{Algorithm, Family};
use super::jwk::{MAX_KEYS, MAX_SET};
use super::key::{Pair, SigningKey};
use super::{Fault, json};
use crate::base::encode::from_base64url;
use aws_lc_rs::rsa::{KeyPairComponents, PublicKeyComponents};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    RsaKeyPair,
};
use num_bigint::BigUint;
use serde_json::{Map, Value};
use std::sync::Arc;
use zeroize::Zeroizing;

/// One entry of a private key set.
#[derive(Debug)]
pub struct PrivateKey {
    /// As it is written; empty if it is not.
    pub kid: String,
    /// Whether its owner had stopped signing with it (`inactive_since`, which cryptojwt writes).
    pub inactive: bool,
    /// The key, or why it cannot be used for signing.
    pub key: Result<SigningKey, Fault>,
}

/// The entries of `{"keys": […]}`, in their order.
pub fn private_keys(text: &[u8]) -> Result<Vec<PrivateKey>, Fault> {
    if text.len() > MAX_SET {
        return Err(Fault::TooLarge { what: "a key set", most: MAX_SET });
    }
    let members = json::object(text)?;
    let listed = members.get("keys").and_then(Value::as_array);
    let listed = listed.ok_or(Fault::Malformed("a key set without a list of keys"))?;
    if listed.len() > MAX_KEYS {
        return Err(Fault::TooLarge { what: "the number of keys in a set", most: MAX_KEYS });
    }
    Ok(listed.iter().filter_map(Value::as_object).map(entry).collect())
}

fn entry(members: &Map<String, Value>) -> PrivateKey {
    let kid = text(members, "kid").unwrap_or_default().to_owned();
    // cryptojwt writes 0 for a key in use.
    let inactive = members.get("inactive_since").and_then(Value::as_f64).is_some_and(|since| since > 0.0);
    PrivateKey { key: read(members, &kid), kid, inactive }
}

fn read(members: &Map<String, Value>, kid: &str) -> Result<SigningKey, Fault> {
    if text(members, "use").is_some_and(|usage| usage != "sig") {
        return Err(Fault::Key("it is not for signatures"));
    }
    let (natural, pair) = match (text(members, "kty"), text(members, "crv")) {
        (Some("RSA"), _) => (Algorithm::RS256, Pair::Rsa(rsa(members)?)),
        (Some("EC"), Some("P-256")) => (Algorithm::ES256, Pair::Ec(ec(members, Family::P256)?)),
        (Some("EC"), Some("P-384")) => (Algorithm::ES384, Pair::Ec(ec(members, Family::P384)?)),
        (Some("OKP"), Some("Ed25519")) => (Algorithm::EdDSA, Pair::Ed25519(ed25519(members)?)),
        (Some("oct"), _) => return Err(Fault::Key("it is symmetric")),
        _ => return Err(Fault::Key("its kind or curve is not supported")),
    };
    let alg = match text(members, "alg").filter(|name| !name.is_empty()) {
        None => natural,
        Some(name) => Algorithm::parse(name).ok_or(Fault::Algorithm)?,
    };
    if alg.family() != natural.family() {
        return Err(Fault::Key("its alg needs another kind of key"));
    }
    SigningKey::new(alg, Arc::new(pair), Some(kid).filter(|kid| !kid.is_empty()))
}

fn rsa(members: &Map<String, Value>) -> Result<RsaKeyPair, Fault> {
    let number = |name| bytes(members, name).map(|bytes| BigUint::from_bytes_be(&bytes));
    let (n, e, d, p, q) = (number("n")?, number("e")?, number("d")?, number("p")?, number("q")?);
    let one = BigUint::from(1_u8);
    if p <= one || q <= one {
        return Err(Fault::Key("its primes are none"));
    }
    // RFC 8017 §3.2: what follows from the others.
    let inverse = q.modinv(&p).ok_or(Fault::Key("its primes are not different"))?;
    let components = KeyPairComponents {
        public_key: PublicKeyComponents { n: n.to_bytes_be(), e: e.to_bytes_be() },
        dP: (&d % (&p - &one)).to_bytes_be(),
        dQ: (&d % (&q - &one)).to_bytes_be(),
        qInv: inverse.to_bytes_be(),
        d: d.to_bytes_be(),
        p: p.to_bytes_be(),
        q: q.to_bytes_be(),
    };
    RsaKeyPair::from_components(&components).map_err(|_| Fault::Key("its numbers do not belong together"))
}

fn ec(members: &Map<String, Value>, family: Family) -> Result<EcdsaKeyPair, Fault> {
    let (algorithm, size) = match family {
        Family::P384 => (&ECDSA_P384_SHA384_FIXED_SIGNING, 48),
        _ => (&ECDSA_P256_SHA256_FIXED_SIGNING, 32),
    };
    // RFC 7518 §6.2.1.2: the full size; some write the number only.
    let padded = |name| -> Result<Zeroizing<Vec<u8>>, Fault> {
        let written = bytes(members, name)?;
        let missing = size_left(size, written.len())?;
        Ok(Zeroizing::new([vec![0; missing], written.to_vec()].concat()))
    };
    let (x, y, d) = (padded("x")?, padded("y")?, padded("d")?);
    let point = [&[4], x.as_slice(), y.as_slice()].concat();
    EcdsaKeyPair::from_private_key_and_public_key(algorithm, &d, &point)
        .map_err(|_| Fault::Key("its numbers do not belong together"))
}

fn size_left(size: usize, written: usize) -> Result<usize, Fault> {
    size.checked_sub(written).ok_or(Fault::Key("a coordinate is not of its curve's size"))
}

fn ed25519(members: &Map<String, Value>) -> Result<Ed25519KeyPair, Fault> {
    let (seed, public) = (bytes(members, "d")?, bytes(members, "x")?);
    Ed25519KeyPair::from_seed_and_public_key(&seed, &public)
        .map_err(|_| Fault::Key("its numbers do not belong together"))
}

fn text<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    members.get(name).and_then(Value::as_str)
}

fn bytes(members: &Map<String, Value>, name: &'static str) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let text = text(members, name).ok_or(Fault::Key("a private member is missing"))?;
    let bytes = from_base64url(text).ok_or(Fault::Malformed("a member of a key is not base64url"))?;
    Ok(Zeroizing::new(bytes))
}

#[cfg(test)]
mod tests;
