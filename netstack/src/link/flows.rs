//! From which UDP port a packet leaves: RoCEv2's queue pairs each from a port of their own.
//!
//! Switches choose among equal paths, and NICs among receive queues, by addresses and ports. RoCEv2's
//! destination port is always the same, so the source port is what tells its connections apart; rxe
//! and RDMA NICs choose it likewise. Source: IBTA, Annex A17, "UDP source port"; rdma-core's
//! `rdma_flow_label_to_udp_sport`. See docs/decisions/0020-source-ports.md.

use super::{LinkCaps, ROCE_PORT, Trailer, Transmit};
use crate::split_mix;
use std::net::{IpAddr, SocketAddr};
use wire::roce::{Opcode, QpNum};

/// The first of the ports that RoCEv2 packets leave from. The last one is 65,535.
pub(super) const FIRST: u16 = 0xc000;
/// How many they are.
pub(super) const COUNT: u16 = 0x4000;
/// Bits of a queue pair's number that count up. Of a FlexBlk endpoint's, which has room for 4,095 of them, the
/// others are at random.
const NUMBERED_IN_A_ROW: u32 = 0xfff;
/// Where the destination queue pair lies in a packet. Source: IBTA 1.4, "Base Transport Header".
const DEST_QP: std::ops::Range<usize> = 5..8;

/// Source ports that a link has beside its own: `count` from `first` on, 49,152 to 65,535; or none.
///
/// Only RoCEv2 packets to queue pairs leave from them, and only from a link at port 4791: their receivers
/// answer to that port, wherever a packet came from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Flows {
    first: u16,
    count: u16,
}

impl Flows {
    /// The link's own port alone.
    pub const NONE: Flows = Flows { first: 0, count: 0 };
    /// All of them.
    pub(super) const ALL: Flows = Flows { first: FIRST, count: COUNT };

    /// The block of `count` ports with that number; `count` is a power of two of at most 16,384. Numbers
    /// go round.
    pub(super) fn block(number: u16, count: u16) -> Flows {
        let blocks = COUNT / count;
        Flows { first: FIRST + number % blocks * count, count }
    }

    /// The ports.
    pub(super) fn ports(self) -> impl ExactSizeIterator<Item = u16> {
        (0..self.count).map(move |at| self.first + at)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.count == 0
    }

    /// Which of the ports `port` is, from 0 on. `None`: none of them.
    #[inline]
    pub(super) fn position(self, port: u16) -> Option<usize> {
        port.checked_sub(self.first).filter(|at| *at < self.count).map(usize::from)
    }

    /// Where `packet` leaves from, on a link at `local`: the same for all of a queue pair's packets.
    #[inline]
    #[must_use]
    pub fn source(self, local: SocketAddr, packet: &Transmit) -> SocketAddr {
        if self.is_empty() || packet.trailer != Trailer::Icrc || local.port() != ROCE_PORT {
            return local;
        }
        match dest_qp(packet.header.as_slice()) {
            Some(qp) if qp > QpNum::GSI.get() => self.of(local, qp, packet.to.ip()),
            Some(_) | None => local,
        }
    }

    /// Queue pairs are numbered in a row, by Linux and by FlexBlk: each group of `count` of them has all ports,
    /// which a hash alone would not give a few connections. Where the groups begin, and queue pairs that
    /// are numbered with a step, are left to the hash.
    fn of(self, mut local: SocketAddr, qp: u32, to: IpAddr) -> SocketAddr {
        let group = (qp & NUMBERED_IN_A_ROW) / u32::from(self.count);
        let place = qp.wrapping_add(hash(group, to)) % u32::from(self.count);
        local.set_port(self.first + u16::try_from(place).unwrap_or(0));
        local
    }
}

impl LinkCaps {
    /// Where `packet` leaves from. The ICRC covers it.
    #[inline]
    #[must_use]
    pub fn source(&self, packet: &Transmit) -> SocketAddr {
        self.flows.source(self.local, packet)
    }
}

/// The queue pair that a RoCEv2 packet goes to. `None`: it is of the native mode, whose peers know each
/// other by their ports (a trailer that is not the mode's own is a test's doing).
#[inline]
fn dest_qp(header: &[u8]) -> Option<u32> {
    let opcode = header.first().and_then(|octet| Opcode::from_octet(*octet))?;
    let &[a, b, c] = header.get(DEST_QP)? else { return None };
    (!opcode.is_native()).then(|| u32::from_be_bytes([0, a, b, c]))
}

/// Group and address, mixed: each bit of either moves each bit of it.
#[inline]
fn hash(group: u32, to: IpAddr) -> u32 {
    let address = match to {
        IpAddr::V4(ip) => u64::from(ip.to_bits()),
        IpAddr::V6(ip) => {
            let [high, low] = [ip.to_bits() >> 64, ip.to_bits() & u128::from(u64::MAX)]
                .map(|half| u64::try_from(half).unwrap_or(0));
            mix(high).wrapping_add(low)
        }
    };
    u32::try_from(mix(mix(address).wrapping_add(u64::from(group))) >> 32).unwrap_or(0)
}

#[inline]
fn mix(mut value: u64) -> u64 {
    split_mix::next(&mut value)
}

#[cfg(test)]
#[path = "flows_tests.rs"]
mod tests;
