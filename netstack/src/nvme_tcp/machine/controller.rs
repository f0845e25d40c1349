//! The controller's side: commands come, data goes both ways, responses go.

use super::{Machine, NotPosted, Side};
use crate::fabric::{Full, Gather, Work, WorkOp};
use crate::link::sys::octets;
use crate::nvme_tcp::outbox::{Outbox, Source, Then};
use crate::nvme_tcp::place::slices;
use crate::nvme_tcp::{Shared, Stop};
use memory::Registry;
use verbs::{Remote, WcStatus};
use wire::fabrics::ConnectCmd;
use wire::nvme::{Cqe, FabricsType, Sgl, Sqe};
use wire::nvme_tcp::{Data, Digest, Framing, Pdu, PduFault, R2t, Shape, field};

/// Octets of data of one C2HData: what a host with digests has to wait for.
pub(super) const C2H_DATA_MAX: u32 = 512 << 10;
/// A keyed descriptor's length has 24 bits.
const KEYED_MAX: u32 = (1 << 24) - 1;
/// Fetches at once; a tag is a place and how often it was used.
const FETCHES_MAX: usize = 256;

/// Data that is being fetched.
#[derive(Clone, Copy, Debug)]
struct Fetch {
    token: u64,
    signaled: bool,
    cid: u16,
    local: Gather,
    /// Of the command's data, the first octet; octets; how many have landed.
    offset: u32,
    length: u32,
    landed: u32,
}

#[derive(Debug, Default)]
pub(super) struct Controller {
    fetches: Vec<(u8, Option<Fetch>)>,
    free: Vec<u8>,
    /// Data that was posted last: what follows says whether it is a command's last, and its response.
    held: Option<Work>,
    /// The host does not want to hear of the submission queue's head: the success flag may be used.
    head_disabled: bool,
}

impl Controller {
    /// A command, as the consumer is to see it: its key names it.
    pub(super) fn handle_command(&mut self, mut sqe: Sqe) -> Sqe {
        if sqe.fabrics_type() == Some(FabricsType::Connect) {
            let attributes = ConnectCmd::decode(&sqe).attributes;
            self.head_disabled = attributes & ConnectCmd::NO_FLOW_CONTROL != 0;
        }
        match sqe.sgl() {
            Sgl::Transport { len } => {
                let (len, key) = (len.min(KEYED_MAX), u32::from(sqe.cid().0));
                sqe.set_sgl(Sgl::Keyed { addr: 0, len, key, invalidate: false });
            }
            // There are no keys here: the consumer refuses what is none of its fabric's descriptors.
            Sgl::Keyed { len, .. } => {
                sqe.set_sgl(Sgl::Transport { len });
            }
            Sgl::InCapsule { .. } | Sgl::DataBlock { .. } | Sgl::Other(_) => {}
        }
        sqe
    }

    /// Where data goes, and how far in. Errors: the host's fault.
    pub(super) fn check_data(&self, data: &Data, shape: Shape) -> Result<(Gather, u32), PduFault> {
        let fetch = self.fetch(data.ttag).ok_or(PduFault::field(field::TTAG))?;
        if data.cid != fetch.cid {
            return Err(PduFault::field(field::CCCID));
        }
        if data.length != shape.data_bytes {
            return Err(PduFault::field(field::LENGTH));
        }
        let at = data.offset.checked_sub(fetch.offset).filter(|&at| at == fetch.landed);
        let at = at.ok_or(PduFault::OUT_OF_RANGE)?;
        let missing = fetch.length - fetch.landed;
        if data.length > missing {
            return Err(PduFault::OUT_OF_RANGE);
        }
        if data.last && data.length < missing {
            return Err(PduFault::field(field::FLAGS));
        }
        Ok((fetch.local, at))
    }
    /// Data landed: the fetch that is complete with it.
    pub(super) fn handle_landed(&mut self, data: &Data) -> Option<(u64, bool)> {
        let [place, _] = data.ttag.to_le_bytes();
        let (_, slot) = self.fetches.get_mut(usize::from(place))?;
        let fetch = slot.as_mut()?;
        fetch.landed += data.length;
        if fetch.landed < fetch.length {
            return None;
        }
        let done = (fetch.token, fetch.signaled);
        *slot = None;
        self.free.push(place);
        Some(done)
    }
    fn fetch(&self, ttag: u16) -> Option<&Fetch> {
        let [place, uses] = ttag.to_le_bytes();
        let (now, fetch) = self.fetches.get(usize::from(place))?;
        fetch.as_ref().filter(|_| *now == uses)
    }
    /// A tag for it. `None`: there is none left.
    fn begin_fetch(&mut self, fetch: Fetch) -> Option<u16> {
        let place = match self.free.pop() {
            Some(place) => place,
            None if self.fetches.len() < FETCHES_MAX => {
                self.fetches.push((0, None));
                u8::try_from(self.fetches.len() - 1).ok()?
            }
            None => return None,
        };
        let (uses, slot) = &mut self.fetches[usize::from(place)];
        *uses = uses.wrapping_add(1);
        *slot = Some(fetch);
        Some(u16::from_le_bytes([place, *uses]))
    }
    /// Something waits for what follows.
    pub(super) fn is_holding(&self) -> bool {
        self.held.is_some()
    }
    /// The connection is over: what was posted and is not reported.
    pub(super) fn abandon(&mut self) -> impl Iterator<Item = u64> + '_ {
        let fetches = self.fetches.iter_mut().filter_map(|(_, fetch)| fetch.take());
        let held = self.held.take().map(|work| work.token);
        held.into_iter().chain(fetches.map(|fetch| fetch.token))
    }
}

impl Machine {
    pub(super) fn post_as_controller(
        &mut self,
        work: &Work,
        shared: &mut Shared,
    ) -> Result<(), NotPosted> {
        match work.op {
            WorkOp::RdmaWrite(_) => {
                self.release_held(shared).map_err(NotPosted::Stop)?;
                self.outstanding += 1;
                self.held_mut().replace(*work);
                Ok(())
            }
            WorkOp::Send { .. } => self.send_response(work, shared).map_err(NotPosted::Stop),
            WorkOp::RdmaRead(from) => {
                self.release_held(shared).map_err(NotPosted::Stop)?;
                self.begin_read(work, from)
            }
            WorkOp::Recv => unreachable!("receives are kept by the machine"),
        }
    }
    fn held_mut(&mut self) -> &mut Option<Work> {
        let Side::Controller(controller) = &mut self.side else {
            unreachable!("only controllers send data unasked")
        };
        &mut controller.held
    }

    fn begin_read(&mut self, work: &Work, from: Remote) -> Result<(), NotPosted> {
        let broken = NotPosted::Stop(Stop::Broken(WcStatus::LocQpOpErr));
        let Side::Controller(controller) = &mut self.side else { return Err(broken) };
        let (Ok(offset), Ok(length)) = (u32::try_from(from.addr), u32::try_from(work.local.len()))
        else {
            return Err(broken);
        };
        let cid = command_of(from);
        let fetch = Fetch {
            token: work.token,
            signaled: work.signaled,
            cid,
            local: work.local,
            offset,
            length,
            landed: 0,
        };
        let ttag = controller.begin_fetch(fetch).ok_or(NotPosted::Full(Full(*work)))?;
        self.outstanding += 1;
        self.outbox.header(&Pdu::R2t(R2t { cid, ttag, offset, length }), &self.framing, 0);
        Ok(())
    }

    /// A response. When it says no more than that the command succeeded, its data can say it.
    fn send_response(&mut self, work: &Work, shared: &mut Shared) -> Result<(), Stop> {
        let cqe = read_response(work, &shared.memory)?;
        let Side::Controller(controller) = &mut self.side else { return Ok(()) };
        let held = controller.held.take();
        let says_nothing = cqe.status().is_success() && cqe.result() == 0;
        let merges = controller.head_disabled
            && says_nothing
            && held.is_some_and(
                |held| matches!(held.op, WorkOp::RdmaWrite(to) if command_of(to) == cqe.cid().0),
            );
        if let Some(held) = held {
            self.send_data(&held, Flags { last: true, success: merges }, shared)?;
        }
        if !merges {
            shared.counts.tx_pdus += 1;
            self.outbox.header(&Pdu::CapsuleResp(cqe), &self.framing, 0);
        }
        self.outstanding += 1;
        self.outbox.mark(Then::Work { token: work.token, signaled: work.signaled });
        Ok(())
    }
    /// Nothing that could be said with the data comes any more.
    pub(super) fn release_held(&mut self, shared: &mut Shared) -> Result<(), Stop> {
        let Some(held) = self.held_mut().take() else { return Ok(()) };
        self.send_data(&held, Flags { last: true, success: false }, shared)
    }
    fn send_data(&mut self, work: &Work, flags: Flags, shared: &mut Shared) -> Result<(), Stop> {
        let sent = send_data(&mut self.outbox, work, flags, &self.framing, shared);
        // It is reported with everything else, also when it could not be sent.
        self.outbox.mark(Then::Work { token: work.token, signaled: work.signaled });
        sent
    }
}

/// What the last PDU of data says.
#[derive(Clone, Copy)]
struct Flags {
    last: bool,
    success: bool,
}

fn send_data(
    outbox: &mut Outbox,
    work: &Work,
    flags: Flags,
    framing: &Framing,
    shared: &mut Shared,
) -> Result<(), Stop> {
    let WorkOp::RdmaWrite(to) = work.op else { return Ok(()) };
    let broken = Stop::Broken(WcStatus::LocProtErr);
    let total = u32::try_from(work.local.len()).map_err(|_| broken)?;
    let start = u32::try_from(to.addr).map_err(|_| broken)?;
    let cid = command_of(to);
    let mut at = 0;
    while at < total {
        let length = framing.data_max.min(total - at);
        let is_last = at + length == total;
        let (last, success) = (flags.last && is_last, flags.success && is_last);
        let offset = start.checked_add(at).ok_or(broken)?;
        let data = Data { cid, ttag: 0, offset, length, last, success };
        shared.counts.tx_pdus += 1;
        outbox.header(&Pdu::C2hData(data), framing, length);
        let pieces = slices(&work.local, at, length).map(Source::Local);
        queue_data(outbox, pieces, framing, &shared.memory).map_err(|_| broken)?;
        at += length;
    }
    Ok(())
}

/// Queues the data of a PDU, and its digest.
pub(super) fn queue_data(
    outbox: &mut Outbox,
    pieces: impl Iterator<Item = Source>,
    framing: &Framing,
    memory: &Registry,
) -> Result<(), memory::AccessError> {
    let mut digest = Digest::new();
    for piece in pieces {
        let span = piece.span(memory)?;
        if framing.data_digest {
            digest.update(octets(&span));
        }
        outbox.memory(piece);
    }
    if framing.data_digest {
        outbox.octets(|octets| octets.extend_from_slice(&digest.octets()));
    }
    Ok(())
}

/// The command that a key names.
fn command_of(remote: Remote) -> u16 {
    let [a, b, ..] = remote.rkey.0.to_le_bytes();
    u16::from_le_bytes([a, b])
}

/// The response that a Send is to send.
fn read_response(work: &Work, memory: &Registry) -> Result<Cqe, Stop> {
    let broken = Stop::Broken(WcStatus::LocProtErr);
    let sge = work.local.iter().next().filter(|sge| sge.length as usize == Cqe::LEN);
    let span = Source::Local(sge.ok_or(broken)?).span(memory).map_err(|_| broken)?;
    let mut octets = [0; Cqe::LEN];
    span.read(&mut octets);
    Ok(Cqe::from_octets(octets))
}
