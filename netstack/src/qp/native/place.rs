//! Placement at arrival: a packet's payload goes where it belongs at once, whatever is missing before it.

use super::NativeMachine;
use super::fault::Fault;
use crate::qp::Cx;
use memory::{Access, AccessError, Rkey, Sge};
use verbs::RecvWr;
use wire::roce::Opcode;
use wire::roce::native::{NativeFlags, NativeHeader};

/// Why a packet was not placed.
pub(super) enum Unplaced {
    /// No receive is posted: dropped, as if it had not arrived.
    NotReady,
    Fault(Fault),
}

impl From<Fault> for Unplaced {
    fn from(fault: Fault) -> Unplaced {
        Unplaced::Fault(fault)
    }
}

impl NativeMachine {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the other opcodes are all refused")]
    pub(super) fn place(
        &mut self,
        cx: &mut Cx<'_>,
        psn: u64,
        h: &NativeHeader,
        payload: &[u8],
    ) -> Result<(), Unplaced> {
        match h.bth.opcode {
            Opcode::NativeSend => {
                let receive = self.inbound.receive(cx.receives, h.msn.get())?;
                if h.flags.contains(NativeFlags::IMMEDIATE_MESSAGE) {
                    return Ok(place_local(cx, receive, 0, h.tail.as_slice())?);
                }
                if u64::from(h.message_len) > receive.capacity() {
                    return Err(Fault::TooLong.into());
                }
                Ok(place_local(cx, receive, h.addr, payload)?)
            }
            Opcode::NativeWrite => self.place_write(cx, psn, h, payload),
            Opcode::NativeReadResponse | Opcode::NativeAtomicResponse => {
                Ok(self.place_answer(cx, h, payload)?)
            }
            Opcode::NativeReadRequest | Opcode::NativeAtomicRequest => Ok(()),
            _ => Err(Fault::Invalid.into()),
        }
    }

    /// A WRITE's payload, and the message in its header. Nothing is placed when no receive is
    /// there for the message: the packet will come again.
    fn place_write(
        &mut self,
        cx: &mut Cx<'_>,
        psn: u64,
        h: &NativeHeader,
        payload: &[u8],
    ) -> Result<(), Unplaced> {
        let message = h.flags.contains(NativeFlags::IMMEDIATE_MESSAGE);
        if message || h.flags.contains(NativeFlags::IMMEDIATE_DATA) {
            let receive = self.inbound.receive(cx.receives, h.msn.get())?;
            if message {
                place_local(cx, receive, 0, h.tail.as_slice())?;
            }
        }
        if payload.is_empty() {
            return Ok(());
        }
        let len = u32::try_from(payload.len()).map_err(|_| Fault::Invalid)?;
        let span = cx.memory.remote(Rkey(h.rkey), h.addr, len, Access::REMOTE_WRITE);
        let span = span.map_err(|_| Fault::Access)?;
        if self.receiver.later(psn).next().is_none() {
            cx.place.place(span, payload);
            return Ok(());
        }
        // A late WRITE must not undo one that was posted after it and came first.
        let newer = |at: u64| {
            let writes = self.receiver.later(psn).filter(|early| {
                early.header.bth.opcode == Opcode::NativeWrite && early.header.rkey == h.rkey
            });
            writes.fold(Run { covered: false, len: u64::MAX }, |run, early| {
                run.with(at, early.header.addr, u64::from(early.payload_len))
            })
        };
        place_around(cx, h, payload, newer);
        Ok(())
    }

    fn place_answer(
        &mut self,
        cx: &mut Cx<'_>,
        h: &NativeHeader,
        payload: &[u8],
    ) -> Result<(), Fault> {
        let seq = self.asked.find(h.msn.get()).ok_or(Fault::BadAnswer)?;
        let work = self.queue.get(seq).ok_or(Fault::BadAnswer)?;
        let atomic = !matches!(work.wr.op, verbs::SendOp::RdmaRead(_));
        if atomic != (h.bth.opcode == Opcode::NativeAtomicResponse) {
            return Err(Fault::BadAnswer);
        }
        let original = h.tail.operands().0.to_ne_bytes();
        let (at, octets) = if atomic { (0, &original[..]) } else { (h.addr, payload) };
        let end = at.checked_add(octets.len() as u64).ok_or(Fault::BadAnswer)?;
        if end > u64::from(work.len) {
            return Err(Fault::BadAnswer);
        }
        scatter(cx, &work.wr.sges, at, octets).map_err(|_| Fault::LandingMemory)
    }
}

/// Places `octets` at `at` of a receive. `TooLong` beyond its end.
fn place_local(cx: &mut Cx<'_>, receive: &RecvWr, at: u64, octets: &[u8]) -> Result<(), Fault> {
    let end = at.checked_add(octets.len() as u64).ok_or(Fault::TooLong)?;
    if end > receive.capacity() {
        return Err(Fault::TooLong);
    }
    scatter(cx, &receive.sges, at, octets).map_err(|_| Fault::ReceiveMemory)
}

/// Places `octets` into local memory, from octet `at` of the elements on. They must fit.
fn scatter(cx: &mut Cx<'_>, sges: &[Sge], at: u64, octets: &[u8]) -> Result<(), AccessError> {
    let (mut skip, mut rest) = (at, octets);
    for sge in sges {
        if rest.is_empty() {
            break;
        }
        if skip >= u64::from(sge.length) {
            skip -= u64::from(sge.length);
            continue;
        }
        let skipped = u32::try_from(skip).map_err(|_| AccessError::OutOfBounds)?;
        let take = u32::try_from(rest.len()).unwrap_or(u32::MAX);
        let span = cx.memory.local(sge.slice(skipped, take), Access::LOCAL_WRITE)?;
        let (now, later) = rest.split_at(span.len());
        cx.place.place(span, now);
        (skip, rest) = (0, later);
    }
    Ok(())
}

/// Octets from some address on that are all covered by newer WRITEs, or all not.
#[derive(Clone, Copy)]
struct Run {
    covered: bool,
    len: u64,
}

impl Run {
    /// The same, with a WRITE of `len` octets to `start` taken into account. `at`: the address.
    fn with(self, at: u64, start: u64, len: u64) -> Run {
        let (skip, ahead) = (at.wrapping_sub(start), start.wrapping_sub(at));
        if skip < len {
            let rest = len - skip;
            Run { covered: true, len: if self.covered { self.len.max(rest) } else { rest } }
        } else if self.covered || len == 0 {
            self
        } else {
            Run { covered: false, len: self.len.min(ahead) }
        }
    }
}

/// Places a WRITE's payload but for the octets that newer WRITEs have placed already. `newer`
/// tells about the octets from an address on.
fn place_around(cx: &mut Cx<'_>, h: &NativeHeader, payload: &[u8], newer: impl Fn(u64) -> Run) {
    let (mut addr, mut rest) = (h.addr, payload);
    while !rest.is_empty() {
        let run = newer(addr);
        let len = usize::try_from(run.len).unwrap_or(usize::MAX).min(rest.len());
        let (piece, later) = rest.split_at(len);
        let octets = u32::try_from(len).unwrap_or(u32::MAX);
        let span = cx.memory.remote(Rkey(h.rkey), addr, octets, Access::REMOTE_WRITE);
        if let (false, Ok(span)) = (run.covered, span) {
            cx.place.place(span, piece);
        }
        (addr, rest) = (addr.wrapping_add(len as u64), later);
    }
}
