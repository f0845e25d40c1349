use super::super::conformance::{Host, conforms, packet, receive};
use super::super::{LoopbackLink, Trailer};
use super::*;

fn tapped(a: &str, b: &str) -> (PcapLink<LoopbackLink, Vec<u8>>, LoopbackLink) {
    let (a, b) = LoopbackLink::pair(a.parse().unwrap(), b.parse().unwrap(), 64, 1024);
    (PcapLink::new(a, Vec::new()).unwrap(), b)
}

/// The frames of a file, after checking its framing.
fn frames(file: &[u8]) -> Vec<&[u8]> {
    let (header, mut rest) = file.split_at(24);
    assert_eq!(header[..4], MAGIC_NANOSECONDS.to_le_bytes());
    let mut frames = Vec::new();
    while !rest.is_empty() {
        let len = u32::from_le_bytes(rest[8..12].try_into().unwrap()) as usize;
        assert_eq!(rest[8..12], rest[12..16], "captured whole");
        frames.push(&rest[16..16 + len]);
        rest = &rest[16 + len..];
    }
    frames
}

/// Goal: the tap changes nothing about its link.
#[test]
fn tap_conforms() {
    let (a, b) = tapped("10.0.0.1:4791", "10.0.0.2:4791");
    conforms(a, PcapLink::new(b, Vec::new()).unwrap());
}

/// Goal: IPv4 and UDP headers are as sent: DF, identification by place in the run, both checksums
/// verify to zero, and the payload is the packet.
#[test]
fn frames_are_valid_ipv4() {
    let (mut a, mut b) = tapped("10.0.0.1:4791", "10.0.0.2:4791");
    let host = Host::new();
    let mut batch = TxBatch::new(4);
    for length in [64, 64, 7, 100] {
        batch.push(packet(b.caps().local, 1, &[host.sge(0, length)], Trailer::Icrc));
    }
    a.tx_burst(&mut batch, &host.registry).unwrap();
    let got = receive(&mut b, &mut RxRing::new(4, 1 << 16), 4);
    let frames = frames(&a.file);
    assert_eq!(frames.len(), 4);
    for ((frame, octets), id) in frames.iter().zip(&got).zip([0_u16, 1, 2, 0]) {
        assert_eq!(frame[12..14], [8, 0]);
        let (ip, udp) = frame[14..].split_at(20);
        assert_eq!((u16::from_be_bytes([ip[4], ip[5]]), ip[6]), (id, 0x40));
        assert_eq!(fold(sum(ip)), 0xffff);
        let pseudo = sum(&ip[12..20]) + 17 + udp.len() as u64;
        assert_eq!(fold(pseudo + sum(udp)), 0xffff);
        assert_eq!(&udp[8..], octets);
    }
}

/// Goal: IPv6 frames verify too, and received packets are recorded with their sender.
#[test]
fn frames_are_valid_ipv6_and_received_ones_recorded() {
    let (mut a, mut b) = tapped("[fd00::1]:4791", "[fd00::2]:4791");
    let host = Host::new();
    let mut batch = TxBatch::new(2);
    batch.push(packet(a.caps().local, 1, &[host.sge(0, 33)], Trailer::NativeCrc));
    b.tx_burst(&mut batch, &host.registry).unwrap();
    assert_eq!(receive(&mut a, &mut RxRing::new(4, 1 << 16), 1).len(), 1);
    let frame = frames(&a.file)[0];
    assert_eq!(frame[12..14], [0x86, 0xdd]);
    let (ip, udp) = frame[14..].split_at(40);
    assert_eq!((ip[23], ip[39]), (2, 1), "from ::2 to ::1");
    assert_eq!(fold(sum(&ip[8..40]) + 17 + udp.len() as u64 + sum(udp)), 0xffff);
}
