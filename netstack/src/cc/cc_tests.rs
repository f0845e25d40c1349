//! Flows over one bottleneck of 1.25 GB/s with a FIFO: fairness, delay, and reaction to marks.

use super::{AckSample, CongestionControl, Dcqcn, Fixed, Loss, Swift, dcqcn, swift};
use crate::endpoint::CcKind;
use std::time::{Duration, Instant};

/// More than any path loses without congestion.
const GAP: Loss = Loss::Gap { packets: 16 };
const MTU: u64 = 4096;
const RATE: f64 = 1.25e9;
const BASE_RTT: Duration = Duration::from_micros(20);

struct Flow {
    cc: Box<dyn CongestionControl>,
    in_flight: u64,
    /// Acknowledgements on the way: when they arrive, and when the packet left.
    acks: std::collections::VecDeque<(Instant, Instant)>,
    delivered: u64,
    last_cnp: Instant,
}

/// Runs `flows` for `micros` and returns octets delivered by each in the last half, and the mean
/// queueing delay there in microseconds. Packets that find more than `mark` of queue cause a CNP.
fn bottleneck(flows: &mut [Flow], micros: u64, mark: Duration) -> (Vec<f64>, f64) {
    let start = flows[0].last_cnp;
    let service = Duration::from_secs_f64(MTU as f64 / RATE);
    let mut free_at = start;
    let (mut delay_sum, mut samples) = (0.0, 0.0);
    for micro in 0..micros {
        let now = start + Duration::from_micros(micro);
        if micro == micros / 2 {
            flows.iter_mut().for_each(|f| f.delivered = 0);
            (delay_sum, samples) = (0.0, 0.0);
        }
        let count = flows.len();
        for turn in 0..count {
            let flow = &mut flows[(turn + micro as usize) % count];
            while flow.acks.front().is_some_and(|&(at, _)| at <= now) {
                let (_, sent) = flow.acks.pop_front().unwrap();
                flow.in_flight -= MTU;
                flow.delivered += MTU;
                let rtt = now - sent;
                delay_sum += (rtt.as_secs_f64() - BASE_RTT.as_secs_f64()) * 1e6;
                samples += 1.0;
                flow.cc.on_ack(&AckSample {
                    now,
                    acked_bytes: MTU,
                    in_flight_bytes: flow.in_flight,
                    rtt: Some(rtt),
                    ecn: false,
                });
            }
            let window = flow.cc.window_bytes().max(MTU);
            while flow.in_flight + MTU <= window && flow.cc.release_at(now, MTU) <= now {
                flow.cc.on_send(now, MTU);
                flow.in_flight += MTU;
                let queue = free_at.saturating_duration_since(now);
                if queue > mark && now - flow.last_cnp >= Duration::from_micros(50) {
                    flow.last_cnp = now;
                    flow.cc.on_cnp(now);
                }
                free_at = free_at.max(now) + service;
                flow.acks.push_back((free_at + BASE_RTT, now));
            }
        }
    }
    (flows.iter().map(|f| f.delivered as f64).collect(), delay_sum / samples)
}

fn flows(count: usize, make: impl Fn(usize) -> Box<dyn CongestionControl>) -> Vec<Flow> {
    let now = Instant::now();
    (0..count)
        .map(|i| Flow {
            cc: make(i),
            in_flight: 0,
            acks: Default::default(),
            delivered: 0,
            last_cnp: now,
        })
        .collect()
}

/// Jain's index: 1 is equal shares.
fn fairness(shares: &[f64]) -> f64 {
    let sum: f64 = shares.iter().sum();
    let squares: f64 = shares.iter().map(|s| s * s).sum();
    sum * sum / (shares.len() as f64 * squares)
}

/// Swift's flows share a bottleneck evenly, fill it, and hold the delay near the target.
#[test]
fn swift_is_fair_and_holds_its_target_delay() {
    // Unequal at the start: 64, 32, 16, 8 packets.
    let mut flows = flows(4, |i| {
        let mut cc = Swift::new(swift::Params::default(), MTU as u32);
        let now = Instant::now();
        (0..i).for_each(|k| cc.on_loss(now - Duration::from_secs((9 - k) as u64), GAP));
        Box::new(cc)
    });
    let (shares, queue) = bottleneck(&mut flows, 400_000, Duration::MAX);
    assert!(fairness(&shares) > 0.95, "{shares:?}");
    let rate = shares.iter().sum::<f64>() / 0.2;
    assert!(rate > 0.9 * RATE, "bottleneck filled: {rate}");
    // Targets: 102 µs plus flow scaling of up to 200 µs; 20 µs of it is not queue.
    assert!((40.0..200.0).contains(&queue), "queue of {queue} µs");
}

/// The same flows without delay control build a standing queue: the test above can fail.
#[test]
fn fixed_windows_build_a_queue() {
    let mut flows = flows(4, |_| Box::new(Fixed::new(1 << 20)));
    let (_, queue) = bottleneck(&mut flows, 100_000, Duration::MAX);
    assert!(queue > 2000.0, "queue of {queue} µs");
}

/// Below one packet of window Swift paces by `rtt / cwnd`, and returns when the delay falls.
#[test]
fn swift_paces_below_one_packet() {
    let mut cc = Swift::new(swift::Params::default(), MTU as u32);
    let mut now = Instant::now();
    let slow = |now| AckSample {
        now,
        acked_bytes: MTU,
        in_flight_bytes: 0,
        rtt: Some(Duration::from_millis(2)),
        ecn: false,
    };
    for at in 0..13 {
        now += Duration::from_millis(3);
        // With two packets on its way it sees what the path takes, in this case less.
        let rtt = Some(if at == 5 { Duration::from_micros(100) } else { Duration::from_millis(2) });
        cc.on_ack(&AckSample { rtt, ..slow(now) });
    }
    cc.on_send(now, MTU);
    assert_eq!(cc.window_bytes(), MTU, "one packet always may");
    assert!(cc.release_at(now, MTU) > now + Duration::from_millis(2), "paced");
    for _ in 0..100 {
        now += Duration::from_micros(10);
        cc.on_ack(&AckSample { rtt: Some(Duration::from_micros(10)), ..slow(now) });
    }
    assert_eq!(cc.release_at(now, MTU), now, "not paced any more");
    assert!(cc.window_bytes() > 4 * MTU);
}

/// Losses cut Swift's window once per round trip; repeated silence resets it.
#[test]
fn swift_reacts_to_losses() {
    let mut cc = Swift::new(swift::Params::default(), MTU as u32);
    let now = Instant::now();
    cc.on_loss(now, GAP);
    assert_eq!(cc.window_bytes(), 32 * MTU);
    cc.on_loss(now, GAP);
    assert_eq!(cc.window_bytes(), 32 * MTU, "same round trip");
    for _ in 0..5 {
        cc.on_loss(now, Loss::Timeout);
    }
    assert_eq!(cc.window_bytes(), MTU);
}

/// Losses on a path without a queue are the path's, not congestion's, while they are few; with a queue,
/// or when many are lost, they are cut for.
#[test]
fn swift_tells_losses_from_congestion() {
    let now = Instant::now();
    let ack = |cc: &mut Swift, rtt_us, packets| {
        cc.on_ack(&AckSample {
            now,
            acked_bytes: packets * MTU,
            in_flight_bytes: 0,
            rtt: Some(Duration::from_micros(rtt_us)),
            ecn: false,
        });
    };
    let few = Loss::Gap { packets: 1 };
    let mut cc = Swift::new(swift::Params::default(), MTU as u32);
    for _ in 0..500 {
        ack(&mut cc, 30, 99);
        let before = cc.window_bytes();
        cc.on_loss(now, few);
        assert_eq!(cc.window_bytes(), before, "1 % without a queue");
    }
    let mut cc = Swift::new(swift::Params::default(), MTU as u32);
    ack(&mut cc, 30, 1);
    let before = cc.window_bytes();
    (0..12).for_each(|_| cc.on_loss(now, few));
    assert!(cc.window_bytes() < before, "a fifth of what was sent");
    let mut cc = Swift::new(swift::Params::default(), MTU as u32);
    ack(&mut cc, 900, 1);
    let (later, before) = (now + Duration::from_secs(1), cc.window_bytes());
    cc.on_loss(later, few);
    assert!(cc.window_bytes() < before, "with a queue");
}

/// A path that alone takes longer than the target is measured once the window has shrunk to a packet or
/// two, and used; the flow is not left with nothing.
#[test]
fn swift_measures_a_long_path() {
    let mut cc = Swift::new(swift::Params::default(), MTU as u32);
    let mut now = Instant::now();
    for _ in 0..400 {
        now += Duration::from_millis(1);
        let window = cc.window_bytes();
        cc.on_ack(&AckSample {
            now,
            acked_bytes: window,
            in_flight_bytes: 0,
            rtt: Some(Duration::from_millis(1)),
            ecn: false,
        });
    }
    assert!(cc.window_bytes() > 100 * MTU, "{}", cc.window_bytes() / MTU);
}

/// Marks that acknowledgements tell of cut once an interval, however many tell of them.
#[test]
fn dcqcn_cuts_once_an_interval() {
    let mut cc = Dcqcn::new(dcqcn::Params::default());
    let (now, line) = (Instant::now(), cc.rate());
    let ack = |now| AckSample { now, acked_bytes: MTU, in_flight_bytes: 0, rtt: None, ecn: true };
    (0..40).for_each(|us| cc.on_ack(&ack(now + Duration::from_micros(us))));
    assert!((cc.rate() - line / 2.0).abs() < 1.0, "one cut: {}", cc.rate());
    cc.on_ack(&ack(now + Duration::from_micros(51)));
    assert!(cc.rate() < 0.3 * line, "the next: {}", cc.rate());
}

/// A notification halves DCQCN's rate at first; fast recovery brings back most of it, and hyper
/// increase all of it.
#[test]
fn dcqcn_cuts_and_recovers() {
    let mut cc = Dcqcn::new(dcqcn::Params::default());
    let mut now = Instant::now();
    let line = cc.rate();
    cc.on_send(now, MTU);
    assert_eq!(cc.release_at(now, MTU), now, "no pacing at line rate");
    cc.on_cnp(now);
    assert!((cc.rate() - line / 2.0).abs() < 1.0);
    cc.on_send(now, 1 << 20);
    assert!(cc.release_at(now, MTU) > now, "paced below line rate");
    now += Duration::from_micros(55 * 5 + 1);
    cc.on_send(now, MTU);
    assert!(cc.rate() > 0.95 * line, "five stages of fast recovery: {}", cc.rate());
    now += Duration::from_secs(1);
    cc.on_send(now, MTU);
    assert!((cc.rate() - line).abs() < 1.0);
}

/// DCQCN's flows share a marking bottleneck roughly evenly and keep its queue short.
#[test]
fn dcqcn_converges_under_marks() {
    let params = dcqcn::Params { line_rate: RATE, ..Default::default() };
    // Unequal at the start: line rate, a half, and less.
    let mut flows = flows(3, |i| {
        let mut cc = Dcqcn::new(params);
        (0..i).for_each(|_| cc.on_cnp(Instant::now()));
        Box::new(cc)
    });
    let (shares, queue) = bottleneck(&mut flows, 400_000, Duration::from_micros(50));
    assert!(fairness(&shares) > 0.9, "{shares:?}");
    let rate = shares.iter().sum::<f64>() / 0.2;
    assert!(rate > 0.7 * RATE, "bottleneck used: {rate}");
    assert!(queue < 300.0, "queue of {queue} µs");
}

/// Every name that the command line offers exists, and tells its name back.
#[test]
fn names_are_known() {
    for name in CcKind::NAMES {
        let kind = CcKind::named(name).unwrap();
        assert_eq!((kind.name(), kind.make(4096).name()), (name, name));
    }
    assert_eq!(CcKind::named("reno"), None);
    assert_eq!(CcKind::named("fixed"), Some(CcKind::default()));
}
