//! The files of the checkout, without build output and version control.

use std::path::{Path, PathBuf};

/// Names of what holds nothing written by us (`.git` is a file in a second worktree).
const SKIPPED: [&str; 2] = ["out", ".git"];

/// The root of the checkout.
#[must_use]
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// `path` as seen from the root, with `/` between its parts.
#[must_use]
pub fn relative(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).to_string_lossy().replace('\\', "/")
}

/// Every file below `folder` (relative to the root), sorted.
///
/// # Panics
/// When a folder cannot be read: the rules would otherwise pass without having looked.
#[must_use]
pub fn files(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    collect(&root().join(folder), &mut found);
    found.sort();
    found
}

/// Every file below the root whose name ends in `.extension`.
#[must_use]
pub fn files_with_extension(extension: &str) -> Vec<PathBuf> {
    let mut all = files("");
    all.retain(|path| path.extension().is_some_and(|found| found == extension));
    all
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("cannot read {}: {error}", folder.display()));
    for entry in entries {
        let entry = entry.unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let name = entry.file_name();
        if SKIPPED.iter().any(|skipped| name == *skipped) {
            continue;
        }
        let kind = entry.file_type().unwrap_or_else(|error| panic!("{error}"));
        if kind.is_dir() {
            collect(&entry.path(), found);
        } else if kind.is_file() {
            found.push(entry.path());
        }
    }
}
