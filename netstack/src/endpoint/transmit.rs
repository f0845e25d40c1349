//! Whose turn it is to send.

use super::Endpoint;
use crate::Place;
use crate::link::{Trailer, Transmit, TxBatch};
use std::time::Instant;
use verbs::SgeList;
use wire::roce::{Header, Opcode, Psn};

/// Packets of one queue pair before the next one's turn: as many as one GSO call takes at a path
/// MTU of 1,024, so that fairness does not cost bursts.
const TURN: usize = 64;

/// Octets that a congestion notification packet carries, all reserved.
const CNP_RESERVED: usize = 16;

impl Endpoint {
    /// Appends packets to `out` while there is room: connection management and congestion
    /// notifications first, then queue pairs in turn, each one's packets next to each other. True
    /// when more waits for room.
    pub fn poll_transmit(
        &mut self,
        now: Instant,
        place: &mut dyn Place,
        out: &mut TxBatch,
    ) -> bool {
        self.cm.poll_transmit(out);
        self.emit_cnps(out);
        let mut fruitless = 0;
        while out.room() > 0 && fruitless < self.ready.len() {
            let Some(key) = self.ready.pop_front() else { break };
            let Some(qp) = self.qps.get_mut(key) else { continue };
            qp.is_queued = false;
            let before = out.packets().len();
            out.begin_turn(TURN);
            self.run(key, now, place, |machine, cx| machine.poll_transmit(cx, out));
            out.end_turn();
            self.finish_if_silent(now, key);
            fruitless = if out.packets().len() > before { 0 } else { fruitless + 1 };
        }
        self.wants_transmit()
    }

    /// Something may be sent, if there is room.
    pub(super) fn wants_transmit(&self) -> bool {
        !self.ready.is_empty() || !self.cnps.is_empty() || self.cm.wants_transmit()
    }

    /// A failed queue pair may have a refusal to send before it goes.
    fn finish_if_silent(&mut self, now: Instant, key: u32) {
        let silent = self.qps.get(key).is_some_and(|qp| {
            let failed = qp.machine.as_ref().is_some_and(|machine| machine.is_failed());
            failed && !qp.is_queued && !qp.is_over
        });
        if silent {
            self.finish(now, key);
        }
    }

    fn emit_cnps(&mut self, out: &mut TxBatch) {
        while out.room() > 0 {
            let Some((to, dest_qp)) = self.cnps.pop_front() else { return };
            let mut header = Header::new(Opcode::Cnp, dest_qp, Psn::ZERO);
            header.bth.becn = true;
            let payload = SgeList::from_slice(&[self.cm.zeros()]);
            let header = header.emit(CNP_RESERVED);
            out.push(Transmit { to, header, payload, pad: 0, trailer: Trailer::Icrc });
            self.qp_counters.cnps_out += 1;
        }
    }
}
