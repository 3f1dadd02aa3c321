//! Client registration (RFC 7591, OpenID Connect Registration) and its management (RFC 7592).

pub(crate) mod metadata;
mod uris;
