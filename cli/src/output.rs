//! What goes to standard output, where a reader may leave at any time.

use crate::failure::Failure;
use std::io::Write;

/// Prints `text` and ends the line.
///
/// Errors: the reader is gone, or the disk behind it is full. `println!` would panic on it.
pub(crate) fn print(text: impl std::fmt::Display) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).map_err(failed)
}

/// Standard output took no more.
pub(crate) fn failed(error: std::io::Error) -> Failure {
    Failure::new(format!("standard output: {error}"))
}
