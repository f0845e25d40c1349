//! What follows the payload: pad octets and a CRC, computed where IP addresses are known.

use super::{Trailer, Transmit};
use std::net::{IpAddr, SocketAddr};
use wire::roce::{Icrc, IcrcIp, TrailerBuf, UdpPorts};

/// ECN-capable transport, codepoint 0. Source: RFC 3168, section 5.
pub(super) const ECT_0: u8 = 0b10;

/// Octets of a UDP header.
const UDP_HEADER_BYTES: usize = 8;

/// Addresses and identification that the ICRC covers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Path {
    /// Source.
    pub(crate) from: SocketAddr,
    /// Destination.
    pub(crate) to: SocketAddr,
    /// IPv4 identification: the packet's index in its GSO message.
    pub(crate) ip_id: u16,
}

/// Pad and CRC of `packet`, whose payload is `payload`, in order.
pub(crate) fn trailer<'p>(
    packet: &Transmit,
    path: Path,
    payload: impl Iterator<Item = &'p [u8]>,
) -> TrailerBuf {
    let headers = packet.header.as_slice();
    let mut crc = match packet.trailer {
        Trailer::None => return TrailerBuf::new(packet.pad, None),
        Trailer::NativeCrc => Icrc::native(headers),
        Trailer::Icrc => {
            let ports = UdpPorts { src: path.from.port(), dst: path.to.port() };
            let udp_len = UDP_HEADER_BYTES + packet.wire_len();
            let udp_len = u16::try_from(udp_len).unwrap_or(u16::MAX);
            Icrc::new(&path.ip(), ports, udp_len, headers)
        }
    };
    for octets in payload {
        crc.update(octets);
    }
    crc.pad(packet.pad);
    TrailerBuf::new(packet.pad, Some(crc.finish()))
}

impl Path {
    fn ip(self) -> IcrcIp {
        match (self.from.ip(), self.to.ip()) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => IcrcIp::V4 {
                src: src.octets(),
                dst: dst.octets(),
                id: self.ip_id,
                dont_fragment: true,
            },
            (src, dst) => IcrcIp::V6 { src: octets(src), dst: octets(dst) },
        }
    }
}

fn octets(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    }
}
