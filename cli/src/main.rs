//! The `flexblk` program.
fn main() {}
