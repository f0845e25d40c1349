//! The invariant CRC: CRC-32 (IEEE) over everything of a packet that no router changes.
//!
//! Covered, in order: eight octets `0xff` (in place of the InfiniBand LRH), the IP header, the UDP
//! header, the BTH and all that follows up to and with the padding. Fields that routers may change
//! count as ones: IPv4 type of service, time to live, header checksum; IPv6 traffic class, flow
//! label, hop limit; UDP checksum; BTH octet 4 (FECN, BECN). Stored little endian.
//! Source: IBTA 1.4, "Invariant CRC" and annex A17 (RoCEv2), "ICRC".

use crc32fast::Hasher;

use super::Bth;

/// Octets of the ICRC, and of the native mode's CRC.
pub const ICRC_LEN: usize = 4;

/// CRC-32 after the eight octets `0xff` that stand for the LRH.
const AFTER_LRH: u32 = 0x2144_df1c;

/// The IP header as far as the ICRC sees it. Lengths come from the UDP length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IcrcIp {
    /// IPv4 without options.
    V4 {
        /// Source address.
        src: [u8; 4],
        /// Destination address.
        dst: [u8; 4],
        /// Identification; 0, 1, 2 … within a GSO burst of an unconnected socket with DF.
        id: u16,
        /// Don't Fragment.
        dont_fragment: bool,
    },
    /// IPv6 without extension headers.
    V6 {
        /// Source address.
        src: [u8; 16],
        /// Destination address.
        dst: [u8; 16],
    },
}

/// UDP ports of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpPorts {
    /// Source.
    pub src: u16,
    /// Destination: [`super::UDP_PORT`].
    pub dst: u16,
}

/// A CRC in the making: headers first, then the payload in as many pieces as it lies in, then the
/// padding.
#[derive(Clone, Debug)]
pub struct Icrc(Hasher);

impl Icrc {
    /// Starts the ICRC of a packet.
    ///
    /// `udp_len`: the UDP header's length field (8 + headers + payload + padding + 4).
    /// `headers`: the octets from the BTH on, as [`super::Header::emit`] gives. Panics when they
    /// are shorter than a BTH.
    #[must_use]
    pub fn new(ip: &IcrcIp, ports: UdpPorts, udp_len: u16, headers: &[u8]) -> Self {
        // One piece: the CRC has a cost per call, and these are short.
        let mut front = [0; 40 + 8 + Bth::LEN];
        let ip_len = match ip {
            IcrcIp::V4 { src, dst, id, dont_fragment } => {
                let header = ipv4_header(*src, *dst, *id, *dont_fragment, udp_len);
                front[..20].copy_from_slice(&header);
                20
            }
            IcrcIp::V6 { src, dst } => {
                front[..40].copy_from_slice(&ipv6_header(src, dst, udp_len));
                40
            }
        };
        let end = ip_len + 8 + Bth::LEN;
        front[ip_len..end].copy_from_slice(&udp_and_bth(ports, udp_len, headers));
        let mut hasher = Hasher::new_with_initial(AFTER_LRH);
        hasher.update(&front[..end]);
        hasher.update(&headers[Bth::LEN..]);
        Self(hasher)
    }

    /// Starts the native mode's CRC: the same polynomial and mask, from the BTH on, without IP and
    /// UDP headers, so that a plain UDP socket can check it (it never sees the IP identification).
    ///
    /// Panics when `headers` is shorter than a BTH.
    #[must_use]
    pub fn native(headers: &[u8]) -> Self {
        let mut hasher = Hasher::new_with_initial(AFTER_LRH);
        hasher.update(&masked_bth(headers));
        hasher.update(&headers[Bth::LEN..]);
        Self(hasher)
    }

    /// The next piece of the packet.
    #[inline]
    pub fn update(&mut self, piece: &[u8]) -> &mut Self {
        self.0.update(piece);
        self
    }

    /// `count` octets of padding, 0 to 3.
    #[inline]
    pub fn pad(&mut self, count: u8) -> &mut Self {
        self.0.update(&[0; 3][..usize::from(count)]);
        self
    }

    /// The octets for the wire.
    #[inline]
    #[must_use]
    pub fn finish(self) -> [u8; ICRC_LEN] {
        self.0.finalize().to_le_bytes()
    }
}

fn masked_bth(headers: &[u8]) -> [u8; Bth::LEN] {
    let mut bth = *headers.first_chunk::<{ Bth::LEN }>().expect("a packet begins with a BTH");
    bth[4] = 0xff;
    bth
}

fn udp_and_bth(ports: UdpPorts, udp_len: u16, headers: &[u8]) -> [u8; 8 + Bth::LEN] {
    let mut octets = [0xff; 8 + Bth::LEN];
    octets[0..2].copy_from_slice(&ports.src.to_be_bytes());
    octets[2..4].copy_from_slice(&ports.dst.to_be_bytes());
    octets[4..6].copy_from_slice(&udp_len.to_be_bytes());
    octets[8..].copy_from_slice(&masked_bth(headers));
    octets
}

fn ipv4_header(src: [u8; 4], dst: [u8; 4], id: u16, dont_fragment: bool, udp_len: u16) -> [u8; 20] {
    let mut octets = [0; 20];
    octets[0] = 0x45;
    octets[1] = 0xff;
    octets[2..4].copy_from_slice(&udp_len.wrapping_add(20).to_be_bytes());
    octets[4..6].copy_from_slice(&id.to_be_bytes());
    octets[6] = if dont_fragment { 0x40 } else { 0 };
    octets[8] = 0xff;
    octets[9] = 17;
    octets[10..12].fill(0xff);
    octets[12..16].copy_from_slice(&src);
    octets[16..20].copy_from_slice(&dst);
    octets
}

fn ipv6_header(src: &[u8; 16], dst: &[u8; 16], udp_len: u16) -> [u8; 40] {
    let mut octets = [0; 40];
    octets[0..4].copy_from_slice(&[0x6f, 0xff, 0xff, 0xff]);
    octets[4..6].copy_from_slice(&udp_len.to_be_bytes());
    octets[6] = 17;
    octets[7] = 0xff;
    octets[8..24].copy_from_slice(src);
    octets[24..40].copy_from_slice(dst);
    octets
}
