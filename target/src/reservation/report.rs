//! What Reservation Report tells.
//!
//! Source: NVMe Base 2.1, "Reservation Status Extended data structure".

use super::{HostId, Reservations};
use wire::nvme::ControllerId;
use wire::nvme::reservation::{RegisteredController, ReservationStatus};

/// The report: one structure for each of a registrant's `controllers`, or one that names none if it
/// is not connected.
pub(crate) fn report(reservations: &Reservations, controllers: &[(u16, HostId)]) -> Vec<u8> {
    let mut entries = Vec::new();
    for registrant in &reservations.registrants {
        let own = controllers.iter().filter(|(_, host)| *host == registrant.host);
        let mut ids: Vec<u16> = own.map(|(cntlid, _)| *cntlid).collect();
        if ids.is_empty() {
            ids.push(ControllerId::DYNAMIC.0);
        }
        for cntlid in ids {
            let mut entry = RegisteredController::zeroed();
            entry
                .set_controller_raw(cntlid)
                .set_holds(reservations.is_holder(registrant.host))
                .set_key(registrant.key)
                .set_host_id(registrant.host);
            entries.push(entry);
        }
    }
    let mut status = ReservationStatus::zeroed();
    status
        .set_generation(reservations.generation)
        .set_kind(reservations.held.map_or(0, |held| held.kind.octet()))
        .set_registered(u16::try_from(entries.len()).unwrap_or(u16::MAX))
        .set_persists(u8::from(reservations.persists));
    let mut page = status.as_octets().to_vec();
    entries.iter().for_each(|entry| page.extend_from_slice(entry.as_octets()));
    page
}
