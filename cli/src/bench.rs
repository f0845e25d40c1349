//! `flexblk bench`: load on a namespace, and what it did.

use crate::args::{Bench, Format, Poll, Rw, Secrets};
use crate::connect;
use crate::failure::Failure;
use ::bench::load::{self, JobReport, Load, Report, Workload};
use indicatif::{ProgressBar, ProgressStyle};
use initiator::{NamespaceInfo, PollMode, Waiter};
use netstack::link::inject::Rule;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::mpsc;

/// Runs all jobs side by side, prints the report.
pub(crate) fn run(args: &Bench) -> Result<(), Failure> {
    let bar = progress_bar(args);
    let (tell, told) = mpsc::channel();
    let jobs: Vec<_> = (0..args.jobs)
        .map(|job| {
            let args = JobArgs::new(args, job);
            let tell = tell.clone();
            std::thread::spawn(move || args.run(&tell))
        })
        .collect();
    drop(tell);
    for share in told {
        bar.set_position(share);
    }
    bar.finish_and_clear();
    let (mut reports, mut links) = (Vec::new(), BTreeSet::new());
    for job in jobs {
        let (report, link) = job.join().map_err(|_| Failure::new("a job panicked"))??;
        reports.push(report);
        links.insert(link);
    }
    let report = Report::of(&reports);
    let link = links.into_iter().collect::<Vec<_>>().join(" and ");
    print(args, &Shown { link: &link, report: &report })?;
    match reports.iter().find_map(|job| job.first_error.as_ref()) {
        Some(first) => Err(Failure::new(format!("{} I/Os failed, first: {first}", report.errors))),
        None => Ok(()),
    }
}

/// What one thread needs.
struct JobArgs {
    target: String,
    secrets: Secrets,
    poll: PollMode,
    cpu: Option<usize>,
    pcap: Option<std::path::PathBuf>,
    inject: Vec<Rule>,
    job: u16,
    jobs: u16,
    workload: Workload,
    io_bytes: u64,
    args_depth: u16,
    time: std::time::Duration,
    ramp: std::time::Duration,
    verify: bool,
    seed: u64,
}

impl JobArgs {
    fn new(args: &Bench, job: u16) -> JobArgs {
        let workload = match args.rw {
            Rw::Read => Workload::Read,
            Rw::Write => Workload::Write,
            Rw::RandRead => Workload::RandRead,
            Rw::RandWrite => Workload::RandWrite,
            Rw::RandRw => Workload::RandRw { read_percent: args.rwmixread },
        };
        JobArgs {
            target: args.target.clone(),
            secrets: args.secrets.clone(),
            poll: poll_mode(args.poll),
            cpu: args.cpu.map(|cpu| cpu + usize::from(job)),
            pcap: args.pcap.clone().filter(|_| job == 0),
            inject: args.faults.inject.clone(),
            job,
            jobs: args.jobs,
            workload,
            io_bytes: args.bs,
            args_depth: args.iodepth,
            time: args.time,
            ramp: args.ramp,
            verify: args.verify,
            seed: args.seed.wrapping_add(u64::from(job)).wrapping_mul(0x9e37_79b9_7f4a_7c15),
        }
    }

    /// The report, and by which link it came about.
    fn run(self, tell: &mpsc::Sender<u64>) -> Result<(JobReport, &'static str), Failure> {
        connect::pin(self.cpu)?;
        let options = connect::Options {
            poll: self.poll,
            secrets: self.secrets.clone(),
            queue_depth: self.args_depth,
            pcap: self.pcap.clone(),
            inject: self.inject.clone(),
        };
        let (mut session, ns) = connect::namespace_with(&self.target, &options)?;
        let load = self.load(&ns)?;
        let mut progress = |_ios, share: f64| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "0 to 1000"
            )]
            let share = (share * 1000.0) as u64;
            // Nobody listens any more: fine.
            let _ = tell.send(share);
        };
        let waiter = Waiter::new(self.poll);
        let report = load::run(session.host(), ns, load, waiter, &mut progress)?;
        let link = session.host().fabric().way();
        connect::tell_hits(session.host().fabric());
        session.close();
        Ok((report, link))
    }

    fn load(&self, ns: &NamespaceInfo) -> Result<Load, Failure> {
        let block = u64::from(ns.block_bytes);
        if self.io_bytes == 0 || !self.io_bytes.is_multiple_of(block) {
            return Err(Failure::new(format!(
                "--bs must be a multiple of the block, {block} octets"
            )));
        }
        let io_bytes = u32::try_from(self.io_bytes).ok().filter(|&n| n <= ns.max_transfer_bytes);
        let Some(io_bytes) = io_bytes else {
            let max = ns.max_transfer_bytes;
            return Err(Failure::new(format!("--bs is above the largest transfer, {max} octets")));
        };
        let share = ns.bytes() / u64::from(self.jobs) / self.io_bytes * self.io_bytes;
        if share < self.io_bytes * u64::from(self.args_depth) {
            return Err(Failure::new("the namespace is too small for this block size and depth"));
        }
        Ok(Load {
            workload: self.workload,
            io_bytes,
            depth: self.args_depth,
            time: self.time,
            ramp: self.ramp,
            verify: self.verify,
            start: share * u64::from(self.job),
            span: share,
            seed: self.seed,
        })
    }
}

/// The waiter's word for what was typed.
pub(crate) fn poll_mode(poll: Poll) -> PollMode {
    match poll {
        Poll::Busy => PollMode::Busy,
        Poll::Adaptive => PollMode::Adaptive,
    }
}

fn progress_bar(args: &Bench) -> ProgressBar {
    if args.output == Format::Json {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(1000);
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {percent} % {elapsed}") {
        bar.set_style(style);
    }
    bar
}

/// What is printed.
#[derive(serde::Serialize)]
struct Shown<'a> {
    /// By which way packets went at the end: "udp", "shm", or both when jobs differ.
    link: &'a str,
    #[serde(flatten)]
    report: &'a Report,
}

fn print(args: &Bench, shown: &Shown<'_>) -> Result<(), Failure> {
    if args.output == Format::Json {
        return crate::output::print(serde_json::to_string_pretty(shown)?);
    }
    let Shown { link, report } = shown;
    let lat = &report.lat_us;
    let mut text = format!(
        "{:.0} IOPS, {:.1} MB/s, {} I/Os in {:.2} s, {} errors, over {link}\n\
         latency µs: mean {:.1}, p50 {:.1}, p99 {:.1}, p99.9 {:.1}, max {:.1}",
        report.iops,
        report.mb_per_s,
        report.ios,
        report.seconds,
        report.errors,
        lat.mean,
        lat.p50,
        lat.p99,
        lat.p999,
        lat.max
    );
    for (name, value) in report.counters.iter().filter(|(_, value)| **value != 0.0) {
        write!(text, "\n  {name:32} {value:.3}")?;
    }
    crate::output::print(text)
}
