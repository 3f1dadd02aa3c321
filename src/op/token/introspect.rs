//! Judging a token. The proxy, userinfo and the introspection endpoint ask here and get the same answer.

use super::access::{self, AccessClaims};
use super::life::{Life, Parent};
use super::parents::{Bonds, Marked, origins_live};
use crate::base::cache::Cache;
use crate::base::clock::Timestamp;
use crate::base::encode::base64url;
use crate::base::secret::{Digest, sha256};
use crate::jose::jws::MAX_TOKEN;
use crate::jose::{Algorithm, Expiry, KeySource, Rules, Typ, verify};
use crate::op::Op;
use crate::op::record::access::Access;
use crate::op::record::confirmation::Confirmation;
use crate::op::record::denied::Denied;
use crate::op::record::family::Family;
use crate::op::record::session::Session;
use crate::store::Fault;
use crate::store::record::{self, Stored};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// A token as somebody presented it.
#[derive(Clone, Copy)]
pub struct Presented<'a> {
    /// The string itself. At most 64 KiB is looked at.
    pub token: &'a str,
}

/// What the provider vouches for about an access token. Shared and immutable: a seen token costs no allocation.
#[derive(Debug)]
pub struct Facts {
    pub client_id: String,
    /// The `sub` as the audience sees it.
    pub subject: String,
    /// The account at home; `None` if a client acts for itself (client_credentials).
    pub account: Option<String>,
    /// What the person types to sign in; for introspection's `username`.
    pub username: Option<String>,
    pub scope: Vec<String>,
    pub audience: Vec<String>,
    pub jti: String,
    /// The family's id, if there is one.
    pub family: Option<String>,
    pub sid: Option<String>,
    pub issued: Timestamp,
    pub expires: Timestamp,
    pub auth_time: Option<Timestamp>,
    pub acr: Option<String>,
    /// What the token is bound to: whoever presents it must prove that too.
    pub confirmation: Confirmation,
    /// RFC 9396 §9.
    pub authorization_details: Vec<Value>,
    /// RFC 8693 §4.1.
    pub act: Option<Value>,
    /// Ends when any parent ends.
    pub life: Arc<Life>,
}

/// The provider's judgement. Why a token is not active is nobody's business outside (RFC 7662 §2.2).
#[derive(Clone, Debug)]
pub enum Verdict {
    Active(Arc<Facts>),
    Inactive,
}

/// How many judgements are remembered: what is good, and what is not.
const ACTIVE: usize = 65_536;
const REFUSED: usize = 8_192;
/// A refused token is not looked at again for so long: whoever keeps sending it costs a digest.
const REFUSED_FOR: Duration = Duration::from_secs(10);
/// The characters of an opaque handle.
const OPAQUE: usize = 43;

/// The judgements in memory. They survive a reload, but one of another generation is made again.
pub struct Verdicts {
    active: Cache<(u64, Arc<Facts>)>,
    refused: Cache<(u64, Timestamp)>,
}

impl Default for Verdicts {
    fn default() -> Verdicts {
        Verdicts { active: Cache::new(ACTIVE), refused: Cache::new(REFUSED) }
    }
}

impl Verdicts {
    fn known(&self, digest: &Digest, generation: u64, now: Timestamp) -> Option<Verdict> {
        if let Some((made_in, facts)) = self.active.get(digest) {
            return match made_in == generation {
                true if facts.expires > now && !facts.life.is_dead() => Some(Verdict::Active(facts)),
                true => Some(Verdict::Inactive),
                false => None,
            };
        }
        let (made_in, until) = self.refused.get(digest)?;
        (made_in == generation && until > now).then_some(Verdict::Inactive)
    }

    /// Forgets what cannot be active any more.
    pub fn tidy(&self, now: Timestamp) {
        self.active.retain(|_, (_, facts)| facts.expires > now && !facts.life.is_dead());
        self.refused.retain(|_, (_, until)| *until > now);
    }
}

/// Remembers that `token` is good. Its life was obtained before anything it rests on was read.
pub fn remember(op: &Op, token: &str, facts: Arc<Facts>) {
    op.shared.verdicts.active.insert(sha256(token.as_bytes()), (op.generation, facts));
}

/// A judgement that was made before. Synchronous, without the store, without an allocation.
pub fn seen(op: &Op, presented: Presented<'_>) -> Option<Verdict> {
    if presented.token.len() > MAX_TOKEN {
        return Some(Verdict::Inactive);
    }
    op.shared.verdicts.known(&sha256(presented.token.as_bytes()), op.generation, op.now())
}

/// The judgement on any token.
pub async fn introspect(op: &Op, presented: Presented<'_>) -> Result<Verdict, Fault> {
    if presented.token.len() > MAX_TOKEN {
        return Ok(Verdict::Inactive);
    }
    let (digest, now) = (sha256(presented.token.as_bytes()), op.now());
    let verdicts = &op.shared.verdicts;
    if let Some(verdict) = verdicts.known(&digest, op.generation, now) {
        return Ok(verdict);
    }
    let mut bonds = Bonds::new(op);
    let facts = match claims(op, presented.token, &mut bonds, now).await? {
        Some(claims) => judge(op, claims, bonds, now).await?,
        None => None,
    };
    Ok(match facts {
        Some(facts) => {
            let facts = Arc::new(facts);
            verdicts.active.insert(digest, (op.generation, facts.clone()));
            Verdict::Active(facts)
        }
        None => {
            verdicts.refused.insert(digest, (op.generation, now.plus(REFUSED_FOR)));
            Verdict::Inactive
        }
    })
}

/// What an access token of ours says, if it has not expired; whether its parents live is not asked. `bonds` is tied
/// to what stands for the token itself.
pub(super) async fn claims(
    op: &Op,
    token: &str,
    bonds: &mut Bonds<'_>,
    now: Timestamp,
) -> Result<Option<AccessClaims>, Fault> {
    if token.contains('.') {
        let Some((claims, kid)) = signed(op, token, now) else { return Ok(None) };
        bonds.tie(Parent::Token(claims.jti.clone()));
        bonds.tie(Parent::Key(kid.clone()));
        // Revoking a key takes it out of the ring before it ends its life: this look comes after the tie.
        return Ok(op.ring().verify_key(&kid).map(|_| claims));
    }
    if token.len() != OPAQUE {
        return Ok(None);
    }
    let digest = base64url(&sha256(token.as_bytes()));
    bonds.tie(Parent::Token(digest.clone()));
    let stored = record::get::<Access>(op.store(), digest, now).await?;
    Ok(stored.and_then(|stored| serde_json::from_value(stored.record.claims.into()).ok()))
}

/// RFC 9068 §4, for tokens of our own.
fn signed(op: &Op, token: &str, now: Timestamp) -> Option<(AccessClaims, String)> {
    let rules = Rules {
        typ: Typ::Required(&[access::TYP]),
        issuer: Some(&op.settings.issuer),
        required: &["sub", "aud", "iat", "jti", "client_id"],
        expiry: Expiry::Required,
        ..Rules::new(&[Algorithm::ES256], now)
    };
    let verified = verify(token, &KeySource::Ring(&op.ring()), &rules).ok()?;
    let kid = verified.header.kid?;
    serde_json::from_value(verified.claims.into()).ok().map(|claims| (claims, kid))
}

/// Asks the store whether every parent lives. Each is tied before its mark is read.
async fn judge(
    op: &Op,
    claims: AccessClaims,
    mut bonds: Bonds<'_>,
    now: Timestamp,
) -> Result<Option<Facts>, Fault> {
    let Some(family_id) = claims.descent() else { return Ok(None) };
    bonds.tie(Parent::Client(claims.client_id.clone()));
    if let Some(family) = &family_id {
        bonds.tie(Parent::Family(family.clone()));
    }
    if let Some(sid) = &claims.sid {
        bonds.tie(Parent::Session(sid.clone()));
    }
    let store = op.store();
    let (denied, client, family, session) = futures_util::try_join!(
        record::get::<Denied>(store, claims.jti.clone(), now),
        Marked::client(op, &claims.client_id, now),
        optional::<Family>(op, family_id.as_ref(), now),
        optional::<Session>(op, claims.sid.as_ref(), now),
    )?;
    if denied.is_some() || !client.spares(claims.iat) || session.is_dead() || family.is_dead() {
        return Ok(None);
    }
    let mut account = None;
    if let Parenthood::Alive(family) = family {
        let authorization = &family.authorization;
        if authorization.client_id != claims.client_id {
            return Ok(None);
        }
        bonds.tie(Parent::Account(authorization.account.clone()));
        let mark = Marked::account(op, &authorization.account, now).await?;
        if !mark.spares(family.created) || !client.spares(family.created) {
            return Ok(None);
        }
        bonds.tie_origins(&authorization.origins);
        if !origins_live(op, &authorization.origins, &mark, now).await? {
            return Ok(None);
        }
        account = Some(authorization.account.clone());
    }
    let Ok(life) = bonds.life() else { return Ok(None) };
    Ok(Some(Facts {
        scope: claims.scope.split(' ').filter(|scope| !scope.is_empty()).map(str::to_owned).collect(),
        audience: claims.audience(),
        client_id: claims.client_id,
        subject: claims.sub,
        username: account.clone(),
        account,
        jti: claims.jti,
        family: family_id,
        sid: claims.sid,
        issued: claims.iat,
        expires: claims.exp,
        auth_time: claims.auth_time,
        acr: claims.acr,
        confirmation: claims.cnf,
        authorization_details: claims.authorization_details,
        act: claims.act,
        life,
    }))
}

/// A parent that a token may have.
enum Parenthood<T> {
    /// The token has none of this kind.
    None,
    Alive(Box<T>),
    Dead,
}

impl<T> Parenthood<T> {
    fn is_dead(&self) -> bool {
        matches!(self, Parenthood::Dead)
    }
}

async fn optional<T: record::Record>(
    op: &Op,
    id: Option<&String>,
    now: Timestamp,
) -> Result<Parenthood<T>, Fault> {
    let Some(id) = id else { return Ok(Parenthood::None) };
    Ok(match record::get::<T>(op.store(), id.clone(), now).await? {
        Some(Stored { record, dead: false, .. }) => Parenthood::Alive(Box::new(record)),
        _ => Parenthood::Dead,
    })
}
