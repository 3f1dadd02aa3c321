//! Our own signing keys: parsed once, their headers encoded once, so that signing a token is base64 and arithmetic.
//! At rest they are PKCS#8, sealed by whoever stores them.

use super::Fault;
use super::alg::{Algorithm, Family};
use super::jwk::{Jwk, Material};
use crate::base::encode::{base64url, base64url_onto};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256,
    RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
};
use serde_json::json;
use std::sync::Arc;
use zeroize::Zeroizing;

/// The `typ`s whose headers are kept encoded: ID tokens, access tokens (RFC 9068), logout tokens.
const USUAL: [&str; 3] = ["JWT", "at+jwt", "logout+jwt"];

/// A private key for one algorithm. Cheap to clone; never printed.
#[derive(Clone)]
pub struct SigningKey(Arc<Inner>);

struct Inner {
    alg: Algorithm,
    pair: Arc<Pair>,
    public: Jwk,
    /// `typ` and its encoded header with the dot behind it.
    headers: Vec<(&'static str, String)>,
}

pub(super) enum Pair {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl SigningKey {
    /// A new key: RSA with 2048 bits (some hundred milliseconds: not on a worker), P-256, P-384 or Ed25519. The
    /// randomness is the cryptographic library's own, from the operating system.
    pub fn generate(alg: Algorithm) -> Result<SigningKey, Fault> {
        let failed = |_| Fault::Crypto("a key could not be generated");
        let pair = match alg.family() {
            Family::Rsa => Pair::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).map_err(failed)?),
            Family::P256 => {
                Pair::Ec(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(failed)?)
            }
            Family::P384 => {
                Pair::Ec(EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).map_err(failed)?)
            }
            Family::Ed25519 => Pair::Ed25519(Ed25519KeyPair::generate().map_err(failed)?),
        };
        SigningKey::new(alg, Arc::new(pair), None)
    }

    /// From PKCS#8 DER (RFC 5208, RFC 5958), as [`SigningKey::to_pkcs8`] wrote it or a tool made it.
    pub fn from_pkcs8(alg: Algorithm, der: &[u8]) -> Result<SigningKey, Fault> {
        let rejected = |_| Fault::Key("its PKCS#8 form cannot be read for this algorithm");
        let pair = match alg.family() {
            Family::Rsa => Pair::Rsa(RsaKeyPair::from_pkcs8(der).map_err(rejected)?),
            Family::P256 => Pair::Ec(ec(&ECDSA_P256_SHA256_FIXED_SIGNING, der)?),
            Family::P384 => Pair::Ec(ec(&ECDSA_P384_SHA384_FIXED_SIGNING, der)?),
            Family::Ed25519 => {
                Pair::Ed25519(Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map_err(rejected)?)
            }
        };
        SigningKey::new(alg, Arc::new(pair), None)
    }

    /// PKCS#8 DER. Whoever stores it seals it.
    pub fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, Fault> {
        let failed = |_| Fault::Crypto("a key could not be exported");
        let der = match &*self.0.pair {
            Pair::Rsa(pair) => AsDer::<Pkcs8V1Der<'_>>::as_der(pair).map_err(failed)?.as_ref().to_vec(),
            Pair::Ec(pair) => pair.to_pkcs8v1().map_err(failed)?.as_ref().to_vec(),
            Pair::Ed25519(pair) => pair.to_pkcs8v1().map_err(failed)?.as_ref().to_vec(),
        };
        Ok(Zeroizing::new(der))
    }

    pub fn alg(&self) -> Algorithm {
        self.0.alg
    }

    /// The RFC 7638 thumbprint of the public key, unless the key was [`SigningKey::named`] otherwise.
    pub fn kid(&self) -> &str {
        self.0.public.kid().unwrap_or_else(|| self.0.public.thumbprint())
    }

    /// The same key under the `kid` it had elsewhere.
    pub fn named(self, kid: &str) -> Result<SigningKey, Fault> {
        if kid == self.kid() {
            return Ok(self);
        }
        SigningKey::new(self.0.alg, self.0.pair.clone(), Some(kid))
    }

    /// The public half, with `kid` and `alg`.
    pub fn public(&self) -> &Jwk {
        &self.0.public
    }

    /// The same Ed25519 key under its other algorithm name; other keys have none.
    pub(super) fn under_other_name(&self) -> Option<SigningKey> {
        let other = match self.0.alg {
            Algorithm::EdDSA => Algorithm::Ed25519,
            Algorithm::Ed25519 => Algorithm::EdDSA,
            _ => return None,
        };
        SigningKey::new(other, self.0.pair.clone(), Some(self.kid())).ok()
    }

    /// The compact JWS over `claims` (JSON text): header `alg`, `kid`, `typ`.
    pub fn sign(&self, typ: &str, claims: &[u8]) -> Result<String, Fault> {
        let encoded;
        let head = match self.0.headers.iter().find(|(usual, _)| *usual == typ) {
            Some((_, head)) => head,
            None => {
                encoded = header(self.0.alg, self.kid(), typ);
                &encoded
            }
        };
        let signature_size = match &*self.0.pair {
            Pair::Rsa(pair) => pair.public_modulus_len(),
            Pair::Ec(_) => 96,
            Pair::Ed25519(_) => 64,
        };
        let mut token =
            String::with_capacity(head.len() + (claims.len() + signature_size).div_ceil(3) * 4 + 8);
        token.push_str(head);
        base64url_onto(&mut token, claims);
        self.append_signature(&mut token, signature_size)?;
        Ok(token)
    }

    /// Signs a header of the test's making.
    #[cfg(test)]
    pub(super) fn forge(&self, header: &str, claims: &str) -> String {
        let mut token = format!("{}.{}", base64url(header.as_bytes()), base64url(claims.as_bytes()));
        let size = if let Pair::Rsa(pair) = &*self.0.pair { pair.public_modulus_len() } else { 0 };
        self.append_signature(&mut token, size).unwrap();
        token
    }

    pub(super) fn new(alg: Algorithm, pair: Arc<Pair>, kid: Option<&str>) -> Result<SigningKey, Fault> {
        let material = pair.material(alg.family()).ok_or(Fault::Key("its public half cannot be read"))?;
        let bare = Jwk::new(None, None, material.clone())?;
        let kid = kid.unwrap_or_else(|| bare.thumbprint());
        let headers = USUAL.map(|typ| (typ, header(alg, kid, typ))).into();
        let public = Jwk::new(Some(kid.to_owned()), Some(alg), material)?;
        Ok(SigningKey(Arc::new(Inner { alg, pair, public, headers })))
    }

    /// Signs what `token` holds so far and appends the dot and the signature.
    fn append_signature(&self, token: &mut String, size: usize) -> Result<(), Fault> {
        let failed = |_| Fault::Crypto("a signature could not be made");
        let message = token.as_bytes();
        match &*self.0.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; size];
                let encoding = rsa_encoding(self.0.alg).ok_or(Fault::Algorithm)?;
                pair.sign(encoding, &SystemRandom::new(), message, &mut signature).map_err(failed)?;
                token.push('.');
                base64url_onto(token, &signature);
            }
            Pair::Ec(pair) => {
                let signature = pair.sign(&SystemRandom::new(), message).map_err(failed)?;
                token.push('.');
                base64url_onto(token, signature.as_ref());
            }
            Pair::Ed25519(pair) => {
                let signature = pair.try_sign(message).map_err(failed)?;
                token.push('.');
                base64url_onto(token, signature.as_ref());
            }
        }
        Ok(())
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey({}, {})", self.alg(), self.kid())
    }
}

impl Pair {
    fn material(&self, family: Family) -> Option<Material> {
        match self {
            Pair::Rsa(pair) => {
                let public = pair.public_key();
                Some(Material::Rsa {
                    n: public.modulus().big_endian_without_leading_zero().to_vec(),
                    e: public.exponent().big_endian_without_leading_zero().to_vec(),
                })
            }
            Pair::Ec(pair) => Material::from_point(family, pair.public_key().as_ref()),
            Pair::Ed25519(pair) => Some(Material::Ed25519 { x: pair.public_key().as_ref().to_vec() }),
        }
    }
}

fn ec(algorithm: &'static EcdsaSigningAlgorithm, der: &[u8]) -> Result<EcdsaKeyPair, Fault> {
    EcdsaKeyPair::from_pkcs8(algorithm, der)
        .map_err(|_| Fault::Key("its PKCS#8 form cannot be read for this algorithm"))
}

fn rsa_encoding(alg: Algorithm) -> Option<&'static dyn RsaEncoding> {
    Some(match alg {
        Algorithm::RS256 => &RSA_PKCS1_SHA256,
        Algorithm::RS384 => &RSA_PKCS1_SHA384,
        Algorithm::RS512 => &RSA_PKCS1_SHA512,
        Algorithm::PS256 => &RSA_PSS_SHA256,
        Algorithm::PS384 => &RSA_PSS_SHA384,
        Algorithm::PS512 => &RSA_PSS_SHA512,
        _ => return None,
    })
}

fn header(alg: Algorithm, kid: &str, typ: &str) -> String {
    let mut text = base64url(json!({ "alg": alg.name(), "kid": kid, "typ": typ }).to_string().as_bytes());
    text.push('.');
    text
}
