//! The unacknowledged window: what each packet in flight was made of, and which of them are lost.
//!
//! A packet is not kept: it is made again from its work request or answer when it is lost.
//! Losses are found by transmission order, not by PSN, so a lost retransmission is found too.

use super::psn::{Bits, WINDOW};
use std::collections::VecDeque;
use wire::roce::native::Sack;

/// What a packet was made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Source {
    /// Work request of that sequence number in the send queue.
    Work(u64),
    /// Answer of that sequence number to the peer's READ or atomic.
    Answer(u64),
}

/// One packet of the window.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    pub(super) source: Source,
    /// First payload octet in the message.
    pub(super) offset: u32,
    /// Payload octets (immediate messages not counted).
    pub(super) len: u32,
    /// Carries the next work request as its immediate message.
    pub(super) fused: bool,
    /// Number of its latest transmission.
    order: u64,
    sent_us: u64,
}

/// A later transmission's acknowledgement that many transmissions on means that this one is lost.
const REORDER_PACKETS: u64 = 3;

/// Packets for which a new connection has memory.
const WINDOW_AT_FIRST: usize = 4;

/// The sending half of the packet stream.
#[derive(Debug)]
pub(super) struct Sender {
    /// From the oldest unacknowledged on. Its memory grows to what is used, and begins at the front
    /// again whenever all is acknowledged: a connection with little on its way touches one line.
    window: VecDeque<Sent>,
    /// Oldest unacknowledged.
    una: u64,
    /// Next new.
    next: u64,
    sacked: Bits,
    lost: Bits,
    /// Beyond the highest selectively acknowledged.
    sacked_end: u64,
    in_flight_bytes: u64,
    order: u64,
    /// Latest transmission known to have arrived.
    acked_order: u64,
    /// When the oldest suspect becomes lost by age.
    suspect_us: Option<u64>,
}

impl Sender {
    pub(super) fn new(first: u64) -> Sender {
        Sender {
            window: VecDeque::with_capacity(WINDOW_AT_FIRST),
            una: first,
            next: first,
            sacked: Bits::default(),
            lost: Bits::default(),
            sacked_end: first,
            in_flight_bytes: 0,
            order: REORDER_PACKETS,
            acked_order: 0,
            suspect_us: None,
        }
    }

    /// Asks the cache for the oldest packet.
    #[inline]
    pub(super) fn prefetch(&self) {
        memory::prefetch_value(self.window.as_slices().0.as_ptr());
    }
    pub(super) fn una(&self) -> u64 {
        self.una
    }
    pub(super) fn next(&self) -> u64 {
        self.next
    }
    pub(super) fn has_room(&self) -> bool {
        self.next - self.una < WINDOW
    }
    pub(super) fn is_empty(&self) -> bool {
        self.next == self.una
    }
    pub(super) fn in_flight_bytes(&self) -> u64 {
        self.in_flight_bytes
    }
    pub(super) fn suspect_us(&self) -> Option<u64> {
        self.suspect_us
    }
    /// The packet of that number, which must be in the window.
    pub(super) fn sent(&self, psn: u64) -> &Sent {
        debug_assert!((self.una..self.next).contains(&psn));
        &self.window[self.place(psn)]
    }
    fn place(&self, psn: u64) -> usize {
        usize::try_from(psn - self.una).expect("inside the window")
    }

    /// A new packet leaves; returns its number. Panics when the window is full.
    pub(super) fn push(
        &mut self,
        now: u64,
        source: Source,
        offset: u32,
        len: u32,
        fused: bool,
    ) -> u64 {
        assert!(self.has_room(), "window overrun");
        let psn = self.next;
        self.next += 1;
        self.order += 1;
        self.in_flight_bytes += u64::from(len);
        let order = self.order;
        self.window.push_back(Sent { source, offset, len, fused, order, sent_us: now });
        psn
    }

    /// The oldest lost packet.
    pub(super) fn first_lost(&self) -> Option<u64> {
        self.lost.next_set(self.una, self.next)
    }

    /// A lost packet leaves again.
    pub(super) fn resend(&mut self, now: u64, psn: u64) {
        if self.lost.clear(psn) {
            self.order += 1;
            let place = self.place(psn);
            let sent = &mut self.window[place];
            (sent.order, sent.sent_us) = (self.order, now);
            self.in_flight_bytes += u64::from(sent.len);
        }
    }

    /// Cumulative: everything before `upto` arrived. Returns payload octets newly acknowledged,
    /// `None` if `upto` was never sent (the peer's fault). Stale is no error.
    pub(super) fn acknowledge(&mut self, upto: u64) -> Option<u64> {
        if upto > self.next {
            return None;
        }
        let mut bytes = 0;
        while self.una < upto {
            let psn = self.una;
            if !self.sacked.clear(psn) {
                bytes += self.arrived(psn);
            }
            self.window.pop_front();
            self.una += 1;
        }
        if self.window.is_empty() {
            self.window.clear();
        }
        if self.sacked.count() == 0 {
            self.suspect_us = None;
        }
        Some(bytes)
    }

    /// Selective: that packet arrived. Returns payload octets newly acknowledged; numbers outside
    /// the window are ignored.
    pub(super) fn acknowledge_one(&mut self, psn: u64) -> u64 {
        if !(self.una..self.next).contains(&psn) || !self.sacked.set(psn) {
            return 0;
        }
        self.sacked_end = self.sacked_end.max(psn + 1);
        self.arrived(psn)
    }

    fn arrived(&mut self, psn: u64) -> u64 {
        let sent = *self.sent(psn);
        let bytes = u64::from(sent.len);
        if !self.lost.clear(psn) {
            self.in_flight_bytes -= bytes;
        }
        self.acked_order = self.acked_order.max(sent.order);
        bytes
    }

    /// Finds packets that must be lost, given what arrived. `reorder_us`: age at which an
    /// overtaken packet is lost. Returns how many were found.
    pub(super) fn detect_losses(&mut self, now: u64, reorder_us: u64) -> u32 {
        self.suspect_us = None;
        if self.sacked.count() == 0 {
            return 0;
        }
        let mut found = 0;
        for psn in self.una..self.sacked_end.min(self.next) {
            let sent = *self.sent(psn);
            if sent.order >= self.acked_order || self.sacked.get(psn) || self.lost.get(psn) {
                continue;
            }
            let due = sent.sent_us + reorder_us;
            if self.acked_order - sent.order >= REORDER_PACKETS || now >= due {
                self.mark_lost(psn);
                found += 1;
            } else {
                self.suspect_us = Some(self.suspect_us.map_or(due, |at| at.min(due)));
            }
        }
        found
    }

    /// The newest packet that is neither acknowledged nor lost is to be sent again: of those that a
    /// selective acknowledgement can speak of, or all that was lost before it would stay unknown.
    pub(super) fn probe_newest(&mut self) {
        let end = self.next.min(self.una + u64::from(Sack::BITS));
        let newest =
            (self.una..end).rev().find(|&psn| !self.sacked.get(psn) && !self.lost.get(psn));
        if let Some(psn) = newest {
            self.mark_lost(psn);
        }
    }
    /// The oldest packet is to be sent again.
    pub(super) fn probe_oldest(&mut self) {
        if !self.is_empty() {
            self.mark_lost(self.una);
        }
    }
    /// Everything that did not arrive is to be sent again: the receiver dropped what it had no
    /// receive for.
    pub(super) fn all_lost(&mut self) {
        for psn in self.una..self.next {
            self.mark_lost(psn);
        }
    }

    fn mark_lost(&mut self, psn: u64) {
        if !self.sacked.get(psn) && self.lost.set(psn) {
            self.in_flight_bytes -= u64::from(self.sent(psn).len);
        }
    }
}

#[cfg(test)]
#[path = "sender_tests.rs"]
mod tests;
