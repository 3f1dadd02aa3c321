//! The leaves every layer stands on: time, randomness, secrets, scalars, encodings. No layer of ours is named here.

pub mod bell;
pub mod cache;
pub mod certificate;
pub mod clock;
pub mod encode;
pub mod fetch;
pub mod near;
pub mod otp;
pub mod random;
pub mod scalar;
pub mod secret;
pub mod uri;
pub mod work;
