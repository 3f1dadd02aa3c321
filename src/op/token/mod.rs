//! The life of a token: minted, presented, revoked.

pub mod introspect;
pub mod life;
pub mod mint;
