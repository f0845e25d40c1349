//! Files of tests.

use std::path::{Path, PathBuf};

/// A path in the temporary folder; what is there is removed when it is dropped.
pub(crate) struct TempPath(PathBuf);

impl TempPath {
    pub(crate) fn new(name: &str) -> TempPath {
        let unique = format!("flexblk-{}-{name}", std::process::id());
        TempPath(std::env::temp_dir().join(unique))
    }
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempPath {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
