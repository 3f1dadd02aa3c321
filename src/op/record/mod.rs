//! The stored nouns: one file each. Every one is a [`crate::store::record::Record`]; none holds a bearer value in clear.

pub mod access;
pub mod account;
pub mod client;
pub mod code;
pub mod confirmation;
pub mod consent;
pub mod denied;
pub mod family;
pub mod initial_access;
pub mod interaction;
pub mod key;
pub mod mark;
pub mod notice;
pub mod pushed;
pub mod replay;
pub mod second_factor;
pub mod session;
