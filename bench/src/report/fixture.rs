//! A comparison that nobody measured: the same at every run, with all that a record can have.

use super::stats;
use crate::compare::record::{
    Comparison, FORMAT, Figures, Machine, Measure, Role, Sample, Scenario, Settings, StackResult,
    Wanted, WorkPerIo,
};
use std::collections::BTreeMap;

/// A string that a page must not run, and a terminal must not obey.
pub(crate) const HOSTILE: &str = "<script>alert(\"1\")</script> & 'more' \u{1b}[31m";

/// Rounds of each scenario.
const ROUNDS: u32 = 5;
/// Octets of a MiB.
const MIB: f64 = 1_048_576.0;

/// Numbers that look like chance.
struct Noise(u64);

impl Noise {
    /// Between 1 - `around` and 1 + `around`.
    fn factor(&mut self, around: f64) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        let share = f64::from(u32::try_from(self.0 >> 33).unwrap()) / f64::from(u32::MAX >> 1);
        1.0 + around * (2.0 * share - 1.0)
    }
}

/// Name, role, speed beside FlexiNS, and CPU time beside it in application, engine and kernel.
const STACKS: [(&str, Role, f64, [f64; 3]); 9] = [
    ("flexins", Role::Flexins, 1.0, [1.0, 0.0, 1.0]),
    ("flexins-piped", Role::Flexins, 0.71, [0.4, 0.9, 1.1]),
    ("flexins-no-runs", Role::Ablation, 0.38, [1.2, 0.0, 3.1]),
    ("flexins-no-ring", Role::Ablation, 0.86, [1.2, 0.0, 1.1]),
    ("flexins-piped-no-notify", Role::Ablation, 0.64, [0.5, 1.0, 1.1]),
    ("microkernel", Role::Baseline, 0.41, [0.9, 1.4, 2.2]),
    ("microkernel-compacting", Role::Baseline, 0.44, [0.9, 1.3, 2.0]),
    ("microkernel-copying", Role::Other, 0.33, [1.1, 1.6, 2.4]),
    ("kernel-tcp", Role::Other, 0.22, [0.5, 0.0, 6.5]),
];

/// A workload before it has results.
struct Plan {
    name: &'static str,
    title: String,
    family: Option<(&'static str, f64)>,
    decides: Measure,
    io_bytes: u32,
    depth: u32,
    /// I/Os a second of FlexiNS.
    iops: f64,
}

fn sample(round: u32, plan: &Plan, speed: f64, cpu: [f64; 3], noise: &mut Noise) -> Sample {
    let iops = plan.iops * speed * noise.factor(0.03);
    let base = 1e6 / plan.iops;
    let p50 = f64::from(plan.depth) / iops * 1e6 * 0.95;
    let mut latency_percentiles: Vec<f64> =
        (0..=100).map(|at| p50 * (0.62 + 0.005 * f64::from(at) + tail(at))).collect();
    latency_percentiles.push(p50 * 3.1);
    let [app, engine, kernel] = cpu.map(|share| share * base * noise.factor(0.02));
    let figures = Figures {
        iops,
        gb_per_s: iops * f64::from(plan.io_bytes) / 1e9,
        p50_us: p50,
        p99_us: p50 * 2.2,
        p999_us: p50 * 3.1,
        app_user_us: app,
        engine_user_us: engine,
        kernel_us: kernel,
        softirq_us: kernel * 0.07,
        app_busy_us: app * 0.9,
        engine_busy_us: engine * 0.7,
        host_busy_us: (app + kernel * 0.5) * 0.8,
        tx_copies: if cpu[1] > 1.0 { 1.0 } else { 0.0 },
        rx_copies: 1.0,
        syscalls: kernel / base * 0.2,
        empty_polls: 0.03,
        context_switches: 0.001,
        wire_bytes: f64::from(plan.io_bytes) * 1.06,
        memory_bytes: 17.5 * MIB,
    };
    let counters = BTreeMap::from([("link.tx_syscalls".into(), iops)]);
    Sample { round, figures, latency_percentiles, counters }
}

/// How much longer the slowest I/Os took.
fn tail(at: u32) -> f64 {
    (0.02 / (1.004 - f64::from(at) / 100.0)).max(0.0)
}

fn scenario(plan: &Plan, noise: &mut Noise) -> Scenario {
    let results = STACKS.map(|(stack, role, speed, cpu)| {
        // A baseline's working set leaves the cache, FlexiNS' does not.
        let speed = match plan.family {
            Some(("working-set", x)) if role == Role::Baseline => {
                speed * (0.5 + 4.0 * MIB / (x + 7.0 * MIB))
            }
            _ => speed,
        };
        let samples = (0..ROUNDS).map(|round| sample(round, plan, speed, cpu, noise)).collect();
        let median = Figures::default();
        StackResult { stack: stack.into(), role, samples, median, work: None }
    });
    let mut scenario = Scenario {
        name: plan.name.into(),
        title: plan.title.clone(),
        family: plan.family.map(|(family, _)| family.into()),
        x: plan.family.map_or(0.0, |(_, x)| x),
        decides: plan.decides,
        io_bytes: plan.io_bytes,
        depth: plan.depth,
        poll: "adaptive".into(),
        results: results.into(),
        equal_total_cores: None,
        per_host_core: None,
        wanted: Wanted::default(),
        limit: None,
    };
    stats::fill(&mut scenario);
    scenario
}

/// A plan that is no point of a family.
fn plan(name: &'static str, title: &str, decides: Measure, io: (u32, u32), iops: f64) -> Plan {
    let (io_bytes, depth) = io;
    Plan { name, title: title.into(), family: None, decides, io_bytes, depth, iops }
}

fn plans() -> Vec<Plan> {
    let mut plans = vec![
        plan("randread-4k-x32", "4 KiB random read, depth 32", Measure::Iops, (4096, 32), 668e3),
        plan("randwrite-4k-x32", "4 KiB random write, depth 32", Measure::Iops, (4096, 32), 743e3),
        plan("randread-4k-x1", "4 KiB random read, one by one", Measure::Latency, (4096, 1), 138e3),
        plan("read-128k-x8", "128 KiB read, depth 8", Measure::Bandwidth, (131_072, 8), 37.5e3),
        plan("write-128k-x8", "128 KiB write, depth 8", Measure::Bandwidth, (131_072, 8), 45.6e3),
    ];
    for (name, mib) in
        [("ws-1m", 1.0), ("ws-4m", 4.0), ("ws-16m", 16.0), ("ws-64m", 64.0), ("ws-256m", 256.0)]
    {
        let title = format!("4 KiB random read of {mib} MiB, depth 32");
        let set = plan(name, &title, Measure::Iops, (4096, 32), 700e3 - 600.0 * mib);
        plans.push(Plan { family: Some(("working-set", mib * MIB)), ..set });
    }
    for (name, count) in [("conn-1", 1.0), ("conn-4", 4.0), ("conn-16", 16.0), ("conn-64", 64.0)] {
        let title = format!("4 KiB random read, {count} connections");
        let set = plan(name, &title, Measure::Iops, (4096, 64), 690e3 - 2e3 * count);
        plans.push(Plan { family: Some(("connections", count)), ..set });
    }
    plans
}

/// All of it. Every optional field is there in one place and missing in another.
pub(crate) fn comparison() -> Comparison {
    let mut noise = Noise(7);
    let mut scenarios: Vec<Scenario> = plans().iter().map(|p| scenario(p, &mut noise)).collect();
    let wanted = [(3.5, 2.0), (2.2, 2.0), (0.5, 1.0), (2.5, 2.0)];
    let limits = ["exchange-4k-x32", "exchange-4k-x32", "ping-pong", "exchange-128k-x8"];
    for ((scenario, (total, host)), limit) in scenarios.iter_mut().zip(wanted).zip(limits) {
        scenario.wanted = Wanted { equal_total_cores: Some(total), per_host_core: Some(host) };
        scenario.limit = Some(limit.into());
    }
    scenarios[4].wanted.equal_total_cores = Some(1.8);
    scenarios[0].results[0].work = Some(WorkPerIo {
        source: "cachegrind".into(),
        instructions: 7012.0,
        l1_misses: 121.5,
        llc_misses: 70.25,
    });
    scenarios[1].title = HOSTILE.into();
    scenarios[1].results[8].stack = "kernel-tcp\"><b>".into();
    let limits = [
        ("exchange-4k-x32", 812e3),
        ("exchange-128k-x8", 5.4e9),
        ("ping-pong", 4.3),
        ("memcpy-hot-gb-per-s", 11.9),
        (HOSTILE, f64::NAN),
    ];
    Comparison {
        format: FORMAT,
        machine: machine(),
        command: format!("flexblk compare --rounds 5 {HOSTILE}"),
        settings: Settings {
            rounds: ROUNDS,
            sample_seconds: 1.0,
            ramp_seconds: 0.3,
            client_cpu: 1,
            huge_pages: true,
            seconds: 612.0,
            ..Settings::default()
        },
        limits: limits.map(|(name, figure)| (name.into(), figure)).into(),
        scenarios,
        remarks: vec![
            "The machine is virtual and shared: absolute figures mean little, ratios more.".into(),
            "Both hosts are on one machine, and the wire is its loopback device.".into(),
            HOSTILE.into(),
        ],
    }
}

fn machine() -> Machine {
    Machine {
        cpu: "A processor of 2.1 GHz".into(),
        cpus: 2,
        memory_bytes: 8 << 30,
        l2_bytes: 2 << 20,
        llc_bytes: 0,
        kernel: "Linux 6.18".into(),
        is_virtual: true,
        flexblk: "0.1.0".into(),
    }
}

/// One sample with a rate and a latency, for tests of rules.
pub(crate) fn sample_of(round: u32, iops: f64, p50_us: f64, host_busy_us: f64) -> Sample {
    let figures = Figures { iops, p50_us, host_busy_us, ..Figures::default() };
    Sample { round, figures, latency_percentiles: Vec::new(), counters: BTreeMap::new() }
}

/// A result of such samples.
pub(crate) fn result(stack: &str, role: Role, samples: Vec<Sample>) -> StackResult {
    let median = stats::median_of(&samples);
    StackResult { stack: stack.into(), role, samples, median, work: None }
}

/// A scenario of such results.
pub(crate) fn scenario_of(name: &str, decides: Measure, results: Vec<StackResult>) -> Scenario {
    let plan = plan("", "A scenario", decides, (4096, 1), 1.0);
    let mut scenario = scenario(&plan, &mut Noise(1));
    scenario.name = name.into();
    scenario.results = results;
    stats::fill(&mut scenario);
    scenario
}

/// A record of such scenarios.
pub(crate) fn record(scenarios: Vec<Scenario>) -> Comparison {
    Comparison { scenarios, ..comparison() }
}
