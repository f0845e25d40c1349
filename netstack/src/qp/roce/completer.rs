//! The requester's receiving half: acknowledgements, READ responses, atomics' results.
//! Source: IBTA 1.4, "Requester behaviour: Responses".

use super::flow::Flow;
use super::landing::land;
use super::requester::Requester;
use super::sequence::Seq;
use crate::qp::Cx;
use verbs::WcStatus;
use wire::roce::{NakCode, Packet, Psn, RnrTimer, Syndrome};

impl Requester {
    /// An acknowledgement of any kind. It acknowledges everything before `psn`, and `psn` too if
    /// it is positive. Stale and duplicate ones are no error.
    ///
    /// Errors: the status with which the oldest send fails.
    pub(super) fn handle_ack(
        &mut self,
        cx: &mut Cx<'_>,
        flow: &mut Flow,
        psn: Psn,
        syndrome: Syndrome,
    ) -> Result<(), WcStatus> {
        let Some(seq) = self.awaited(cx, psn) else { return Ok(()) };
        match syndrome {
            Syndrome::Ack { .. } => {
                cx.counters.acks_in += 1;
                if self.acknowledge(cx, flow, seq + 1) { self.on_gap(cx.now, flow) } else { Ok(()) }
            }
            Syndrome::RnrNak(timer) => {
                cx.counters.rnr_naks_in += 1;
                if self.acknowledge(cx, flow, seq) {
                    return self.on_gap(cx.now, flow);
                }
                self.on_rnr(cx, timer)
            }
            Syndrome::Nak(code) => {
                cx.counters.naks_in += 1;
                if self.acknowledge(cx, flow, seq) {
                    return self.on_gap(cx.now, flow);
                }
                self.on_nak(cx, flow, code)
            }
            Syndrome::Reserved(_) => {
                cx.counters.stale_in += 1;
                Ok(())
            }
        }
    }

    /// The unwrapped PSN, if an answer to it is awaited.
    fn awaited(&self, cx: &mut Cx<'_>, psn: Psn) -> Option<Seq> {
        let seq = Seq::near(self.window.una(), psn);
        let awaited = self.window.awaits(seq);
        cx.counters.stale_in += u64::from(!awaited);
        awaited.then_some(seq)
    }

    fn on_nak(&mut self, cx: &mut Cx<'_>, flow: &mut Flow, code: NakCode) -> Result<(), WcStatus> {
        match code {
            NakCode::PsnSequenceError => self.on_gap(cx.now, flow),
            NakCode::InvalidRequest => Err(WcStatus::RemInvReqErr),
            NakCode::RemoteAccess => Err(WcStatus::RemAccessErr),
            NakCode::RemoteOperational => Err(WcStatus::RemOpErr),
            NakCode::InvalidRdRequest | NakCode::Other(_) => Err(WcStatus::BadRespErr),
        }
    }

    /// The oldest request found no receive: it is sent again after the pause.
    fn on_rnr(&mut self, cx: &mut Cx<'_>, timer: RnrTimer) -> Result<(), WcStatus> {
        if !self.window.is_in_flight() {
            return Ok(()); // went back already: a duplicate
        }
        self.rnr.start(cx.now, timer).map_err(|_| WcStatus::RnrRetryExcErr)?;
        self.go_back();
        Ok(())
    }

    /// A packet of a READ's response. It acknowledges everything before it.
    ///
    /// Errors: as for `handle_ack`; `BadRespErr` when it does not fit the request.
    pub(super) fn handle_read_response(
        &mut self,
        cx: &mut Cx<'_>,
        flow: &mut Flow,
        packet: &Packet<'_>,
    ) -> Result<(), WcStatus> {
        let Some(seq) = self.awaited(cx, packet.bth.psn) else { return Ok(()) };
        if self.acknowledge(cx, flow, seq) {
            cx.counters.out_of_order_in += 1;
            return self.on_gap(cx.now, flow);
        }
        let read = self.queue.front().filter(|head| head.is_read()).ok_or(WcStatus::BadRespErr)?;
        let index = seq.index_from(read.first);
        let offset = index * self.mtu;
        let expected = (read.len - offset).min(self.mtu);
        let ends = index + 1 == read.packets;
        if packet.payload.len() != expected as usize || packet.bth.opcode.ends_message() != ends {
            return Err(WcStatus::BadRespErr);
        }
        land(cx.memory, cx.place, &read.wr.sges, offset, packet.payload)
            .map_err(|_| WcStatus::LocProtErr)?;
        cx.counters.payload_bytes_in += u64::from(expected);
        let sent_at = read.sent_at.filter(|_| index == 0);
        let len = read.len;
        if ends {
            self.retire(cx, len);
        }
        self.on_progress(cx.now, flow, seq + 1, u64::from(expected), sent_at);
        Ok(())
    }

    /// The result of an atomic. It acknowledges everything before it.
    ///
    /// Errors: as for `handle_read_response`.
    pub(super) fn handle_atomic_ack(
        &mut self,
        cx: &mut Cx<'_>,
        flow: &mut Flow,
        psn: Psn,
        old: u64,
    ) -> Result<(), WcStatus> {
        let Some(seq) = self.awaited(cx, psn) else { return Ok(()) };
        if self.acknowledge(cx, flow, seq) {
            return self.on_gap(cx.now, flow);
        }
        let head =
            self.queue.front().filter(|head| head.is_atomic()).ok_or(WcStatus::BadRespErr)?;
        land(cx.memory, cx.place, &head.wr.sges, 0, &old.to_ne_bytes())
            .map_err(|_| WcStatus::LocProtErr)?;
        let sent_at = head.sent_at;
        self.retire(cx, 8);
        self.on_progress(cx.now, flow, seq + 1, 8, sent_at);
        Ok(())
    }
}
