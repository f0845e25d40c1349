//! Swift: a window steered by measured delay towards a target delay.
//!
//! Source: "Swift: Delay is Simple and Effective for Congestion Control in the Datacenter"
//! (SIGCOMM 2020), the algorithm of its section 3, with one delay (the round trip, which here
//! includes the receiving host's queue) instead of two windows.
//!
//! Two things are not in it (docs/loss-goodput.md). A path that alone takes longer than the target
//! would be left with next to nothing: its own round trip is measured and the target moved behind
//! it. And losses where there is no queue are no congestion, unless they are many.

use super::base::BaseRtt;
use super::{AckSample, CongestionControl, Loss, as_f64};
use std::time::{Duration, Instant};

/// Constants of the algorithm.
#[derive(Clone, Copy, Debug)]
pub struct Params {
    /// Target delay of an uncongested flow with a large window.
    pub base_target: Duration,
    /// Added to the target per hop.
    pub hop_scale: Duration,
    /// Switches on the path.
    pub hops: u32,
    /// Most that a small window adds to the target: many flows need a longer queue to stay fair.
    pub flow_scale_range: Duration,
    /// Window in packets at and below which the whole range is added.
    pub flow_scale_min_cwnd: f64,
    /// Window in packets at and above which nothing is added.
    pub flow_scale_max_cwnd: f64,
    /// Packets added to the window per round trip.
    pub additive_increase: f64,
    /// Weight of the excess delay in a decrease.
    pub beta: f64,
    /// Largest factor by which one decrease cuts.
    pub max_decrease: f64,
    /// Smallest window in packets; below 1 the flow is paced.
    pub min_cwnd: f64,
    /// Largest window in packets.
    pub max_cwnd: f64,
    /// Queue that a flow may build on a path that alone takes nearly as long as the target.
    pub queue_target: Duration,
    /// For so long, and at most twice that, a path's shortest round trip is remembered.
    pub base_window: Duration,
    /// Share of packets that may be lost on a path without a queue before that counts as congestion.
    pub loss_tolerance: f64,
    /// Packets over which that share is averaged.
    pub loss_horizon: f64,
    /// Timeouts in a row after which the window starts from its minimum.
    pub timeout_reset: u32,
}

impl Default for Params {
    fn default() -> Params {
        Params {
            base_target: Duration::from_micros(150),
            hop_scale: Duration::from_micros(2),
            hops: 1,
            flow_scale_range: Duration::from_micros(200),
            flow_scale_min_cwnd: 0.1,
            flow_scale_max_cwnd: 100.0,
            additive_increase: 1.0,
            beta: 0.8,
            max_decrease: 0.5,
            min_cwnd: 0.01,
            max_cwnd: 512.0,
            queue_target: Duration::from_micros(50),
            base_window: Duration::from_secs(10),
            loss_tolerance: 0.02,
            loss_horizon: 512.0,
            timeout_reset: 5,
        }
    }
}

/// One flow's window.
#[derive(Clone, Debug)]
pub struct Swift {
    params: Params,
    mtu_bytes: f64,
    /// Packets.
    cwnd: f64,
    rtt: Duration,
    base: BaseRtt,
    /// Share of packets that were lost of late, 0 to 1.
    lost_share: f64,
    last_decrease: Option<Instant>,
    last_send: Option<Instant>,
    timeouts: u32,
}

impl Swift {
    /// A flow of packets of `mtu_bytes` that starts with 64 packets or the largest window.
    #[must_use]
    pub fn new(params: Params, mtu_bytes: u32) -> Swift {
        Swift {
            cwnd: params.max_cwnd.min(64.0),
            mtu_bytes: f64::from(mtu_bytes.max(1)),
            rtt: params.base_target,
            base: BaseRtt::new(params.base_window),
            lost_share: 0.0,
            params,
            last_decrease: None,
            last_send: None,
            timeouts: 0,
        }
    }

    /// The delay that this flow aims at: base and hops, or what this path takes without a queue and
    /// some of one; and what its window's smallness adds.
    #[must_use]
    pub fn target(&self) -> Duration {
        let p = &self.params;
        let root = |cwnd: f64| cwnd.max(1e-6).sqrt().recip();
        let range = p.flow_scale_range.as_secs_f64();
        let slope = range / (root(p.flow_scale_min_cwnd) - root(p.flow_scale_max_cwnd));
        let scaled = slope * (root(self.cwnd) - root(p.flow_scale_max_cwnd));
        let base = p.base_target + p.hop_scale * p.hops;
        let base = base.max(self.base.least() + p.queue_target);
        base + Duration::from_secs_f64(scaled.clamp(0.0, range))
    }

    /// With a packet or two on its way, what a flow measures is the path, and others' queues: those
    /// end by their own targets, and where flows are so many that none has more, they stay short.
    fn builds_no_queue(&self) -> bool {
        (1.0..=2.0).contains(&self.cwnd)
    }

    /// One decrease per round trip.
    fn may_decrease(&self, now: Instant) -> bool {
        self.last_decrease.is_none_or(|at| now.saturating_duration_since(at) >= self.rtt)
    }

    fn set(&mut self, now: Instant, cwnd: f64) {
        let cwnd = cwnd.clamp(self.params.min_cwnd, self.params.max_cwnd);
        if cwnd < self.cwnd {
            self.last_decrease = Some(now);
        }
        self.cwnd = cwnd;
    }
}

impl CongestionControl for Swift {
    fn name(&self) -> &'static str {
        "swift"
    }
    fn on_send(&mut self, now: Instant, _bytes: u64) {
        self.last_send = Some(now);
    }
    fn on_ack(&mut self, sample: &AckSample) {
        self.timeouts = 0;
        let acked = as_f64(sample.acked_bytes) / self.mtu_bytes;
        self.lost_share *= (1.0 - acked / self.params.loss_horizon).max(0.0);
        let Some(delay) = sample.rtt else { return };
        self.rtt = delay;
        if self.builds_no_queue() {
            self.base.sample(sample.now, delay);
        }
        let target = self.target();
        if delay < target {
            let step = self.params.additive_increase * acked / self.cwnd.max(1.0);
            self.set(sample.now, self.cwnd + step);
        } else if self.may_decrease(sample.now) {
            let excess = (delay - target).as_secs_f64() / delay.as_secs_f64().max(1e-9);
            let factor = (1.0 - self.params.beta * excess).max(1.0 - self.params.max_decrease);
            self.set(sample.now, self.cwnd * factor);
        }
    }
    fn on_loss(&mut self, now: Instant, loss: Loss) {
        match loss {
            Loss::Timeout => self.timeouts += 1,
            Loss::Gap { packets } => {
                self.timeouts = 0;
                let share = f64::from(packets) / self.params.loss_horizon;
                self.lost_share = (self.lost_share + share).min(1.0);
                // No queue, so nothing overflowed: the path loses packets. Sending less would not
                // help, unless it is many of them, as where buffers are shorter than the target.
                if self.rtt < self.target() && self.lost_share < self.params.loss_tolerance {
                    return;
                }
            }
        }
        if self.timeouts >= self.params.timeout_reset {
            self.set(now, self.params.min_cwnd);
        } else if self.may_decrease(now) {
            self.set(now, self.cwnd * (1.0 - self.params.max_decrease));
        }
    }
    fn on_cnp(&mut self, _now: Instant) {}
    fn window_bytes(&self) -> u64 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "positive, clamped"
        )]
        let bytes = (self.cwnd.max(1.0) * self.mtu_bytes) as u64;
        bytes
    }
    /// Below a window of one packet: one packet per `rtt / cwnd`.
    fn release_at(&self, now: Instant, _bytes: u64) -> Instant {
        match self.last_send {
            Some(at) if self.cwnd < 1.0 => at + self.rtt.div_f64(self.cwnd),
            _ => now,
        }
    }
}
