//! A client that makes DPoP proofs, good ones and others. Compiled for tests only.

use super::Jwk;
use crate::base::encode::base64url;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};

pub(crate) struct Prover {
    pair: EcdsaKeyPair,
    /// Its public key, as the header of its proofs has it.
    pub(crate) jwk: Value,
    pub(crate) jkt: String,
}

impl Prover {
    pub(crate) fn new() -> Prover {
        let (random, form) = (SystemRandom::new(), &ECDSA_P256_SHA256_FIXED_SIGNING);
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(form, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(form, pkcs8.as_ref(), &random).unwrap();
        let point = pair.public_key().as_ref();
        let (x, y) = (base64url(&point[1..33]), base64url(&point[33..65]));
        let jwk = json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y });
        let jkt = Jwk::parse(jwk.as_object().unwrap()).unwrap().thumbprint().to_owned();
        Prover { pair, jwk, jkt }
    }

    /// RFC 9449 §4.2.
    pub(crate) fn header(&self) -> Value {
        json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": self.jwk })
    }

    pub(crate) fn proof(&self, claims: &Value) -> String {
        self.sign(&self.header(), claims)
    }

    pub(crate) fn sign(&self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| base64url(value.to_string().as_bytes());
        let signed = format!("{}.{}", part(header), part(claims));
        let signature = self.pair.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", base64url(signature.as_ref()))
    }
}
