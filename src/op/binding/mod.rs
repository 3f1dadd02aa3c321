//! Tokens that are bound to their sender: what a request must show beside the token, and what the sender of a token
//! request proved to hold (RFC 9449, RFC 8705). That a token says so is the business of `token/mint.rs`.

pub(super) mod dpop;
mod mtls;
mod nonce;
mod replay;
mod target;

pub(super) use dpop::Proved;
pub(super) use mtls::{describe, is_aliased};

use super::endpoint::Call;
use super::error::{Code, Error, Result, invalid_request, unavailable};
use super::record::client::Client;
use super::record::confirmation::Confirmation;
use super::settings::Dpop;
use super::token::introspect::Facts;
use super::{Op, serve};
use crate::base::clock::Timestamp;
use crate::base::random::NoRandomness;
use crate::base::secret::AtRestKey;
use bytes::Bytes;
use dpop::Under;
use http::{HeaderMap, HeaderName, Method, Response};
use nonce::Nonces;
use replay::Replays;

/// The header of a proof (RFC 9449 §4.1), and the one that gives a nonce (§8).
pub const DPOP: HeaderName = HeaderName::from_static("dpop");
pub const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// The authentication scheme of an Authorization header (RFC 6750 §2.1, RFC 9449 §7.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scheme {
    Bearer,
    Dpop,
}

impl Scheme {
    /// RFC 9110 §11.1: whatever its case. `None`: another scheme.
    pub fn parse(name: &str) -> Option<Scheme> {
        [Scheme::Bearer, Scheme::Dpop].into_iter().find(|scheme| name.eq_ignore_ascii_case(scheme.name()))
    }

    pub fn name(self) -> &'static str {
        match self {
            Scheme::Bearer => "Bearer",
            Scheme::Dpop => "DPoP",
        }
    }
}

/// An access token as a request shows it, with all that may prove whose it is.
#[derive(Clone, Copy)]
pub struct Shown<'a> {
    pub token: &'a str,
    pub scheme: Scheme,
    /// With its proofs.
    pub headers: &'a HeaderMap,
    pub method: &'a Method,
    /// Host (and port, if it is not 443) as the client wrote it, in lower case.
    pub authority: &'a str,
    /// Without query.
    pub path: &'a str,
    /// The client's certificate in DER, of this very connection.
    pub certificate: Option<&'a [u8]>,
}

/// Why whoever shows a token may not use it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unproven {
    /// `invalid_token`: not with this scheme, or not over this connection.
    Token(&'static str),
    /// `invalid_dpop_proof` (RFC 9449 §7.1).
    Proof(&'static str),
    /// `use_dpop_nonce` (RFC 9449 §9): the same with the provider's nonce.
    Nonce,
    /// More proofs came than can be remembered: 503.
    Busy,
}

/// What a process remembers of proofs: the nonces it gave out and the proofs it took. It survives a reload.
pub struct Proofs {
    nonces: Nonces,
    replays: Replays,
    /// Proofs from before were seen by somebody else, perhaps.
    since: Timestamp,
}

impl Proofs {
    /// # Errors
    /// There is no randomness.
    pub fn new(
        at_rest: &AtRestKey,
        random: &crate::base::random::Random,
        now: Timestamp,
    ) -> std::result::Result<Proofs, NoRandomness> {
        let nonces = Nonces::new(at_rest, random)?;
        Ok(Proofs { nonces, replays: Replays::new(dpop::WINDOW * 2), since: now })
    }

    /// Whether who shows a token bound to `confirmation` is who it was issued to. Of a plain bearer token nothing is
    /// asked. A fresh nonce comes back if the client should have one.
    ///
    /// # Errors
    /// What is missing.
    pub fn prove(
        &self,
        settings: &Dpop,
        confirmation: &Confirmation,
        shown: &Shown<'_>,
        now: Timestamp,
    ) -> std::result::Result<Option<String>, Unproven> {
        // RFC 9449 §7.1, §7.2: neither kind of token passes for the other.
        let jkt = match (shown.scheme, &confirmation.jkt) {
            (Scheme::Bearer, None) => None,
            (Scheme::Dpop, Some(jkt)) => Some(jkt),
            (Scheme::Dpop, None) => return Err(Unproven::Token("The access token is not bound to a key")),
            (Scheme::Bearer, Some(_)) => {
                return Err(Unproven::Token("The access token is bound to a key: DPoP is needed"));
            }
        };
        if let Some(thumbprint) = &confirmation.x5t_s256
            && !mtls::is_of(shown.certificate, thumbprint)
        {
            return Err(Unproven::Token("The access token is bound to another client certificate"));
        }
        jkt.map_or(Ok(None), |jkt| Under { proofs: self, settings, now }.with_token(jkt, shown))
    }

    /// The nonce to give out with a challenge; `None`: nonces are off.
    pub fn nonce(&self, settings: &Dpop, now: Timestamp) -> Option<String> {
        Under { proofs: self, settings, now }.nonce()
    }
}

impl Op {
    /// Whether who shows this token is who it was issued to ([`Proofs::prove`]).
    ///
    /// # Errors
    /// What is missing.
    pub fn proves(&self, facts: &Facts, shown: &Shown<'_>) -> std::result::Result<Option<String>, Unproven> {
        self.shared.binding.prove(&self.settings.dpop, &facts.confirmation, shown, self.now())
    }

    /// The nonce to give out with a challenge; `None`: nonces are off.
    pub fn dpop_nonce(&self) -> Option<String> {
        self.shared.binding.nonce(&self.settings.dpop, self.now())
    }
}

/// What the sender of a token request proved to hold: the access token is bound to it.
///
/// # Errors
/// The client has registered for bound tokens and shows nothing to bind them to.
pub(super) fn confirmation(
    client: &Client,
    call: &Call<'_>,
    proved: Option<&Proved>,
) -> Result<Confirmation> {
    let metadata = &client.metadata;
    // RFC 9449 §5.2.
    if metadata.dpop_bound_access_tokens && proved.is_none() {
        return Err(Error::new(
            Code::InvalidDpopProof,
            "The client is registered for DPoP: a proof is needed",
        ));
    }
    let x5t_s256 = match metadata.tls_client_certificate_bound_access_tokens {
        false => None,
        // RFC 8705 §3.4.
        true => Some(call.peer.certificate.as_deref().map(mtls::thumbprint).ok_or_else(|| {
            invalid_request("The client is registered for certificate-bound tokens: a certificate is needed")
        })?),
    };
    Ok(Confirmation { jkt: proved.map(|proved| proved.jkt.clone()), x5t_s256 })
}

/// Gives the client the nonce for its next proof, if it should have one (RFC 9449 §8.2).
pub(super) fn offer(op: &Op, response: &mut Response<Bytes>, proved: Option<&Proved>, now: Timestamp) {
    let under = Under { proofs: &op.shared.binding, settings: &op.settings.dpop, now };
    if let Some(nonce) = proved.and_then(|proved| under.offer(proved)) {
        serve::set(response, DPOP_NONCE, &nonce);
    }
}

impl From<Unproven> for Error {
    fn from(unproven: Unproven) -> Error {
        match unproven {
            Unproven::Token(says) => Error::new(Code::InvalidToken, says),
            Unproven::Proof(says) => Error::new(Code::InvalidDpopProof, says).of_dpop(),
            Unproven::Nonce => {
                Error::new(Code::UseDpopNonce, "The DPoP proof must carry the nonce of this answer").of_dpop()
            }
            Unproven::Busy => unavailable("more DPoP proofs came than can be remembered"),
        }
    }
}

#[cfg(test)]
mod tests;
