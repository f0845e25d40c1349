//! Thousands of seeds with each `cargo test`; more with the program.

use flexblk_sim::{Failure, ModeChoice, Summary, run};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Seeds that are run, or as many as fit into the time.
const SEEDS: u64 = 2_500;
const TIME: Duration = Duration::from_secs(60);
/// Fewer than this prove nothing.
const SEEDS_MIN: u64 = 200;
/// Seeds that run twice to be compared.
const COMPARED: u64 = 24;

/// Goal: the whole system keeps its promises, whatever the network, the disks and the schedule do.
#[test]
fn seeds_run_without_a_violation() {
    let base = Instant::now();
    let (next, failed) = (AtomicU64::new(0), Mutex::new(None::<Box<Failure>>));
    let work = || {
        let (mut seeds, mut commands, mut packets, mut lost) = (0u64, 0, 0, 0);
        while base.elapsed() < TIME {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= SEEDS || failed.lock().unwrap().is_some() {
                break;
            }
            match run(seed, ModeChoice::Both, base, false) {
                Ok(Summary { commands: done, injected, .. }) => {
                    (seeds, commands, packets) =
                        (seeds + 1, commands + done, packets + injected.sent);
                    lost += injected.dropped + injected.caught;
                }
                Err(failure) => *failed.lock().unwrap() = Some(failure),
            }
        }
        [seeds, commands, packets, lost]
    };
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let sums = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let sums = workers.into_iter().map(|worker| worker.join().expect("a panic, see above"));
        sums.fold([0; 4], |all, one| std::array::from_fn(|at| all[at] + one[at]))
    });
    if let Some(failure) = failed.into_inner().unwrap() {
        let Failure { seed, tail, .. } = &*failure;
        panic!(
            "{tail}\n{failure}\nreplay: cargo run -p flexblk-sim --release -- --seed {seed} --trace"
        );
    }
    let [seeds, commands, packets, lost] = sums;
    let took = base.elapsed().as_secs_f64();
    println!("{seeds} seeds in {took:.1} s: {commands} commands, {packets} packets ({lost} lost)");
    assert!(seeds >= SEEDS_MIN, "only {seeds} seeds in {TIME:?}");
}

/// Goal: a run is a function of its seed, whatever time it is and whatever process it is in (where
/// addresses and the keys of hash maps are others). Whether another build agrees, `cargo xtask
/// test` asks.
#[test]
fn the_same_seed_is_the_same_run() {
    let program = Command::new(env!("CARGO_BIN_EXE_flexblk-sim"))
        .args(["--seeds", &COMPARED.to_string(), "--hashes"])
        .output()
        .expect("the simulator starts");
    let there = String::from_utf8_lossy(&program.stdout).into_owned();
    let there: Vec<&str> = there.lines().filter(|line| line.starts_with("seed ")).collect();
    let base = Instant::now() + Duration::from_micros(12_345);
    for seed in 0..COMPARED {
        let run = run(seed, ModeChoice::Both, base, false).unwrap();
        let here = format!("seed {seed}: {:016x}", run.hash);
        assert!(there.contains(&here.as_str()), "{here} here; in another process {there:?}");
    }
}
