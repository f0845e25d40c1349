//! `flexblk compare`: stacks against each other, and a report.

use crate::args::{Compare, CompareChild, Format};
use crate::connect;
use crate::failure::Failure;
use ::bench::compare::record::{Comparison, FORMAT, Role, Settings};
use ::bench::compare::run::{Runner, Times};
use ::bench::compare::scenarios::{self, Plan};
use ::bench::compare::{self, child::ChildSpec, work};
use ::bench::report::{against, html, table};
use indicatif::{ProgressBar, ProgressStyle};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

/// Seconds of the limits' measurement, before and after.
const LIMITS: Duration = Duration::from_secs(3);

/// Runs everything, tells what it is, writes what was asked for.
pub(crate) fn run(args: &Compare) -> Result<(), Failure> {
    let old = args.against.as_deref().map(read_old).transpose()?;
    let plans = chosen(args)?;
    // A report that cannot be written is better known before the minutes of measuring.
    let mut html_file = args.html.as_deref().map(create).transpose()?;
    let comparison = measure(args, &plans, Instant::now())?;
    let against = old.map(|old| against::compare(&old, &comparison)).transpose();
    let against = against.map_err(Failure::misuse)?;
    if let Some((file, path)) = &mut html_file {
        file.write_all(html::page(&comparison, against.as_ref()).as_bytes())
            .map_err(|error| Failure::new(format!("{}: {error}", path.display())))?;
    }
    if args.output == Format::Json {
        crate::output::print(serde_json::to_string_pretty(&comparison)?)?;
    } else {
        crate::output::print(table::machine(&comparison))?;
        crate::output::print(table::ending(&comparison))?;
    }
    match against {
        Some(against) if args.output == Format::Normal => {
            crate::output::print(against::text(&against))?;
            worse(against.regressed())
        }
        Some(against) => worse(against.regressed()),
        None => Ok(()),
    }
}

fn create(path: &Path) -> Result<(File, &Path), Failure> {
    let file = File::create(path).map_err(|e| Failure::new(format!("{}: {e}", path.display())))?;
    Ok((file, path))
}

fn worse(regressed: bool) -> Result<(), Failure> {
    if regressed { Err(Failure::new("slower than before: see the rows marked so")) } else { Ok(()) }
}

fn read_old(path: &Path) -> Result<Comparison, Failure> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|e| Failure::new(format!("{shown}: {e}")))?;
    against::read(&text).map_err(|error| Failure::new(format!("{shown}: {error}")))
}

/// The workloads that were asked for.
fn chosen(args: &Compare) -> Result<Vec<Plan>, Failure> {
    let all = scenarios::all();
    for word in &args.only {
        if !all.iter().any(|plan| plan.is_meant_by(word)) {
            let names: Vec<_> = all.iter().map(|plan| plan.name.as_str()).collect();
            return Err(Failure::misuse(format_args!(
                "no scenario {word:?}; there are {}",
                names.join(", ")
            )));
        }
    }
    for word in &args.stacks {
        let known = |plan: &Plan| plan.stacks.iter().any(|stack| stack.name == word);
        if !all.iter().any(known) {
            return Err(Failure::misuse(format_args!("no scenario has a stack {word:?}")));
        }
    }
    let all_names: Vec<String> = all.iter().map(|plan| plan.name.clone()).collect();
    let is_meant = |plan: &Plan| match args.only.as_slice() {
        [] => !args.quick || plan.quick,
        words => words.iter().any(|word| {
            // A whole name means that one alone.
            let is_name = all_names.contains(word);
            if is_name { plan.name == *word } else { plan.is_meant_by(word) }
        }),
    };
    let mut plans: Vec<Plan> = all.into_iter().filter(is_meant).collect();
    if !args.stacks.is_empty() {
        plans.iter_mut().for_each(|plan| {
            plan.stacks.retain(|stack| args.stacks.iter().any(|word| stack.name == word));
        });
        plans.retain(|plan| !plan.stacks.is_empty());
    }
    Ok(plans)
}

fn measure(args: &Compare, plans: &[Plan], begin: Instant) -> Result<Comparison, Failure> {
    // Two rounds less, so that both together are still quick.
    let rounds = args.rounds.unwrap_or(if args.quick && args.work { 3 } else { 5 });
    let default = if args.quick { (0.1, 0.35) } else { (0.3, 1.0) };
    let times = Times {
        ramp_seconds: default.0,
        seconds: args.time.map_or(default.1, |time| time.as_secs_f64()),
    };
    let [server_cpu, client_cpu] = cpus(args)?;
    let samples: usize = plans.iter().map(|plan| plan.stacks.len() * rounds as usize).sum();
    let bar = bar(args, samples);
    bar.set_message("the machine's limits");
    let before = limits(LIMITS)?;
    let program = std::env::current_exe()?;
    let (ramp_seconds, sample_seconds) = (times.ramp_seconds, times.seconds);
    let mut runner = Runner::new(program, [server_cpu, client_cpu], times)?;
    let mut results = Vec::new();
    let mut notes = Vec::new();
    let counts_work = args.work && can_count_work(plans, &mut notes);
    for plan in plans {
        let mut scenario =
            compare::scenario(&mut runner, plan, rounds, &mut |plan, stack, round| {
                bar.set_message(format!("{}, {stack}, round {}", plan.name, round + 1));
                bar.inc(1);
            })?;
        let mut missing = Vec::new();
        if counts_work {
            missing = work::fill(&mut runner, plan, &mut scenario, &mut |stack| {
                bar.set_message(format!("{}, {stack}, work per I/O", plan.name));
            });
        }
        if args.output == Format::Normal {
            let text = table::scenario(&scenario, &before);
            bar.suspend(|| crate::output::print(text))?;
        }
        tell(&bar, &missing);
        notes.extend(missing);
        results.push(scenario);
    }
    bar.finish_and_clear();
    let after = limits(LIMITS)?;
    let mean = |(name, one): (String, f64)| {
        let other = after.get(&name).copied().unwrap_or(one);
        (name, f64::midpoint(one, other))
    };
    let limits = before.into_iter().map(mean).collect();
    Ok(Comparison {
        format: FORMAT,
        machine: compare::describe(),
        command: std::env::args().collect::<Vec<_>>().join(" "),
        settings: Settings {
            quick: args.quick,
            rounds,
            sample_seconds,
            ramp_seconds,
            server_cpu,
            client_cpu,
            huge_pages: runner.huge_pages(),
            seconds: begin.elapsed().as_secs_f64(),
        },
        remarks: [compare::remarks(&results, &limits), notes].concat(),
        limits,
        scenarios: results,
    })
}

/// Whether work per I/O can be counted; if not, the last note says why.
fn can_count_work(plans: &[Plan], notes: &mut Vec<String>) -> bool {
    let mut stacks = plans.iter().flat_map(|plan| &plan.stacks);
    let why = if stacks.any(|stack| stack.role == Role::Ablation) {
        work::available()
    } else {
        Err("Work per I/O is not counted: no chosen scenario has techniques switched off.".into())
    };
    let Err(why) = why else { return true };
    eprintln!("flexblk: {why}");
    notes.push(why);
    false
}

fn tell(bar: &ProgressBar, notes: &[String]) {
    bar.suspend(|| notes.iter().for_each(|note| eprintln!("flexblk: {note}")));
}

/// Processors of server and client.
fn cpus(args: &Compare) -> Result<[usize; 2], Failure> {
    let count = std::thread::available_parallelism()?.get();
    if count < 2 {
        return Err(Failure::new("a comparison needs two processors"));
    }
    match args.cpus.as_slice() {
        [] => Ok([0, 1]),
        [server, client] if server != client => Ok([*server, *client]),
        _ => Err(Failure::misuse("--cpus takes two different processors, as in 0,1")),
    }
}

fn limits(time: Duration) -> Result<BTreeMap<String, f64>, Failure> {
    let limits = ::bench::limits::measure(time)?;
    Ok([
        ("exchange_4k_depth_1_p50_us", limits.exchange_4k_depth_1.p50_us),
        ("exchange_4k_depth_32_per_s", limits.exchange_4k_depth_32.per_s),
        ("exchange_128k_depth_8_gb_per_s", limits.exchange_128k_depth_8.gb_per_s),
        ("udp_burst_gb_per_s", limits.udp_burst.mb_per_s / 1e3),
        ("udp_burst_hot_gb_per_s", limits.udp_burst_hot.mb_per_s / 1e3),
        ("memcpy_hot_gb_per_s", limits.memcpy_hot_gb_per_s),
        ("memcpy_cold_gb_per_s", limits.memcpy_cold_gb_per_s),
    ]
    .map(|(name, figure)| (name.to_owned(), figure))
    .into())
}

fn bar(args: &Compare, samples: usize) -> ProgressBar {
    if args.output == Format::Json {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(samples as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed} {msg}") {
        bar.set_style(style);
    }
    bar
}

/// One of the two processes of a sample.
pub(crate) fn child(args: &CompareChild) -> Result<(), Failure> {
    // A stack that ends takes its application with it: the reason is enough.
    std::panic::set_hook(Box::new(|info| {
        eprintln!("flexblk: {}", info.payload_as_str().unwrap_or("panicked"));
    }));
    connect::pin(args.cpu)?;
    let spec: ChildSpec = serde_json::from_str(&args.spec)?;
    spec.end_with_parent()?;
    let mut engine = ChildSpec::command(&spec.under, &std::env::current_exe()?);
    engine.arg("compare-engine").stdout(std::process::Stdio::null());
    let report = if args.role == "server" {
        // Whoever waits for this line is gone: the next write tells.
        let mut ready = || drop(crate::output::print("ready"));
        compare::server(&spec, &mut engine, args.engine_cpu, &mut ready)?
    } else {
        compare::client(&spec, &mut engine, args.engine_cpu)?
    };
    crate::output::print(serde_json::to_string(&report)?)
}

/// An engine, for the application whose socket is the standard input.
pub(crate) fn engine() -> Result<(), Failure> {
    // It does not outlive its application: one that ended before this is told by its socket.
    let kill = rustix::process::Signal::KILL;
    rustix::process::set_parent_process_death_signal(Some(kill)).map_err(std::io::Error::from)?;
    let socket = std::io::stdin().as_fd().try_clone_to_owned()?;
    Ok(::bench::micro::engine::run(socket)?)
}
