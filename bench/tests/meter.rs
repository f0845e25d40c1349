//! What threads cost, in a process of its own: other tests' threads would come and go in the counts.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use flexblk_bench::compare::meter::{Counts, count_process, growth};
use std::time::{Duration, Instant};

fn spin() {
    let until = Instant::now() + Duration::from_millis(60);
    while Instant::now() < until {
        std::hint::spin_loop();
    }
}

fn count() -> Counts {
    let mut counts = Counts::new();
    count_process(std::process::id(), "app", &mut counts);
    counts
}

/// Goal: work that a thread does shows, as this process' own, and a NIC's thread apart from it.
#[test]
fn threads_are_told_apart() {
    let nic = std::thread::Builder::new().name("flexblk-nic".into());
    let counts = nic
        .spawn(|| {
            spin();
            count()
        })
        .unwrap()
        .join()
        .unwrap();
    assert!(counts["nic.user_us"] + counts["nic.system_us"] > 5_000.0, "{counts:?}");
    let before = count();
    spin();
    let grown = growth(&before, &count());
    assert!(grown["app.user_us"] + grown["app.system_us"] > 5_000.0, "{grown:?}");
    assert!(grown["app.resident_bytes"] > 1e5);
}
