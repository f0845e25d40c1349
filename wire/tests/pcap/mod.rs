//! A pcap reader, as far as the vectors need it: Ethernet, IPv4, UDP.

/// One UDP datagram of the capture.
pub(crate) struct Datagram {
    pub(crate) ip: Vec<u8>,
    pub(crate) source_port: u16,
    pub(crate) destination_port: u16,
    pub(crate) payload: Vec<u8>,
}

fn be16(octets: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([octets[at], octets[at + 1]])
}

/// Every UDP datagram to port 4791 of a little-endian pcap file, in order.
pub(crate) fn roce_datagrams(file: &[u8]) -> Vec<Datagram> {
    assert_eq!(file[..4], [0xd4, 0xc3, 0xb2, 0xa1], "a little-endian pcap file");
    let mut datagrams = Vec::new();
    let mut at = 24;
    while at < file.len() {
        let len = usize::from(u16::from_le_bytes([file[at + 8], file[at + 9]]));
        let frame = &file[at + 16..at + 16 + len];
        at += 16 + len;
        if be16(frame, 12) != 0x0800 || frame[14 + 9] != 17 {
            continue;
        }
        let ip_len = usize::from(frame[14] & 15) * 4;
        let (ip, udp) = frame[14..14 + usize::from(be16(frame, 16))].split_at(ip_len);
        if be16(udp, 2) == 4791 {
            datagrams.push(Datagram {
                ip: ip.to_vec(),
                source_port: be16(udp, 0),
                destination_port: be16(udp, 2),
                payload: udp[8..].to_vec(),
            });
        }
    }
    datagrams
}
