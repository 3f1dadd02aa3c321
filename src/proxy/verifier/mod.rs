//! Who judges the access tokens that routes ask for. The policies ask here and do not know whose tokens they are.

use crate::op::{Facts, Op, Presented, Shown, Unproven, Verdict};

/// The issuer of the tokens that are taken. Clones are the same one.
#[derive(Clone)]
pub(super) enum Verifier {
    /// The built-in provider, asked in memory.
    Local(Op),
}

impl Verifier {
    /// The issuer identifier (RFC 8414 §2).
    pub fn issuer(&self) -> &str {
        match self {
            Verifier::Local(op) => &op.settings().issuer,
        }
    }

    /// The judgement on a token that was judged before: no await, no store, no signature. `None` = ask
    /// [`Verifier::introspect`].
    pub fn seen(&self, presented: Presented<'_>) -> Option<Verdict> {
        match self {
            Verifier::Local(op) => op.seen(presented),
        }
    }

    /// The judgement on any token.
    ///
    /// # Errors
    /// Who would know cannot be asked: the caller must refuse (503). The text is for the log.
    pub async fn introspect(&self, presented: Presented<'_>) -> Result<Verdict, String> {
        match self {
            Verifier::Local(op) => op.introspect(presented).await.map_err(|fault| fault.to_string()),
        }
    }

    /// Whether who shows this token is who it was issued to. A fresh nonce comes back if the client should have one.
    ///
    /// # Errors
    /// What is missing.
    pub fn proves(&self, facts: &Facts, shown: &Shown<'_>) -> Result<Option<String>, Unproven> {
        match self {
            Verifier::Local(op) => op.proves(facts, shown),
        }
    }

    /// The DPoP nonce to give out with a challenge; `None`: nonces are off.
    pub fn dpop_nonce(&self) -> Option<String> {
        match self {
            Verifier::Local(op) => op.dpop_nonce(),
        }
    }
}
