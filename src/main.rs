//! The program: its arguments go to `cli`.

fn main() {}
