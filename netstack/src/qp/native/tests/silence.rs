//! Silences that have another cause than a peer that is gone: all was lost, or nothing may leave yet.

use super::*;
use crate::cc::{AckSample, CongestionControl, Loss};
use crate::qp::testing::Fate;
use std::time::Instant;
use verbs::WcStatus;

/// Goal: a full window, lost as a whole, is repaired in a few round trips. When the probe was a packet
/// beyond the reach of selective acknowledgements, each of the first 128 packets took a timeout.
#[test]
fn a_whole_window_may_be_lost() {
    const PACKETS: u32 = 512;
    let mut w: Native = World::new(&Setup { mtu: 256, timeout: 14, ..Setup::default() });
    w.sides[0].paint(0, PACKETS * 256, 1);
    let to = w.sides[1].remote(0);
    w.sides[0].post(0, SendOp::RdmaWrite(to), 0, PACKETS * 256);
    let mut left = PACKETS;
    w.script = Some(Box::new(move |_| {
        left = left.saturating_sub(1);
        if left > 0 { Fate::Drop } else { Fate::Deliver }
    }));
    let took = run_until(&mut w, |w| !w.sides[0].wcs.is_empty());
    assert_eq!(w.sides[0].take_wcs(), [(0, WcStatus::Success)]);
    assert!(took < Duration::from_millis(8), "took {took:?}");
    assert_eq!(w.sides[1].octets(0, PACKETS * 256), w.sides[0].octets(0, PACKETS * 256));
}

/// One packet every so often.
struct Slow(Duration, Option<Instant>);

impl CongestionControl for Slow {
    fn name(&self) -> &'static str {
        "slow"
    }
    fn on_send(&mut self, now: Instant, _bytes: u64) {
        self.1 = Some(now);
    }
    fn on_ack(&mut self, _sample: &AckSample) {}
    fn on_loss(&mut self, _now: Instant, _loss: Loss) {}
    fn on_cnp(&mut self, _now: Instant) {}
    fn window_bytes(&self) -> u64 {
        1 << 20
    }
    fn release_at(&self, now: Instant, _bytes: u64) -> Instant {
        self.1.map_or(now, |last| last + self.0)
    }
}

/// Goal: a lost packet that pacing holds back for longer than the timer is no timeout: congestion
/// control slowed down more and more for its own slowness.
#[test]
fn what_pacing_holds_is_not_awaited() {
    let mut w: Native = World::new(&Setup { mtu: 256, timeout: 14, ..Setup::default() });
    w.sides[0].machine.cc = Box::new(Slow(Duration::from_millis(10), None));
    let to = w.sides[1].remote(0);
    w.sides[0].post(0, SendOp::RdmaWrite(to), 0, 4 * 256);
    let mut sent = 0;
    w.script = Some(Box::new(move |packet| {
        sent += u32::from(packet.from == 0);
        if packet.from == 0 && sent == 2 { Fate::Drop } else { Fate::Deliver }
    }));
    let took = run_until(&mut w, |w| !w.sides[0].wcs.is_empty());
    assert_eq!(w.sides[0].take_wcs(), [(0, WcStatus::Success)]);
    assert_eq!((w.sides[0].counters.timeouts, w.sides[0].counters.probes_out), (0, 1));
    assert!(took < Duration::from_millis(42), "took {took:?}");
}
