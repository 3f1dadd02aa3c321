//! The one place where a signed token becomes claims (RFC 7515, RFC 7519, RFC 8725). Compact serialisation only.
//! A claim of the wrong JSON type refuses the token; nothing is skipped because it looked odd.

use super::alg::Algorithm;
use super::jwk::{Jwk, JwkSet};
use super::keyring::KeyRing;
use super::{Fault, json};
use crate::base::clock::Timestamp;
use crate::base::encode::from_base64url;
use serde_json::{Map, Value};
use std::time::Duration;

/// A token's text, in bytes. Longer ones are refused before any work is done.
pub const MAX_TOKEN: usize = 64 << 10;

/// Keys that are tried for a token that names none: the signer chose how many they have.
const MAX_TRIES: usize = 8;

/// What the header says. Trustworthy only once the signature was verified.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Header {
    pub alg: Algorithm,
    pub kid: Option<String>,
    /// As written.
    pub typ: Option<String>,
    pub cty: Option<String>,
}

/// Where the signer's keys are.
#[derive(Clone, Copy, Debug)]
pub enum KeySource<'a> {
    Set(&'a JwkSet),
    /// Our own keys, every state of them; a token without `kid` is not ours.
    Ring(&'a KeyRing),
    One(&'a Jwk),
}

/// What a token must be. [`Rules::new`] is the strictest set without names; relax or sharpen by field.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// Those that were agreed on; `EdDSA` and `Ed25519` stand for each other.
    pub algorithms: &'a [Algorithm],
    pub typ: Typ<'a>,
    /// `iss` must be there and be this.
    pub issuer: Option<&'a str>,
    pub audience: Audience<'a>,
    /// Claims that must be there (and not null), whatever their value.
    pub required: &'a [&'a str],
    pub expiry: Expiry,
    /// `iat` must be there and not be older than this.
    pub max_age: Option<Duration>,
    /// For every comparison with the clock.
    pub leeway: Duration,
    pub now: Timestamp,
}

/// Compared without case and without `application/` (RFC 7515 §4.1.9).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Typ<'a> {
    Any,
    /// Absent, or one of these.
    Optional(&'a [&'a str]),
    /// One of these (RFC 8725 §3.11).
    Required(&'a [&'a str]),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Audience<'a> {
    /// Not looked at, beyond its type.
    Any,
    /// `aud` is, or has among its members, one of these.
    Includes(&'a [&'a str]),
    /// `aud` is this one text: no list, not even of one (audience injection).
    Exactly(&'a str),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expiry {
    /// `exp` must be there and lie ahead.
    Required,
    /// Checked if it is there.
    IfPresent,
    /// An expired token will do (`id_token_hint`).
    Ignored,
}

/// A token whose signature and claims were checked against [`Rules`].
#[derive(Clone, PartialEq, Debug)]
pub struct Verified {
    pub header: Header,
    pub claims: Map<String, Value>,
}

/// A token taken apart: its form is right, nothing about it is proved yet.
#[derive(Clone, Debug)]
pub struct Jws<'a> {
    header: Header,
    claims: Map<String, Value>,
    signed: &'a str,
    signature: &'a str,
}

/// Takes a token apart and checks all of it.
pub fn verify(token: &str, keys: &KeySource<'_>, rules: &Rules<'_>) -> Result<Verified, Fault> {
    Jws::parse(token)?.verify(keys, rules)
}

impl<'a> Rules<'a> {
    pub fn new(algorithms: &'a [Algorithm], now: Timestamp) -> Rules<'a> {
        Rules {
            algorithms,
            typ: Typ::Any,
            issuer: None,
            audience: Audience::Any,
            required: &[],
            expiry: Expiry::Required,
            max_age: None,
            leeway: Duration::ZERO,
            now,
        }
    }
}

impl<'a> Jws<'a> {
    pub fn parse(token: &'a str) -> Result<Jws<'a>, Fault> {
        let Parts { header, claims, signed, signature } = Parts::of(token)?;
        Ok(Jws { header: Header::parse(&header)?, claims, signed, signature })
    }

    pub fn header(&self) -> &Header {
        &self.header
    }

    /// What the token claims, unproved: good for finding out whose keys to ask, for nothing else.
    pub fn unverified_claims(&self) -> &Map<String, Value> {
        &self.claims
    }

    pub fn verify(self, keys: &KeySource<'_>, rules: &Rules<'_>) -> Result<Verified, Fault> {
        // Everything that costs nothing comes before the signature.
        if !rules.algorithms.iter().any(|allowed| allowed.is(self.header.alg)) {
            return Err(Fault::Algorithm);
        }
        if !rules.typ.accepts(self.header.typ.as_deref()) {
            return Err(Fault::Typ);
        }
        let candidates = keys.candidates(&self.header);
        if candidates.is_empty() {
            return Err(Fault::UnknownKey);
        }
        let signed = self.signed.as_bytes();
        if !candidates.iter().any(|key| key.verifies(self.header.alg, signed, self.signature)) {
            return Err(Fault::Signature);
        }
        rules.check(&self.claims)?;
        Ok(Verified { header: self.header, claims: self.claims })
    }
}

/// A signed token's text cut into its parts, for whatever kind of key it is signed with.
pub(super) struct Parts<'a> {
    pub header: Map<String, Value>,
    pub claims: Map<String, Value>,
    pub signed: &'a str,
    pub signature: &'a str,
}

impl<'a> Parts<'a> {
    pub(super) fn of(token: &'a str) -> Result<Parts<'a>, Fault> {
        if token.len() > MAX_TOKEN {
            return Err(Fault::TooLarge { what: "a token", most: MAX_TOKEN });
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(Fault::Malformed("not three parts"))?;
        let (head, payload) = signed.split_once('.').ok_or(Fault::Malformed("not three parts"))?;
        if payload.contains('.') {
            return Err(Fault::Malformed("not three parts"));
        }
        let object = |part| json::object(&from_base64url(part).ok_or(Fault::Malformed("not base64url"))?);
        let header = object(head)?;
        // RFC 7515 §4.1.11: no extension is understood here, so a `crit` of any content refuses. RFC 7797: an
        // unencoded payload changes what is signed.
        for extension in ["crit", "b64", "zip"] {
            if header.contains_key(extension) {
                return Err(Fault::Extension(extension));
            }
        }
        let claims = object(payload)?;
        check_types(&claims)?;
        Ok(Parts { header, claims, signed, signature })
    }
}

/// A header parameter that may be missing but must not be of another type.
pub(super) fn parameter(members: &Map<String, Value>, name: &str) -> Result<Option<String>, Fault> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(Fault::Malformed("a header parameter is not a text")),
    }
}

impl Header {
    /// `jku`, `jwk`, `x5u`, `x5c` are not looked at.
    pub(super) fn parse(members: &Map<String, Value>) -> Result<Header, Fault> {
        let alg = parameter(members, "alg")?.ok_or(Fault::Malformed("alg is missing"))?;
        Ok(Header {
            alg: Algorithm::parse(&alg).ok_or(Fault::Algorithm)?,
            kid: parameter(members, "kid")?,
            typ: parameter(members, "typ")?,
            cty: parameter(members, "cty")?,
        })
    }
}

impl<'a> KeySource<'a> {
    fn candidates(&self, header: &Header) -> Vec<&'a Jwk> {
        match self {
            KeySource::One(key) if key.is_for(header.alg) => vec![key],
            KeySource::One(_) => Vec::new(),
            KeySource::Ring(ring) => {
                let key = header.kid.as_deref().and_then(|kid| ring.verify_key(kid));
                key.filter(|key| key.is_for(header.alg)).into_iter().collect()
            }
            KeySource::Set(set) => {
                let fits = |key: &&Jwk| {
                    // A key without a name may answer to any.
                    let named = match (header.kid.as_deref(), key.kid()) {
                        (Some(asked), Some(kid)) => asked == kid,
                        _ => true,
                    };
                    named && key.is_for(header.alg)
                };
                set.keys().iter().filter(fits).take(MAX_TRIES).collect()
            }
        }
    }
}

impl Typ<'_> {
    pub(super) fn accepts(self, written: Option<&str>) -> bool {
        let (allowed, optional) = match self {
            Typ::Any => return true,
            Typ::Optional(allowed) => (allowed, true),
            Typ::Required(allowed) => (allowed, false),
        };
        match written {
            None => optional,
            Some(written) => {
                let short = |typ: &str| {
                    let lower = typ.to_ascii_lowercase();
                    lower.strip_prefix("application/").map(str::to_owned).unwrap_or(lower)
                };
                allowed.iter().any(|typ| short(typ) == short(written))
            }
        }
    }
}

impl Rules<'_> {
    /// The claims of a token whose signature was verified.
    pub(super) fn check(&self, claims: &Map<String, Value>) -> Result<(), Fault> {
        for name in self.required {
            if claims.get(*name).is_none_or(Value::is_null) {
                return Err(missing(name));
            }
        }
        if let Some(issuer) = self.issuer {
            match claims.get("iss") {
                None => return Err(missing("iss")),
                Some(claimed) if claimed != issuer => return Err(wrong("iss", "is another issuer")),
                Some(_) => {}
            }
        }
        self.audience.check(claims.get("aud"))?;
        self.check_times(claims)
    }

    fn check_times(&self, claims: &Map<String, Value>) -> Result<(), Fault> {
        // RFC 7519 §4.1.4: on or after `exp` the token is not accepted.
        match (number(claims, "exp")?, self.expiry) {
            (None, Expiry::Required) => return Err(missing("exp")),
            (Some(expires), Expiry::Required | Expiry::IfPresent)
                if Timestamp(expires).plus(self.leeway) <= self.now =>
            {
                return Err(Fault::Expired);
            }
            _ => {}
        }
        let latest = self.now.plus(self.leeway);
        if number(claims, "nbf")?.is_some_and(|start| Timestamp(start) > latest) {
            return Err(wrong("nbf", "lies ahead"));
        }
        let issued = number(claims, "iat")?.map(Timestamp);
        if issued.is_some_and(|issued| issued > latest) {
            return Err(wrong("iat", "lies ahead"));
        }
        match (self.max_age, issued) {
            (Some(_), None) => Err(missing("iat")),
            (Some(most), Some(issued)) if issued.plus(most).plus(self.leeway) < self.now => {
                Err(wrong("iat", "is too long ago"))
            }
            _ => Ok(()),
        }
    }
}

impl Audience<'_> {
    /// `claimed` has the right type ([`check_types`]).
    fn check(self, claimed: Option<&Value>) -> Result<(), Fault> {
        let meant = match (self, claimed) {
            (Audience::Any, _) => true,
            (_, None) => return Err(missing("aud")),
            (Audience::Exactly(us), Some(claimed)) => claimed == us,
            (Audience::Includes(us), Some(Value::Array(list))) => {
                list.iter().filter_map(Value::as_str).any(|claimed| us.contains(&claimed))
            }
            (Audience::Includes(us), Some(claimed)) => {
                claimed.as_str().is_some_and(|claimed| us.contains(&claimed))
            }
        };
        if meant { Ok(()) } else { Err(wrong("aud", "names somebody else")) }
    }
}

/// RFC 7519 §4.1: the registered claims have one type each; whatever the rules, another type refuses the token.
fn check_types(claims: &Map<String, Value>) -> Result<(), Fault> {
    for name in ["iss", "sub", "jti"] {
        if claims.get(name).is_some_and(|value| !value.is_string()) {
            return Err(wrong(name, "is not a text"));
        }
    }
    for name in ["exp", "nbf", "iat"] {
        number(claims, name)?;
    }
    match claims.get("aud") {
        None | Some(Value::String(_)) => Ok(()),
        Some(Value::Array(list)) if !list.is_empty() && list.iter().all(Value::is_string) => Ok(()),
        Some(_) => Err(wrong("aud", "is neither a text nor a list of texts")),
    }
}

/// A `NumericDate` (RFC 7519 §2) in whole seconds; fractions are cut off.
pub(super) fn number(claims: &Map<String, Value>, name: &'static str) -> Result<Option<u64>, Fault> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    let whole = value.as_u64().or_else(|| {
        let float = value.as_f64().filter(|float| (0.0..1e15).contains(float))?;
        format!("{:.0}", float.trunc()).parse().ok()
    });
    whole.map(Some).ok_or_else(|| wrong(name, "is not a time"))
}

pub(super) fn missing(name: &str) -> Fault {
    Fault::Claim { name: name.to_owned(), why: "is missing" }
}

pub(super) fn wrong(name: &str, why: &'static str) -> Fault {
    Fault::Claim { name: name.to_owned(), why }
}

#[cfg(test)]
mod tests;
