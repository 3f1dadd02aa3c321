//! DPoP proofs (RFC 9449 §4): the one place where a key that stands in a token's own header is looked at. A proof shows
//! that whoever sends it holds that key; what the key is worth is decided by who compares its thumbprint. Whether the
//! method, the address, the token's hash, the nonce and the identifier are the right ones is for the caller to say.

use super::Fault;
use super::alg::Algorithm;
use super::jwk::Jwk;
use super::jws::{Expiry, Header, Parts, Rules, Typ, missing, number, wrong};
use crate::base::clock::Timestamp;
use serde_json::{Map, Value};
use std::time::Duration;

/// A proof's text, in bytes: room for an RSA key, its signature and a long address.
pub const MAX_PROOF: usize = 8 << 10;

/// Of the claims, in bytes. RFC 9449 §11.1: identifiers are remembered, so their size is limited.
const MOST: [(&str, usize); 5] = [("jti", 512), ("htm", 32), ("htu", 2_048), ("ath", 64), ("nonce", 1_024)];

/// What a proof must be.
#[derive(Clone, Copy, Debug)]
pub struct ProofRules<'a> {
    /// Those that may sign it.
    pub algorithms: &'a [Algorithm],
    pub now: Timestamp,
    /// How long ago `iat` may be.
    pub behind: Duration,
    /// How far ahead of our clock it may be.
    pub ahead: Duration,
}

impl ProofRules<'_> {
    /// Every algorithm; a minute before and after.
    pub fn new(now: Timestamp) -> ProofRules<'static> {
        let minute = Duration::from_secs(60);
        ProofRules { algorithms: &Algorithm::ALL, now, behind: minute, ahead: minute }
    }
}

/// A proof whose signature verifies under the key in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Proof {
    /// The RFC 7638 thumbprint of that key.
    pub jkt: String,
    /// As written: the method, and the address with or without query and fragment.
    pub htm: String,
    pub htu: String,
    pub iat: Timestamp,
    pub jti: String,
    /// base64url of the SHA-256 of the access token it comes with.
    pub ath: Option<String>,
    pub nonce: Option<String>,
}

/// RFC 9449 §4.3, steps 2 to 7 and 11.
pub fn verify_proof(proof: &str, rules: &ProofRules<'_>) -> Result<Proof, Fault> {
    if proof.len() > MAX_PROOF {
        return Err(Fault::TooLarge { what: "a proof", most: MAX_PROOF });
    }
    let Parts { header: members, claims, signed, signature } = Parts::of(proof)?;
    let header = Header::parse(&members)?;
    if !rules.algorithms.iter().any(|allowed| allowed.is(header.alg)) {
        return Err(Fault::Algorithm);
    }
    if !Typ::Required(&["dpop+jwt"]).accepts(header.typ.as_deref()) {
        return Err(Fault::Typ);
    }
    let jwk = members.get("jwk").and_then(Value::as_object);
    let key = Jwk::parse(jwk.ok_or(Fault::Malformed("jwk is missing, or not an object"))?)?;
    if !key.is_for(header.alg) {
        return Err(Fault::Key("it is not for the proof's algorithm"));
    }
    // Everything that costs nothing comes before the signature.
    let claimed =
        Rules { expiry: Expiry::IfPresent, leeway: rules.ahead, ..Rules::new(rules.algorithms, rules.now) };
    claimed.check(&claims)?;
    let iat = number(&claims, "iat")?.map(Timestamp).ok_or_else(|| missing("iat"))?;
    if iat.plus(rules.behind) < rules.now {
        return Err(wrong("iat", "is too long ago"));
    }
    let text = |name| text(&claims, name);
    let read = Proof {
        jkt: key.thumbprint().to_owned(),
        htm: text("htm")?.ok_or_else(|| missing("htm"))?,
        htu: text("htu")?.ok_or_else(|| missing("htu"))?,
        iat,
        jti: text("jti")?.ok_or_else(|| missing("jti"))?,
        ath: text("ath")?,
        nonce: text("nonce")?,
    };
    if !key.verifies(header.alg, signed.as_bytes(), signature) {
        return Err(Fault::Signature);
    }
    Ok(read)
}

/// A text claim within its limit; an empty one is as good as none that says anything.
fn text(claims: &Map<String, Value>, name: &str) -> Result<Option<String>, Fault> {
    let most = MOST.iter().find(|(limited, _)| *limited == name).map_or(0, |(_, most)| *most);
    match claims.get(name) {
        None => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Err(wrong(name, "is empty")),
        Some(Value::String(text)) if text.len() > most => Err(wrong(name, "is too long")),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(wrong(name, "is not a text")),
    }
}

#[cfg(test)]
mod tests;
