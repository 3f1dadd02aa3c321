//! The program: its arguments go to `cli`.

use std::process::ExitCode;

/// glibc keeps a burst's memory; jemalloc gives it back (benches/README.md).
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    oidcop_proxy::cli::main()
}
