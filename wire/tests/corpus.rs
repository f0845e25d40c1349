//! The fuzz corpus, replayed: what once made a fuzz target fail must never do so again.

use std::fs;
use std::path::Path;

#[path = "../../fuzz/src/checks.rs"]
mod checks;

/// Runs `check` on every file of the corpus, whole and cut short at every length up to 300.
fn replay(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let mut count = 0;
    for entry in fs::read_dir(&folder).expect("the corpus is committed") {
        let octets = fs::read(entry.expect("readable").path()).expect("readable");
        check(&octets);
        for len in 0..octets.len().min(300) {
            check(&octets[..len]);
        }
        count += 1;
    }
    assert!(count > 0, "no corpus in {}", folder.display());
}

/// Goal: no datagram of the corpus, nor a beginning of one, breaks the packet parsers.
#[test]
fn packets() {
    replay("packet", checks::packet);
}

/// Goal: likewise for connection management.
#[test]
fn cm() {
    replay("cm", checks::cm);
}

/// Goal: likewise for capsules.
#[test]
fn capsules() {
    replay("capsule", checks::capsule);
}

/// Goal: likewise for PDUs of NVMe/TCP.
#[test]
fn pdus() {
    replay("pdu", checks::pdu);
}
