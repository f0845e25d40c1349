//! What the rules of the tree need to read it: files, manifests, Rust code without its comments.
//!
//! The rules themselves are in `tests/`, one file for each.

mod code;
mod ledger;
mod manifest;
mod walk;

pub use code::{code_only, has_word};
pub use ledger::{Ledger, LedgerRow};
pub use manifest::{Manifest, manifests};
pub use walk::{files, files_with_extension, relative, root};
