//! The corpus of the fuzz target `controller`, replayed: what once made it fail must never do so again.
#![allow(clippy::disallowed_methods, reason = "tests need some instant to count from")]

#[path = "../../fuzz/src/controller/mod.rs"]
mod controller;

use std::fs;
use std::path::Path;
use std::time::Instant;

/// Goal: no conversation of the corpus, nor a beginning of one, breaks the target, leaves anything behind
/// or touches an honest host's data.
#[test]
fn conversations() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/controller");
    let start = Instant::now();
    let mut count = 0;
    for entry in fs::read_dir(&folder).expect("the corpus is committed") {
        let octets = fs::read(entry.expect("readable").path()).expect("readable");
        [octets.len(), octets.len() / 2, octets.len() / 3]
            .into_iter()
            .for_each(|len| controller::run(&octets[..len], start));
        count += 1;
    }
    assert!(count > 0, "no corpus in {}", folder.display());
}
