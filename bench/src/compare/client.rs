//! The client's process.

use super::child::{ChildReport, ChildSpec, ChildWork, Watch};
use super::page::Page;
use super::server::{NQN, NVME_PORT};
use crate::block_server::{self, Pacing};
use crate::load::{self, JobReport, Load, Workload};
use crate::stack::{Place, WithFabric};
use dpa::engine::NoOffload;
use dpa::rx::Placer;
use hdrhistogram::Histogram;
use initiator::{HostOptions, Session, Timers};
use netstack::fabric::Fabric;
use netstack::link::ROCE_PORT;
use std::io;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

/// The client's name.
const HOSTNQN: &str = "nqn.2014-08.org.nvmexpress:uuid:f1e8b1c0-0000-4000-8000-000000000001";

/// Puts load on a server, and leads the page through its phases.
///
/// Errors: what keeps it from connecting; a connection that breaks.
pub fn client(
    spec: &ChildSpec,
    engine: &mut Command,
    engine_cpu: Option<usize>,
) -> io::Result<ChildReport> {
    memory::share_all();
    let mut watch = Watch::new(Page::open(spec.page)?, true);
    let mut report = ChildReport::default();
    let server = SocketAddr::new(spec.server, ROCE_PORT);
    let place = Place { local: SocketAddr::new(spec.client, 0), server, engine_cpu, engine };
    let then = Run { spec, watch: &mut watch, report: &mut report };
    spec.stack.open(place, Placer::<NoOffload>::default(), then)?;
    report.counters = watch.into_counts();
    Ok(report)
}

struct Run<'a> {
    spec: &'a ChildSpec,
    watch: &'a mut Watch,
    report: &'a mut ChildReport,
}

impl WithFabric for Run<'_> {
    fn run<F: Fabric>(self, fabric: F) -> io::Result<()> {
        match self.spec.work {
            ChildWork::Blocks { workload, io_bytes, depth } => {
                self.blocks(fabric, workload, io_bytes, depth)
            }
            ChildWork::BlockServer(work) => self.messages(fabric, work),
        }
    }
}

impl Run<'_> {
    fn times(&self) -> (Duration, Duration) {
        let ramp = Duration::from_secs_f64(self.spec.ramp_seconds);
        (ramp, Duration::from_secs_f64(self.spec.seconds))
    }

    fn blocks<F: Fabric>(
        self,
        fabric: F,
        workload: Workload,
        io_bytes: u32,
        depth: u16,
    ) -> io::Result<()> {
        let options = HostOptions {
            target: SocketAddr::new(self.spec.server, NVME_PORT),
            subnqn: NQN.into(),
            hostnqn: HOSTNQN.into(),
            hostid: [1; 16],
            io_queues: 1,
            queue_depth: depth,
            keys: None,
            concatenate: false,
            timers: Timers::default(),
        };
        let waiter = self.spec.waiter();
        let mut session = Session::connect(fabric, options, waiter).map_err(io::Error::other)?;
        let ns = session.namespace(1).map_err(io::Error::other)?;
        let (ramp, time) = self.times();
        let (verify, start, span, seed) = (false, 0, ns.bytes(), self.spec.seed);
        let load = Load { workload, io_bytes, depth, time, ramp, verify, start, span, seed };
        let done = load::run_observed(session.host(), ns, load, waiter, self.watch)?;
        session.close();
        let JobReport { ios, ios_ever, errors, time, latency, first_error, .. } = done;
        if let Some(first) = first_error {
            return Err(io::Error::other(format!("{errors} I/Os failed, first: {first}")));
        }
        self.report.ios_ever = ios_ever;
        self.tell(ios, time, &latency);
        Ok(())
    }

    fn messages<F: Fabric>(self, fabric: F, work: block_server::Work) -> io::Result<()> {
        let to = SocketAddr::new(self.spec.server, block_server::PORT);
        let mut client = block_server::Client::connect(fabric, work, to)?;
        let (ramp, time) = self.times();
        let pacing = Pacing { ramp, time, waiter: self.spec.waiter() };
        let done = client.run(pacing, self.watch)?;
        if done.refused > 0 {
            return Err(io::Error::other(format!("{} good blocks were refused", done.refused)));
        }
        self.report.ios_ever = done.blocks_ever;
        self.tell(done.blocks, done.time, &done.latency);
        Ok(())
    }

    fn tell(self, ios: u64, time: Duration, latency: &Histogram<u64>) {
        self.report.ios = ios;
        self.report.seconds = time.as_secs_f64();
        let quantiles = (0..=100).map(|percent| f64::from(percent) / 100.0).chain([0.999]);
        let us = |quantile| super::meter::float(latency.value_at_quantile(quantile)) / 1e3;
        self.report.latency_percentiles = quantiles.map(us).collect();
    }
}
