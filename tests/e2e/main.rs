//! End to end: the real binary on free ports, with real relying parties and a real browser; one file per behaviour.
//! tests/README.md says how to run one alone.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test may fail by panicking, and tells on stderr why"
)]
#![allow(clippy::disallowed_methods, reason = "tests run in real time, on threads and tasks of their own")]

mod harness;

mod bearer;
mod bound;
mod command_line;
mod configs;
mod crowd;
mod flows;
mod forward_auth;
mod forwarding;
mod import;
mod logout;
mod operating;
mod pages;
mod paths;
mod races;
mod recipes;
mod relying_parties;
mod second_factor;
mod seed;
mod streams;
mod walkthrough;
mod wire;
