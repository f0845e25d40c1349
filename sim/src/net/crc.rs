//! The CRC of a packet, as a network device computes and checks it.

use netstack::link::{Trailer, Transmit};
use std::net::{IpAddr, SocketAddr};
use wire::roce::{Bth, ICRC_LEN, Icrc, IcrcIp, UdpPorts};

/// Octets of a UDP header.
const UDP_HEADER_BYTES: usize = 8;

/// What of the IP and UDP headers the ICRC covers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Path {
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) ip_id: u16,
}

/// Appends padding and CRC to headers and payload.
pub(super) fn seal(packet: &Transmit, path: Path, octets: &mut Vec<u8>) {
    octets.extend(std::iter::repeat_n(0, usize::from(packet.pad)));
    let headers = packet.header.as_slice().len();
    let crc = match packet.trailer {
        Trailer::None => return,
        Trailer::NativeCrc => {
            let (headers, rest) = octets.split_at(headers);
            let mut crc = Icrc::native(headers);
            crc.update(rest);
            crc.finish()
        }
        Trailer::Icrc => icrc(path, octets),
    };
    octets.extend_from_slice(&crc);
}

/// The packet's ICRC is right.
pub(super) fn is_intact(path: Path, octets: &[u8]) -> bool {
    octets
        .split_last_chunk::<ICRC_LEN>()
        .is_some_and(|(body, crc)| body.len() >= Bth::LEN && icrc(path, body) == *crc)
}

fn icrc(path: Path, body: &[u8]) -> [u8; ICRC_LEN] {
    let ports = UdpPorts { src: path.from.port(), dst: path.to.port() };
    let udp_len = u16::try_from(UDP_HEADER_BYTES + body.len() + ICRC_LEN).unwrap_or(u16::MAX);
    let ip = match (path.from.ip(), path.to.ip()) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            let (src, dst, id) = (src.octets(), dst.octets(), path.ip_id);
            IcrcIp::V4 { src, dst, id, dont_fragment: true }
        }
        (src, dst) => IcrcIp::V6 { src: wide(src), dst: wide(dst) },
    };
    let (headers, rest) = body.split_at(Bth::LEN);
    let mut crc = Icrc::new(&ip, ports, udp_len, headers);
    crc.update(rest);
    crc.finish()
}

fn wide(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    }
}
