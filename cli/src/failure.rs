//! Why a command ended without doing everything that was asked.

/// A reason for people, on standard error; exit status 1.
#[derive(Debug)]
pub(crate) struct Failure(String);

impl Failure {
    /// In words: what is wrong, and what to do.
    pub(crate) fn new(why: impl Into<String>) -> Failure {
        Failure(why.into())
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Failure {
        Failure(error.to_string())
    }
}
