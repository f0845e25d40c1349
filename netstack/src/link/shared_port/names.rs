//! What a packet says about whose it is.

use super::super::Transmit;
use memory::{Access, Registry};
use wire::cm::{CmBody, CmMessage, MAD_LEN};

/// Where the destination queue pair lies in a packet. Source: IBTA 1.4, "Base Transport Header".
const DEST_QP: std::ops::Range<usize> = 5..8;
/// Queue pair 1: connection management.
const MANAGEMENT: [u8; 3] = [0, 0, 1];
/// Octets before a message of connection management: BTH and DETH.
const MAD_AT: usize = 12 + 8;

/// What belongs to one thread.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Name {
    /// A queue pair.
    Qp(u32),
    /// A connection, by this side's communication id.
    Connection(u32),
}

/// Names that peers will use, from the message by which they learn them.
#[inline]
pub(super) fn introduced(packet: &Transmit, memory: &Registry) -> Option<[Name; 2]> {
    if packet.header.as_slice().get(DEST_QP)? != MANAGEMENT {
        return None;
    }
    let sge = packet.payload.first().filter(|sge| sge.length as usize == MAD_LEN)?;
    let mut mad = [0; MAD_LEN];
    memory.local(*sge, Access::LOCAL_READ).ok()?.read(&mut mad);
    let (qp, connection) = match CmMessage::decode(&mad).ok()?.body {
        CmBody::Req(req) => (req.local_qpn(), req.local_comm_id()),
        CmBody::Rep(rep) => (rep.local_qpn(), rep.local_comm_id()),
        CmBody::Mra(_)
        | CmBody::Rej(_)
        | CmBody::Rtu(_)
        | CmBody::Dreq(_)
        | CmBody::Drep(_)
        | CmBody::SidrReq(_)
        | CmBody::SidrRep(_) => return None,
    };
    Some([Name::Qp(qp), Name::Connection(connection)])
}

/// The name that a received packet has for its receiver. `None`: it has none, or is none of RoCE's.
#[inline]
pub(super) fn named(octets: &[u8]) -> Option<Name> {
    let destination = octets.get(DEST_QP)?;
    if destination != MANAGEMENT {
        let &[a, b, c] = destination else { return None };
        return Some(Name::Qp(u32::from_be_bytes([0, a, b, c])));
    }
    let mad = octets.get(MAD_AT..MAD_AT + MAD_LEN)?;
    let id = match CmMessage::decode(mad).ok()?.body {
        CmBody::Rep(m) => m.remote_comm_id(),
        CmBody::Mra(m) => m.remote_comm_id(),
        CmBody::Rej(m) => m.remote_comm_id(),
        CmBody::Rtu(m) => m.remote_comm_id(),
        CmBody::Dreq(m) => m.remote_comm_id(),
        CmBody::Drep(m) => m.remote_comm_id(),
        CmBody::Req(_) | CmBody::SidrReq(_) | CmBody::SidrRep(_) => return None,
    };
    Some(Name::Connection(id))
}
