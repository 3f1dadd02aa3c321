//! An authorization request, from parameters to typed values (OpenID Connect Core §3.1.2, RFC 6749 §4.1.1).

pub mod params;

use super::response_mode::ResponseMode;
use serde::{Deserialize, Serialize};

/// Proof that a redirect URI is registered for the client that asked: only [`ReturnAddress`]es are redirected to.
/// An error before one exists can only be a page.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ReturnAddress {
    uri: String,
    /// The wire name of the response mode.
    mode: String,
    state: Option<String>,
}

impl ReturnAddress {
    pub fn uri(&self) -> &str {
        &self.uri
    }
    pub fn state(&self) -> Option<&str> {
        self.state.as_deref()
    }
    pub fn mode(&self) -> Option<&'static dyn ResponseMode> {
        super::response_mode::MODES.iter().copied().find(|mode| mode.name() == self.mode)
    }
}

/// A request that passed every check.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct AuthorizationRequest {
    pub client_id: String,
    pub return_to: ReturnAddress,
    pub response_type: String,
    /// Known scopes only, in the order requested.
    pub scope: Vec<String>,
    /// Selected resources, by `uri`.
    pub resources: Vec<String>,
    pub nonce: Option<String>,
    pub code_challenge: Option<String>,
    /// `none`, `login`, `consent`, `select_account`.
    pub prompt: Vec<String>,
    pub max_age: Option<u64>,
    pub login_hint: Option<String>,
    /// The account named by an `id_token_hint`.
    pub hinted_subject: Option<String>,
    pub ui_locales: Vec<String>,
    pub acr_values: Vec<String>,
    pub display: Option<String>,
}

impl AuthorizationRequest {
    pub fn is_openid(&self) -> bool {
        self.scope.iter().any(|scope| scope == "openid")
    }
    pub fn asks(&self, prompt: &str) -> bool {
        self.prompt.iter().any(|asked| asked == prompt)
    }
}
