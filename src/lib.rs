//! A TLS edge reverse proxy with a complete OpenID Connect Provider built in.
#![doc = include_str!("README.md")]

// In order of dependency: a module may only name those above it (tests/house.rs).
pub mod base;
pub mod cli;
pub mod config;
pub mod jose;
pub mod observe;
pub mod op;
pub mod proxy;
pub mod server;
pub mod store;
