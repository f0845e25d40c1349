//! Files of tests.

use std::path::{Path, PathBuf};

/// A path in the temporary folder; what is there is removed when it is dropped.
pub(crate) struct TempPath(PathBuf);

impl TempPath {
    pub(crate) fn new(name: &str) -> TempPath {
        TempPath::in_folder(&std::env::temp_dir(), name)
    }
    pub(crate) fn in_folder(folder: &Path, name: &str) -> TempPath {
        TempPath(folder.join(format!("flexblk-{}-{name}", std::process::id())))
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
