//! What follows the payload: pad octets and a CRC, computed where IP addresses are known.

use super::{Trailer, Transmit};
use std::net::SocketAddr;
use wire::roce::Icrc;

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

/// Pad and CRC of one packet: up to seven octets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tail {
    octets: [u8; 7],
    len: usize,
}

impl Tail {
    /// The tail of `packet`, whose payload is `payload`, in order.
    pub(crate) fn of<'p>(
        packet: &Transmit,
        path: Path,
        payload: impl Iterator<Item = &'p [u8]>,
    ) -> Tail {
        let pad = usize::from(packet.pad).min(3);
        let mut tail = Tail { octets: [0; 7], len: pad };
        let mut crc = match packet.trailer {
            Trailer::None => return tail,
            Trailer::Icrc => {
                let udp_payload = u16::try_from(packet.wire_len()).unwrap_or(u16::MAX);
                Icrc::new(path.from, path.to, path.ip_id, udp_payload, packet.header.as_slice())
            }
            Trailer::NativeCrc => Icrc::native(packet.header.as_slice()),
        };
        payload.for_each(|octets| crc.update(octets));
        crc.update(&tail.octets[..pad]);
        tail.octets[pad..pad + 4].copy_from_slice(&crc.finish().to_le_bytes());
        tail.len = pad + 4;
        tail
    }

    /// The octets.
    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.octets[..self.len]
    }
}
