//! The claims of an access token (RFC 9068 §2.2): what a JWT says, and what the store says of an opaque handle.

use super::introspect::Facts;
use crate::base::clock::Timestamp;
use crate::base::encode::{base64url, from_base64url_exact};
use crate::base::random::{NoRandomness, Random};
use crate::op::record::confirmation::Confirmation;
use crate::op::subject;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// RFC 9068 §2.1.
pub const TYP: &str = "at+jwt";

const FAMILY: usize = 16;
const JTI: usize = FAMILY + 8;

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct AccessClaims {
    pub iss: String,
    pub sub: String,
    pub aud: OneOrMany,
    pub exp: Timestamp,
    pub iat: Timestamp,
    pub jti: String,
    pub client_id: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub scope: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_time: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acr: Option<String>,
    /// RFC 7800 §3.1.
    #[serde(default, skip_serializing_if = "Confirmation::is_empty")]
    pub cnf: Confirmation,
    /// RFC 9396 §9.1.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub authorization_details: Vec<Value>,
    /// RFC 8693 §4.1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<Value>,
}

/// RFC 7519 §4.1.3.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl AccessClaims {
    pub fn of(facts: &Facts, issuer: &str) -> AccessClaims {
        let aud = match facts.audience.as_slice() {
            [one] => OneOrMany::One(one.clone()),
            many => OneOrMany::Many(many.to_vec()),
        };
        AccessClaims {
            iss: issuer.to_owned(),
            sub: facts.subject.clone(),
            aud,
            exp: facts.expires,
            iat: facts.issued,
            jti: facts.jti.clone(),
            client_id: facts.client_id.clone(),
            scope: facts.scope.join(" "),
            sid: facts.sid.clone(),
            auth_time: facts.auth_time,
            acr: facts.acr.clone(),
            cnf: facts.confirmation.clone(),
            authorization_details: facts.authorization_details.clone(),
            act: facts.act.clone(),
        }
    }

    pub fn audience(&self) -> Vec<String> {
        match &self.aud {
            OneOrMany::One(one) => vec![one.clone()],
            OneOrMany::Many(many) => many.clone(),
        }
    }

    /// The family the token descends from, if it does; `None`: no token of ours reads like that.
    pub fn descent(&self) -> Option<Option<String>> {
        if self.sub == subject::of_client(&self.client_id) {
            return Some(None);
        }
        family_of(&self.jti).map(Some)
    }
}

/// A fresh `jti`: base64url of the family's 16 bytes and 8 random ones, so that a token that is presented after a
/// restart finds its family.
pub fn jti(random: &Random, family: Option<&str>) -> Result<String, NoRandomness> {
    let mut bytes: [u8; JTI] = random.bytes()?;
    let family: Option<[u8; FAMILY]> = family.and_then(from_base64url_exact);
    for (to, from) in bytes.iter_mut().zip(family.iter().flatten()) {
        *to = *from;
    }
    Ok(base64url(&bytes))
}

fn family_of(jti: &str) -> Option<String> {
    let bytes: [u8; JTI] = from_base64url_exact(jti)?;
    bytes.first_chunk::<FAMILY>().map(|family| base64url(family))
}
