//! Authentication context classes (OpenID Connect Core §2 `acr`, §5.5.1.1): which of them a sign-in satisfies, and what a
//! request still wants of the person. Classes are what `op.acr` says they are.

use super::Op;
use super::request::AuthorizationRequest;
use super::settings::{Acr, Settings};

/// RFC 8176: what a sign-in here can prove. `mfa` comes with the second factor.
pub(super) const METHODS: &[&str] = &["pwd", "otp", "mfa"];
/// What the password proves.
pub(super) const PASSWORD: &[&str] = &["pwd"];
/// What a one-time password adds to it.
pub(super) const SECOND_FACTOR: &[&str] = &["otp", "mfa"];

/// How much a request wants a second factor of somebody who has not proven one yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wish {
    /// What was proven suffices.
    Nothing,
    /// OpenID Connect Core §3.1.2.1: voluntary; only people who have a second factor are asked.
    IfEnrolled,
    /// Nothing less will do.
    Must,
}

impl Op {
    /// The authentication context a sign-in by `amr` satisfies: the first of `wishes` that it does, else the best.
    pub(super) fn acr(&self, amr: &[String], wishes: &[String]) -> Option<String> {
        let all = &self.settings.acr;
        let named = |wish: &String| all.iter().find(|acr| acr.name == *wish && satisfies(amr, acr));
        let best = || all.iter().find(|acr| satisfies(amr, acr));
        wishes.iter().find_map(named).or_else(best).map(|acr| acr.name.clone())
    }
}

/// What `request` wants beyond `amr`.
pub(super) fn wish(settings: &Settings, request: &AuthorizationRequest, amr: &[String]) -> Wish {
    if settings.second_factor.required && !proven(amr) {
        return Wish::Must;
    }
    // OpenID Connect Core §5.5.1.1: one of the essential ones, whichever.
    if !request.essential_acr.is_empty() {
        let mut possible = known(settings, &request.essential_acr).peekable();
        return match possible.peek().is_none() || possible.any(|acr| satisfies(amr, acr)) {
            true => Wish::Nothing,
            false => Wish::Must,
        };
    }
    // The first wish that can be granted at all decides.
    match known(settings, &request.acr_values).next() {
        Some(acr) if !satisfies(amr, acr) => Wish::IfEnrolled,
        _ => Wish::Nothing,
    }
}

/// Whether `amr` has the second factor.
pub(super) fn proven(amr: &[String]) -> bool {
    SECOND_FACTOR.iter().all(|method| amr.iter().any(|proven| proven == method))
}

fn satisfies(amr: &[String], acr: &Acr) -> bool {
    acr.needs.iter().all(|method| amr.contains(method))
}

/// The classes of `names` that a sign-in here can reach, in the order of `names`.
fn known<'a>(settings: &'a Settings, names: &'a [String]) -> impl Iterator<Item = &'a Acr> {
    let reachable = |acr: &&Acr| acr.needs.iter().all(|method| METHODS.contains(&method.as_str()));
    names.iter().filter_map(move |name| settings.acr.iter().filter(reachable).find(|acr| acr.name == *name))
}
