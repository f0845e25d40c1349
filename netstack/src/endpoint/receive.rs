//! Where a received packet goes.

use super::context::QpContext;
use super::{Drop, Endpoint, QpMachine};
use crate::Place;
use crate::qp::{Cx, Machine};
use std::net::SocketAddr;
use std::time::Instant;
use wire::roce::native::{NATIVE_HEADER_LEN, NativePacket};
use wire::roce::{Bth, ICRC_LEN, Icrc, Opcode, Packet, ParseError, QKey, QpNum};

/// ECN: congestion experienced. Source: RFC 3168, section 5.
const CONGESTION_EXPERIENCED: u8 = 3;

/// Congestion notifications that may wait to be sent; more are dropped, as the network might.
const CNPS_WAITING: usize = 1024;

impl Endpoint {
    /// A datagram arrived: BTH first, CRC last if the wire mode has one. Whatever is wrong with it
    /// is counted and changes nothing.
    pub fn handle_packet(
        &mut self,
        now: Instant,
        from: SocketAddr,
        ecn: u8,
        octets: &[u8],
        place: &mut dyn Place,
    ) {
        self.handle_parts(now, from, ecn, (octets, &[]), place);
        self.end_burst(now);
    }

    /// The same for one of a burst, after which the caller calls [`Endpoint::end_burst`] before
    /// anything else. A native packet's payload may lie apart from its header. Nothing is decided by
    /// octets of the payload.
    pub fn handle_parts(
        &mut self,
        now: Instant,
        from: SocketAddr,
        ecn: u8,
        parts: (&[u8], &[u8]),
        place: &mut dyn Place,
    ) {
        if let Err(reason) = self.demux(now, from, ecn, parts, place) {
            self.drops.count(reason);
        }
    }

    fn demux(
        &mut self,
        now: Instant,
        from: SocketAddr,
        ecn: u8,
        (octets, apart): (&[u8], &[u8]),
        place: &mut dyn Place,
    ) -> Result<(), Drop> {
        // Only what the demultiplexer needs; whoever handles the packet decodes the rest, once.
        let head: &[u8; Bth::LEN] = octets.first_chunk().ok_or(Drop::Truncated)?;
        let opcode = Opcode::from_octet(head[0]).ok_or(Drop::UnknownOpcode)?;
        if u16::from_be_bytes([head[2], head[3]]) & 0x7fff != 0x7fff {
            return Err(Drop::PKey);
        }
        if !apart.is_empty() && !opcode.is_native() {
            return Err(Drop::Malformed);
        }
        let key = u32::from_be_bytes([0, head[5], head[6], head[7]]);
        if key == QpNum::GSI.get() || opcode.has_deth() {
            return self.handle_datagram(now, from, octets);
        }
        let qp = self.qps.get(key).ok_or(Drop::UnknownQp)?;
        if !qp.source.admits(from) {
            return Err(Drop::WrongSource);
        }
        let machine = qp.machine.as_ref().ok_or(Drop::NotReady)?;
        if opcode == Opcode::Cnp {
            self.qp_counters.cnps_in += 1;
            self.run(key, now, place, |machine, _| machine.handle_cnp(now));
            return Ok(());
        }
        if machine.is_native() != opcode.is_native() {
            return Err(Drop::WrongMode);
        }
        let is_marked = ecn == CONGESTION_EXPERIENCED;
        if opcode.is_native() {
            let mut parsed = native_packet(qp, octets, apart);
            let packet = parsed.as_mut().map_err(|drop| *drop)?;
            if is_marked {
                mark(packet);
            }
            self.note_peer_ready(key, now);
            self.run_in_burst(key, now, place, |machine, cx| handle_native(machine, cx, packet));
        } else {
            let packet = Packet::parse(octets, true).map_err(reason)?;
            self.note_peer_ready(key, now);
            if (is_marked || packet.bth.fecn) && opcode.has_payload() {
                self.notify_congestion(key, now);
            }
            self.run_in_burst(key, now, place, |machine, cx| handle_roce(machine, cx, &packet));
        }
        Ok(())
    }

    /// For queue pair 1: connection management. Other datagrams have no receiver here.
    fn handle_datagram(
        &mut self,
        now: Instant,
        from: SocketAddr,
        octets: &[u8],
    ) -> Result<(), Drop> {
        let packet = Packet::parse(octets, true).map_err(reason)?;
        let deth = packet.ext.deth.ok_or(Drop::BadDatagram)?;
        if packet.bth.dest_qp != QpNum::GSI || deth.qkey != QKey::GSI {
            return Err(Drop::BadDatagram);
        }
        self.end_burst(now);
        self.cm.handle_mad(now, from, packet.payload);
        self.take_notices(now);
        Ok(())
    }

    /// Data from the peer of a connection that was accepted says what its RTU says.
    #[inline]
    fn note_peer_ready(&mut self, key: u32, now: Instant) {
        let waiting = self.qps.get(key).filter(|qp| qp.is_cm && !qp.may_transmit);
        if let Some(id) = waiting.and_then(|qp| qp.connection) {
            self.end_burst(now);
            self.cm.handle_data(now, id);
            self.take_notices(now);
        }
    }

    /// A marked packet with payload of a RoCEv2 connection: its sender hears of it, but not of
    /// each. (Acknowledgements are not paced: notifying their sender would slow the wrong side.)
    ///
    /// Source: IBTA Annex A17, "Congestion notification"; the interval is DCQCN's.
    #[cold]
    fn notify_congestion(&mut self, key: u32, now: Instant) {
        self.qp_counters.ecn_marks_in += 1;
        let interval = self.config.timers.cnp_interval;
        let Some(qp) = self.qps.get_mut(key) else { return };
        let Some(attr) = qp.attr.filter(|_| qp.next_cnp.is_none_or(|at| at <= now)) else {
            return;
        };
        qp.next_cnp = Some(now + interval);
        if self.cnps.len() < CNPS_WAITING {
            self.cnps.push_back((attr.dest, attr.dest_qp));
        }
    }
}

/// Parses a native packet and checks its CRC.
#[inline]
fn native_packet<'p>(
    qp: &QpContext,
    octets: &'p [u8],
    apart: &'p [u8],
) -> Result<NativePacket<'p>, Drop> {
    if !apart.is_empty() {
        return native_parts(qp, octets, apart);
    }
    let parsed = NativePacket::parse(octets, qp.has_native_crc);
    if parsed.is_ok() && qp.has_native_crc && !is_intact(octets) {
        return Err(Drop::BadCrc);
    }
    parsed.map_err(reason)
}

/// Notes the IP header's mark in the BTH.
fn mark(packet: &mut NativePacket<'_>) {
    match packet {
        NativePacket::Data { header, .. } => header.bth.fecn = true,
        NativePacket::Ack(ack) => ack.bth.fecn = true,
    }
}

/// The same for a packet in two parts, of a link that has no marks.
fn native_parts<'p>(
    qp: &QpContext,
    head: &'p [u8],
    apart: &'p [u8],
) -> Result<NativePacket<'p>, Drop> {
    let packet = NativePacket::parse(head, false).map_err(reason)?;
    let NativePacket::Data { header, payload: [] } = packet else { return Err(Drop::Malformed) };
    if !header.bth.opcode.has_payload() {
        return Err(Drop::Malformed);
    }
    if !qp.has_native_crc {
        return Ok(NativePacket::Data { header, payload: apart });
    }
    let (payload, crc) = apart.split_last_chunk::<ICRC_LEN>().ok_or(Drop::Truncated)?;
    let mut icrc = Icrc::native(head);
    icrc.update(payload);
    if icrc.finish() != *crc {
        return Err(Drop::BadCrc);
    }
    Ok(NativePacket::Data { header, payload })
}

fn is_intact(octets: &[u8]) -> bool {
    let Some((body, crc)) = octets.split_last_chunk::<ICRC_LEN>() else { return false };
    let Some((headers, payload)) = body.split_at_checked(NATIVE_HEADER_LEN) else { return false };
    let mut icrc = Icrc::native(headers);
    icrc.update(payload);
    icrc.finish() == *crc
}

fn handle_native(machine: &mut QpMachine, cx: &mut Cx<'_>, packet: &NativePacket<'_>) {
    if let QpMachine::Native(machine) = machine {
        machine.handle_packet(cx, packet);
    }
}

fn handle_roce(machine: &mut QpMachine, cx: &mut Cx<'_>, packet: &Packet<'_>) {
    if let QpMachine::Roce(machine) = machine {
        machine.handle_packet(cx, packet);
    }
}

fn reason(error: ParseError) -> Drop {
    match error {
        ParseError::Truncated => Drop::Truncated,
        ParseError::UnknownOpcode => Drop::UnknownOpcode,
        ParseError::WrongMode => Drop::WrongMode,
        // The enum is open: whatever else is wrong is malformed.
        ParseError::BadVersion | ParseError::BadPadding | _ => Drop::Malformed,
    }
}
