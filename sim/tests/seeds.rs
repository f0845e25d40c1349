//! A few hundred seeds with each `cargo test`; thousands more with the program.

use flexblk_sim::{ModeChoice, run};
use std::time::{Duration, Instant};

/// Seeds that are run, or as many as fit into the time.
const SEEDS: u64 = 200;
const TIME: Duration = Duration::from_secs(20);
/// Fewer than this prove nothing.
const SEEDS_MIN: u64 = 20;

/// Goal: the whole system keeps its promises, whatever the network, the disks and the schedule do.
#[test]
fn seeds_run_without_a_violation() {
    let base = Instant::now();
    let mut ran = 0;
    for seed in 0..SEEDS {
        if let Err(failure) = run(seed, ModeChoice::Both, base, false) {
            panic!(
                "{}\n{failure}\nreplay: cargo run -p flexblk-sim --release -- --seed {seed} --trace",
                failure.tail
            );
        }
        ran += 1;
        if base.elapsed() > TIME {
            break;
        }
    }
    assert!(ran >= SEEDS_MIN, "only {ran} seeds in {TIME:?}");
}

/// Goal: a run is a function of its seed, whatever time it is.
#[test]
fn the_same_seed_is_the_same_run() {
    for seed in 0..8 {
        let runs = [0, 12_345].map(|later| {
            let base = Instant::now() + Duration::from_micros(later);
            run(seed, ModeChoice::Both, base, false).unwrap()
        });
        assert_eq!(runs[0], runs[1], "seed {seed}");
    }
}
