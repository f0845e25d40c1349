//! Queue pairs: two transports under one face.
//!
//! [`roce`] is what Linux rxe speaks (go-back-N); [`native`] is negotiated between two FlexBlk
//! endpoints (an address in every packet, selective repeat). Both are pure machines: inputs never
//! block and never call back, any interleaving of inputs and polls is legal, time is an argument.

mod facade;
pub mod native;
pub mod roce;
#[cfg(test)]
pub(crate) mod testing;

pub(crate) use facade::QpMachine;

use crate::Place;
use crate::cc::CongestionControl;
use crate::link::{Trailer, TxBatch};
use memory::Registry;
use std::time::Instant;
use verbs::{PostError, QpAttr, QpCaps, QpNum, ReceiveQueue, SendWr, Wc, WcStatus};

/// What a queue pair is made with.
pub struct QpConfig {
    /// Its number.
    pub qpn: QpNum,
    /// The connection's parameters.
    pub attr: QpAttr,
    /// What it can hold.
    pub caps: QpCaps,
    /// What follows the payload of its packets.
    pub trailer: Trailer,
    /// Congestion control of this connection.
    pub cc: Box<dyn CongestionControl>,
}

/// What a machine needs from its surroundings while it handles an input.
pub struct Cx<'a> {
    /// The time.
    pub now: Instant,
    /// Keys to memory.
    pub memory: &'a mut Registry,
    /// Where payload goes.
    pub place: &'a mut dyn Place,
    /// Posted receives: the queue pair's own, or shared.
    pub receives: &'a mut ReceiveQueue,
    /// Completions, in order. The endpoint moves them to the completion queues.
    pub wcs: &'a mut Vec<Wc>,
    /// What happened, by reason.
    pub counters: &'a mut Counters,
}

/// Sans-I/O face of a connected (RTS) transport machine.
///
/// Invariants: exactly one completion per signalled send and per taken receive, in posting order,
/// also on flush; placed data precedes its completion; no packet is emitted after `fail`.
pub trait Machine {
    /// The packet type of this wire mode.
    type Packet<'p>;
    /// Queues a send. Errors: `Full`, `Malformed`.
    fn post_send(&mut self, wr: SendWr) -> Result<(), PostError>;
    /// A packet for this queue pair arrived.
    fn handle_packet(&mut self, cx: &mut Cx<'_>, packet: &Self::Packet<'_>);
    /// `poll_timeout` has passed (early calls are harmless).
    fn handle_timeout(&mut self, cx: &mut Cx<'_>);
    /// A congestion notification packet arrived.
    fn handle_cnp(&mut self, now: Instant);
    /// When `handle_timeout` wants to be called.
    fn poll_timeout(&self) -> Option<Instant>;
    /// Appends packets to `out` while there is room and something may leave. Local key errors of
    /// posted work fail the queue pair with `LocProtErr` through `cx`.
    fn poll_transmit(&mut self, cx: &mut Cx<'_>, out: &mut TxBatch);
    /// `poll_transmit` would emit something now (not held by window, pacing or RNR).
    fn wants_transmit(&self, now: Instant) -> bool;
    /// To the error state: the oldest send completes with `status`, everything else posted
    /// (sends, then this queue pair's own receives) with `WrFlushErr`. Idempotent.
    fn fail(&mut self, cx: &mut Cx<'_>, status: WcStatus);
    /// In the error state.
    fn is_failed(&self) -> bool;
    /// Everything posted was acknowledged (SQ drained).
    fn is_idle(&self) -> bool;
}

/// Per-endpoint transport counters. Names in reports are the fields' own, prefixed "qp.".
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Counters {
    pub packets_in: u64,
    pub packets_out: u64,
    pub payload_bytes_in: u64,
    pub payload_bytes_out: u64,
    pub acks_in: u64,
    pub acks_out: u64,
    pub naks_in: u64,
    pub naks_out: u64,
    pub rnr_naks_in: u64,
    pub rnr_naks_out: u64,
    pub duplicates_in: u64,
    pub out_of_order_in: u64,
    pub retransmitted_packets: u64,
    pub timeouts: u64,
    pub probes_out: u64,
    pub cnps_in: u64,
    pub cnps_out: u64,
    pub ecn_marks_in: u64,
    pub invalid_requests_in: u64,
    pub access_errors_in: u64,
    pub stale_in: u64,
}

impl Counters {
    /// Each by its name in reports.
    pub(crate) fn report(&self, report: &mut dyn FnMut(&'static str, u64)) {
        report("qp.packets_in", self.packets_in);
        report("qp.packets_out", self.packets_out);
        report("qp.payload_bytes_in", self.payload_bytes_in);
        report("qp.payload_bytes_out", self.payload_bytes_out);
        report("qp.acks_in", self.acks_in);
        report("qp.acks_out", self.acks_out);
        report("qp.naks_in", self.naks_in);
        report("qp.naks_out", self.naks_out);
        report("qp.rnr_naks_in", self.rnr_naks_in);
        report("qp.rnr_naks_out", self.rnr_naks_out);
        report("qp.duplicates_in", self.duplicates_in);
        report("qp.out_of_order_in", self.out_of_order_in);
        report("qp.retransmitted_packets", self.retransmitted_packets);
        report("qp.timeouts", self.timeouts);
        report("qp.probes_out", self.probes_out);
        report("qp.cnps_in", self.cnps_in);
        report("qp.cnps_out", self.cnps_out);
        report("qp.ecn_marks_in", self.ecn_marks_in);
        report("qp.invalid_requests_in", self.invalid_requests_in);
        report("qp.access_errors_in", self.access_errors_in);
        report("qp.stale_in", self.stale_in);
    }
}
