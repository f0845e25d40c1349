//! What is to be sent, in order: octets of headers, and pieces of registered memory. Pure.

use memory::{Access, AccessError, Registry, Rkey, Sge, Span};
use std::collections::VecDeque;
use wire::nvme_tcp::{Framing, Pdu};

/// Octets that were sent are thrown out of the buffer once there are so many.
const COMPACT_BYTES: usize = 64 << 10;

/// A stretch of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece {
    /// The next octets of [`Outbox::octets`].
    Octets(u32),
    /// Memory of this side's own work.
    Local(Sge),
    /// Memory that was registered for the peer: the key is the peer's.
    Lent(Sge),
}

impl Piece {
    fn len(&self) -> u32 {
        match self {
            Piece::Octets(length) => *length,
            Piece::Local(sge) | Piece::Lent(sge) => sge.length,
        }
    }
}

/// What follows when everything up to a place of the stream was handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// Work is done.
    Work { token: u64, signaled: bool },
    /// The R2T of this command was answered.
    Answered { cid: u16 },
}

/// Memory, as the stream names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// Of this side's own work.
    Local(Sge),
    /// Registered for the peer.
    Lent(Sge),
}

impl Source {
    /// The octets. Errors: the key does not cover them (any more).
    pub(super) fn span(self, memory: &Registry) -> Result<Span<'_>, AccessError> {
        match self {
            Source::Local(sge) => memory.local(sge, Access::LOCAL_READ),
            Source::Lent(Sge { addr, length, lkey }) => {
                memory.remote(Rkey(lkey.0), addr, length, Access::REMOTE_READ)
            }
        }
    }
}

/// One element of a gathered send.
pub(super) enum Element<'a> {
    Octets(&'a [u8]),
    Span(Span<'a>),
}

#[derive(Debug, Default)]
pub(super) struct Outbox {
    octets: Vec<u8>,
    /// Octets at the front of those that were sent.
    octets_sent: usize,
    pieces: VecDeque<Piece>,
    /// Octets of the first piece that were sent.
    front_sent: u32,
    then: VecDeque<(u64, Then)>,
    /// Octets of the stream: queued ever, sent ever.
    queued: u64,
    sent: u64,
}

impl Outbox {
    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Queues a header; `data_bytes` octets are to follow.
    pub(super) fn header(&mut self, pdu: &Pdu, framing: &Framing, data_bytes: u32) {
        let before = self.octets.len();
        pdu.encode(framing, data_bytes, &mut self.octets);
        self.extended(before);
    }
    /// Queues octets: a data digest, a whole PDU.
    pub(super) fn octets(&mut self, with: impl FnOnce(&mut Vec<u8>)) {
        let before = self.octets.len();
        with(&mut self.octets);
        self.extended(before);
    }
    fn extended(&mut self, before: usize) {
        let length = u32::try_from(self.octets.len() - before).unwrap_or(u32::MAX);
        self.queued += u64::from(length);
        // Headers that follow each other leave as one element.
        if let Some(Piece::Octets(last)) = self.pieces.back_mut() {
            *last += length;
        } else {
            self.pieces.push_back(Piece::Octets(length));
        }
    }
    /// Queues memory, which stays where it is until it was sent.
    pub(super) fn memory(&mut self, source: Source) {
        let piece = match source {
            Source::Local(sge) => Piece::Local(sge),
            Source::Lent(sge) => Piece::Lent(sge),
        };
        if piece.len() > 0 {
            self.queued += u64::from(piece.len());
            self.pieces.push_back(piece);
        }
    }
    /// To be told when all that is queued so far was handed over.
    pub(super) fn mark(&mut self, then: Then) {
        self.then.push_back((self.queued, then));
    }

    /// What waits, from the front, in elements. Errors: a key that does not cover its memory any more.
    pub(super) fn elements<'a>(
        &'a self,
        memory: &'a Registry,
    ) -> impl Iterator<Item = Result<Element<'a>, AccessError>> {
        let mut octets = &self.octets[self.octets_sent..];
        let mut skip = self.front_sent;
        self.pieces.iter().map(move |piece| {
            let skipped = std::mem::take(&mut skip);
            let source = match piece {
                Piece::Octets(length) => {
                    let (now, later) = octets.split_at((length - skipped) as usize);
                    octets = later;
                    return Ok(Element::Octets(now));
                }
                Piece::Local(sge) => Source::Local(sge.slice(skipped, u32::MAX)),
                Piece::Lent(sge) => Source::Lent(sge.slice(skipped, u32::MAX)),
            };
            source.span(memory).map(Element::Span)
        })
    }

    /// `count` octets were handed over. What follows from that comes from [`Outbox::poll_then`].
    pub(super) fn handle_sent(&mut self, count: u64) {
        self.sent += count;
        let mut left = count;
        while let Some(piece) = self.pieces.front() {
            let missing = u64::from(piece.len() - self.front_sent);
            let now = left.min(missing);
            left -= now;
            #[expect(clippy::cast_possible_truncation, reason = "within one piece")]
            {
                if matches!(piece, Piece::Octets(_)) {
                    self.octets_sent += now as usize;
                }
                self.front_sent += now as u32;
            }
            if now < missing {
                break;
            }
            self.pieces.pop_front();
            self.front_sent = 0;
        }
        assert!(left == 0, "{left} octets more than were queued");
        self.compact();
    }
    fn compact(&mut self) {
        if self.octets_sent == self.octets.len() {
            self.octets.clear();
            self.octets_sent = 0;
        } else if self.octets_sent >= COMPACT_BYTES {
            self.octets.drain(..self.octets_sent);
            self.octets_sent = 0;
        }
    }
    /// The next thing that follows from what was handed over.
    pub(super) fn poll_then(&mut self) -> Option<Then> {
        let sent = self.sent;
        self.then.pop_front_if(|(at, _)| *at <= sent).map(|(_, then)| then)
    }
    /// Nothing more is sent: what would have followed, in order.
    pub(super) fn abandon(&mut self) -> impl Iterator<Item = Then> + '_ {
        self.pieces.clear();
        self.octets.clear();
        (self.octets_sent, self.front_sent, self.sent) = (0, 0, self.queued);
        self.then.drain(..).map(|(_, then)| then)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use memory::Region;

    /// Goal: whatever the kernel takes at a time, the stream is what was queued, in order, and each
    /// mark is told exactly when its octets were handed over.
    #[test]
    fn any_partial_sends_make_the_same_stream() {
        let region = Region::allocate(4096).unwrap();
        let content: Vec<u8> = (0..4096_u32).map(|i| (i % 251).to_le_bytes()[0]).collect();
        region.write(0, &content);
        let mut memory = Registry::new(4, 1);
        let mr = memory.register(&region, Access::LOCAL_WRITE | Access::REMOTE_READ).unwrap();
        let sge = |skip, length| Sge { addr: mr.addr + skip, length, lkey: mr.lkey };
        for step in [1, 7, 64, 100_000] {
            let mut outbox = Outbox::default();
            let mut expected = Vec::new();
            for round in 0..8_usize {
                let skip = round as u64;
                outbox.octets(|octets| octets.extend([b'h'; 24]));
                outbox.octets(|octets| octets.extend([b'p'; 4]));
                outbox.memory(Source::Local(sge(skip * 100, 100)));
                outbox.memory(Source::Lent(sge(skip, 0)));
                outbox.memory(Source::Lent(sge(skip * 3, 31)));
                outbox.mark(Then::Work { token: skip, signaled: true });
                expected.extend([[b'h'; 24].as_slice(), &[b'p'; 4]].concat());
                expected.extend(&content[round * 100..][..100]);
                expected.extend(&content[round * 3..][..31]);
            }
            let (mut stream, mut told) = (Vec::new(), 0);
            while !outbox.is_empty() {
                let mut now = Vec::new();
                for element in outbox.elements(&memory) {
                    match element.unwrap() {
                        Element::Octets(octets) => now.extend(octets),
                        Element::Span(span) => {
                            let at = now.len();
                            now.resize(at + span.len(), 0);
                            span.read(&mut now[at..]);
                        }
                    }
                }
                assert_eq!(now.len() as u64, outbox.queued - outbox.sent);
                now.truncate(step);
                outbox.handle_sent(now.len() as u64);
                stream.extend(now);
                while let Some(then) = outbox.poll_then() {
                    assert_eq!(then, Then::Work { token: told, signaled: true });
                    told += 1;
                    assert!(stream.len() as u64 >= told * 159);
                }
                assert!(told == 8 || (stream.len() as u64) < (told + 1) * 159);
            }
            assert_eq!(stream, expected, "{step} octets at a time");
            assert_eq!(told, 8);
        }
    }

    /// Goal: memory that is deregistered while it waits is an error, not octets of somebody else.
    #[test]
    fn keys_are_checked_when_they_are_used() {
        let region = Region::allocate(4096).unwrap();
        let mut memory = Registry::new(4, 1);
        let mr = memory.register(&region, Access::LOCAL_WRITE).unwrap();
        let mut outbox = Outbox::default();
        let sge = Sge { addr: mr.addr, length: 64, lkey: mr.lkey };
        outbox.memory(Source::Lent(sge));
        assert!(outbox.elements(&memory).any(|e| e.is_err()), "not registered for the peer");
        let mut outbox = Outbox::default();
        outbox.memory(Source::Local(sge));
        assert!(outbox.elements(&memory).all(|e| e.is_ok()));
        memory.deregister(mr.lkey).unwrap();
        assert!(outbox.elements(&memory).any(|e| e.is_err()));
    }
}
