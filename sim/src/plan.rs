//! What a seed means: everything that is drawn before the run begins.

use crate::disk::DiskPlan;
use crate::net::{Faults, Speed};
use crate::random::Random;
use netstack::endpoint::{CcKind, EndpointConfig, Mode, Timers as NetTimers};
use std::time::Duration;
use storage::DiskStatus;
use storage::layer::{Fault, Kind, Time, When};

/// Which wire modes a run may use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ModeChoice {
    /// Native only.
    Native,
    /// RoCEv2 only.
    Roce,
    /// The seed chooses, for each host.
    Both,
}

/// What happens to somebody, at a time after the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Misfortune {
    /// A host is gone without a word, and comes back after this long.
    HostKilled(usize, Duration),
    /// A host disconnects in good order, and comes back after this long.
    HostCloses(usize, Duration),
    /// The target is gone without a word, and comes back after this long.
    TargetKilled(Duration),
    /// Nothing comes or goes at a port (0 is the target's) for this long.
    Cut(usize, Duration),
    /// Somebody (0 is the target) does not run for this long.
    Paused(usize, Duration),
}

/// One host.
#[derive(Clone, Debug)]
pub(crate) struct HostPlan {
    pub(crate) mode: Mode,
    pub(crate) queues: u16,
    pub(crate) depth: u16,
    pub(crate) commands: u64,
    pub(crate) outstanding_max: usize,
}

/// Weights of the commands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mix {
    pub(crate) read: u64,
    pub(crate) write: u64,
    pub(crate) durable: u64,
    pub(crate) flush: u64,
    pub(crate) zeroes: u64,
    pub(crate) deallocate: u64,
    pub(crate) compare: u64,
    pub(crate) verify: u64,
}

/// A run before it begins.
#[derive(Clone, Debug)]
pub struct Plan {
    pub(crate) seed: u64,
    pub(crate) random: Random,
    pub(crate) target_mode: Mode,
    pub(crate) path_mtu_bytes: u32,
    pub(crate) same_host: bool,
    pub(crate) cc: CcKind,
    pub(crate) hosts: Vec<HostPlan>,
    pub(crate) disk: DiskPlan,
    pub(crate) speed: Speed,
    pub(crate) faults: Faults,
    pub(crate) misfortunes: Vec<(Duration, Misfortune)>,
    /// Faults stop.
    pub(crate) faults_until: Duration,
    pub(crate) mix: Mix,
    pub(crate) io_bytes_max: u64,
    /// Commands go to the first blocks that often, in a million.
    pub(crate) hot_ppm: u32,
    pub(crate) hot_blocks: u64,
    /// Time between two steps, at most.
    pub(crate) quantum_ns: u64,
    pub(crate) io_timeout: Duration,
    pub(crate) keep_alive: Duration,
    pub(crate) ack_timeout: u8,
}

impl Plan {
    /// What `seed` means.
    #[must_use]
    pub fn new(seed: u64, mode: ModeChoice) -> Plan {
        let mut random = Random::new(seed ^ 0xf1e8_b10c);
        let r = &mut random;
        let host_count = r.pick(&[1, 1, 2, 2, 3, 4]);
        let level = r.pick(&[0, 1, 1, 1, 2, 2, 2]);
        let block_bytes: u64 = r.pick(&[512, 4096]);
        let path_mtu_bytes = r.pick(&[256, 512, 1024, 1024, 2048, 4096, 4096, 4096]);
        let io_bytes_max = match path_mtu_bytes {
            256 | 512 => 16 << 10,
            _ => r.pick(&[4 << 10, 16 << 10, 64 << 10, 256 << 10]),
        };
        let faults_until = Duration::from_millis(r.range(20, 1500));
        let hosts = (0..host_count).map(|_| host(r, mode, io_bytes_max)).collect();
        Plan {
            seed,
            target_mode: if mode == ModeChoice::Roce { Mode::Roce } else { Mode::Native },
            path_mtu_bytes,
            same_host: r.one_in(4),
            cc: r.pick(&[CcKind::Fixed { window_bytes: 1 << 20 }, CcKind::Swift, CcKind::Dcqcn]),
            hosts,
            disk: disk(r, level, block_bytes, io_bytes_max),
            speed: speed(r, level),
            faults: faults(r, level),
            misfortunes: misfortunes(r, level, host_count, faults_until),
            faults_until,
            mix: mix(r),
            io_bytes_max,
            hot_ppm: u32::try_from(r.below(1_000_000)).unwrap_or(0),
            hot_blocks: r.range(1, 32),
            quantum_ns: r.pick(&[200, 2_000, 20_000]),
            io_timeout: Duration::from_millis(r.range(500, 3_000)),
            keep_alive: Duration::from_millis(r.range(500, 3_000)),
            ack_timeout: r.pick(&[12, 13, 14]),
            random: r.fork(),
        }
    }
    /// Nothing is planned that could lose or delay a packet.
    pub(crate) fn is_clean(&self) -> bool {
        self.faults == Faults::default() && self.misfortunes.is_empty()
    }
    /// No transport of this run sends again without an answer for less than this.
    pub(crate) fn shortest_timer(&self) -> Duration {
        // Both transports probe for a lost tail, and never earlier than this.
        Duration::from_micros(500).min(Duration::from_nanos(4096 << self.ack_timeout))
    }
    /// An endpoint of this run.
    pub(crate) fn endpoint(&self, mode: Mode, seed: u64) -> EndpointConfig {
        EndpointConfig {
            seed,
            mode,
            path_mtu_bytes: self.path_mtu_bytes,
            cc: self.cc,
            max_qps: 256,
            max_registrations: 1024,
            max_pending: 64,
            cq_capacity: 1 << 16,
            timers: NetTimers {
                ack_timeout: self.ack_timeout,
                cm_timeout: 14,
                accept: Duration::from_secs(2),
                time_wait: Duration::from_millis(500),
                ..NetTimers::default()
            },
            ..EndpointConfig::default()
        }
    }
}

fn host(r: &mut Random, mode: ModeChoice, io_bytes_max: u64) -> HostPlan {
    let mode = match mode {
        ModeChoice::Native => Mode::Native,
        ModeChoice::Roce => Mode::Roce,
        ModeChoice::Both => r.pick(&[Mode::Native, Mode::Roce]),
    };
    let commands = if io_bytes_max > 16 << 10 { r.range(20, 80) } else { r.range(20, 300) };
    HostPlan {
        mode,
        queues: r.pick(&[1, 1, 2, 3, 4]),
        depth: r.pick(&[1, 2, 4, 8, 32]),
        commands,
        outstanding_max: r.pick(&[1, 2, 4, 8, 16]),
    }
}

fn disk(r: &mut Random, level: u32, block_bytes: u64, io_bytes_max: u64) -> DiskPlan {
    let delay = match r.below(3) {
        0 => None,
        1 => Some(Time::Fixed(Duration::from_micros(r.range(1, 200)))),
        _ => Some(Time::Random {
            min: Duration::from_micros(1),
            max: Duration::from_micros(r.range(10, 5_000)),
            seed: r.next_u64(),
        }),
    };
    let fault = |kind, status, ppm| Fault { kind, when: When::Millionths(ppm), status };
    let faults = if level > 0 && r.one_in(3) {
        let ppm = u32::try_from(r.range(1_000, 50_000)).unwrap_or(0);
        vec![
            fault(Kind::Read, DiskStatus::ReadError, ppm),
            fault(Kind::Write, DiskStatus::WriteError, ppm),
            fault(Kind::WriteZeroes, DiskStatus::Internal, ppm),
        ]
    } else {
        Vec::new()
    };
    let octets = (2 * io_bytes_max).max(r.pick(&[64 << 10, 256 << 10, 1 << 20]));
    DiskPlan {
        block_bytes: u32::try_from(block_bytes).unwrap_or(512),
        block_count: octets / block_bytes,
        is_volatile: r.one_in(2),
        faults,
        delay,
        seed: r.next_u64(),
    }
}

fn speed(r: &mut Random, level: u32) -> Speed {
    Speed {
        latency: Duration::from_nanos(r.range(500, 100_000)),
        bytes_per_us: r.pick(&[125, 1_250, 12_500]),
        queue_max: if level == 2 && r.one_in(4) { 64 } else { 1 << 16 },
    }
}

fn faults(r: &mut Random, level: u32) -> Faults {
    if level == 0 {
        return Faults::default();
    }
    let most = if level == 1 { 5_000 } else { 60_000 };
    let mut ppm = || if r.one_in(3) { 0 } else { u32::try_from(r.below(most)).unwrap_or(0) };
    let (drop_ppm, duplicate_ppm, reorder_ppm) = (ppm(), ppm(), ppm());
    let (corrupt_ppm, mark_ppm, burst_ppm) = (ppm(), ppm(), ppm() / 10);
    Faults {
        drop_ppm,
        burst_ppm,
        burst_max: r.range(2, 40),
        duplicate_ppm,
        reorder_ppm,
        corrupt_ppm,
        mark_ppm,
        jitter: Duration::from_nanos(if r.one_in(2) { 0 } else { r.below(50_000) }),
        late: Duration::from_micros(r.range(1, 5_000)),
    }
}

fn misfortunes(
    r: &mut Random,
    level: u32,
    hosts: usize,
    until: Duration,
) -> Vec<(Duration, Misfortune)> {
    let count = match level {
        0 => 0,
        1 => r.below(2),
        _ => r.below(6),
    };
    let until_us = u64::try_from(until.as_micros()).unwrap_or(u64::MAX);
    let mut all: Vec<_> = (0..count)
        .map(|_| {
            let at = Duration::from_micros(r.below(until_us));
            let host = r.index(hosts);
            let anybody = r.index(hosts + 1);
            let short = Duration::from_micros(r.range(10, 20_000));
            let long = Duration::from_millis(r.range(1, 4_000));
            let what = match r.below(7) {
                0 => Misfortune::HostKilled(host, short),
                1 => Misfortune::HostKilled(host, long),
                2 => Misfortune::HostCloses(host, short),
                3 => Misfortune::TargetKilled(if r.one_in(2) { short } else { long }),
                4 => Misfortune::Cut(anybody, short),
                5 => Misfortune::Cut(anybody, long),
                _ => Misfortune::Paused(anybody, if r.one_in(2) { short } else { long / 4 }),
            };
            (at, what)
        })
        .collect();
    all.sort_by_key(|(at, _)| *at);
    all
}

fn mix(r: &mut Random) -> Mix {
    let mut some = |most| if r.one_in(3) { 0 } else { r.below(most) };
    let (durable, flush, zeroes) = (some(8), some(5), some(5));
    let (deallocate, compare, verify) = (some(4), some(6), some(3));
    Mix {
        read: r.range(1, 20),
        write: r.range(1, 20),
        durable,
        flush,
        zeroes,
        deallocate,
        compare,
        verify,
    }
}
