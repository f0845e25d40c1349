//! The headers of whole frames: Ethernet, IP and UDP, and what the kernel puts in front of them.
//!
//! Pure. Source: RFC 894 and RFC 2464 (Ethernet), RFC 791, RFC 8200, RFC 768; the front is
//! `struct virtio_net_hdr` (VIRTIO 1.2, "Device Operation" of the network device), which Linux
//! `packet(7)` sockets have with `PACKET_VNET_HDR`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use wire::roce::{Bth, ICRC_LEN, Icrc, IcrcIp, UdpPorts};

/// An Ethernet address.
pub(super) type Mac = [u8; 6];

/// What the kernel puts in front: how the frame is cut, and where a checksum is missing.
const FRONT: usize = 10;
const ETHERNET: usize = 14;
const UDP: usize = 8;
/// UDP checksum's place in its header.
const CHECKSUM_AT: u16 = 6;
/// Checksum is the receiver's to compute. Source: VIRTIO 1.2, `VIRTIO_NET_HDR_F_NEEDS_CSUM`.
const NEEDS_CHECKSUM: u8 = 1;
/// A run of UDP datagrams of equal length. Source: VIRTIO 1.2, `VIRTIO_NET_HDR_GSO_UDP_L4`.
const UDP_RUN: u8 = 5;
const NOT_A_RUN: u8 = 0;
const HOPS: u8 = 64;
const PROTOCOL_UDP: u8 = 17;
const IPV4: [u8; 2] = [0x08, 0x00];
const IPV6: [u8; 2] = [0x86, 0xdd];

/// Octets before the UDP payload, the kernel's front included: no IP options, no extension headers.
pub(super) const fn header_bytes(is_ipv4: bool) -> usize {
    FRONT + ETHERNET + if is_ipv4 { 20 } else { 40 } + UDP
}

/// The longest of them.
pub(super) const HEADER_BYTES_MAX: usize = header_bytes(false);

/// Headers of a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Headers {
    octets: [u8; HEADER_BYTES_MAX],
    len: usize,
}

impl Headers {
    pub(super) fn as_slice(&self) -> &[u8] {
        &self.octets[..self.len]
    }
}

/// What a message is made with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outgoing {
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    /// Ethernet addresses of this side, and of the next hop.
    pub(super) macs: (Mac, Mac),
    /// Octets of UDP payload: all datagrams of a run together.
    pub(super) bytes: usize,
    /// Octets of each datagram of a run but the last. `None`: one datagram.
    pub(super) segment: Option<u16>,
    /// Type of service, or traffic class.
    pub(super) class: u8,
}

/// Headers of a message. The identification of the first datagram is 0, and Don't Fragment is set, as
/// a UDP socket's are; the device or the kernel completes the UDP checksum.
///
/// Panics when a length does not fit its field: the caller's runs are bounded.
pub(super) fn emit(out: &Outgoing) -> Headers {
    let is_ipv4 = out.to.is_ipv4();
    let len = header_bytes(is_ipv4);
    let udp_len = u16::try_from(UDP + out.bytes).expect("a run fits an IP packet");
    let mut octets = [0; HEADER_BYTES_MAX];
    let udp_at = len - UDP;
    front(&mut octets, out.segment, udp_at - FRONT);
    let (from_mac, to_mac) = out.macs;
    octets[FRONT..FRONT + 6].copy_from_slice(&to_mac);
    octets[FRONT + 6..FRONT + 12].copy_from_slice(&from_mac);
    octets[FRONT + 12..FRONT + 14].copy_from_slice(if is_ipv4 { &IPV4 } else { &IPV6 });
    let ip = &mut octets[FRONT + ETHERNET..udp_at];
    let pseudo = match (out.from.ip(), out.to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            ip[..2].copy_from_slice(&[0x45, out.class]);
            ip[2..4].copy_from_slice(&(udp_len + 20).to_be_bytes());
            ip[6..10].copy_from_slice(&[0x40, 0, HOPS, PROTOCOL_UDP]);
            ip[12..16].copy_from_slice(&from.octets());
            ip[16..20].copy_from_slice(&to.octets());
            let checksum = !fold(sum(ip));
            ip[10..12].copy_from_slice(&checksum.to_be_bytes());
            sum(&ip[12..20])
        }
        (from, to) => {
            ip[..2].copy_from_slice(&[0x60 | out.class >> 4, out.class << 4]);
            ip[4..6].copy_from_slice(&udp_len.to_be_bytes());
            ip[6..8].copy_from_slice(&[PROTOCOL_UDP, HOPS]);
            ip[8..24].copy_from_slice(&wide(from));
            ip[24..40].copy_from_slice(&wide(to));
            sum(&ip[8..40])
        }
    };
    let udp = &mut octets[udp_at..len];
    udp[..2].copy_from_slice(&out.from.port().to_be_bytes());
    udp[2..4].copy_from_slice(&out.to.port().to_be_bytes());
    udp[4..6].copy_from_slice(&udp_len.to_be_bytes());
    // The sum over the pseudo header, from which whoever completes it goes on.
    let started = fold(pseudo + u32::from(PROTOCOL_UDP) + u32::from(udp_len));
    udp[6..8].copy_from_slice(&started.to_be_bytes());
    Headers { octets, len }
}

/// The kernel's front; its fields are in the order of this machine.
fn front(octets: &mut [u8], segment: Option<u16>, udp_at: usize) {
    let [udp_at, end] =
        [udp_at, udp_at + UDP].map(|at| u16::try_from(at).expect("headers are short"));
    octets[0] = NEEDS_CHECKSUM;
    octets[1] = if segment.is_some() { UDP_RUN } else { NOT_A_RUN };
    octets[2..4].copy_from_slice(&end.to_ne_bytes());
    octets[4..6].copy_from_slice(&segment.unwrap_or(0).to_ne_bytes());
    octets[6..8].copy_from_slice(&udp_at.to_ne_bytes());
    octets[8..10].copy_from_slice(&CHECKSUM_AT.to_ne_bytes());
}

/// What arrived.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Incoming {
    pub(super) from: SocketAddr,
    /// Ethernet address of the sender, or of the last router.
    pub(super) mac: Mac,
    /// Octets of UDP payload.
    pub(super) bytes: usize,
    /// Octets of each datagram but the last.
    pub(super) segment: usize,
    /// ECN bits.
    pub(super) ecn: u8,
    /// Identification of the first datagram. IPv6 has none.
    id: u16,
    dont_fragment: bool,
    to: SocketAddr,
}

impl Incoming {
    /// The headers of a message whose UDP payload (and perhaps Ethernet padding) is `rest` octets.
    /// `None`: not UDP in IP as this side sends it, a fragment, or its lengths contradict.
    pub(super) fn parse(headers: &[u8], rest: usize) -> Option<Incoming> {
        let ethernet = headers.get(FRONT..FRONT + ETHERNET)?;
        let mac = *ethernet[6..].first_chunk::<6>()?;
        let is_ipv4 = ethernet[12..] == IPV4;
        if !is_ipv4 && ethernet[12..] != IPV6 {
            return None;
        }
        let udp_at = header_bytes(is_ipv4) - UDP;
        let ip = headers.get(FRONT + ETHERNET..udp_at)?;
        let udp = headers.get(udp_at..udp_at + UDP)?;
        let (addresses, ecn) = if is_ipv4 { ipv4(ip)? } else { ipv6(ip)? };
        let word = |octets: &[u8], at: usize| u16::from_be_bytes([octets[at], octets[at + 1]]);
        let udp_len = usize::from(word(udp, 4));
        let ip_len = if is_ipv4 { word(ip, 2).checked_sub(20)? } else { word(ip, 4) };
        let bytes = udp_len.checked_sub(UDP)?;
        if usize::from(ip_len) != udp_len || bytes > rest {
            return None;
        }
        let segment = match headers[1] {
            NOT_A_RUN => bytes,
            UDP_RUN => Some(usize::from(u16::from_ne_bytes([headers[4], headers[5]])))
                .filter(|&segment| segment > 0)?,
            _ => return None,
        };
        let (from, to) = addresses;
        Some(Incoming {
            from: SocketAddr::new(from, word(udp, 0)),
            to: SocketAddr::new(to, word(udp, 2)),
            mac,
            bytes,
            segment,
            ecn,
            id: if is_ipv4 { word(ip, 4) } else { 0 },
            dont_fragment: is_ipv4 && ip[6] & 0x40 != 0,
        })
    }

    /// Whether the ICRC of the datagram in that place of the run is right.
    pub(super) fn is_intact(&self, place: u16, datagram: &[u8]) -> bool {
        let Some((body, crc)) = datagram.split_last_chunk::<ICRC_LEN>() else { return false };
        let Some((headers, rest)) = body.split_at_checked(Bth::LEN) else { return false };
        let Ok(udp_len) = u16::try_from(UDP + datagram.len()) else { return false };
        let ports = UdpPorts { src: self.from.port(), dst: self.to.port() };
        let mut icrc = Icrc::new(&self.ip(place), ports, udp_len, headers);
        icrc.update(rest);
        icrc.finish() == *crc
    }

    fn ip(&self, place: u16) -> IcrcIp {
        match (self.from.ip(), self.to.ip()) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => IcrcIp::V4 {
                src: src.octets(),
                dst: dst.octets(),
                // As segmentation counts on.
                id: self.id.wrapping_add(place),
                dont_fragment: self.dont_fragment,
            },
            (src, dst) => IcrcIp::V6 { src: wide(src), dst: wide(dst) },
        }
    }
}

type Addresses = (IpAddr, IpAddr);

fn ipv4(ip: &[u8]) -> Option<(Addresses, u8)> {
    let is_whole = ip[6] & 0x3f == 0 && ip[7] == 0;
    if ip[0] != 0x45 || ip[9] != PROTOCOL_UDP || !is_whole {
        return None;
    }
    let at = |at: usize| Some(IpAddr::V4(Ipv4Addr::from(*ip[at..].first_chunk::<4>()?)));
    Some(((at(12)?, at(16)?), ip[1] & 3))
}

fn ipv6(ip: &[u8]) -> Option<(Addresses, u8)> {
    if ip[0] >> 4 != 6 || ip[6] != PROTOCOL_UDP {
        return None;
    }
    let at = |at: usize| Some(IpAddr::V6(Ipv6Addr::from(*ip[at..].first_chunk::<16>()?)));
    Some(((at(8)?, at(24)?), ip[1] >> 4 & 3))
}

fn wide(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    }
}

/// Sum of big-endian 16-bit words of an even number of octets. Source: RFC 1071.
fn sum(octets: &[u8]) -> u32 {
    octets.chunks_exact(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum()
}

/// One's complement sum in 16 bits.
fn fold(mut sum: u32) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::try_from(sum).unwrap_or(u16::MAX)
}

#[cfg(test)]
#[path = "frame_tests.rs"]
mod tests;
