//! The debug and the release build of the simulator do the same for the same seed.
//!
//! The simulator calls a run a function of commit, configuration and seed. A build that differs was
//! miscompiled, or depends on something it must not: this is how it is seen. (rustc before 1.96.1,
//! rust-lang/rust#158206, made the release build's transport deaf to selective acknowledgements;
//! every test passed, since tests ran in debug builds.)

use crate::shell::{Outcome, cargo, out, read};
use crate::suite::{RELEASE, TESTS};
use std::process::Command;

/// Seeds that both builds run.
const SEEDS: &str = "150";

/// Runs both; the error names the first seed that differs.
pub(crate) fn agree() -> Outcome {
    let debug = hashes(&[TESTS, &["--no-run"]].concat(), "debug")?;
    let release = hashes(RELEASE, "release")?;
    if let Some((debug, release)) = first_difference(&debug, &release) {
        return Err(format!(
            "the debug and the release build of flexblk-sim differ: \"{debug}\" and \"{release}\"; \
             compare the two builds' --seed N --trace"
        ));
    }
    Ok(())
}

/// What a build prints of each seed, made by cargo with these words if it is not there yet.
fn hashes(build: &[&str], folder: &str) -> Outcome<Vec<String>> {
    read(&mut cargo(build))?;
    let program = out().join(folder).join("flexblk-sim");
    let printed = read(Command::new(program).args(["--seeds", SEEDS, "--hashes"]))?;
    let lines = printed.lines().filter(|line| line.starts_with("seed ")).map(str::to_owned);
    Ok(lines.collect())
}

fn first_difference<'a>(a: &'a [String], b: &'a [String]) -> Option<(&'a str, &'a str)> {
    let lines = |lines: &'a [String], at: usize| lines.get(at).map_or("nothing", String::as_str);
    let pairs = (0..a.len().max(b.len()).max(1)).map(|at| (lines(a, at), lines(b, at)));
    let is_wrong = |(a, b): &(&str, &str)| a != b || *a == "nothing";
    pairs.into_iter().find(is_wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: another hash, a missing seed and no seeds at all are differences.
    #[test]
    fn differences_are_found() {
        let of = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
        let two = of(&["seed 0: a", "seed 1: b"]);
        assert_eq!(first_difference(&two, &two), None);
        let other = of(&["seed 0: a", "seed 1: c"]);
        assert_eq!(first_difference(&two, &other), Some(("seed 1: b", "seed 1: c")));
        assert_eq!(first_difference(&two, &two[..1]), Some(("seed 1: b", "nothing")));
        assert_eq!(first_difference(&[], &[]), Some(("nothing", "nothing")));
    }
}
