//! Refuses to build when Cargo's build directory lies inside this crate.
//!
//! This crate's folder is called `target`, which is also Cargo's default name for build output.
//! If the two were the same, `cargo clean` would delete the crate's sources.

use std::path::{Path, PathBuf};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let out = real(&variable("OUT_DIR"));
    let here = real(&variable("CARGO_MANIFEST_DIR"));
    assert!(
        !out.starts_with(&here),
        "\n\nCargo is building into {}, which is inside the sources of the crate `flexblk-target`.\n\
         `cargo clean` would delete them. Start cargo inside the repository (its .cargo/config.toml\n\
         sends build output to out/), or set CARGO_TARGET_DIR to the repository's out/; then remove\n\
         debug/, release/ and CACHEDIR.TAG from {}.\n\
         See ARCHITECTURE.md, \"The target/ trap\".\n",
        out.display(),
        here.display(),
    );
}

fn variable(name: &str) -> PathBuf {
    PathBuf::from(std::env::var_os(name).unwrap_or_else(|| panic!("cargo sets {name}")))
}

/// With links resolved, so that two names of one folder compare equal.
fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_path_buf())
}
