//! Eight real endpoints over one port of 10 Gbit/s: the queue that they make, and who gets how much.

use super::super::{CcKind, Mode};
use super::load::Load;
use super::pipe::ten_gigabit;
use crate::cc::swift;
use std::time::Duration;

const FLOWS: usize = 8;
const TIME: Duration = Duration::from_millis(100);

/// What the port and its users saw, once settled.
struct Seen {
    /// Of packets' waits at the port: the 99th percentile, and the longest.
    p99: Duration,
    longest: Duration,
    gbits: f64,
    /// Jain's index: 1 is equal shares.
    fairness: f64,
    load: Load,
}

fn eight_flows(mode: Mode, cc: CcKind, rtt: Duration) -> Seen {
    let mut load = Load::new(FLOWS, mode, cc, ten_gigabit(rtt), 11);
    load.run(TIME / 2);
    load.start_measuring();
    load.run(TIME);
    assert!(!load.is_broken);
    let waits = load.pipes().waits(load.server);
    let shares: Vec<f64> = load.written().iter().map(|&bytes| bytes as f64).collect();
    let (sum, squares) = (shares.iter().sum::<f64>(), shares.iter().map(|s| s * s).sum::<f64>());
    Seen {
        p99: waits[waits.len() * 99 / 100],
        longest: waits[waits.len() - 1],
        gbits: sum * 8.0 / TIME.as_secs_f64() / 1e9,
        fairness: sum * sum / (FLOWS as f64 * squares),
        load,
    }
}

const MODES: [Mode; 2] = [Mode::Native, Mode::Roce];
const RTTS: [Duration; 2] = [Duration::from_micros(20), Duration::from_micros(100)];

/// Goal: Swift keeps the queue of eight flows below twice its target, on a port that they fill and
/// share evenly.
#[test]
fn swift_holds_the_queue() {
    let target = swift::Params::default().base_target;
    for (mode, rtt) in MODES.into_iter().flat_map(|mode| RTTS.map(|rtt| (mode, rtt))) {
        let seen = eight_flows(mode, CcKind::Swift, rtt);
        let case = format!("{mode:?}, {rtt:?}");
        assert!(seen.longest < 2 * target, "{case}: {:?} waited", seen.longest);
        assert!(seen.gbits > 9.5, "{case}: {} Gbit/s", seen.gbits);
        assert!(seen.fairness > 0.98, "{case}: fairness {}", seen.fairness);
        assert_eq!(seen.load.pipes().overflows, 0, "{case}");
    }
}

/// The same flows without congestion control: the test above can fail.
#[test]
fn fixed_windows_fill_the_queue() {
    let target = swift::Params::default().base_target;
    for mode in MODES {
        let seen = eight_flows(mode, CcKind::Fixed { window_bytes: 256 << 10 }, RTTS[0]);
        assert!(seen.p99 > 4 * target, "{mode:?}: {:?}", seen.p99);
    }
}

/// Goal: DCQCN from end to end: the port marks, receivers notify (RoCEv2) or count (native), senders
/// slow down, and all of it is counted. Eight flows share evenly and keep the queue far from its end.
/// In native mode seven of them once got nothing: each whole window that was lost at the start took
/// 128 timeouts.
#[test]
fn marks_slow_the_senders() {
    for (mode, rtt) in MODES.into_iter().flat_map(|mode| RTTS.map(|rtt| (mode, rtt))) {
        let seen = eight_flows(mode, CcKind::Dcqcn, rtt);
        let (case, load) = (format!("{mode:?}, {rtt:?}"), &seen.load);
        assert!(load.pipes().marks > 0, "{case}");
        assert!(seen.gbits > 7.0, "{case}: {} Gbit/s", seen.gbits);
        assert!(seen.fairness > 0.9, "{case}: fairness {}", seen.fairness);
        let (marks, sent, heard) = load.congestion_counters();
        assert!(marks >= load.pipes().marks, "{case}: all marks are seen, those of the start too");
        match mode {
            Mode::Native => assert_eq!((sent, heard), (0, 0), "acknowledgements tell"),
            Mode::Roce => {
                // The last ones may still be on their way.
                let all = sent.saturating_sub(FLOWS as u64)..=sent;
                assert!(sent > 0 && all.contains(&heard), "{case}: {sent} CNPs, {heard} heard");
                assert!(sent < marks, "{case}: {sent} CNPs for {marks} marks: not limited");
            }
        }
    }
}
