//! The guards against building into the crate `target/` (ARCHITECTURE.md, "The target/ trap").

use flexblk_tree::root;

/// What Cargo leaves in a build directory.
const ARTEFACTS: [&str; 9] = [
    "debug",
    "release",
    "doc",
    "tmp",
    "package",
    "CACHEDIR.TAG",
    ".rustc_info.json",
    ".rustdoc_fingerprint.json",
    "x86_64-unknown-linux-gnu",
];

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Nobody has built into the crate: the next `cargo clean` would delete its sources.
#[test]
fn no_build_artefacts_in_the_target_crate() {
    assert!(root().join("target/Cargo.toml").is_file(), "target/ is the crate flexblk-target");
    for name in ARTEFACTS {
        let path = root().join("target").join(name);
        assert!(!path.exists(), "{} was left by a build: remove it", path.display());
    }
}

/// Every guard is in place: each one alone is easy to lose in a clean-up.
#[test]
fn guards_are_in_place() {
    let manifest: toml::Table = read("Cargo.toml").parse().expect("Cargo.toml is TOML");
    assert!(!manifest.contains_key("package"), "the root manifest stays virtual");
    let config: toml::Table = read(".cargo/config.toml").parse().expect("config.toml is TOML");
    assert_eq!(config["build"]["target-dir"].as_str(), Some("out"));
    let ignored = read(".gitignore");
    for line in ["/out/", "!/target/"] {
        assert!(ignored.lines().any(|found| found.trim() == line), ".gitignore lost `{line}`");
    }
    assert!(read("target/build.rs").contains("OUT_DIR"), "target/build.rs refuses a bad OUT_DIR");
    assert!(read(".ci/run").contains("CARGO_TARGET_DIR="), ".ci/run sets CARGO_TARGET_DIR");
}
