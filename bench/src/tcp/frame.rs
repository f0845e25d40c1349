//! What goes over a connection: a header of 24 octets, then payload. All numbers little-endian.

/// Octets of a header.
pub(super) const HEADER_LEN: usize = 24;
/// Private data of a handshake at most.
pub(super) const PRIVATE_MAX: u32 = 256;

/// What a frame is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Op {
    /// First frame of the side that connects; payload is private data.
    Connect,
    /// The answer: private data.
    Accept,
    /// The other answer, and the last frame: a reason and private data.
    Reject,
    /// Into the next receive.
    Send,
    /// The same, and `key` is invalidated there.
    SendInvalidate,
    /// Into `addr` of `key`.
    Write,
    /// From `addr` of `key`. Nothing follows it.
    ReadRequest,
    /// To the oldest READ request.
    ReadResponse,
    /// The last frame: `reason` is a `WcStatus`, `depth` is 1 if a READ of the receiver failed.
    Error,
}

const OPS: [Op; 9] = [
    Op::Connect,
    Op::Accept,
    Op::Reject,
    Op::Send,
    Op::SendInvalidate,
    Op::Write,
    Op::ReadRequest,
    Op::ReadResponse,
    Op::Error,
];

/// A frame's header. What an operation does not use is zero.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Header {
    pub(super) op: Op,
    /// READs that the sender of a handshake lets the other have outstanding.
    pub(super) depth: u8,
    pub(super) reason: u16,
    /// Octets of payload, or of what is to be read.
    pub(super) length: u32,
    pub(super) key: u32,
    pub(super) addr: u64,
}

impl Header {
    /// One with an operation and a length.
    pub(super) fn new(op: Op, length: u32) -> Header {
        Header { op, depth: 0, reason: 0, length, key: 0, addr: 0 }
    }

    pub(super) fn encode(&self) -> [u8; HEADER_LEN] {
        let mut octets = [0; HEADER_LEN];
        octets[0] = self.op as u8;
        octets[1] = self.depth;
        octets[2..4].copy_from_slice(&self.reason.to_le_bytes());
        octets[4..8].copy_from_slice(&self.length.to_le_bytes());
        octets[8..12].copy_from_slice(&self.key.to_le_bytes());
        octets[16..].copy_from_slice(&self.addr.to_le_bytes());
        octets
    }

    /// `None`: no such operation.
    pub(super) fn decode(octets: &[u8; HEADER_LEN]) -> Option<Header> {
        let [op, depth, r0, r1, l0, l1, l2, l3, k0, k1, k2, k3, _, _, _, _, addr @ ..] = *octets;
        Some(Header {
            op: *OPS.get(usize::from(op))?,
            depth,
            reason: u16::from_le_bytes([r0, r1]),
            length: u32::from_le_bytes([l0, l1, l2, l3]),
            key: u32::from_le_bytes([k0, k1, k2, k3]),
            addr: u64::from_le_bytes(addr),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: what was encoded is decoded, for every operation; unknown ones are told.
    #[test]
    fn headers_survive() {
        for op in OPS {
            let (reason, length, key, addr) = (0x1234, u32::MAX, 0x8765_4321, u64::MAX - 1);
            let header = Header { op, depth: 7, reason, length, key, addr };
            assert_eq!(Header::decode(&header.encode()), Some(header));
        }
        assert_eq!(Header::decode(&[9; HEADER_LEN]), None);
        assert_eq!(Header::decode(&[255; HEADER_LEN]), None);
    }
}
