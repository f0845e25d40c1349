//! The receiving half of a connection: octets as they come to places, and what they mean.

use super::connection::{Connection, Stage};
use super::frame::{HEADER_LEN, Header, Op, PRIVATE_MAX};
use super::{Fault, Shared, Stop};
use memory::{AccessError, Rkey};
use netstack::fabric::{FabricEvent, Work};
use std::collections::VecDeque;
use std::io::{ErrorKind, Read};
use verbs::{Remote, WcStatus};

/// Where a frame's payload goes.
#[derive(Clone, Copy)]
enum Place {
    Private,
    Receive(Work),
    Remote(Remote),
    /// The oldest READ's.
    Read,
    /// There is none.
    Nowhere,
}

/// A frame whose payload is arriving.
#[derive(Clone, Copy)]
struct Landing {
    header: Header,
    place: Place,
    length: u32,
    landed: u32,
}

#[derive(Default)]
pub(super) struct Receiving {
    pub(super) receives: VecDeque<Work>,
    /// A header, as far as it has come.
    header: [u8; HEADER_LEN],
    header_len: usize,
    landing: Option<Landing>,
    /// What was read behind a frame that waits for a receive.
    stash: Vec<u8>,
    private: Vec<u8>,
    /// A frame waits for a receive.
    pub(super) is_blocked: bool,
}

impl Connection {
    /// Reads once, and takes in what came. Whether there may be more. Errors: how it ends.
    pub(super) fn receive(&mut self, buffer: &mut [u8], shared: &mut Shared) -> Result<bool, Stop> {
        if self.receiving.header_len == HEADER_LEN && !self.resume(shared)? {
            // A peer that is gone does not wait either.
            return if self.ended { Err(Stop::Gone) } else { Ok(false) };
        }
        shared.counts.rx_syscalls += 1;
        let count = match (&self.stream).read(buffer) {
            Ok(0) => return Err(Stop::Gone),
            Ok(count) => count,
            Err(error) => {
                shared.counts.rx_empty_syscalls += 1;
                let kind = error.kind();
                if kind == ErrorKind::TimedOut {
                    return Err(Stop::Timeout);
                }
                let is_over = kind != ErrorKind::WouldBlock && kind != ErrorKind::Interrupted;
                return if is_over { Err(Stop::Gone) } else { Ok(kind == ErrorKind::Interrupted) };
            }
        };
        shared.counts.rx_bytes += count as u64;
        let rest = self.feed(&buffer[..count], shared)?;
        self.receiving.stash.extend_from_slice(rest);
        // Less than there is room for is all that there was. The end is told by a read of nothing.
        Ok(count == buffer.len() || self.ended)
    }

    /// Goes on with what waited for a receive. Whether nothing waits any more.
    fn resume(&mut self, shared: &mut Shared) -> Result<bool, Stop> {
        let stash = std::mem::take(&mut self.receiving.stash);
        let rest = self.feed(&stash, shared)?;
        self.receiving.stash.extend_from_slice(rest);
        Ok(!self.receiving.is_blocked)
    }

    /// Takes octets in; returns those behind a frame that waits for a receive.
    fn feed<'o>(&mut self, mut octets: &'o [u8], shared: &mut Shared) -> Result<&'o [u8], Stop> {
        self.receiving.is_blocked = false;
        loop {
            if let Some(mut landing) = self.receiving.landing.take() {
                let missing = (landing.length - landing.landed) as usize;
                let (now, later) = octets.split_at(octets.len().min(missing));
                octets = later;
                if !now.is_empty() {
                    self.place(&landing, now, shared)?;
                    #[expect(clippy::cast_possible_truncation, reason = "at most what is missing")]
                    let count = now.len() as u32;
                    landing.landed += count;
                }
                if landing.landed < landing.length {
                    self.receiving.landing = Some(landing);
                    return Ok(octets);
                }
                self.landed(&landing, shared)?;
            }
            let have = self.receiving.header_len;
            let (now, later) = octets.split_at(octets.len().min(HEADER_LEN - have));
            self.receiving.header[have..have + now.len()].copy_from_slice(now);
            self.receiving.header_len += now.len();
            octets = later;
            if self.receiving.header_len < HEADER_LEN {
                return Ok(octets);
            }
            let header = Header::decode(&self.receiving.header).ok_or(Fault::NONSENSE)?;
            self.receiving.landing = self.begin(header, shared)?;
            if self.receiving.landing.is_none() {
                self.receiving.is_blocked = true;
                return Ok(octets);
            }
            self.receiving.header_len = 0;
        }
    }

    /// Where a frame goes. `None`: it waits for a receive. Errors: it may not be.
    fn begin(&mut self, header: Header, shared: &mut Shared) -> Result<Option<Landing>, Stop> {
        let remote = Remote { addr: header.addr, rkey: Rkey(header.key) };
        let mut length = header.length;
        let place = match (&self.stage, header.op) {
            (_, Op::Error) => {
                let status = WcStatus::from_number(header.reason.into());
                return Err(Stop::Told { status, read: header.depth == 1 });
            }
            (Stage::Greeting, Op::Connect) | (Stage::Asked, Op::Accept | Op::Reject)
                if length <= PRIVATE_MAX =>
            {
                Place::Private
            }
            (Stage::Open, Op::Send | Op::SendInvalidate) => {
                let Some(receive) = self.receiving.receives.pop_front() else { return Ok(None) };
                if u64::from(length) > receive.local.len() {
                    return Err(self.fail_receive(&receive, WcStatus::LocLenErr, shared));
                }
                Place::Receive(receive)
            }
            (Stage::Open, Op::Write) => {
                shared.memory.check_writable(remote, length).map_err(closed)?;
                Place::Remote(remote)
            }
            (Stage::Open, Op::ReadRequest) if self.sending.replies < self.reads_granted => {
                shared.memory.readable(remote, length).map_err(|_| {
                    let (here, there) = (WcStatus::LocAccessErr, WcStatus::RemAccessErr);
                    Stop::Fault(Fault { here, there, read: true })
                })?;
                self.sending.reply(remote, length);
                length = 0;
                Place::Nowhere
            }
            (Stage::Open, Op::ReadResponse)
                if self.sending.reads.front().is_some_and(|read| read.length == length) =>
            {
                Place::Read
            }
            _ => return Err(Fault::NONSENSE),
        };
        Ok(Some(Landing { header, place, length, landed: 0 }))
    }

    fn place(&mut self, to: &Landing, octets: &[u8], shared: &mut Shared) -> Result<(), Stop> {
        shared.counts.placed_bytes += octets.len() as u64;
        shared.counts.unsettled = true;
        match to.place {
            Place::Nowhere => Ok(()),
            Place::Private => {
                self.receiving.private.extend_from_slice(octets);
                Ok(())
            }
            Place::Remote(remote) => {
                shared.memory.place_remote(remote, to.landed, octets).map_err(closed)
            }
            Place::Receive(work) => {
                let placed = shared.memory.place_local(&work.local, to.landed, octets);
                placed.map_err(|_| self.fail_receive(&work, WcStatus::LocProtErr, shared))
            }
            Place::Read => {
                let Some(read) = self.sending.reads.front() else { return Err(Fault::NONSENSE) };
                let placed = shared.memory.place_local(&read.local, to.landed, octets);
                placed.map_err(|_| {
                    self.sending.fail_read(WcStatus::LocProtErr);
                    Fault::stop(WcStatus::LocProtErr, WcStatus::RemOpErr)
                })
            }
        }
    }

    /// All of a frame is there.
    fn landed(&mut self, landing: &Landing, shared: &mut Shared) -> Result<(), Stop> {
        let header = &landing.header;
        match landing.place {
            Place::Nowhere | Place::Remote(_) => Ok(()),
            Place::Private => {
                let private = std::mem::take(&mut self.receiving.private);
                self.answered(header, private, shared)
            }
            Place::Read => {
                self.sending.read_landed(&mut shared.events);
                Ok(())
            }
            Place::Receive(work) => {
                let invalidated = (header.op == Op::SendInvalidate).then_some(Rkey(header.key));
                if invalidated.is_some() && shared.memory.invalidate(header.key).is_err() {
                    return Err(self.fail_receive(&work, WcStatus::LocAccessErr, shared));
                }
                let (qp, token, len) = (self.qp, work.token, landing.length);
                shared.events.push(FabricEvent::Recv { qp, token, len, invalidated });
                Ok(())
            }
        }
    }

    /// A receive that cannot take what was sent to it.
    fn fail_receive(&self, work: &Work, status: WcStatus, shared: &mut Shared) -> Stop {
        shared.events.push(FabricEvent::Done { qp: self.qp, token: work.token, status });
        let peers = status == WcStatus::LocLenErr;
        Fault::stop(status, if peers { WcStatus::RemInvReqErr } else { WcStatus::RemOpErr })
    }

    /// Everything that is posted, or was being filled, is flushed.
    pub(super) fn flush_receives(&mut self, events: &mut Vec<FabricEvent>) {
        let (qp, status) = (self.qp, WcStatus::WrFlushErr);
        let filled = self.receiving.landing.take().and_then(|landing| match landing.place {
            Place::Receive(work) => Some(work),
            Place::Private | Place::Remote(_) | Place::Read | Place::Nowhere => None,
        });
        for work in filled.into_iter().chain(self.receiving.receives.drain(..)) {
            events.push(FabricEvent::Done { qp, token: work.token, status });
        }
    }
}

fn closed(_: AccessError) -> Stop {
    Fault::stop(WcStatus::LocAccessErr, WcStatus::RemAccessErr)
}
