//! The leaves every layer stands on: time, randomness, secrets, scalars, encodings. No layer of ours is named here.

pub mod clock;
pub mod encode;
pub mod random;
pub mod scalar;
pub mod secret;
