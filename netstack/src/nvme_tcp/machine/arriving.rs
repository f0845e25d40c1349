//! What came, and where it goes.

use super::host::Host;
use super::{Landing, Machine, Place, Side, Stage};
use crate::fabric::{FabricEvent, Work};
use crate::nvme_tcp::framer::Step;
use crate::nvme_tcp::place::{self, Spans};
use crate::nvme_tcp::{Shared, Stop};
use verbs::WcStatus;
use wire::nvme::{Cqe, Sqe};
use wire::nvme_tcp::{Pdu, PduFault, Shape, field};

/// Data that is rather received where it belongs than copied there.
const LONG_DATA_BYTES: u32 = 32 << 10;

impl Machine {
    /// Takes octets in. Those behind a PDU that waits for a receive are kept. Errors: how it ends.
    pub(crate) fn handle_octets(
        &mut self,
        mut octets: &[u8],
        shared: &mut Shared,
    ) -> Result<(), Stop> {
        while self.waiting.is_none() {
            match self.framer.next(&mut octets).map_err(Stop::Fault)? {
                Step::Hungry => return Ok(()),
                Step::Header(shape, pdu) => {
                    shared.counts.rx_pdus += 1;
                    if shape.data_bytes > 0 {
                        self.long_data = shape.data_bytes >= LONG_DATA_BYTES && !shape.data_digest;
                    }
                    self.begin(shape, pdu, shared)?;
                }
                Step::Data(data) => self.land(data, shared)?,
                Step::End { intact: true } => self.end_data(shared)?,
                Step::End { intact: false } => return Err(Stop::Digest),
            }
        }
        self.stash.extend_from_slice(octets);
        Ok(())
    }
    /// Goes on with what waited, if it can. Errors: how it ends.
    pub(crate) fn resume(&mut self, shared: &mut Shared) -> Result<(), Stop> {
        let Some((shape, pdu)) = self.waiting.take() else { return Ok(()) };
        self.begin(shape, pdu, shared)?;
        if self.waiting.is_none() {
            let stash = std::mem::take(&mut self.stash);
            self.handle_octets(&stash, shared)?;
        }
        Ok(())
    }

    /// A header came.
    fn begin(&mut self, shape: Shape, pdu: Pdu, shared: &mut Shared) -> Result<(), Stop> {
        let landing = match (&self.stage, &pdu) {
            (_, Pdu::H2cTermReq(term) | Pdu::C2hTermReq(term)) => return Err(Stop::Told(*term)),
            (Stage::Greeting, Pdu::IcReq(asked)) => return self.greet(asked, shared),
            (Stage::Greeting, Pdu::IcResp(given)) => return self.open_host(given, shared),
            (Stage::Expecting, Pdu::CapsuleCmd(sqe)) => {
                self.check_capsule(shape, shared)?;
                self.request(sqe, shared);
                None
            }
            (Stage::Requested, _) => None,
            (Stage::Open, Pdu::CapsuleCmd(sqe)) => {
                self.check_capsule(shape, shared)?;
                self.begin_command(*sqe, shared)?
            }
            (Stage::Open, Pdu::CapsuleResp(_)) => self.receives.pop_front().map(|response| {
                Landing { pdu, place: Place::Nowhere, at: 0, response: Some(response) }
            }),
            (Stage::Open, Pdu::H2cData(_) | Pdu::C2hData(_) | Pdu::R2t(_)) => {
                self.begin_transfer(shape, pdu, shared)?
            }
            _ => return Err(Stop::Fault(PduFault::SEQUENCE)),
        };
        self.landing = landing;
        match landing {
            None => self.waiting = Some((shape, pdu)),
            Some(_) if shape.data_bytes == 0 => self.end_data(shared)?,
            Some(_) => {}
        }
        Ok(())
    }
    /// Errors: more in-capsule data than was offered.
    fn check_capsule(&self, shape: Shape, shared: &Shared) -> Result<(), Stop> {
        if shape.data_bytes > shared.config.in_capsule_bytes {
            return Err(Stop::Fault(PduFault::field(field::PLEN)));
        }
        Ok(())
    }
    /// `None`: it waits for a receive.
    fn begin_command(&mut self, sqe: Sqe, shared: &mut Shared) -> Result<Option<Landing>, Stop> {
        let Side::Controller(controller) = &mut self.side else {
            return Err(Stop::Fault(PduFault::SEQUENCE));
        };
        let Some(receive) = self.receives.pop_front() else { return Ok(None) };
        let as_seen = controller.handle_command(sqe);
        let placed = place::place_local(&shared.memory, &receive.local, 0, as_seen.as_octets());
        let place = Place::Receive(receive);
        self.landing = Some(Landing { pdu: Pdu::CapsuleCmd(sqe), place, at: 0, response: None });
        placed.map_err(|_| Stop::Broken(WcStatus::LocProtErr))?;
        #[expect(clippy::cast_possible_truncation, reason = "64")]
        let at = Sqe::LEN as u32;
        Ok(self.landing.map(|landing| Landing { at, ..landing }))
    }
    fn begin_transfer(
        &mut self,
        shape: Shape,
        pdu: Pdu,
        shared: &mut Shared,
    ) -> Result<Option<Landing>, Stop> {
        let landing = |place, at| Landing { pdu, place, at, response: None };
        match (&mut self.side, pdu) {
            (Side::Controller(controller), Pdu::H2cData(data)) => {
                if shape.data_bytes > shared.config.max_h2c_data {
                    return Err(Stop::Fault(PduFault::LIMIT_EXCEEDED));
                }
                let (local, at) = controller.check_data(&data, shape).map_err(Stop::Fault)?;
                Ok(Some(landing(Place::Fetch(local), at)))
            }
            (Side::Host(host), Pdu::C2hData(data)) => {
                let remote = host.check_data(&data, shape).map_err(Stop::Fault)?;
                let mut landing = landing(Place::Command(remote), data.offset);
                if data.success {
                    landing.response = self.receives.pop_front();
                    if landing.response.is_none() {
                        return Ok(None);
                    }
                }
                Ok(Some(landing))
            }
            (Side::Host(host), Pdu::R2t(r2t)) => {
                let remote = host.check_r2t(&r2t).map_err(Stop::Fault)?;
                self.answer_r2t(&r2t, remote, shared)?;
                Ok(Some(landing(Place::Nowhere, 0)))
            }
            _ => Err(Stop::Fault(PduFault::SEQUENCE)),
        }
    }

    /// Data came.
    fn land(&mut self, data: &[u8], shared: &mut Shared) -> Result<(), Stop> {
        let Some(landing) = &mut self.landing else { return Ok(()) };
        let memory = &shared.memory;
        let placed = match landing.place {
            Place::Nowhere => Ok(()),
            Place::Receive(work) => {
                let held = &mut shared.held;
                place::place_received(memory, held, &work.local, landing.at, data)
            }
            Place::Fetch(local) => place::place_local(memory, &local, landing.at, data),
            Place::Command(remote) => place::place_remote(memory, remote, landing.at, data),
        };
        placed.map_err(|_| Stop::Broken(WcStatus::LocProtErr))?;
        shared.counts.placed_bytes += data.len() as u64;
        shared.counts.unsettled = true;
        #[expect(clippy::cast_possible_truncation, reason = "data of one PDU")]
        let length = data.len() as u32;
        landing.at += length;
        Ok(())
    }
    /// The last data was so long that its successor is better received where it belongs.
    pub(crate) fn expects_long_data(&self) -> bool {
        self.long_data
    }
    /// Where the next octets go, when they need not pass through here: at least `least` of them.
    /// Errors: the place cannot be had.
    pub(crate) fn direct_place<'r>(
        &self,
        least: u32,
        shared: &'r Shared,
    ) -> Result<Option<Spans<'r>>, Stop> {
        let missing = self.framer.unsummed_data().filter(|&missing| missing >= least);
        let (Some(missing), Some(landing)) = (missing, &self.landing) else { return Ok(None) };
        let (memory, at) = (&shared.memory, landing.at);
        let spans = match landing.place {
            Place::Nowhere => return Ok(None),
            Place::Receive(work) => place::local_spans(memory, &work.local, at, missing),
            Place::Fetch(local) => place::local_spans(memory, &local, at, missing),
            Place::Command(remote) => place::remote_span(memory, remote, at, missing)
                .map(|span| [span].into_iter().collect()),
        };
        let spans = spans.map_err(|_| Stop::Broken(WcStatus::LocProtErr))?;
        let room: usize = spans.iter().map(memory::Span::len).sum();
        if room < missing as usize {
            return Err(Stop::Broken(WcStatus::LocProtErr));
        }
        Ok(Some(spans))
    }
    /// So many octets landed in [`Machine::direct_place`]. The end of the data is seen with the next
    /// [`Machine::handle_octets`].
    pub(crate) fn handle_landed(&mut self, bytes: u32) {
        self.framer.skip_data(bytes);
        if let Some(landing) = &mut self.landing {
            landing.at += bytes;
        }
    }

    /// All of a PDU is there.
    fn end_data(&mut self, shared: &mut Shared) -> Result<(), Stop> {
        let Some(landing) = self.landing.take() else { return Ok(()) };
        let qp = self.qp;
        match (&mut self.side, landing.pdu, landing.place) {
            (_, _, Place::Receive(work)) => {
                let (token, len) = (work.token, landing.at);
                shared.events.push(FabricEvent::Recv { qp, token, len, invalidated: None });
            }
            (Side::Controller(controller), Pdu::H2cData(data), _) => {
                if let Some((token, signaled)) = controller.handle_landed(&data) {
                    self.done(token, signaled, shared);
                }
            }
            (Side::Host(host), Pdu::C2hData(data), _) => {
                host.handle_landed(&data);
                if let Some(receive) = landing.response {
                    self.respond(receive, &Host::success(data.cid), shared)?;
                }
            }
            (Side::Host(host), Pdu::CapsuleResp(cqe), _) => {
                host.handle_response(cqe.cid().0);
                if let Some(receive) = landing.response {
                    self.respond(receive, &cqe, shared)?;
                }
            }
            _ => {}
        }
        Ok(())
    }
    /// A response lands in a receive.
    fn respond(&mut self, receive: Work, cqe: &Cqe, shared: &mut Shared) -> Result<(), Stop> {
        let placed = place::place_local(&shared.memory, &receive.local, 0, cqe.as_octets());
        let (qp, token) = (self.qp, receive.token);
        if placed.is_err() {
            let status = WcStatus::LocProtErr;
            shared.events.push(FabricEvent::Done { qp, token, status });
            return Err(Stop::Broken(status));
        }
        #[expect(clippy::cast_possible_truncation, reason = "16")]
        let len = Cqe::LEN as u32;
        shared.events.push(FabricEvent::Recv { qp, token, len, invalidated: None });
        Ok(())
    }
}
