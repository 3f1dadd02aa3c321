//! The second factor of people: enrolled with a first code, proven with a code of the app (RFC 6238) or a recovery code,
//! each of which counts once, however many try it at the same moment.

use crate::base::clock::Timestamp;
use crate::base::encode::{base32, base64url, from_base64url};
use crate::base::otp;
use crate::base::secret::{hmac_sha256, sha256};
use crate::op::Op;
use crate::op::error::{Result, server_error, unavailable};
use crate::op::record::second_factor::SecondFactor;
use crate::store::record::{self, Stored};
use crate::store::{Durability, Expect};
use zeroize::Zeroizing;

/// Recovery codes somebody gets.
pub const RECOVERY_CODES: usize = 10;
/// Of one recovery code: 80 bits.
const RECOVERY_LEN: usize = 10;
/// How often a write is tried against concurrent ones.
const TRIES: usize = 8;

/// A secret before it is confirmed.
pub struct Draft(Zeroizing<Vec<u8>>);

/// What came of a first code.
#[derive(Debug, PartialEq, Eq)]
pub enum Enrolled {
    /// The recovery codes, to be shown once.
    Now(Vec<String>),
    /// The code is not right.
    Wrong,
    /// The person has a second factor already.
    Before,
}

/// What proved the second factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    App,
    /// So many recovery codes are left.
    Recovery(usize),
}

impl Draft {
    /// The secret for `account` in one interaction, which `context` names: the same as often as its page is shown, and
    /// nobody else's. Kept nowhere.
    pub fn of(op: &Op, account: &str, context: &[&str]) -> Draft {
        let key = op.shared.kit.at_rest.derive("second factors before they are confirmed");
        let parts: Vec<&[u8]> =
            std::iter::once(&account).chain(context).map(|part| part.as_bytes()).collect();
        let mut secret = Zeroizing::new(hmac_sha256(&key, &parts).to_vec());
        secret.truncate(otp::SECRET_LEN);
        Draft(secret)
    }

    /// As people type it into an app.
    pub fn text(&self) -> String {
        base32(&self.0)
    }

    /// Enrols `account`, if `code` is what an app with this secret shows.
    pub async fn confirm(&self, op: &Op, account: &str, code: &str, now: Timestamp) -> Result<Enrolled> {
        let Some(step) = otp::accepted(&self.0, &digits(code), now, 0) else { return Ok(Enrolled::Wrong) };
        let kit = &op.shared.kit;
        let codes = (0..RECOVERY_CODES)
            .map(|_| Ok(recovery_code(&kit.random.bytes::<RECOVERY_LEN>()?)))
            .collect::<Result<Vec<_>>>()?;
        let factor = SecondFactor {
            account: account.to_owned(),
            sealed: base64url(&kit.at_rest.seal(&kit.random, &context(account), &self.0)?),
            last_step: step,
            recovery: codes.iter().map(|code| digest(code)).collect(),
            created: now,
        };
        let change = record::put(&factor, Expect::Absent)?;
        match op.store().commit(vec![change], Durability::Durable, now).await {
            Ok(_) => Ok(Enrolled::Now(codes)),
            Err(fault) if fault.is_conflict() => Ok(Enrolled::Before),
            Err(fault) => Err(fault.into()),
        }
    }
}

impl Op {
    /// The second factor of `account`, if it has one.
    pub(in crate::op) async fn second_factor(
        &self,
        account: &str,
        now: Timestamp,
    ) -> Result<Option<Stored<SecondFactor>>> {
        Ok(record::get::<SecondFactor>(self.store(), account.to_owned(), now).await?)
    }
}

/// Whether `presented` is a code of `account`'s app or a recovery code of theirs. It is used up by that before this
/// returns: of two that present one code, one is right.
pub async fn prove(op: &Op, account: &str, presented: &str, now: Timestamp) -> Result<Option<Proof>> {
    for _ in 0..TRIES {
        let Some(stored) = op.second_factor(account, now).await? else { return Ok(None) };
        let mut factor = stored.record;
        let Some(proof) = spend(op, &mut factor, presented, now)? else { return Ok(None) };
        let change = record::put(&factor, Expect::Version(stored.version))?;
        match op.store().commit(vec![change], Durability::Durable, now).await {
            Ok(_) => return Ok(Some(proof)),
            Err(fault) if fault.is_conflict() => {}
            Err(fault) => return Err(fault.into()),
        }
    }
    Err(unavailable("the second factor keeps changing"))
}

fn spend(op: &Op, factor: &mut SecondFactor, presented: &str, now: Timestamp) -> Result<Option<Proof>> {
    let sealed = from_base64url(&factor.sealed).unwrap_or_default();
    let secret = op.shared.kit.at_rest.open(&context(&factor.account), &sealed).map_err(server_error)?;
    if let Some(step) = otp::accepted(&secret, &digits(presented), now, factor.last_step) {
        factor.last_step = step;
        return Ok(Some(Proof::App));
    }
    let digest = digest(presented);
    let Some(at) = factor.recovery.iter().position(|known| *known == digest) else { return Ok(None) };
    factor.recovery.remove(at);
    Ok(Some(Proof::Recovery(factor.recovery.len())))
}

/// What the sealed secret belongs to.
fn context(account: &str) -> Vec<u8> {
    format!("second factor of {account}").into_bytes()
}

/// A code as apps show it may have a space in its middle.
fn digits(code: &str) -> String {
    code.chars().filter(|c| !c.is_whitespace()).take(16).collect()
}

/// In groups of four, in lower case.
fn recovery_code(bytes: &[u8]) -> String {
    in_fours(&base32(bytes).to_lowercase(), "-")
}

/// However it is typed: case, spaces and hyphens do not matter.
fn digest(code: &str) -> String {
    let plain: String = code.chars().filter(char::is_ascii_alphanumeric).take(64).collect();
    base64url(&sha256(plain.to_ascii_lowercase().as_bytes()))
}

/// For people who read it off one screen and type it into another.
pub fn in_fours(text: &str, between: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    letters.chunks(4).map(|four| four.iter().collect::<String>()).collect::<Vec<_>>().join(between)
}
