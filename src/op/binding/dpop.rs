//! What a DPoP proof must say to count for a request (RFC 9449 §4.3), and that it counts once. Its form and its
//! signature are the business of `jose/dpop.rs`.

use super::target::Target;
use super::{DPOP, Proofs, Shown, Unproven, replay};
use crate::base::clock::Timestamp;
use crate::base::encode::base64url;
use crate::base::secret::{Digest, equal, sha256};
use crate::jose::Algorithm;
use crate::jose::dpop::{Proof, ProofRules, verify_proof};
use crate::op::Op;
use crate::op::endpoint::Call;
use crate::op::error::Result as Answered;
use crate::op::record::replay::Replay;
use crate::op::settings::{Dpop, Nonces};
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
    let under = Under { proofs: &op.shared.binding, settings: &op.settings.dpop, now: call.now };
    let Some(proved) = under.check(call.request.headers(), target, None)? else { return Ok(None) };
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

/// What proofs are judged under.
#[derive(Clone, Copy)]
pub(super) struct Under<'a> {
    pub proofs: &'a Proofs,
    pub settings: &'a Dpop,
    pub now: Timestamp,
}

impl Proved {
    fn identity(&self) -> Digest {
        replay::identity(&self.jkt, &self.jti)
    }
}

const MALFORMED: &str = "The DPoP proof is not valid";

impl Under<'_> {
    /// The proof beside a token that is bound to the key `jkt`. What was used is remembered here, without the store: a
    /// proof that an earlier process or another node may have seen must carry a nonce of this one. The nonce to give
    /// out, if one is due.
    pub fn with_token(self, jkt: &str, shown: &Shown<'_>) -> Result<Option<String>, Unproven> {
        let Under { proofs, settings, now } = self;
        let target = Target { method: shown.method, authority: shown.authority, path: shown.path };
        let proved = self.check(shown.headers, target, Some(shown.token))?;
        let proved = proved.ok_or(Unproven::Proof("A DPoP proof is needed"))?;
        // RFC 9449 §7.1: the key the token is bound to.
        if !equal(proved.jkt.as_bytes(), jkt.as_bytes()) {
            return Err(Unproven::Proof("The DPoP proof is not of the key the access token is bound to"));
        }
        let known_here = match proved.nonce {
            Nonce::Ours { .. } => true,
            Nonce::Theirs => false,
            Nonce::None => proved.issued > proofs.since.plus(AHEAD) && proved.issued <= now.plus(AHEAD),
        };
        if !known_here {
            return Err(match settings.nonce {
                Nonces::Off => Unproven::Proof("The DPoP proof is from another time"),
                Nonces::Offered | Nonces::Required => Unproven::Nonce,
            });
        }
        match proofs.replays.first(&proved.identity(), now) {
            Ok(true) => Ok(self.offer(&proved)),
            Ok(false) => Err(Unproven::Proof(USED)),
            Err(replay::Full) => Err(Unproven::Busy),
        }
    }

    /// The nonce of this moment, unless nonces are off.
    pub fn nonce(self) -> Option<String> {
        (self.settings.nonce != Nonces::Off).then(|| self.proofs.nonces.current(self.now))
    }

    /// The nonce for the client's next proof, unless it has it (RFC 9449 §8.2).
    pub fn offer(self, proved: &Proved) -> Option<String> {
        if proved.nonce == (Nonce::Ours { current: true }) {
            return None;
        }
        self.nonce()
    }

    /// RFC 9449 §4.3, but for check 12, which is the caller's: whether it is seen for the first time. `None`: there is
    /// no proof.
    fn check(
        self,
        headers: &HeaderMap,
        target: Target<'_>,
        token: Option<&str>,
    ) -> Result<Option<Proved>, Unproven> {
        let mut given = headers.get_all(DPOP).iter();
        let Some(text) = given.next() else { return Ok(None) };
        if given.next().is_some() {
            return Err(Unproven::Proof("The request has more than one DPoP proof"));
        }
        let text = text.to_str().map_err(|_| Unproven::Proof(MALFORMED))?;
        let rules = ProofRules { algorithms: &ALGS, now: self.now, behind: WINDOW, ahead: WINDOW };
        let proof = verify_proof(text, &rules).map_err(|fault| {
            tracing::debug!(%fault, "a DPoP proof is not valid");
            Unproven::Proof(MALFORMED)
        })?;
        if !target.is(&proof.htm, &proof.htu) {
            return Err(Unproven::Proof("The DPoP proof is for another request"));
        }
        let nonce = self.said_nonce(&proof)?;
        if let Some(token) = token {
            let hash = base64url(&sha256(token.as_bytes()));
            if !proof.ath.as_deref().is_some_and(|ath| equal(ath.as_bytes(), hash.as_bytes())) {
                return Err(Unproven::Proof("The DPoP proof is for another access token"));
            }
        }
        Ok(Some(Proved { jkt: proof.jkt, jti: proof.jti, issued: proof.iat, nonce }))
    }

    /// RFC 9449 §4.3, check 10.
    fn said_nonce(self, proof: &Proof) -> Result<Nonce, Unproven> {
        match (self.settings.nonce, proof.nonce.as_deref()) {
            (Nonces::Off, _) | (Nonces::Offered, None) => Ok(Nonce::None),
            (Nonces::Required, None) => Err(Unproven::Nonce),
            (Nonces::Offered | Nonces::Required, Some(said)) => {
                let known = self.proofs.nonces.read(said, self.settings.nonce_lifetime.0, self.now);
                let known = known.ok_or(Unproven::Nonce)?;
                Ok(if known.ours { Nonce::Ours { current: known.current } } else { Nonce::Theirs })
            }
        }
    }
}
