//! The messages that this side sends, with the values that Linux's RDMA CM gives them.
//!
//! **Direction of PSNs:** the starting PSN in a REQ or REP is the first one that its sender expects
//! to *receive*.

use super::peer::{MARKER_LEN, Marker};
use super::{Connection, Side};
use crate::endpoint::Timers;
use std::net::{IpAddr, SocketAddr};
use wire::cm::{
    CmBody, CmMessage, Drep, Dreq, IpHeader, MAD_LEN, Mra, PathMtu, Rej, RejReason, Rep, Req, Rtu,
    ServiceId,
};

/// Octets that the RDMA CM takes of a REQ's private data.
pub(super) const IP_HEADER_LEN: usize = IpHeader::LEN;

/// No LID on RoCE.
const NO_LID: u16 = 0xffff;
const HOP_LIMIT: u8 = 64;
/// How long this side may take to acknowledge, as rxe says it: 4.096 µs × 2^15.
const TARGET_ACK_DELAY: u8 = 15;
/// MRA: give the application 4.3 s more.
const MRA_TIMEOUT: u8 = 20;

/// What is the same in all messages of an endpoint.
#[derive(Clone, Copy, Debug)]
pub(super) struct Identity {
    /// This side's address.
    pub(super) local: SocketAddr,
    /// Stands for an adapter.
    pub(super) guid: u64,
    /// Path MTU.
    pub(super) path_mtu: PathMtu,
    /// Codes and counts.
    pub(super) timers: Timers,
}

/// What an application asks for in a REQ.
pub(super) struct Call<'a> {
    pub(super) local_id: u32,
    pub(super) transaction: u64,
    pub(super) side: &'a Side,
    pub(super) to: SocketAddr,
    pub(super) private: &'a [u8],
    pub(super) marker: Marker,
}

pub(super) fn encode(transaction: u64, body: impl Into<CmBody>) -> Box<[u8; MAD_LEN]> {
    Box::new(CmMessage::new(transaction, body).encode())
}

/// REQ. Consumer private data beyond its room is cut off.
pub(super) fn req(identity: &Identity, call: &Call<'_>) -> Box<[u8; MAD_LEN]> {
    let (timers, side) = (&identity.timers, call.side);
    let source = source_address(identity.local.ip(), call.to.ip());
    let mut req = Req::zeroed();
    req.set_local_comm_id(call.local_id)
        .set_service_id(ServiceId::tcp_port(call.to.port()))
        .set_local_ca_guid(identity.guid)
        .set_local_qpn(side.qpn.get())
        .set_responder_resources(side.responder_resources)
        .set_initiator_depth(side.initiator_depth)
        .set_remote_cm_timeout(timers.cm_timeout)
        .set_flow_control(true)
        .set_starting_psn(side.rq_psn)
        .set_local_cm_timeout(timers.cm_timeout)
        .set_retry_count(timers.retry_count)
        .set_pkey(0xffff)
        .set_path_mtu(identity.path_mtu)
        .set_rnr_retry_count(timers.rnr_retry)
        .set_max_cm_retries(timers.cm_retries)
        .set_primary_local_lid(NO_LID)
        .set_primary_remote_lid(NO_LID)
        .set_primary_local_gid(gid(source))
        .set_primary_remote_gid(gid(call.to.ip()))
        .set_primary_hop_limit(HOP_LIMIT)
        .set_primary_ack_timeout(timers.ack_timeout)
        .set_private_data(req_private(identity, call, source));
    encode(call.transaction, req)
}

fn req_private(identity: &Identity, call: &Call<'_>, source: IpAddr) -> [u8; 92] {
    let mut private = [0; 92];
    let header = IpHeader::new(source, identity.local.port(), call.to.ip());
    private[..IP_HEADER_LEN].copy_from_slice(header.as_octets());
    let room = &mut private[IP_HEADER_LEN..];
    let used = fill(room, call.private);
    call.marker.place(room, used);
    private
}

/// REP.
pub(super) fn rep(
    identity: &Identity,
    id: u32,
    c: &Connection,
    consumer: &[u8],
    marker: Option<Marker>,
) -> Box<[u8; MAD_LEN]> {
    let mut private = [0; 196];
    let used = fill(&mut private, consumer);
    if let Some(marker) = marker {
        marker.place(&mut private, used);
    }
    let mut rep = Rep::zeroed();
    rep.set_local_comm_id(id)
        .set_remote_comm_id(c.remote_id)
        .set_local_qpn(c.side.qpn.get())
        .set_starting_psn(c.side.rq_psn)
        .set_responder_resources(c.side.responder_resources)
        .set_initiator_depth(c.side.initiator_depth)
        .set_target_ack_delay(TARGET_ACK_DELAY)
        .set_flow_control(true)
        .set_rnr_retry_count(c.terms.rnr_retry)
        .set_local_ca_guid(identity.guid)
        .set_private_data(private);
    encode(c.transaction, rep)
}

/// Names of a connection, and whether the peer understands the marker.
#[derive(Clone, Copy)]
pub(super) struct Names {
    pub(super) transaction: u64,
    pub(super) local_id: u32,
    pub(super) remote_id: u32,
    pub(super) is_flexblk: bool,
}

impl Names {
    fn mark<const N: usize>(self) -> [u8; N] {
        let mut private = [0; N];
        if self.is_flexblk {
            Marker::PLAIN.place(&mut private, 0);
        }
        private
    }
}

pub(super) fn rtu(names: Names) -> Box<[u8; MAD_LEN]> {
    let mut rtu = Rtu::zeroed();
    rtu.set_local_comm_id(names.local_id)
        .set_remote_comm_id(names.remote_id)
        .set_private_data(names.mark());
    encode(names.transaction, rtu)
}

pub(super) fn mra(names: Names) -> Box<[u8; MAD_LEN]> {
    let mut mra = Mra::zeroed();
    mra.set_local_comm_id(names.local_id)
        .set_remote_comm_id(names.remote_id)
        .set_service_timeout(MRA_TIMEOUT)
        .set_private_data(names.mark());
    encode(names.transaction, mra)
}

pub(super) fn dreq(names: Names, remote_qpn: u32) -> Box<[u8; MAD_LEN]> {
    let mut dreq = Dreq::zeroed();
    dreq.set_local_comm_id(names.local_id)
        .set_remote_comm_id(names.remote_id)
        .set_remote_qpn(remote_qpn)
        .set_private_data(names.mark());
    encode(names.transaction, dreq)
}

pub(super) fn drep(names: Names) -> Box<[u8; MAD_LEN]> {
    let mut drep = Drep::zeroed();
    drep.set_local_comm_id(names.local_id)
        .set_remote_comm_id(names.remote_id)
        .set_private_data(names.mark());
    encode(names.transaction, drep)
}

/// Which message a REJ refuses.
#[derive(Clone, Copy)]
pub(super) enum Refused {
    Req = 0,
    Rep = 1,
    NoMessage = 2,
}

/// REJ. `info` is additional reject information, `consumer` at most 148 octets.
pub(super) fn rej(
    names: Names,
    refused: Refused,
    reason: RejReason,
    info: &[u8],
    consumer: &[u8],
) -> Box<[u8; MAD_LEN]> {
    let mut private = [0; 148];
    let used = fill(&mut private, consumer);
    if names.is_flexblk && used + MARKER_LEN <= private.len() {
        Marker::PLAIN.place(&mut private, used);
    }
    let mut additional = [0; 72];
    let info_len = fill(&mut additional, info);
    let mut rej = Rej::zeroed();
    rej.set_local_comm_id(names.local_id)
        .set_remote_comm_id(names.remote_id)
        .set_message(refused as u8)
        .set_info_len(u8::try_from(info_len).expect("at most 72"))
        .set_info(additional)
        .set_reason(reason)
        .set_private_data(private);
    encode(names.transaction, rej)
}

/// Copies what fits; returns how much.
fn fill(room: &mut [u8], from: &[u8]) -> usize {
    let len = from.len().min(room.len());
    room[..len].copy_from_slice(&from[..len]);
    len
}

/// The address that this side calls from; of the peer's family, or the peer's own where a link is
/// not bound to one.
fn source_address(local: IpAddr, to: IpAddr) -> IpAddr {
    if local.is_ipv4() == to.is_ipv4() { local } else { to }
}

/// The GID of an address; IPv4 is mapped.
fn gid(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}
