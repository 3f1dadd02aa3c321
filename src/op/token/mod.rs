//! The life of a token: minted, presented, revoked.

pub mod access;
pub mod audience;
#[cfg(test)]
pub(crate) mod fixture;
mod id_token;
pub mod introspect;
pub mod life;
pub mod logout_token;
pub mod mint;
pub mod parents;
pub mod refresh;
pub mod revoke;

#[cfg(test)]
mod tests;
