//! The response types: one row each. What a row yields decides everything else about it: where the answer goes, which
//! grant types belong to it, whether it is offered unless somebody asks for it.

use super::settings::Settings;

/// A row of [`RESPONSE_TYPES`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ResponseType {
    /// Its words in the order in which OpenID Connect Core §3 has them; every order means the same (OAuth 2.0 Multiple
    /// Response Type Encoding Practices §3).
    pub name: &'static str,
    /// The section that defines it.
    pub spec: &'static str,
    /// What it yields at the authorization endpoint.
    pub code: bool,
    pub token: bool,
    pub id_token: bool,
}

const fn row(name: &'static str, spec: &'static str, [code, token, id_token]: [bool; 3]) -> ResponseType {
    ResponseType { name, spec, code, token, id_token }
}

pub const RESPONSE_TYPES: &[ResponseType] = &[
    row("code", "RFC 6749 §4.1.1", [true, false, false]),
    row("id_token", "OpenID Connect Core §3.2.2.1", [false, false, true]),
    row("id_token token", "OpenID Connect Core §3.2.2.1", [false, true, true]),
    row("code id_token", "OpenID Connect Core §3.3.2.1", [true, false, true]),
    row("code token", "OpenID Connect Core §3.3.2.1", [true, true, false]),
    row("code id_token token", "OpenID Connect Core §3.3.2.1", [true, true, true]),
    row("token", "RFC 6749 §4.2.1", [false, true, false]),
    row("none", "OAuth 2.0 Multiple Response Type Encoding Practices §4", [false, false, false]),
];

/// The grant type of what comes from the authorization endpoint itself (OpenID Connect Registration §2).
pub const IMPLICIT: &str = "implicit";

impl ResponseType {
    /// Whether a token leaves through the front channel.
    pub fn is_front_channel(&self) -> bool {
        self.token || self.id_token
    }

    /// The grant types that belong to it (OpenID Connect Registration §2, the table at `grant_types`).
    pub fn grants(&self) -> impl Iterator<Item = &'static str> {
        [(self.code, "authorization_code"), (self.is_front_channel(), IMPLICIT)]
            .into_iter()
            .filter_map(|(belongs, grant)| belongs.then_some(grant))
    }
}

/// The row that `words` name, in whatever order.
pub fn find(words: &str) -> Option<&'static ResponseType> {
    let sorted = |words: &str| {
        let mut words: Vec<String> = words.split(' ').map(str::to_owned).collect();
        words.sort_unstable();
        words
    };
    // No row is longer than three words: what is does not have to be sorted.
    (words.len() < 64).then(|| RESPONSE_TYPES.iter().find(|row| sorted(row.name) == sorted(words))).flatten()
}

/// Whether an answer to `words`, known or not, is expected in the fragment (OAuth 2.0 Multiple Response Type Encoding
/// Practices §5: so are the errors of such a request).
pub fn asks_front_channel(words: &str) -> bool {
    words.split(' ').any(|word| matches!(word, "token" | "id_token"))
}

/// What is offered unless the settings say otherwise. RFC 9700 §2.1.2: no access token in the front channel.
pub fn default_names() -> Vec<String> {
    RESPONSE_TYPES.iter().filter(|row| !row.token).map(|row| row.name.to_owned()).collect()
}

/// What the settings offer.
pub fn offered(settings: &Settings) -> impl Iterator<Item = &'static ResponseType> {
    RESPONSE_TYPES.iter().filter(|row| is_offered(settings, row))
}

pub fn is_offered(settings: &Settings, kind: &ResponseType) -> bool {
    settings.response_types.iter().any(|name| find(name).is_some_and(|row| row == kind))
}

/// For serde: a row as its name.
pub mod by_name {
    use super::{ResponseType, find};
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub fn serialize<S: Serializer>(kind: &&'static ResponseType, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(kind.name)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<&'static ResponseType, D::Error> {
        let name = String::deserialize(from)?;
        find(&name).ok_or_else(|| de::Error::custom("an unknown response type"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_order_of_the_words_is_the_same_and_nothing_else_is() {
        assert_eq!(find("token id_token code").unwrap().name, "code id_token token");
        assert_eq!(find("token id_token").unwrap().name, "id_token token");
        for odd in
            ["", "Code", "code code", "code  token", " code", "code none", "token token", "id_token none"]
        {
            assert_eq!(find(odd), None, "{odd}");
        }
        assert_eq!(find(&"token ".repeat(10_000)), None);
    }

    /// OpenID Connect Registration §2.
    #[test]
    fn each_has_the_grants_of_the_registrations_table() {
        let grants = |name: &str| find(name).unwrap().grants().collect::<Vec<_>>();
        assert_eq!(grants("code"), ["authorization_code"]);
        assert_eq!(grants("id_token"), ["implicit"]);
        assert_eq!(grants("id_token token"), ["implicit"]);
        for hybrid in ["code id_token", "code token", "code id_token token"] {
            assert_eq!(grants(hybrid), ["authorization_code", "implicit"]);
        }
        assert!(grants("none").is_empty());
    }
}
