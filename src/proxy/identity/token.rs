//! The token that tells an upstream who calls: signed with the edge's own keys, for one audience, short, and never good
//! for longer than what the caller showed. RFC 7519; RFC 8725 §3.11, §3.12. It is kept for as long as it is good, so that most
//! requests sign nothing.

use super::Own;
use crate::base::cache::Cache;
use crate::base::clock::Timestamp;
use crate::base::secret::{Digest, sha256};
use crate::jose::{Algorithm, Family};
use crate::op::Facts;
use crate::proxy::Kit;
use crate::proxy::denial::Denial;
use crate::proxy::settings::IdentityToken;
use http::{HeaderName, HeaderValue};
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::Duration;

/// Not `JWT`, not `at+jwt`: nobody shall take it for an access token.
pub(super) const TYP: &str = "oidcop-identity+jwt";

/// Tokens kept.
const KEPT: usize = 16_384;

/// How a route's tokens are made.
pub(in crate::proxy) struct Mint {
    header: HeaderName,
    /// It stands in `Authorization`.
    bearer: bool,
    issuer: String,
    audience: String,
    lifetime: Duration,
    algorithm: Algorithm,
    /// Of all of these, and of the route.
    tag: Digest,
}

/// Tokens that were signed already.
pub(in crate::proxy) struct Issued(Cache<Arc<Kept>>);

impl Default for Issued {
    fn default() -> Issued {
        Issued(Cache::new(KEPT))
    }
}

impl Issued {
    /// Forgets what is good for nothing any more.
    pub fn tidy(&self, now: Timestamp) {
        self.0.retain(|_, kept| kept.expires > now && !kept.facts.life.is_dead());
    }
}

struct Kept {
    facts: Arc<Facts>,
    kid: String,
    expires: Timestamp,
    value: HeaderValue,
}

impl Mint {
    pub fn new(written: &IdentityToken, issuer: &str, route: &str) -> Result<Mint, String> {
        let header = written.header.parse().map_err(|_| format!("`{}` is no header name", written.header))?;
        let tag = format!("{route}\0{issuer}\0{}", serde_json::to_string(written).unwrap_or_default());
        Ok(Mint {
            header,
            bearer: super::is_authorization(&written.header),
            issuer: issuer.to_owned(),
            audience: written.audience.clone(),
            lifetime: written.lifetime.0,
            algorithm: written.algorithm,
            tag: sha256(tag.as_bytes()),
        })
    }

    pub fn header(&self) -> &HeaderName {
        &self.header
    }

    /// The header's value for a caller. Signs only if what was signed before is not good long enough.
    pub async fn value(&self, own: &Own, kit: &Kit, facts: &Arc<Facts>) -> Result<HeaderValue, Denial> {
        let ring = own.keys.ring().clone();
        let signer = ring.as_ref().and_then(|ring| ring.signer(self.algorithm)).cloned();
        let signer =
            signer.ok_or_else(|| Denial::Undecided("the edge has no key to sign with yet".into()))?;
        let (now, digest) = (kit.clock.now(), self.digest(facts));
        if let Some(kept) = own.issued.0.get(&digest)
            && kept.kid == signer.kid()
            && same(&kept.facts, facts)
            && self.lasts(&kept, facts, now)
        {
            return Ok(kept.value.clone());
        }
        let id = kit.random.id().map_err(|fault| Denial::Undecided(fault.to_string()))?;
        let expires = now.plus(self.lifetime).min(facts.expires);
        let claims = self.claims(facts, &id, now, expires).to_string();
        let kid = signer.kid().to_owned();
        let sign = move || signer.sign(TYP, claims.as_bytes());
        // RSA takes about a millisecond: a worker's business.
        let signed = match self.algorithm.family() {
            Family::Rsa => kit.work.run(sign).await.map_err(|_| Denial::Busy)?,
            _ => sign(),
        };
        let token = signed.map_err(|fault| Denial::Undecided(fault.to_string()))?;
        let text = if self.bearer { format!("Bearer {token}") } else { token };
        let mut value =
            HeaderValue::from_str(&text).map_err(|_| Denial::Bug("a token that no header can hold"))?;
        value.set_sensitive(true);
        let kept = Kept { facts: facts.clone(), kid, expires, value: value.clone() };
        own.issued.0.insert(digest, Arc::new(kept));
        Ok(value)
    }

    /// More than a third of the lifetime is left, or all that what the caller showed has left.
    fn lasts(&self, kept: &Kept, facts: &Facts, now: Timestamp) -> bool {
        let left = Duration::from_secs(now.until(kept.expires));
        kept.expires <= facts.expires
            && kept.expires > now
            && (left >= self.lifetime / 3 || kept.expires == facts.expires)
    }

    fn digest(&self, facts: &Facts) -> Digest {
        let sid = facts.sid.as_deref().unwrap_or_default();
        let mut text = Vec::with_capacity(192);
        for part in [
            &self.tag[..],
            facts.jti.as_bytes(),
            sid.as_bytes(),
            facts.client_id.as_bytes(),
            facts.subject.as_bytes(),
        ] {
            text.extend_from_slice(part);
            text.push(0);
        }
        sha256(&text)
    }

    fn claims(&self, facts: &Facts, id: &str, now: Timestamp, expires: Timestamp) -> Value {
        let mut claims = Map::new();
        let mut say = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                claims.insert(name.to_owned(), value);
            }
        };
        say("iss", Some(self.issuer.as_str().into()));
        // RFC 9700 §4.15: a client that acts for itself must not be taken for a person.
        say("sub", facts.account.as_ref().map(|_| facts.subject.as_str().into()));
        say("aud", Some(self.audience.as_str().into()));
        say("iat", Some(now.0.into()));
        say("exp", Some(expires.0.into()));
        say("jti", Some(id.into()));
        say("client_id", Some(facts.client_id.as_str().into()));
        say("scope", (!facts.scope.is_empty()).then(|| facts.scope.join(" ").into()));
        say("username", facts.username.as_deref().map(Value::from));
        say("acr", facts.acr.as_deref().map(Value::from));
        say("auth_time", facts.auth_time.map(|time| time.0.into()));
        say("sid", facts.sid.as_deref().map(Value::from));
        say("act", facts.act.clone());
        Value::Object(claims)
    }
}

/// Whether a token about one says the truth about the other.
fn same(one: &Arc<Facts>, other: &Arc<Facts>) -> bool {
    Arc::ptr_eq(one, other)
        || (one.client_id == other.client_id
            && one.subject == other.subject
            && one.account == other.account
            && one.username == other.username
            && one.scope == other.scope
            && one.acr == other.acr
            && one.auth_time == other.auth_time
            && one.sid == other.sid
            && one.act == other.act)
}

#[cfg(test)]
pub(super) mod tests;
