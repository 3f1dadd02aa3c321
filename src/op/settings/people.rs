//! Settings of how people sign in: passwords, second factors, accounts they make themselves.

use super::Settings;
use super::faults::Found;
use crate::op::acr::METHODS;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// Characters a new password may have to have.
const MAX_MIN_LENGTH: usize = 64;

/// What a sign-in may have to prove besides the password: codes of an authenticator app (RFC 6238). Somebody who has no
/// such app yet sets it up at the first sign-in that needs it.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SecondFactor {
    /// Every sign-in needs it. Otherwise those do whose authentication context class needs `otp` (`op.acr`).
    pub required: bool,
    /// What authenticator apps call this place; `pages.name` or the issuer's host if nothing is said.
    pub issuer_name: Option<String>,
}

/// New passwords: of `user add`, `user passwd`, and of people who make an account themselves.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Passwords {
    /// They have at least so many characters.
    pub min_length: usize,
}

impl Default for Passwords {
    fn default() -> Passwords {
        Passwords { min_length: 8 }
    }
}

/// Accounts that people make themselves (`prompt=create`, and a link on the sign-in page).
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SelfRegistration {
    /// Anybody may make an account. Their e-mail address is not verified, and says so. A user name that nobody has
    /// can be taken: where this is on, disable people instead of taking them out of `users_file`, since whoever takes
    /// their name is them to every client.
    pub enabled: bool,
}

/// OpenID Connect Core §2: a class is one that a sign-in can satisfy.
pub(super) fn faults(settings: &Settings, found: &mut Found) {
    let mut seen = HashSet::new();
    for (nth, acr) in settings.acr.iter().enumerate() {
        // RFC 6749 §3.3: requests separate them by spaces.
        if acr.name.is_empty() || acr.name.contains(char::is_whitespace) {
            found.push((format!("acr[{nth}].name"), "must be a text without spaces".into()));
        }
        if !seen.insert(&acr.name) {
            found.push((format!("acr[{nth}].name"), "is there twice: keep one of them".into()));
        }
        for (at, method) in acr.needs.iter().enumerate() {
            if !METHODS.contains(&method.as_str()) {
                let known = METHODS.join(", ");
                let says = format!("`{method}` is nothing a sign-in here can prove: known are {known}");
                found.push((format!("acr[{nth}].needs[{at}]"), says));
            }
        }
    }
    if settings.passwords.min_length > MAX_MIN_LENGTH {
        let says = format!("must be at most {MAX_MIN_LENGTH}, or nobody could think of a password");
        found.push(("passwords.min_length".into(), says));
    }
}
