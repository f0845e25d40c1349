//! The scripts of `tests/e2e/` and `tests/guests/`, in the order of their names.
//!
//! A script finds the program in `$FLEXBLK`, the plug-in in `$FLEXBLK_FIO`, the checkout in
//! `$FLEXBLK_ROOT` (also its working directory) and an empty folder in `$SCRATCH`; one of
//! `tests/guests/` also the guest's kernel and file system in `$FLEXBLK_GUESTS`. It passes when
//! it ends with status 0 within its time: `# timeout: SECONDS` among its first lines, else 120.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::shell::{Outcome, at, out, read, root, run, say};

const TIMEOUT_S_DEFAULT: u32 = 120;
/// Scripts of `tests/e2e/` that run at once: most wait for a timer or a process.
pub(crate) const AT_ONCE: usize = 2;
/// Lines of a failed script's log that are shown.
const LOG_LINES_SHOWN: usize = 40;

/// How many scripts ended how.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) passed: u32,
    pub(crate) failed: u32,
    /// Left out, each with the reason told.
    pub(crate) skipped: u32,
}

impl Tally {
    /// Of both.
    pub(crate) fn and(self, other: Tally) -> Tally {
        Tally {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
            skipped: self.skipped + other.skipped,
        }
    }
}

/// Runs the scripts of `tests/guests/`. Without QEMU or the guest's kernel they are skipped, and
/// why is told; where a guest cannot be made of them, all have failed.
pub(crate) fn run_guests() -> Outcome<Tally> {
    let all = u32::try_from(scripts("tests/guests")?.len()).unwrap_or(u32::MAX);
    let had = crate::packages::install_guests().and_then(|()| run(&mut guests_part("kernel.sh")));
    if let Err(reason) = had {
        say(&format!("guests: {all} scripts skipped: {reason}"));
        return Ok(Tally { skipped: all, ..Tally::default() });
    }
    if let Err(reason) = run(&mut guests_part("image.sh")) {
        say(&format!("guests: {all} scripts failed: {reason}"));
        return Ok(Tally { failed: all, ..Tally::default() });
    }
    // Two at once slow each other to about half, and starved emulated peers retransmit.
    run_scripts("tests/guests", 1)
}

/// Runs the scripts of `tests/FOLDER/` with what was built before.
pub(crate) fn run_alone(folder: &str) -> Outcome {
    let tally = match folder {
        "e2e" => run_scripts("tests/e2e", AT_ONCE)?,
        "guests" => run_guests()?,
        other => return Err(format!("there is no folder tests/{other} of scripts: e2e or guests")),
    };
    let Tally { passed, failed, skipped } = tally;
    println!("{passed} passed, {failed} failed, {skipped} skipped");
    if failed == 0 { Ok(()) } else { Err(format!("{failed} scripts failed")) }
}

/// What makes a part of the guests, in their folder.
fn guests_part(script: &str) -> Command {
    let mut command = Command::new("bash");
    command.arg(root().join("tests/guests/lib").join(script)).arg(guests());
    command
}

/// The guest's kernel and file system.
fn guests() -> PathBuf {
    out().join("guests")
}

/// Runs every script of a folder; a failure is counted and shown, not returned. `at_once` of them run
/// side by side where each can have a network of its own (a network namespace: root); else one
/// after the other, as those do that say `# alone` because they measure.
pub(crate) fn run_scripts(folder: &str, at_once: usize) -> Outcome<Tally> {
    let is_apart = read(&mut apart("true")).is_ok();
    let (alone, beside): (Vec<_>, Vec<_>) =
        scripts(folder)?.into_iter().partition(|script| is_said(script, "# alone"));
    let tally = run_lanes(folder, &beside, is_apart, if is_apart { at_once } else { 1 })?;
    Ok(tally.and(run_lanes(folder, &alone, is_apart, 1)?))
}

fn run_lanes(folder: &str, scripts: &[PathBuf], is_apart: bool, lanes: usize) -> Outcome<Tally> {
    let (next, tally) = (AtomicUsize::new(0), Mutex::new(Ok(Tally::default())));
    let lane = || {
        while let Some(script) = scripts.get(next.fetch_add(1, Ordering::Relaxed)) {
            let told = run_told(folder, script, is_apart);
            let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
            match (told, tally.as_mut()) {
                (Ok(true), Ok(tally)) => tally.passed += 1,
                (Ok(false), Ok(tally)) => tally.failed += 1,
                (Err(reason), Ok(_)) => *tally = Err(reason),
                (_, Err(_)) => return,
            }
        }
    };
    std::thread::scope(|threads| {
        for _ in 0..lanes {
            threads.spawn(lane);
        }
    });
    tally.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Runs one script and says how it went; true if it passed.
fn run_told(folder: &str, script: &Path, is_apart: bool) -> Outcome<bool> {
    let name = script.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let begun = Instant::now();
    let outcome = run_script(script, &name, is_apart)?;
    let seconds = begun.elapsed().as_secs_f32();
    match &outcome {
        Ok(()) => say(&format!("{folder}: passed {name} ({seconds:.1} s)")),
        Err(reason) => say(&format!("{folder}: failed {name} ({seconds:.1} s): {reason}")),
    }
    Ok(outcome.is_ok())
}

/// `program` in a network namespace of its own, which has nothing but its loopback.
fn apart(program: &str) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--net", "sh", "-c", "ip link set lo up && exec \"$@\"", "sh", program]);
    command
}

fn scripts(folder: &str) -> Outcome<Vec<PathBuf>> {
    let folder = root().join(folder);
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(&folder).map_err(at(&folder))?;
    let mut found: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    found.retain(|path| path.extension().is_some_and(|extension| extension == "sh"));
    found.sort();
    Ok(found)
}

/// The outer result is about this machine, the inner one about the script.
fn run_script(script: &Path, name: &str, is_apart: bool) -> Outcome<Result<(), String>> {
    let scratch = out().join("e2e").join(name.trim_end_matches(".sh"));
    let _stale = fs::remove_dir_all(&scratch);
    fs::create_dir_all(&scratch).map_err(at(&scratch))?;
    let log_path = out().join("e2e").join(format!("{name}.log"));
    let log = File::create(&log_path).map_err(at(&log_path))?;
    let errors = log.try_clone().map_err(at(&log_path))?;
    let seconds = timeout_s(script)?;
    // timeout(1) runs the script in a process group of its own and ends the whole group.
    let mut command = if is_apart { apart("timeout") } else { Command::new("timeout") };
    let status = command
        .args(["--kill-after=10", &seconds.to_string(), "bash"])
        .arg(script)
        .current_dir(root())
        .env("FLEXBLK", out().join("release/flexblk"))
        .env("FLEXBLK_FIO", out().join("release/libflexblk_fio.so"))
        .env("FLEXBLK_ROOT", root())
        .env("FLEXBLK_GUESTS", guests())
        .env("CARGO_TARGET_DIR", out())
        .env("SCRATCH", &scratch)
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        .status()
        .map_err(|error| format!("cannot start timeout: {error}"))?;
    if status.success() {
        return Ok(Ok(()));
    }
    let text = fs::read(&log_path).map_err(at(&log_path))?;
    show_end(&String::from_utf8_lossy(&text));
    let late = matches!(status.code(), Some(124 | 137));
    let reason = if late { format!("not done within {seconds} s") } else { status.to_string() };
    Ok(Err(format!("{reason}; log: {}", log_path.display())))
}

/// Whether one of the first lines begins with `words`.
fn is_said(script: &Path, words: &str) -> bool {
    // One that cannot be read fails when it is run.
    let text = fs::read_to_string(script).unwrap_or_default();
    text.lines().take(10).any(|line| line.starts_with(words))
}

fn timeout_s(script: &Path) -> Outcome<u32> {
    let text = fs::read_to_string(script).map_err(at(script))?;
    let stated = text.lines().take(10).find_map(|line| line.strip_prefix("# timeout:"));
    stated.map_or(Ok(TIMEOUT_S_DEFAULT), |value| {
        let value = value.trim();
        value.parse().map_err(|_| format!("{}: bad timeout {value}", script.display()))
    })
}

fn show_end(log: &str) {
    let lines: Vec<&str> = log.lines().collect();
    let end = &lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..];
    // In one piece: another script may have something to show too.
    println!("    | {}", end.join("\n    | "));
}
