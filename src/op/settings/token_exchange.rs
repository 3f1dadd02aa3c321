//! Who may exchange which tokens for which (RFC 8693).

use super::Settings;
use super::faults::Found;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Token exchange: off unless clients are named.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TokenExchange {
    /// The clients that may exchange tokens, by client id. They must have registered the grant type
    /// `urn:ietf:params:oauth:grant-type:token-exchange`, too.
    pub clients: BTreeMap<String, Exchanger>,
}

/// What one client may exchange.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Exchanger {
    /// The clients whose people's tokens it may present, by client id; at least one. What a client got for itself
    /// (`client_credentials`) is never exchanged.
    pub subjects: Vec<String>,
    /// The resources it may get tokens for, by `uri`; at least one.
    pub audiences: Vec<String>,
    /// Scopes its tokens may have besides those of the token it presents.
    pub scopes: Vec<String>,
    /// Whether it gets tokens that do not say who acts for the person: it then is the person, as far as a resource can
    /// see. Otherwise `act` names it, or the owner of the `actor_token`.
    pub impersonate: bool,
    /// Whether it may present ID tokens, too.
    pub id_tokens: bool,
}

impl TokenExchange {
    pub(super) fn faults(settings: &Settings, found: &mut Found) {
        for (client, exchanger) in &settings.token_exchange.clients {
            for (nth, uri) in exchanger.audiences.iter().enumerate() {
                if !settings.resources.iter().any(|resource| resource.uri == *uri) {
                    let place = format!("token_exchange.clients.{client}.audiences[{nth}]");
                    found.push((place, format!("`{uri}` is not the `uri` of one of the resources")));
                }
            }
            for (name, list) in [("subjects", &exchanger.subjects), ("audiences", &exchanger.audiences)] {
                if list.is_empty() {
                    let place = format!("token_exchange.clients.{client}.{name}");
                    found.push((place, "must name at least one: nothing could be exchanged".into()));
                }
            }
        }
    }
}
