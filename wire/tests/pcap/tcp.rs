//! TCP streams of a pcap file, as far as the vectors need them: Ethernet, IPv4, nothing lost.

use std::collections::BTreeMap;

/// One direction of a connection.
pub(crate) struct Stream {
    pub(crate) source_port: u16,
    pub(crate) destination_port: u16,
    pub(crate) octets: Vec<u8>,
}

fn be16(octets: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([octets[at], octets[at + 1]])
}
fn be32(octets: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([octets[at], octets[at + 1], octets[at + 2], octets[at + 3]])
}

/// Both directions of every connection, in the order of their first octet; what was sent again is
/// taken once.
pub(crate) fn streams(file: &[u8]) -> Vec<Stream> {
    assert_eq!(file[..4], [0xd4, 0xc3, 0xb2, 0xa1], "a little-endian pcap file");
    let mut all: BTreeMap<(u16, u16), (usize, u32, Vec<u8>)> = BTreeMap::new();
    let mut at = 24;
    while at < file.len() {
        let len = usize::from(u16::from_le_bytes([file[at + 8], file[at + 9]]));
        let frame = &file[at + 16..at + 16 + len];
        at += 16 + len;
        if be16(frame, 12) != 0x0800 || frame[14 + 9] != 6 {
            continue;
        }
        let ip_len = usize::from(frame[14] & 15) * 4;
        let tcp = &frame[14 + ip_len..14 + usize::from(be16(frame, 16))];
        let data = &tcp[usize::from(tcp[12] >> 4) * 4..];
        let (sequence, is_first) = (be32(tcp, 4), tcp[13] & 2 != 0);
        let order = all.len();
        let stream = all.entry((be16(tcp, 0), be16(tcp, 2))).or_insert((order, sequence, vec![]));
        if is_first {
            stream.1 = sequence.wrapping_add(1);
            continue;
        }
        let ahead = sequence.wrapping_sub(stream.1) as usize;
        let have = stream.2.len();
        if !data.is_empty() && ahead <= have && ahead + data.len() > have {
            stream.2.extend_from_slice(&data[have - ahead..]);
        }
    }
    let mut streams: Vec<_> = all.into_iter().collect();
    streams.sort_by_key(|(_, (order, ..))| *order);
    let stream = |((source_port, destination_port), (_, _, octets))| Stream {
        source_port,
        destination_port,
        octets,
    };
    streams.into_iter().map(stream).collect()
}
