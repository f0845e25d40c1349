//! `test`: every check and test, in the order in which a failure is cheapest to learn of.

use std::time::Instant;

use crate::builds;
use crate::e2e;
use crate::shell::{Outcome, cargo, run, say};

/// What builds the debug binaries that tests run, the simulator among them, and runs the tests.
/// No rustdoc for each crate: comments hold no examples (tests/tests/hygiene.rs).
pub(crate) const TESTS: &[&str] =
    &["test", "--locked", "--workspace", "--lib", "--bins", "--tests"];
/// What builds the release binaries. One command: packages built by themselves have other features,
/// and are compiled again with all that they depend on.
pub(crate) const RELEASE: &[&str] =
    &["build", "--locked", "--release", "-p", "flexblk", "-p", "flexblk-fio", "-p", "flexblk-sim"];

/// Name and cargo words of each step. A failed step does not hide what the next ones find.
const STEPS: [(&str, &[&str]); 5] = [
    ("format", &["fmt", "--all", "--", "--check"]),
    ("lints", &["clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"]),
    ("unit, property, simulation and tree tests", TESTS),
    (
        "unit tests of the transport as it is released",
        &["test", "--locked", "--release", "-p", "flexblk-netstack", "--lib"],
    ),
    ("release build", RELEASE),
];

/// Runs all of it; the error names the steps that failed.
pub(crate) fn run_all() -> Outcome {
    let mut failed = Vec::new();
    let mut timings = Vec::new();
    for (name, words) in STEPS {
        say(&format!("{name}: cargo {}", words.join(" ")));
        let begun = Instant::now();
        if let Err(reason) = run(&mut cargo(words)) {
            eprintln!("xtask: {reason}");
            failed.push(name.to_owned());
        }
        timings.push(format!("{name} {} s", begun.elapsed().as_secs()));
    }
    let begun = Instant::now();
    say("debug and release builds agree on seeds of the simulator");
    if let Err(reason) = builds::agree() {
        eprintln!("xtask: {reason}");
        failed.push("builds agree".to_owned());
    }
    timings.push(format!("builds agree {} s", begun.elapsed().as_secs()));
    let begun = Instant::now();
    let scripts = e2e::run_scripts("tests/e2e", e2e::AT_ONCE)?;
    timings.push(format!("end to end {} s", begun.elapsed().as_secs()));
    let begun = Instant::now();
    let guests = e2e::run_guests()?;
    timings.push(format!("guests {} s", begun.elapsed().as_secs()));
    say(&format!("time: {}", timings.join(", ")));
    for (name, tally) in [("end to end", &scripts), ("guests", &guests)] {
        if tally.failed > 0 {
            failed.push(name.to_owned());
        }
    }
    let tally = scripts.and(guests);
    if failed.is_empty() {
        say("all steps passed");
    } else {
        say(&format!("failed: {}", failed.join(", ")));
    }
    println!("e2e: {} passed, {} failed, {} skipped", tally.passed, tally.failed, tally.skipped);
    if failed.is_empty() { Ok(()) } else { Err(format!("failed: {}", failed.join(", "))) }
}
