//! The workloads, and the stacks that each runs over.

use super::child::ChildWork;
use super::record::{Measure, Role, Wanted};
use crate::block_server;
use crate::load::Workload;
use crate::stack::{Kind, StackSpec};

/// One stack of a workload.
#[derive(Clone, Copy, Debug)]
pub struct StackPlan {
    /// Its name in reports.
    pub name: &'static str,
    /// What it is to the comparison.
    pub role: Role,
    /// What it is made of.
    pub spec: StackSpec,
    /// Which part runs on which processor.
    pub placement: Placement,
}

/// Which part runs on which processor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Placement {
    /// Each side has one of its own.
    Beside,
    /// All engines on the server's, all applications on the client's.
    Compacting,
}

/// One workload.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Word that `--only` takes.
    pub name: String,
    /// In words.
    pub title: String,
    /// The curve that it is a point of.
    pub family: Option<&'static str>,
    /// Where on the curve.
    pub x: f64,
    /// What decides.
    pub decides: Measure,
    /// What to do.
    pub work: ChildWork,
    /// Over these.
    pub stacks: Vec<StackPlan>,
    /// The figures to reach.
    pub wanted: Wanted,
    /// The machine's limit that belongs to it.
    pub limit: Option<&'static str>,
    /// Part of `--quick`.
    pub quick: bool,
}

impl Plan {
    /// Octets of one I/O.
    #[must_use]
    pub fn io_bytes(&self) -> u32 {
        match self.work {
            ChildWork::Blocks { io_bytes, .. } => io_bytes,
            ChildWork::BlockServer(work) => work.block_bytes,
        }
    }
    /// I/Os outstanding.
    #[must_use]
    pub fn depth(&self) -> u32 {
        match self.work {
            ChildWork::Blocks { depth, .. } => depth.into(),
            ChildWork::BlockServer(work) => work.depth,
        }
    }
    /// Whether a word of `--only` means it: its name, its family, or how its name begins.
    #[must_use]
    pub fn is_meant_by(&self, word: &str) -> bool {
        self.name == word
            || self.family == Some(word)
            || self.name.strip_prefix(word).is_some_and(|rest| rest.starts_with('-'))
    }
}

const FLEXINS: StackPlan = plan("flexins", Role::Flexins, StackSpec::FLEXINS);
const PIPED: StackPlan = plan(
    "flexins-piped",
    Role::Flexins,
    StackSpec { kind: Kind::Piped, rx_burst: 1, ..StackSpec::FLEXINS },
);
/// Not on the link of the others, and so no part of a ratio.
const SHM: StackPlan =
    plan("flexins-shm", Role::Other, StackSpec { shm: true, ..StackSpec::FLEXINS });
const MICROKERNEL: StackPlan = plan("microkernel", Role::Baseline, StackSpec::MICROKERNEL);
/// Takes whatever has come: longer bursts, fewer switches, less overlap.
const WIDE: StackPlan = plan(
    "microkernel-wide",
    Role::Baseline,
    StackSpec { rx_burst: dpa::rx::SLOTS, batch: 256, ..StackSpec::MICROKERNEL },
);
/// On two processors it works best with short batches.
const COMPACTING: StackPlan = StackPlan {
    name: "microkernel-compacting",
    placement: Placement::Compacting,
    spec: StackSpec { batch: 16, ..StackSpec::MICROKERNEL },
    ..MICROKERNEL
};

/// Spin budget of those that sleep: as `flexblk serve` and the initiator's.
const SPIN_US: u64 = 50;

/// What everybody has.
const KERNEL_TCP: StackPlan = plan("kernel-tcp", Role::Other, StackSpec::KERNEL_TCP);
/// Connections up to which it is asked.
const KERNEL_TCP_CONNECTIONS_MAX: u32 = 256;

const fn plan(name: &'static str, role: Role, spec: StackSpec) -> StackPlan {
    StackPlan { name, role, spec, placement: Placement::Beside }
}

/// What every headline runs over.
fn stacks() -> Vec<StackPlan> {
    vec![FLEXINS, PIPED, MICROKERNEL, WIDE, COMPACTING, KERNEL_TCP]
}

/// One technique switched off at a time.
fn ablations() -> Vec<StackPlan> {
    let whole = StackSpec::FLEXINS;
    let large = Some(crate::stack::LARGE_POOL);
    vec![
        plan("flexins-staged-tx", Role::Ablation, StackSpec { staged_tx: true, ..whole }),
        plan("flexins-large-pool", Role::Ablation, StackSpec { rx_pool: large, ..whole }),
        plan(
            "flexins-piped-doorbell",
            Role::Ablation,
            StackSpec { rings_always: true, ..PIPED.spec },
        ),
    ]
}

/// What is reported apart: FlexiNS between processes of one machine, variants of the baseline.
fn variants() -> Vec<StackPlan> {
    let base = StackSpec::MICROKERNEL;
    vec![SHM, plan("microkernel-tx-copy", Role::Other, StackSpec { staged_tx: true, ..base })]
}

fn headline(plain: f64, host: f64) -> Wanted {
    Wanted { equal_total_cores: Some(plain), per_host_core: Some(host) }
}

/// All of them, in the order in which they run.
#[must_use]
pub fn all() -> Vec<Plan> {
    let mut plans = vec![block_server()];
    plans.extend(random());
    plans.extend(adaptive());
    plans.extend(sequential());
    plans.extend(connections());
    plans.extend(working_sets());
    plans
}

fn block_server() -> Plan {
    let work = block_server::Work {
        block_bytes: 4096,
        connections: 1,
        depth: 32,
        recv_depth: 64,
        serves: true,
        landing_blocks: 64,
    };
    let mut stacks = stacks();
    // Blocks that the application sums right away may be better off in the cache.
    for base in [MICROKERNEL, COMPACTING] {
        let name = if base.placement == Placement::Compacting {
            "microkernel-compacting-cached"
        } else {
            "microkernel-cached"
        };
        let spec = StackSpec { streaming: false, ..base.spec };
        stacks.push(StackPlan { name, spec, ..base });
    }
    stacks.extend(ablations());
    let app_crc = StackSpec { app_crc: true, ..StackSpec::FLEXINS };
    stacks.push(plan("flexins-app-crc", Role::Ablation, app_crc));
    stacks.extend(variants());
    // Its blocks come in, and its answers are short: with one run of packets a turn the client fills the
    // next while the server works on this one. The baseline does so too.
    for stack in stacks.iter_mut().filter(|stack| stack.spec.kind == Kind::Inline) {
        stack.spec.rx_burst = 1;
    }
    Plan {
        name: "block-server".into(),
        title: "block server: 4 KiB writes with CRC and index, depth 32".into(),
        family: None,
        x: 0.0,
        decides: Measure::Iops,
        work: ChildWork::BlockServer(work),
        stacks,
        wanted: headline(1.6, 2.2),
        limit: None,
        quick: true,
    }
}

fn random() -> Vec<Plan> {
    let kinds = [
        ("randread", "random read", Workload::RandRead, Some(1.2)),
        ("randwrite", "random write", Workload::RandWrite, Some(1.4)),
        ("randrw", "random mix, 70 % reads", Workload::RandRw { read_percent: 70 }, None),
    ];
    let mut plans = Vec::new();
    for (word, title, workload, wanted) in kinds {
        for depth in [1, 8, 32, 128] {
            let is_headline = depth == 32 && wanted.is_some();
            let is_read = workload == Workload::RandRead;
            let mut stacks = stacks();
            if is_headline {
                stacks.extend(ablations());
                stacks.extend(variants());
            } else if depth == 1 {
                stacks.push(SHM);
            }
            plans.push(Plan {
                name: format!("{word}-4k-x{depth}"),
                title: format!("4 KiB {title}, depth {depth}"),
                family: None,
                x: 0.0,
                decides: if depth == 1 { Measure::Latency } else { Measure::Iops },
                work: ChildWork::Blocks { workload, io_bytes: 4096, depth },
                stacks,
                wanted: match (depth, wanted) {
                    (32, Some(plain)) => headline(plain, 2.2),
                    (1, Some(_)) => Wanted { equal_total_cores: Some(0.7), per_host_core: None },
                    _ => Wanted::default(),
                },
                limit: match depth {
                    1 if is_read => Some("exchange_4k_depth_1_p50_us"),
                    32 if is_read => Some("exchange_4k_depth_32_per_s"),
                    _ => None,
                },
                quick: is_headline || (depth == 1 && is_read),
            });
        }
    }
    plans
}

/// The same reads with sides that sleep when they are idle for a while.
fn adaptive() -> Vec<Plan> {
    let mut plans = random();
    plans.retain(|plan| plan.name == "randread-4k-x1" || plan.name == "randread-4k-x32");
    for plan in &mut plans {
        plan.name.push_str("-adaptive");
        plan.title.push_str(", adaptive polling");
        (plan.wanted, plan.limit, plan.quick) = (Wanted::default(), None, false);
        plan.stacks = stacks();
        plan.stacks.iter_mut().for_each(|stack| stack.spec.spin_us = Some(SPIN_US));
    }
    plans
}

fn sequential() -> Vec<Plan> {
    let mut plans = Vec::new();
    for (word, title, workload) in
        [("read", "read", Workload::Read), ("write", "write", Workload::Write)]
    {
        for (size, words, io_bytes, depth) in
            [("128k", "128 KiB", 128 << 10, 8), ("1m", "1 MiB", 1 << 20, 4)]
        {
            let is_128k = io_bytes == 128 << 10;
            let is_read = workload == Workload::Read;
            plans.push(Plan {
                name: format!("{word}-{size}-x{depth}"),
                title: format!("{words} sequential {title}, depth {depth}"),
                family: None,
                x: 0.0,
                decides: Measure::Bandwidth,
                work: ChildWork::Blocks { workload, io_bytes, depth },
                stacks: [stacks(), vec![SHM]].concat(),
                wanted: if is_128k { headline(1.3, 2.2) } else { Wanted::default() },
                limit: (is_128k && is_read).then_some("exchange_128k_depth_8_gb_per_s"),
                quick: is_128k,
            });
        }
    }
    plans
}

/// A server that takes messages and answers them, no more: what is left is the stack.
fn sink(connections: u32, depth: u32, recv_depth: u32, block_bytes: u32) -> ChildWork {
    let landing_blocks = (16 << 20) / block_bytes;
    let serves = false;
    let work =
        block_server::Work { block_bytes, connections, depth, recv_depth, serves, landing_blocks };
    ChildWork::BlockServer(work)
}

fn connections() -> Vec<Plan> {
    let point = |count: u32| Plan {
        name: format!("connections-{count}"),
        title: format!("4 KiB messages, 1,024 at once over {count} connections"),
        family: Some("connections"),
        x: f64::from(count),
        decides: Measure::Iops,
        // As many receives as one connection may need at most.
        work: sink(count, 1024, (2048 / count).clamp(4, 256), 4096),
        stacks: if count <= KERNEL_TCP_CONNECTIONS_MAX {
            vec![FLEXINS, MICROKERNEL, KERNEL_TCP]
        } else {
            vec![FLEXINS, MICROKERNEL]
        },
        wanted: Wanted::default(),
        limit: None,
        quick: false,
    };
    [1, 8, 64, 256, 1024].map(point).into()
}

fn working_sets() -> Vec<Plan> {
    // Messages of 16 KiB, 32 at once; what grows is what is posted, and with it the baseline's pool.
    const BLOCK_BYTES: u32 = 16 << 10;
    let point = |(mebibytes, connections, recv_depth): (u32, u32, u32)| {
        let pool = (mebibytes << 4).max(8);
        let pooled = |name, spec: StackSpec| {
            plan(name, Role::Baseline, StackSpec { rx_pool: Some(pool), ..spec })
        };
        Plan {
            name: format!("working-set-{mebibytes}m"),
            title: format!("16 KiB messages, 32 at once, {mebibytes} MiB ready to be received"),
            family: Some("working-set"),
            x: f64::from(mebibytes) * 1_048_576.0,
            decides: Measure::Bandwidth,
            work: sink(connections, 32, recv_depth, BLOCK_BYTES),
            stacks: vec![FLEXINS, pooled("microkernel", StackSpec::MICROKERNEL), KERNEL_TCP],
            wanted: Wanted::default(),
            limit: None,
            quick: mebibytes == 1 || mebibytes == 1024,
        }
    };
    [(1, 1, 64), (8, 8, 64), (64, 16, 256), (256, 64, 256), (1024, 256, 256)].map(point).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: names are unique, words of `--only` find what they say, and working sets are as large as
    /// their names.
    #[test]
    fn names_mean_what_they_say() {
        let plans = all();
        let mut names: Vec<_> = plans.iter().map(|plan| plan.name.clone()).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), plans.len());
        let count = |word: &str| plans.iter().filter(|plan| plan.is_meant_by(word)).count();
        assert_eq!((count("randread-4k-x32"), count("randread"), count("working-set")), (2, 6, 5));
        assert_eq!(count("rand"), 0);
        for plan in plans.iter().filter(|plan| plan.family == Some("working-set")) {
            let ChildWork::BlockServer(work) = plan.work else { panic!("{}", plan.name) };
            #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
            let ratio = work.working_set_bytes() as f64 / plan.x;
            assert!((0.99..1.02).contains(&ratio), "{}: {ratio}", plan.name);
        }
        for plan in &plans {
            assert!(plan.stacks.iter().any(|stack| stack.role == Role::Baseline), "{}", plan.name);
        }
    }
}
