//! Reservation commands: data from the host, the state of a namespace, everybody who is concerned.
//!
//! Source: NVMe Base 2.1, "Reservations".

use super::Reactor;
use crate::fault::{Fault, field};
use crate::io::Io;
use crate::queue::Attachment;
use crate::reservation::{Change, HostId, Outcome, ReservationStore, Reservations, report};
use crate::subsystem::{ExportError, Namespace};
use netstack::fabric::Fabric;
use wire::nvme::reservation::{ReportCmd, ReservationCmd, ReservationKeys};
use wire::nvme::{Sqe, Status};

const GONE: Fault = Fault::at(Status::INVALID_NAMESPACE, field::NSID);

impl<F: Fabric> Reactor<F> {
    /// Says where reservations are kept through a restart. Before namespaces are added: each then
    /// starts with what was kept for it. Without a store hosts are told that nothing persists.
    pub fn set_reservation_store(&mut self, store: Box<dyn ReservationStore>) {
        self.reservation_store = store;
    }
    /// What was kept for a namespace, or none.
    pub(super) fn load_reservations(
        &mut self,
        uuid: [u8; 16],
    ) -> Result<Reservations, ExportError> {
        let store = &mut self.reservation_store;
        let saved = store.load(uuid).map_err(|why| ExportError::Reservations(why.to_string()))?;
        let fresh = || Reservations::new(store.is_persistent());
        Ok(saved.as_ref().map_or_else(fresh, Reservations::restored))
    }

    /// The namespace that an accepted command named, unless it went meanwhile.
    pub(super) fn namespace_of(&self, at: Attachment, io: &Io) -> Result<&Namespace, Fault> {
        let namespace = self.subsystems[at.subsystem].namespace(io.nsid);
        namespace.filter(|namespace| namespace.disk == io.disk).ok_or(GONE)
    }

    /// Register, Acquire or Release, with its data.
    pub(super) fn start_reservation(
        &mut self,
        index: u32,
        slot: u16,
        sqe: &Sqe,
        change: Change,
        octets: &[u8],
    ) {
        let Some(at) = self.queues[index].attachment else { return };
        let io = self.queues[index].command(slot).io;
        match self.execute_reservation(at, &io, sqe, change, octets) {
            Ok(outcome) if outcome.abort.is_empty() => self.finish_reservation(index, slot, sqe),
            Ok(outcome) => self.abort_commands(index, slot, sqe, at, io.nsid, &outcome.abort),
            Err(fault) => self.fail(index, slot, sqe, fault),
        }
    }
    pub(super) fn finish_reservation(&mut self, index: u32, slot: u16, sqe: &Sqe) {
        self.counters.io_commands += 1;
        self.answer(index, slot, sqe, Ok(0));
    }
    fn execute_reservation(
        &mut self,
        at: Attachment,
        io: &Io,
        sqe: &Sqe,
        change: Change,
        octets: &[u8],
    ) -> Result<Outcome, Fault> {
        self.namespace_of(at, io)?;
        let mut data = [0; ReservationKeys::LEN];
        let given = octets.get(..change.data_bytes() as usize).ok_or(Fault::data_length())?;
        data[..given.len()].copy_from_slice(given);
        let keys = ReservationKeys::from_octets(data);
        let host = self.controllers[at.controller].host_id();
        let command = ReservationCmd::decode(sqe);
        let outcome = self.change_reservations(at.subsystem, io.nsid, |reservations| {
            reservations.change(host, change, command, keys)
        })?;
        for tell in &outcome.tell {
            for (_, controller) in self.controllers.iter_mut() {
                if controller.subsystem == at.subsystem && controller.host_id() == tell.host {
                    controller.handle_reservation_notice(io.nsid, tell.notice);
                }
            }
        }
        self.deliver_events();
        Ok(outcome)
    }
    /// Changes the reservations of a namespace, and keeps them if they are to persist: all or
    /// nothing.
    pub(super) fn change_reservations<T>(
        &mut self,
        subsystem: usize,
        nsid: u32,
        change: impl FnOnce(&mut Reservations) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let namespace = self.subsystems[subsystem].namespace_mut(nsid).ok_or(GONE)?;
        let mut next = namespace.reservations.clone();
        let outcome = change(&mut next)?;
        if next == namespace.reservations {
            return Ok(outcome);
        }
        if next.persists() || namespace.reservations.persists() {
            let saved = next.persists().then(|| next.saved());
            let kept = self.reservation_store.save(namespace.ids.uuid, saved.as_ref());
            if kept.is_err() {
                self.counters.reservations_not_kept += 1;
                return Err(Fault::plain(Status::INTERNAL_ERROR));
            }
        }
        namespace.reservations = next;
        self.refresh_namespace(subsystem, nsid);
        Ok(outcome)
    }

    /// Reservation Report: as much of it as the host asked for.
    pub(super) fn report_reservations(&mut self, index: u32, slot: u16, sqe: &Sqe, io: Io) {
        let Some(at) = self.queues[index].attachment else { return };
        self.queues[index].command(slot).io = io;
        match self.reservation_report(at, sqe, &io) {
            Ok(page) => {
                self.counters.io_commands += 1;
                self.send_reply(index, slot, sqe, 0, &page);
            }
            Err(fault) => self.fail(index, slot, sqe, fault),
        }
    }
    fn reservation_report(&self, at: Attachment, sqe: &Sqe, io: &Io) -> Result<Vec<u8>, Fault> {
        let command = ReportCmd::decode(sqe);
        // Host identifiers have 128 bits here: the short structure has no room for them.
        if !command.extended {
            return Err(Fault::at(Status::HOST_ID_INCONSISTENT, field::CDW11));
        }
        let bytes = command.dwords.count() * 4;
        if bytes > u64::from(self.max_transfer_bytes(at.subsystem)) {
            return Err(Fault::invalid_field(field::CDW10));
        }
        if u64::from(io.data.bytes()) != bytes {
            return Err(Fault::data_length());
        }
        let peers = self.controllers.iter().map(|(_, controller)| controller);
        let peers = peers.filter(|peer| peer.subsystem == at.subsystem && !peer.is_dying);
        let mut peers: Vec<(u16, HostId)> =
            peers.map(|peer| (peer.cntlid, peer.host_id())).collect();
        peers.sort_unstable();
        let mut page = report(&self.namespace_of(at, io)?.reservations, &peers);
        page.resize(usize::try_from(bytes).unwrap_or(0), 0);
        Ok(page)
    }
}
