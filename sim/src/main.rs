//! `flexblk-sim`: runs seeds, replays one.
//!
//! `flexblk-sim [--seeds N] [--start N] [--mode native|roce|both] [--keep-going] [--expect-violation] [--hashes]`
//! `flexblk-sim --seed N [--trace] [--mode …]`

use flexblk_sim::{Failure, ModeChoice, Summary};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// What was typed.
struct Args {
    seeds: u64,
    start: u64,
    mode: ModeChoice,
    trace: bool,
    keep_going: bool,
    expect_violation: bool,
    /// One line per seed: two builds, or two machines, can be compared.
    hashes: bool,
}

const USAGE: &str = "usage: flexblk-sim [--seeds N] [--start N] [--seed N] [--trace] \
                     [--mode native|roce|both] [--keep-going] [--expect-violation] [--hashes]";

fn main() -> ExitCode {
    match parse(std::env::args().skip(1)) {
        Ok(args) => run(&args),
        Err(why) => {
            eprintln!("{why}\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Args, String> {
    let mut args = Args {
        seeds: 1000,
        start: 0,
        mode: ModeChoice::Both,
        trace: false,
        keep_going: false,
        expect_violation: false,
        hashes: false,
    };
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("{word} wants a value"));
        let number = |text: String| text.parse().map_err(|_| format!("{text} is not a number"));
        match word.as_str() {
            "--seeds" => args.seeds = number(value()?)?,
            "--start" => args.start = number(value()?)?,
            "--seed" => (args.start, args.seeds) = (number(value()?)?, 1),
            "--trace" => args.trace = true,
            "--keep-going" => args.keep_going = true,
            "--hashes" => args.hashes = true,
            "--expect-violation" => args.expect_violation = true,
            "--mode" => {
                args.mode = match value()?.as_str() {
                    "native" => ModeChoice::Native,
                    "roce" => ModeChoice::Roce,
                    "both" => ModeChoice::Both,
                    other => return Err(format!("{other} is not a wire mode")),
                }
            }
            _ => return Err(format!("{word}: what is that?")),
        }
    }
    Ok(args)
}

/// Sums over seeds.
#[derive(Default)]
struct Totals {
    seeds: u64,
    commands: u64,
    octets: u64,
    packets: u64,
    lost: u64,
    elapsed: Duration,
    violations: u64,
}

impl Totals {
    fn add(&mut self, summary: &Summary) {
        self.seeds += 1;
        self.commands += summary.commands;
        self.octets += summary.octets;
        self.packets += summary.injected.sent;
        self.lost += summary.injected.dropped + summary.injected.caught;
        self.elapsed += summary.elapsed;
    }
    fn print(&self, begun: Instant) {
        println!(
            "{} seeds in {:.1} s: {} commands, {} MiB, {} packets ({} lost), {:.0} s of virtual time",
            self.seeds,
            begun.elapsed().as_secs_f64(),
            self.commands,
            self.octets >> 20,
            self.packets,
            self.lost,
            self.elapsed.as_secs_f64(),
        );
    }
}

fn run(args: &Args) -> ExitCode {
    let begun = Instant::now();
    let (mut totals, mut told) = (Totals::default(), begun);
    for seed in args.start..args.start.saturating_add(args.seeds) {
        match run_one(seed, args, begun) {
            Ok(summary) => {
                totals.add(&summary);
                if args.hashes {
                    println!("seed {seed}: {:016x}", summary.hash);
                }
            }
            Err(failure) if args.keep_going => {
                totals.violations += 1;
                println!("seed {seed}: VIOLATION: {failure}");
            }
            Err(failure) => {
                totals.print(begun);
                return report(&failure, args);
            }
        }
        if told.elapsed() > Duration::from_secs(5) {
            told = Instant::now();
            totals.print(begun);
        }
    }
    totals.print(begun);
    println!("{} violations", totals.violations);
    ExitCode::from(u8::from(args.expect_violation != (totals.violations > 0)))
}

/// A panic in what is simulated is a violation too.
fn run_one(seed: u64, args: &Args, base: Instant) -> Result<Summary, Box<Failure>> {
    let run = || flexblk_sim::run(seed, args.mode, base, args.trace);
    std::panic::catch_unwind(run).unwrap_or_else(|_| {
        let violation =
            flexblk_sim::Violation::new("broken invariants are none", "a panic, see above");
        Err(Box::new(Failure { seed, violation, tail: String::new() }))
    })
}

fn report(failure: &Failure, args: &Args) -> ExitCode {
    let Failure { seed, violation, tail } = failure;
    if !args.trace {
        println!("{tail}");
    }
    println!("seed {seed}: VIOLATION: {violation}");
    let mode = match args.mode {
        ModeChoice::Native => "native",
        ModeChoice::Roce => "roce",
        ModeChoice::Both => "both",
    };
    println!("replay: cargo run -p flexblk-sim --release -- --seed {seed} --mode {mode} --trace");
    ExitCode::from(u8::from(!args.expect_violation))
}
