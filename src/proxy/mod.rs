//! The edge.

pub mod front;
