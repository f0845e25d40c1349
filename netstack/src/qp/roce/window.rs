//! The requester's window: what is sent and not acknowledged, in packets and in octets.

use super::sequence::Seq;

/// A message this long without a request for an acknowledgement asks for one.
const PACKETS_PER_ACK_MAX: u32 = 64;

/// Three points on the circle, `una <= next <= sent_end`, and what lies between the first two.
/// After a loss `next` goes back to `una` (go-back-N).
#[derive(Debug)]
pub(super) struct Window {
    una: Seq,
    next: Seq,
    sent_end: Seq,
    in_flight_bytes: u64,
    psns_max: u64,
    unasked: u32,
}

impl Window {
    pub(super) fn new(first: Seq, psns_max: u32) -> Window {
        Window {
            una: first,
            next: first,
            sent_end: first,
            in_flight_bytes: 0,
            psns_max: u64::from(psns_max),
            unasked: 0,
        }
    }
    /// The oldest PSN that is not acknowledged.
    pub(super) fn una(&self) -> Seq {
        self.una
    }
    /// The PSN of the packet that leaves next.
    pub(super) fn next(&self) -> Seq {
        self.next
    }
    /// One past the newest PSN that was ever sent.
    pub(super) fn sent_end(&self) -> Seq {
        self.sent_end
    }
    /// Sent at some time, and not acknowledged.
    pub(super) fn awaits(&self, seq: Seq) -> bool {
        self.una <= seq && seq < self.sent_end
    }
    /// Something was sent (since the last loss) and is not acknowledged.
    pub(super) fn is_in_flight(&self) -> bool {
        self.una < self.next
    }
    pub(super) fn in_flight_bytes(&self) -> u64 {
        self.in_flight_bytes
    }
    /// `bytes` more may be in flight when `window_bytes` may. One packet always may.
    pub(super) fn admits(&self, bytes: u32, window_bytes: u64) -> bool {
        let fits = self.in_flight_bytes + u64::from(bytes) <= window_bytes;
        self.next - self.una < self.psns_max && (fits || self.next == self.una)
    }
    /// The packet `next` leaves; it takes `psns` numbers and puts `bytes` in flight (for a READ
    /// those of its response). Returns whether (part of) it was sent before.
    pub(super) fn on_send(&mut self, psns: u32, bytes: u32) -> bool {
        let again = self.next < self.sent_end;
        self.next = self.next + psns;
        self.sent_end = self.sent_end.max(self.next);
        self.in_flight_bytes += u64::from(bytes);
        again
    }
    /// Whether the packet that just left asks for an acknowledgement: at the end of a message,
    /// every 64 packets, and when nothing more may leave before one comes.
    pub(super) fn asks_for_ack(&mut self, ends: bool, is_full: bool) -> bool {
        self.unasked += 1;
        let asks = ends || is_full || self.unasked >= PACKETS_PER_ACK_MAX;
        if asks {
            self.unasked = 0;
        }
        asks
    }
    /// Everything before `upto` is acknowledged; `bytes` of it were in flight.
    pub(super) fn on_ack(&mut self, upto: Seq, bytes: u64) {
        self.una = self.una.max(upto);
        if self.next <= self.una {
            self.next = self.una;
            self.in_flight_bytes = 0;
        } else {
            self.in_flight_bytes = self.in_flight_bytes.saturating_sub(bytes);
        }
    }
    /// Everything unacknowledged will be sent again.
    pub(super) fn go_back(&mut self) {
        self.next = self.una;
        self.in_flight_bytes = 0;
        self.unasked = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the window closes by packets and by octets, and one packet always may leave.
    #[test]
    fn closes_by_packets_and_by_octets() {
        let first = Seq::start(0xff_ffff);
        let mut window = Window::new(first, 2);
        assert!(window.admits(4096, 100), "nothing in flight");
        assert!(!window.on_send(1, 4096));
        assert!(!window.admits(1, 4096), "octets");
        assert!(window.admits(1, 4097));
        window.on_send(1, 1);
        assert!(!window.admits(1, 1 << 20), "packets");
        window.on_ack(first + 1, 4096);
        assert_eq!(window.in_flight_bytes(), 1);
        assert!(window.admits(1, 1 << 20));
    }

    /// Goal: going back empties the flight; an acknowledgement beyond the new position moves it.
    #[test]
    fn goes_back_and_catches_up() {
        let first = Seq::start(7);
        let mut window = Window::new(first, 128);
        for _ in 0..3 {
            window.on_send(1, 100);
        }
        window.go_back();
        assert!(!window.is_in_flight() && window.awaits(first + 2));
        assert!(window.on_send(1, 100), "sent before");
        window.on_ack(first + 2, 200);
        assert_eq!((window.una(), window.in_flight_bytes()), (first + 2, 0));
        assert!(window.on_send(1, 100), "the third, again");
        assert!(!window.on_send(1, 100), "a new one");
    }
}
