//! A policy as written: a word (`public`, `deny`) or a one-key map (`bearer: { … }`). Read by a visitor of its own, so
//! that a fault points at the exact scalar.

use schemars::JsonSchema;
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde::{Deserialize as DeriveDeserialize, Serialize};
use std::fmt;

/// Who may pass.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// Everybody.
    Public,
    /// Nobody: 403.
    Deny,
    /// Whoever brings an access token of the built-in provider in the Authorization header (RFC 6750 §2.1).
    Bearer(Bearer),
}

/// What a token must be good for.
#[derive(Clone, Debug, PartialEq, Serialize, DeriveDeserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bearer {
    /// The `uri` of one of the provider's `resources`; the token's audience must contain it.
    pub resource: String,
    /// Scopes the token must have, all of them.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// Scopes of which the token must have at least one.
    #[serde(default)]
    pub any_scope: Vec<String>,
    /// Whether the token must be bound to its sender. A token that is bound always needs its proof.
    #[serde(default)]
    pub binding: Binding,
}

/// Which tokens are taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, DeriveDeserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Binding {
    /// Bound or not.
    #[default]
    Any,
    /// Only those bound to a key (DPoP, RFC 9449) or to a client certificate (RFC 8705).
    Required,
}

const WORDS: &[&str] = &["public", "bearer", "deny"];

impl<'de> Deserialize<'de> for Policy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Policy, D::Error> {
        deserializer.deserialize_any(Written)
    }
}

struct Written;

impl<'de> Visitor<'de> for Written {
    type Value = Policy;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`public`, `deny`, or `bearer: { resource: …, scopes: […] }`")
    }

    fn visit_str<E: de::Error>(self, word: &str) -> Result<Policy, E> {
        match word {
            "public" => Ok(Policy::Public),
            "deny" => Ok(Policy::Deny),
            "bearer" => Err(E::custom("`bearer` must name a resource: `bearer: { resource: … }`")),
            _ => Err(E::unknown_variant(word, WORDS)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Policy, A::Error> {
        let Some(word) = map.next_key::<String>()? else {
            return Err(de::Error::invalid_length(0, &self));
        };
        let policy = match word.as_str() {
            "bearer" => Policy::Bearer(map.next_value()?),
            "public" => {
                return Err(de::Error::custom(
                    "`public` takes nothing: a public route cannot ask for scopes; use `bearer`",
                ));
            }
            "deny" => return Err(de::Error::custom("`deny` takes nothing")),
            _ => return Err(de::Error::unknown_variant(&word, WORDS)),
        };
        if map.next_key::<de::IgnoredAny>()?.is_some() {
            return Err(de::Error::custom("a route has one policy"));
        }
        Ok(policy)
    }
}
