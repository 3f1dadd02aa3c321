//! What an operator decides about fetching.

use crate::base::scalar::Span;
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Fetching what clients refer to: key sets and sector identifiers. Only `https`, never a redirect, and only
/// public addresses unless they are allowed here.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Networks that may be fetched from although they are private, local or otherwise not public, such as
    /// `127.0.0.0/8` or `10.1.0.0/16`.
    #[schemars(with = "Vec<String>")]
    pub allow: Vec<IpNet>,
    /// A PEM file of certificate authorities to trust besides the public ones.
    pub ca_file: Option<PathBuf>,
    /// How long one fetch may take altogether.
    pub timeout: Span,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { allow: Vec::new(), ca_file: None, timeout: Span::secs(5) }
    }
}
