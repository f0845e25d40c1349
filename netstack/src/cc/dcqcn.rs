//! DCQCN: a rate steered by congestion notification packets, as RoCE NICs do it.
//!
//! Source: "Congestion Control for Large-Scale RDMA Deployments" (SIGCOMM 2015), the reaction
//! point of its section 3. Timers are not armed: elapsed periods are caught up with whenever the
//! flow sends, is acknowledged or is notified.

use super::{AckSample, CongestionControl, Loss, as_f64};
use std::time::{Duration, Instant};

/// Constants of the algorithm. Rates in octets per second.
#[derive(Clone, Copy, Debug)]
pub struct Params {
    /// Rate at which a flow starts, and that it never exceeds.
    pub line_rate: f64,
    /// Rate below which no cut goes.
    pub min_rate: f64,
    /// Gain of the congestion estimate.
    pub gain: f64,
    /// Period without notification after which the congestion estimate decays.
    pub alpha_period: Duration,
    /// Period of the increase timer.
    pub increase_period: Duration,
    /// Octets per event of the increase counter.
    pub increase_bytes: u64,
    /// Events of fast recovery before the target rate itself grows.
    pub recovery_stages: u32,
    /// Target rate's step in additive increase.
    pub additive_step: f64,
    /// Target rate's step in hyper increase.
    pub hyper_step: f64,
    /// Shortest interval between two cuts for marks that acknowledgements tell of, as a receiver of
    /// RoCEv2 keeps between two notifications.
    pub cut_interval: Duration,
    /// Octets in flight: a limit for when the network falls silent.
    pub window_bytes: u64,
}

impl Default for Params {
    fn default() -> Params {
        Params {
            line_rate: 5e9,
            min_rate: 1.25e6,
            gain: 1.0 / 256.0,
            alpha_period: Duration::from_micros(55),
            increase_period: Duration::from_micros(55),
            increase_bytes: 10 << 20,
            recovery_stages: 5,
            additive_step: 5e6,
            hyper_step: 5e7,
            cut_interval: Duration::from_micros(50),
            window_bytes: 2 << 20,
        }
    }
}

/// Most timer periods that are replayed one by one; after more, the flow was idle for so long
/// that it is at line rate anyway.
const CATCH_UP_MAX: u32 = 4096;

/// One flow's rate.
#[derive(Clone, Debug)]
pub struct Dcqcn {
    params: Params,
    /// Current rate.
    rate: f64,
    /// Rate to return to.
    target: f64,
    /// Congestion estimate, 0 to 1.
    alpha: f64,
    alpha_at: Option<Instant>,
    timer_at: Option<Instant>,
    timer_events: u32,
    byte_events: u32,
    bytes: u64,
    cut_at: Option<Instant>,
    /// When the link is free for the next packet at the current rate.
    free_at: Option<Instant>,
}

impl Dcqcn {
    /// A flow that starts at line rate.
    #[must_use]
    pub fn new(params: Params) -> Dcqcn {
        Dcqcn {
            rate: params.line_rate,
            target: params.line_rate,
            alpha: 1.0,
            alpha_at: None,
            timer_at: None,
            timer_events: 0,
            byte_events: 0,
            bytes: 0,
            cut_at: None,
            free_at: None,
            params,
        }
    }

    /// Octets per second now.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.rate
    }

    /// Replays the timer periods that passed since the last call.
    fn catch_up(&mut self, now: Instant) {
        let p = self.params;
        if self.rate >= p.line_rate {
            (self.timer_at, self.alpha_at) = (Some(now), Some(now));
            return;
        }
        for _ in 0..elapsed_periods(&mut self.alpha_at, now, p.alpha_period) {
            self.alpha *= 1.0 - p.gain;
        }
        for _ in 0..elapsed_periods(&mut self.timer_at, now, p.increase_period) {
            self.timer_events += 1;
            self.increase();
        }
    }

    /// One increase event: fast recovery, then additive, then hyper increase.
    fn increase(&mut self) {
        let p = &self.params;
        let most = self.timer_events.max(self.byte_events);
        let least = self.timer_events.min(self.byte_events);
        if least > p.recovery_stages {
            let step = f64::from(least - p.recovery_stages) * p.hyper_step;
            self.target += step;
        } else if most > p.recovery_stages {
            self.target += p.additive_step;
        }
        self.target = self.target.min(p.line_rate);
        self.rate = f64::midpoint(self.rate, self.target).min(p.line_rate);
        if self.rate > p.line_rate * 0.999 {
            self.rate = p.line_rate;
        }
    }

    fn cut(&mut self, now: Instant) {
        self.cut_at = Some(now);
        self.target = self.rate;
        self.rate = (self.rate * (1.0 - self.alpha / 2.0)).max(self.params.min_rate);
        self.alpha = (1.0 - self.params.gain) * self.alpha + self.params.gain;
        (self.timer_at, self.alpha_at) = (Some(now), Some(now));
        (self.timer_events, self.byte_events, self.bytes) = (0, 0, 0);
    }
}

/// Whole periods since `at`, which moves on by them; at most [`CATCH_UP_MAX`].
fn elapsed_periods(at: &mut Option<Instant>, now: Instant, period: Duration) -> u32 {
    let start = *at.get_or_insert(now);
    let elapsed = now.saturating_duration_since(start).as_nanos();
    let periods = elapsed / period.as_nanos().max(1);
    let Some(count) = u32::try_from(periods).ok().filter(|&n| n <= CATCH_UP_MAX) else {
        *at = Some(now);
        return CATCH_UP_MAX;
    };
    *at = Some(start + period * count);
    count
}

impl CongestionControl for Dcqcn {
    fn name(&self) -> &'static str {
        "dcqcn"
    }
    fn on_send(&mut self, now: Instant, bytes: u64) {
        self.catch_up(now);
        self.bytes += bytes;
        if self.bytes >= self.params.increase_bytes {
            self.bytes = 0;
            self.byte_events += 1;
            self.increase();
        }
        let start = self.free_at.map_or(now, |at| at.max(now));
        self.free_at = Some(start + Duration::from_secs_f64(as_f64(bytes) / self.rate));
    }
    fn on_ack(&mut self, sample: &AckSample) {
        self.catch_up(sample.now);
        let interval = self.params.cut_interval;
        let is_due = |at: Instant| sample.now.saturating_duration_since(at) >= interval;
        if sample.ecn && self.cut_at.is_none_or(is_due) {
            self.cut(sample.now);
        }
    }
    /// Losses say nothing in DCQCN's lossless network. Here a silence means severe congestion.
    fn on_loss(&mut self, now: Instant, loss: Loss) {
        if loss == Loss::Timeout {
            self.catch_up(now);
            self.cut(now);
        }
    }
    fn on_cnp(&mut self, now: Instant) {
        self.catch_up(now);
        self.cut(now);
    }
    fn window_bytes(&self) -> u64 {
        self.params.window_bytes
    }
    fn release_at(&self, now: Instant, _bytes: u64) -> Instant {
        // At line rate the link itself paces: a burst may leave in one system call.
        match self.free_at {
            Some(at) if self.rate < self.params.line_rate => at,
            _ => now,
        }
    }
}
