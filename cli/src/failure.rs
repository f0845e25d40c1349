//! Why a command ended without doing everything that was asked.

use std::process::ExitCode;

/// A reason for people, on standard error.
#[derive(Debug)]
pub(crate) struct Failure {
    why: String,
    is_misuse: bool,
}

impl Failure {
    /// In words: what is wrong, and what to do. Exit status 1.
    pub(crate) fn new(why: impl Into<String>) -> Failure {
        Failure { why: why.into(), is_misuse: false }
    }
    /// What was typed, or written in the file of `--config`, can mean nothing, whatever the machine
    /// and the target are like. Exit status 2, as for what `clap` refuses.
    pub(crate) fn misuse(why: impl std::fmt::Display) -> Failure {
        Failure { why: why.to_string(), is_misuse: true }
    }
    /// For `main`.
    pub(crate) fn exit_code(&self) -> ExitCode {
        if self.is_misuse { ExitCode::from(2) } else { ExitCode::FAILURE }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.why)
    }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Failure {
        Failure::new(error.to_string())
    }
}
