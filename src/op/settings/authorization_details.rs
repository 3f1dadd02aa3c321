//! The types of authorization details that may be asked for (RFC 9396).

use super::Settings;
use super::faults::Found;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Rich authorization requests: off unless types are declared.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AuthorizationDetails {
    /// What may stand in `type`. A client may ask for a type once it registered it (`authorization_details_types`).
    pub types: BTreeMap<String, DetailType>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DetailType {
    /// What the consent page says of it, by language tag; `en` is the fallback.
    pub describe: BTreeMap<String, String>,
    /// The members it may have besides `type`, by name. None declared: any. Whoever declares some refuses all others.
    pub fields: BTreeMap<String, Field>,
    /// The resource it is for, by `uri`: a request for the type selects it, and nobody else sees the details.
    pub resource: Option<String>,
    /// Whether a client may have it for itself (`client_credentials`), without a person who allows it.
    pub without_person: bool,
}

/// What a member of a detail must be.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Field {
    pub kind: Kind,
    /// Whether it must be there.
    pub required: bool,
    /// The texts it may be, or its list may hold; empty = any.
    pub values: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Any JSON.
    #[default]
    Any,
    Text,
    Number,
    /// `true` or `false`.
    Flag,
    /// A list of texts, such as `actions` and `locations` (RFC 9396 §2.2).
    Texts,
    /// Any list.
    List,
    Object,
}

impl AuthorizationDetails {
    pub(super) fn faults(settings: &Settings, found: &mut Found) {
        for (name, kind) in &settings.authorization_details.types {
            let place = format!("authorization_details.types.{name}");
            if let Some(uri) = &kind.resource
                && !settings.resources.iter().any(|resource| resource.uri == *uri)
            {
                let says = format!("`{uri}` is not the `uri` of one of the resources");
                found.push((format!("{place}.resource"), says));
            }
            if kind.fields.contains_key("type") {
                found.push((format!("{place}.fields.type"), "is there anyway".into()));
            }
        }
    }
}
