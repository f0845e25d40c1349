//! One peer: two rings, two sets of slots, and a socket that says when it is gone.

use super::ring::{Consumer, Misbehaved, Producer, Space, words_of};
use crate::link::sys::{self, Shared};
use crate::link::trailer::{Path, trailer};
use crate::link::{RxRing, Trailer, Transmit};
use memory::{Access, Registry, Span};
use rustix::net::{RecvFlags, SendFlags};
use smallvec::SmallVec;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use wire::roce::HeaderBuf;

/// Descriptors of a ring, and slots each way: numbers below `LONG_SLOTS` are for packets of any
/// length, the others for short ones. A slot of its own page for each answer of some octets made a
/// connection of depth 32 touch 70 KiB more (measured).
const SLOTS: usize = 1024;
const LONG_SLOTS: usize = 768;
/// A packet's header ends here in its slot, so that payload begins at a cache line.
const HEAD_BYTES: usize = HeaderBuf::CAPACITY;
/// Octets of a slot: header, 4,096 of payload, a command capsule, trailer; an odd number of lines, so
/// that slots do not all fall into the same set of the cache.
pub(super) const SLOT_BYTES: usize = 69 * 64;
/// Octets of a short slot: header, a command capsule and what small requests have.
const SHORT_BYTES: usize = 384;
/// Octets after the header at most, and in a short slot.
const BODY_BYTES_MAX: usize = SLOT_BYTES - HEAD_BYTES;
const SHORT_BODY_BYTES_MAX: usize = SHORT_BYTES - HEAD_BYTES;
/// Shorter payload is copied with its header rather than lent.
const LENT_BYTES_MIN: usize = 256;
/// Packets taken from one peer in a turn. Few, so that they are answered while the peer still sends
/// and both sides work at once: with all that wait in one turn, the sides take turns instead
/// (measured: 548,000 and 985,000 exchanges of 4 KiB a second at depth 32).
const TURN_PACKETS_MAX: usize = 16;

/// Octets of one direction's ring, then of its slots.
const RING_BYTES: usize = (words_of(SLOTS) * 8).next_multiple_of(4096);
/// Words from one ring to the next.
#[cfg(test)]
pub(super) const RING_WORDS: usize = RING_BYTES / 8;
const SLOTS_BYTES: usize = slot_at(SLOTS);
/// Octets of the mapping: a ring each way, then the slots of each.
pub(super) const MAPPING_BYTES: usize = (2 * RING_BYTES + 2 * SLOTS_BYTES).next_multiple_of(4096);

/// Octets from the first slot to this one.
const fn slot_at(slot: usize) -> usize {
    if slot < LONG_SLOTS {
        slot * SLOT_BYTES
    } else {
        LONG_SLOTS * SLOT_BYTES + (slot - LONG_SLOTS) * SHORT_BYTES
    }
}

/// One direction's ring in the mapping.
pub(super) struct Half {
    shared: Arc<Shared>,
    at: usize,
}

impl Space for Half {
    type Word = AtomicU64;
    #[inline]
    fn words(&self) -> &[AtomicU64] {
        self.shared.words(self.at, words_of(SLOTS))
    }
}

/// What a descriptor says: where a packet lies and how it is cut. 63 bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Descriptor {
    slot: usize,
    head_len: usize,
    body_len: usize,
    /// The header may be parsed apart from what follows.
    is_native: bool,
}

impl Descriptor {
    pub(super) fn encode(self) -> u64 {
        self.slot as u64
            | (self.body_len as u64) << 16
            | (self.head_len as u64) << 32
            | u64::from(self.is_native) << 40
    }
    /// Errors: a slot or length that cannot be.
    pub(super) fn decode(word: u64) -> Result<Descriptor, Misbehaved> {
        let field = |shift: u32, mask: u64| usize::try_from(word >> shift & mask).unwrap_or(0);
        let (slot, body_len, head_len) = (field(0, 0xffff), field(16, 0xffff), field(32, 0xff));
        let body_max = if slot < LONG_SLOTS { BODY_BYTES_MAX } else { SHORT_BODY_BYTES_MAX };
        let fits = slot < SLOTS && body_len <= body_max && head_len <= HEAD_BYTES;
        if !fits || head_len + body_len == 0 {
            return Err(Misbehaved);
        }
        Ok(Descriptor { slot, head_len, body_len, is_native: word >> 40 & 1 == 1 })
    }
}

/// What became of a packet to send.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sent {
    /// On its way, this many octets.
    Octets(usize),
    /// No slot is free.
    Full,
    /// A key does not cover its element.
    BadKey,
    /// Longer than a slot.
    TooLong,
}

/// Slots to write to; of each kind the last used is on top: it is still in the cache.
struct FreeSlots {
    long: Vec<u16>,
    short: Vec<u16>,
}

impl FreeSlots {
    fn all() -> FreeSlots {
        let mut free = FreeSlots {
            long: Vec::with_capacity(LONG_SLOTS),
            short: Vec::with_capacity(SLOTS - LONG_SLOTS),
        };
        (0..SLOTS)
            .rev()
            .filter_map(|slot| u16::try_from(slot).ok())
            .for_each(|slot| free.put(slot));
        free
    }
    /// A slot for a packet with this much after its header.
    fn take(&mut self, body_len: usize) -> Option<u16> {
        let short = if body_len <= SHORT_BODY_BYTES_MAX { self.short.pop() } else { None };
        short.or_else(|| self.long.pop())
    }
    fn put(&mut self, slot: u16) {
        let kind = if usize::from(slot) < LONG_SLOTS { &mut self.long } else { &mut self.short };
        kind.push(slot);
    }
}

/// A peer.
pub(super) struct Peer {
    /// Its number, unlike any other's.
    pub(super) id: u32,
    /// By which address it is known here.
    pub(super) addr: SocketAddr,
    /// Readable when it rang; ended when it is gone.
    pub(super) stream: UnixStream,
    /// Its socket ended.
    pub(super) is_gone: bool,
    shared: Arc<Shared>,
    outgoing: Producer<Half>,
    outgoing_at: usize,
    free: FreeSlots,
    /// Slots on their way, oldest first.
    busy: VecDeque<u16>,
    incoming: Consumer<Half>,
    incoming_at: usize,
    unreleased: bool,
}

impl Peer {
    /// Over `shared`, which both sides have mapped. `is_maker`: this side made it.
    pub(super) fn new(
        shared: Arc<Shared>,
        stream: UnixStream,
        (id, addr): (u32, SocketAddr),
        is_maker: bool,
    ) -> Peer {
        let half = |second: bool| Half {
            shared: Arc::clone(&shared),
            at: usize::from(second) * RING_BYTES,
        };
        let slots_at = |second: bool| 2 * RING_BYTES + usize::from(second) * SLOTS_BYTES;
        Peer {
            id,
            addr,
            stream,
            is_gone: false,
            outgoing: Producer::new(half(!is_maker), SLOTS),
            outgoing_at: slots_at(!is_maker),
            free: FreeSlots::all(),
            busy: VecDeque::with_capacity(SLOTS),
            incoming: Consumer::new(half(is_maker), SLOTS),
            incoming_at: slots_at(is_maker),
            unreleased: false,
            shared,
        }
    }

    /// Takes slots back that the peer is done with.
    pub(super) fn reclaim(&mut self) -> Result<(), Misbehaved> {
        let count = self.outgoing.reclaim()?;
        self.busy.drain(..count.min(self.busy.len())).for_each(|slot| self.free.put(slot));
        Ok(())
    }

    /// Gathers a packet into a slot. The peer sees it at `publish`.
    pub(super) fn send(&mut self, packet: &Transmit, memory: &Registry, from: SocketAddr) -> Sent {
        let spans: Option<SmallVec<[Span<'_>; 4]>> =
            packet.payload.iter().map(|sge| memory.local(*sge, Access::LOCAL_READ).ok()).collect();
        let Some(spans) = spans else { return Sent::BadKey };
        let head = packet.header.as_slice();
        let (wire_len, head_len) = (packet.wire_len(), head.len());
        let body_len = wire_len - head_len;
        if body_len > BODY_BYTES_MAX {
            return Sent::TooLong;
        }
        let Some(slot) = self.free.take(body_len) else { return Sent::Full };
        let mut at = self.outgoing_at + slot_at(usize::from(slot)) + HEAD_BYTES - head_len;
        let path = Path { from, to: packet.to, ip_id: 0 };
        let tail = trailer(packet, path, spans.iter().map(sys::octets));
        let pieces = std::iter::once(head).chain(spans.iter().map(sys::octets));
        for octets in pieces.chain(std::iter::once(tail.as_slice())) {
            self.shared.write(at, octets);
            at += octets.len();
        }
        let is_native = packet.trailer != Trailer::Icrc;
        let slot_index = usize::from(slot);
        let descriptor = Descriptor { slot: slot_index, head_len, body_len, is_native };
        self.outgoing.push(descriptor.encode());
        self.busy.push_back(slot);
        Sent::Octets(wire_len)
    }

    /// Shows the peer what was sent, and wakes it if it sleeps. True: it did.
    pub(super) fn publish(&mut self) -> bool {
        let wakes = self.outgoing.publish() && self.outgoing.must_wake();
        if wakes {
            // Full: then it is readable. Gone: then its end is noticed there.
            let _ =
                rustix::net::send(&self.stream, &[0], SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
        }
        wakes
    }

    /// Takes packets as far as `ring` has room; how many, and their octets.
    pub(super) fn receive(&mut self, ring: &mut RxRing) -> Result<(usize, usize), Misbehaved> {
        let (mut packets, mut octets) = (0, 0);
        while packets < TURN_PACKETS_MAX
            && let Some(word) = self.incoming.peek()
        {
            let Descriptor { slot, head_len, body_len, is_native } = Descriptor::decode(word)?;
            let len = head_len + body_len;
            if !ring.has_room(len) {
                break;
            }
            self.incoming.advance();
            self.unreleased = true;
            let at = self.incoming_at + slot_at(slot) + HEAD_BYTES - head_len;
            if is_native && body_len >= LENT_BYTES_MIN {
                ring.lend(&self.shared, at, (head_len, len), self.addr);
            } else {
                ring.append(&self.shared, at, len, self.addr);
            }
            packets += 1;
            octets += len;
        }
        Ok((packets, octets))
    }

    /// Nothing received is held any more: the peer may use its slots again.
    pub(super) fn release(&mut self) {
        if std::mem::take(&mut self.unreleased) {
            self.incoming.release();
        }
    }

    /// From here on the peer rings.
    pub(super) fn arm(&self) {
        self.incoming.arm();
    }
    /// Awake.
    pub(super) fn disarm(&self) {
        self.incoming.disarm();
    }
    /// Packets wait.
    pub(super) fn is_ready(&self) -> bool {
        self.incoming.peek().is_some()
    }
    /// Packets wait, or slots are to be given back.
    #[inline]
    pub(super) fn is_due(&self) -> bool {
        self.unreleased || self.is_ready()
    }
    /// Takes what it rang with; false: it is gone.
    pub(super) fn drain(&self) -> bool {
        match rustix::net::recv(&self.stream, &mut [0; 64][..], RecvFlags::DONTWAIT) {
            Ok((_, count)) => count > 0,
            Err(error) => matches!(error, rustix::io::Errno::AGAIN | rustix::io::Errno::INTR),
        }
    }

    /// The mapping, for tests to write nonsense to.
    #[cfg(test)]
    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}
