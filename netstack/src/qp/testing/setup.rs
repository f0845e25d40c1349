//! What a test may choose about a connection and its wire.

use crate::cc::{AckSample, CongestionControl, Loss};
use crate::link::Trailer;
use crate::qp::QpConfig;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};
use verbs::{QpAttr, QpCaps, QpNum};

/// The wire's behaviour, in probabilities of 1/1,000.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Faults {
    /// One way.
    pub(crate) latency: Duration,
    /// Never arrives, or arrives with a wrong ICRC.
    pub(crate) loss_permille: u64,
    /// Arrives twice, the second time up to `late_max` later.
    pub(crate) duplicate_permille: u64,
    /// Arrives up to `late_max` late.
    pub(crate) reorder_permille: u64,
    /// See above.
    pub(crate) late_max: Duration,
}

impl Default for Faults {
    fn default() -> Faults {
        Faults {
            latency: Duration::from_micros(10),
            loss_permille: 0,
            duplicate_permille: 0,
            reorder_permille: 0,
            late_max: Duration::from_micros(50),
        }
    }
}

/// What happens to one packet, as a script decides.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(dead_code, reason = "a vocabulary; each transport's tests use a part")]
pub(crate) enum Fate {
    Deliver,
    Drop,
    Duplicate,
    Delay(Duration),
}

/// One packet that was sent.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    /// When.
    pub(crate) at: Instant,
    /// Side that sent it: 0 or 1.
    pub(crate) from: usize,
    /// Header, payload, pad.
    pub(crate) octets: Vec<u8>,
}

/// A script: called for each packet in order, after it was added to the trace.
pub(crate) type Script = Box<dyn FnMut(&Sent) -> Fate>;

/// What a test may choose about a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    pub(crate) mtu: u32,
    /// First PSN of side 0, and of side 1.
    pub(crate) psn: [u32; 2],
    pub(crate) max_rd_atomic: u8,
    pub(crate) timeout: u8,
    pub(crate) retry_cnt: u8,
    pub(crate) rnr_retry: u8,
    pub(crate) caps: QpCaps,
    pub(crate) trailer: Trailer,
    /// Congestion window, in octets.
    pub(crate) window_bytes: u64,
    /// Octets of each side's region.
    pub(crate) region_bytes: usize,
    pub(crate) faults: Faults,
    pub(crate) seed: u64,
}

impl Default for Setup {
    fn default() -> Setup {
        Setup {
            mtu: 1024,
            psn: [100, 5000],
            max_rd_atomic: 4,
            timeout: 8,
            retry_cnt: 6,
            rnr_retry: 6,
            caps: QpCaps::default(),
            trailer: Trailer::Icrc,
            window_bytes: 1 << 20,
            region_bytes: 1 << 20,
            faults: Faults::default(),
            seed: 1,
        }
    }
}

/// A congestion window that never moves.
#[derive(Debug)]
pub(crate) struct ConstantWindow(pub(crate) u64);

impl CongestionControl for ConstantWindow {
    fn name(&self) -> &'static str {
        "constant"
    }
    fn on_send(&mut self, _now: Instant, _bytes: u64) {}
    fn on_ack(&mut self, _sample: &AckSample) {}
    fn on_loss(&mut self, _now: Instant, _loss: Loss) {}
    fn on_cnp(&mut self, _now: Instant) {}
    fn window_bytes(&self) -> u64 {
        self.0
    }
    fn release_at(&self, now: Instant, _bytes: u64) -> Instant {
        now
    }
}

/// The address of a side.
pub(crate) fn address(index: usize) -> SocketAddr {
    let host = if index == 0 { 1 } else { 2 };
    SocketAddr::from((Ipv4Addr::new(10, 0, 0, host), crate::link::ROCE_PORT))
}

/// The queue pair number of a side.
pub(crate) fn qpn(index: usize) -> QpNum {
    QpNum::new(if index == 0 { 0x11 } else { 0x12 })
}

/// A side's configuration.
pub(crate) fn config(index: usize, setup: &Setup) -> QpConfig {
    let attr = QpAttr {
        dest_qp: qpn(index ^ 1),
        dest: address(index ^ 1),
        path_mtu_bytes: setup.mtu,
        sq_psn: setup.psn[index],
        rq_psn: setup.psn[index ^ 1],
        max_rd_atomic: setup.max_rd_atomic,
        max_dest_rd_atomic: setup.max_rd_atomic,
        timeout: setup.timeout,
        retry_cnt: setup.retry_cnt,
        rnr_retry: setup.rnr_retry,
        min_rnr_timer: 1,
    };
    let cc = Box::new(ConstantWindow(setup.window_bytes));
    QpConfig { qpn: qpn(index), attr, caps: setup.caps, trailer: setup.trailer, cc }
}
