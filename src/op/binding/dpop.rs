//! What a DPoP proof must say to count for a request (RFC 9449 §4.3), and that it counts once. Its form and its
//! signature are the business of `jose/dpop.rs`.

use super::target::Target;
use super::{DPOP, Shown, Unproven, replay};
use crate::base::clock::Timestamp;
use crate::base::encode::base64url;
use crate::base::secret::{Digest, equal, sha256};
use crate::jose::Algorithm;
use crate::jose::dpop::{Proof, ProofRules, verify_proof};
use crate::op::Op;
use crate::op::endpoint::Call;
use crate::op::error::Result as Answered;
use crate::op::record::replay::Replay;
use crate::op::settings::Nonces;
use crate::store::record::put;
use crate::store::{Durability, Expect};
use http::HeaderMap;
use std::time::Duration;

/// The algorithms a proof may be signed with.
pub const ALGS: [Algorithm; 5] =
    [Algorithm::ES256, Algorithm::ES384, Algorithm::PS256, Algorithm::EdDSA, Algorithm::Ed25519];
/// The same as a challenge lists them (RFC 9449 §7.1).
pub const ALGS_IN_CHALLENGE: &str = "ES256 ES384 PS256 EdDSA Ed25519";

/// How far the `iat` of a proof may be from now, on either side.
pub(super) const WINDOW: Duration = Duration::from_secs(60);

/// How far ahead it may be where only this process remembers what was used: what it may have missed before it started
/// must come to an end soon.
const AHEAD: Duration = Duration::from_secs(10);

/// A proof that counts: of which key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Proved {
    /// The RFC 7638 thumbprint of the key.
    pub jkt: String,
    jti: String,
    issued: Timestamp,
    nonce: Nonce,
}

/// What a proof says of nonces.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Nonce {
    None,
    /// Made by this process; whether it is the one that is given out now.
    Ours {
        current: bool,
    },
    /// Another process's.
    Theirs,
}

/// The proof of a request to an endpoint, if it has one. What was used is remembered by the store, for every node.
///
/// # Errors
/// `invalid_dpop_proof`, `use_dpop_nonce`.
pub(in crate::op) async fn of_request(op: &Op, call: &Call<'_>) -> Answered<Option<Proved>> {
    let target =
        Target { method: call.request.method(), authority: &call.peer.host, path: call.request.uri().path() };
    let Some(proved) = check(op, call.request.headers(), target, None, call.now)? else { return Ok(None) };
    // A second longer than it could be taken.
    let forget = proved.issued.plus(WINDOW).plus(Duration::from_secs(1));
    let used = Replay::new("dpop", &proved.jkt, &proved.jti, forget);
    match op.store().commit(vec![put(&used, Expect::Absent)?], Durability::Soon, call.now).await {
        Ok(_) => Ok(Some(proved)),
        Err(fault) if fault.is_conflict() => Err(Unproven::Proof(USED).into()),
        Err(fault) => Err(fault.into()),
    }
}

const USED: &str = "The DPoP proof was used before";

/// The proof beside a token that is bound to the key `jkt`. What was used is remembered here, without the store: a
/// proof that an earlier process or another node may have seen must carry a nonce of this one. The nonce to give out,
/// if one is due.
pub(super) fn with_token(op: &Op, jkt: &str, shown: &Shown<'_>) -> Result<Option<String>, Unproven> {
    let now = op.now();
    let target = Target { method: shown.method, authority: shown.authority, path: shown.path };
    let proved = check(op, shown.headers, target, Some(shown.token), now)?;
    let proved = proved.ok_or(Unproven::Proof("A DPoP proof is needed"))?;
    // RFC 9449 §7.1: the key the token is bound to.
    if !equal(proved.jkt.as_bytes(), jkt.as_bytes()) {
        return Err(Unproven::Proof("The DPoP proof is not of the key the access token is bound to"));
    }
    let memory = &op.shared.binding;
    let known_here = match proved.nonce {
        Nonce::Ours { .. } => true,
        Nonce::Theirs => false,
        Nonce::None => proved.issued > memory.since.plus(AHEAD) && proved.issued <= now.plus(AHEAD),
    };
    if !known_here {
        return Err(match op.settings.dpop.nonce {
            Nonces::Off => Unproven::Proof("The DPoP proof is from another time"),
            Nonces::Offered | Nonces::Required => Unproven::Nonce,
        });
    }
    match memory.replays.first(&proved.identity(), now) {
        Ok(true) => Ok(offer(op, &proved, now)),
        Ok(false) => Err(Unproven::Proof(USED)),
        Err(replay::Full) => Err(Unproven::Busy),
    }
}

impl Proved {
    fn identity(&self) -> Digest {
        replay::identity(&self.jkt, &self.jti)
    }
}

/// The nonce of this moment, unless nonces are off.
pub(super) fn nonce(op: &Op, now: Timestamp) -> Option<String> {
    (op.settings.dpop.nonce != Nonces::Off).then(|| op.shared.binding.nonces.current(now))
}

/// The nonce for the client's next proof, unless it has it (RFC 9449 §8.2).
pub(super) fn offer(op: &Op, proved: &Proved, now: Timestamp) -> Option<String> {
    if proved.nonce == (Nonce::Ours { current: true }) {
        return None;
    }
    nonce(op, now)
}

/// RFC 9449 §4.3, but for check 12, which is the caller's: whether it is seen for the first time. `None`: there is no
/// proof.
fn check(
    op: &Op,
    headers: &HeaderMap,
    target: Target<'_>,
    token: Option<&str>,
    now: Timestamp,
) -> Result<Option<Proved>, Unproven> {
    let mut given = headers.get_all(DPOP).iter();
    let Some(text) = given.next() else { return Ok(None) };
    if given.next().is_some() {
        return Err(Unproven::Proof("The request has more than one DPoP proof"));
    }
    let text = text.to_str().map_err(|_| Unproven::Proof(MALFORMED))?;
    let rules = ProofRules { algorithms: &ALGS, now, behind: WINDOW, ahead: WINDOW };
    let proof = verify_proof(text, &rules).map_err(|fault| {
        tracing::debug!(%fault, "a DPoP proof is not valid");
        Unproven::Proof(MALFORMED)
    })?;
    if !target.is(&proof.htm, &proof.htu) {
        return Err(Unproven::Proof("The DPoP proof is for another request"));
    }
    let nonce = said_nonce(op, &proof, now)?;
    if let Some(token) = token {
        let hash = base64url(&sha256(token.as_bytes()));
        if !proof.ath.as_deref().is_some_and(|ath| equal(ath.as_bytes(), hash.as_bytes())) {
            return Err(Unproven::Proof("The DPoP proof is for another access token"));
        }
    }
    Ok(Some(Proved { jkt: proof.jkt, jti: proof.jti, issued: proof.iat, nonce }))
}

const MALFORMED: &str = "The DPoP proof is not valid";

/// RFC 9449 §4.3, check 10.
fn said_nonce(op: &Op, proof: &Proof, now: Timestamp) -> Result<Nonce, Unproven> {
    let settings = &op.settings.dpop;
    match (settings.nonce, proof.nonce.as_deref()) {
        (Nonces::Off, _) | (Nonces::Offered, None) => Ok(Nonce::None),
        (Nonces::Required, None) => Err(Unproven::Nonce),
        (Nonces::Offered | Nonces::Required, Some(said)) => {
            let known = op.shared.binding.nonces.read(said, settings.nonce_lifetime.0, now);
            let known = known.ok_or(Unproven::Nonce)?;
            Ok(if known.ours { Nonce::Ours { current: known.current } } else { Nonce::Theirs })
        }
    }
}
