//! What the responder remembers to answer duplicates: READs (executed again, against memory as it
//! is and with all checks) and atomics (never executed again: the saved result is sent again).
//! Source: IBTA 1.4, "Responder: Duplicate requests" and "RDMA READ resources".

use super::sequence::Seq;
use memory::Rkey;
use std::collections::VecDeque;

/// A READ or an atomic that was executed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Saved {
    first: Seq,
    what: What,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum What {
    Read(ReadSpan),
    Atomic(u64),
}

/// The span that a READ request names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct ReadSpan {
    pub(super) rkey: Rkey,
    pub(super) addr: u64,
    pub(super) len: u32,
}

/// The newest READs and atomics, oldest first; capacity is `max_dest_rd_atomic`.
#[derive(Debug)]
pub(super) struct Replay {
    saved: VecDeque<Saved>,
    capacity: usize,
}

impl Replay {
    pub(super) fn new(capacity: usize) -> Replay {
        Replay { saved: VecDeque::with_capacity(capacity), capacity }
    }
    pub(super) fn save_read(&mut self, first: Seq, span: ReadSpan) {
        self.save(Saved { first, what: What::Read(span) });
    }
    pub(super) fn save_atomic(&mut self, first: Seq, old: u64) {
        self.save(Saved { first, what: What::Atomic(old) });
    }
    fn save(&mut self, saved: Saved) {
        if self.saved.len() == self.capacity {
            self.saved.pop_front();
        }
        self.saved.push_back(saved);
    }
    /// The result of the atomic `seq`, if it is still known.
    pub(super) fn atomic(&self, seq: Seq) -> Option<u64> {
        self.saved.iter().find_map(|saved| match saved.what {
            What::Atomic(old) if saved.first == seq => Some(old),
            What::Atomic(_) | What::Read(_) => None,
        })
    }
    /// `span`, asked for again from `seq` on, is a READ that was executed, or the rest of one that
    /// starts at a packet boundary.
    pub(super) fn knows_read(&self, seq: Seq, span: ReadSpan, mtu: u32) -> bool {
        self.saved.iter().any(|saved| match saved.what {
            What::Read(whole) => is_rest_of(saved.first, whole, seq, span, mtu),
            What::Atomic(_) => false,
        })
    }
}

fn is_rest_of(first: Seq, whole: ReadSpan, seq: Seq, span: ReadSpan, mtu: u32) -> bool {
    if seq < first || span.rkey != whole.rkey {
        return false;
    }
    let skipped = (seq - first).saturating_mul(u64::from(mtu));
    let end = skipped.saturating_add(u64::from(span.len));
    whole.addr.wrapping_add(skipped) == span.addr && end <= u64::from(whole.len)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the whole and a rest at a packet boundary are known; anything else is not.
    #[test]
    fn subsets_of_a_read() {
        let first = Seq::start(0xff_ffff);
        let span = |addr, len| ReadSpan { rkey: Rkey(1), addr, len };
        let mut replay = Replay::new(2);
        replay.save_read(first, span(1000, 1000));
        let known = |seq, span| replay.knows_read(seq, span, 256);
        assert!(known(first, span(1000, 1000)));
        assert!(known(first + 2, span(1512, 488)));
        assert!(!known(first + 2, span(1512, 489)), "beyond the end");
        assert!(!known(first + 2, span(1511, 400)), "not at the packet's address");
        assert!(!known(first, ReadSpan { rkey: Rkey(2), addr: 1000, len: 1000 }));
        assert!(!known(first.previous(), span(744, 10)));
    }

    /// Goal: only the newest are kept.
    #[test]
    fn capacity_is_a_bound() {
        let first = Seq::start(3);
        let mut replay = Replay::new(2);
        for n in 0..3 {
            replay.save_atomic(first + n, u64::from(n));
        }
        assert_eq!([0, 1, 2].map(|n| replay.atomic(first + n)), [None, Some(1), Some(2)]);
    }
}
