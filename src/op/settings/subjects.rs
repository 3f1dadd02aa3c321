//! How subject identifiers are made (OpenID Connect Core §8).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// How `sub` is made from an account. Changing it changes who everybody is to every client.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Subjects {
    /// From the at-rest key.
    #[default]
    Own,
    /// As oidc-op made them, so that people stay who they were: hexadecimal SHA-256 of the user name and a salt.
    OidcOp(OidcOp),
}

/// The salts of oidc-op's `PublicID` and `PairWiseID`. A kind without one is made our own way.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OidcOp {
    /// A file with the salt of public identifiers, taken as it stands: a line end at its end belongs to it.
    pub public_salt_file: Option<PathBuf>,
    /// A file with the salt of pairwise identifiers, likewise.
    pub pairwise_salt_file: Option<PathBuf>,
}
