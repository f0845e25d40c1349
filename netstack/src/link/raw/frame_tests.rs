use super::*;
use proptest::prelude::*;

fn outgoing(from: &str, to: &str, bytes: usize, segment: Option<u16>) -> Outgoing {
    let (from, to) = (from.parse().unwrap(), to.parse().unwrap());
    let macs = ([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
    Outgoing { from, to, macs, bytes, segment, class: 0b10 }
}

/// Goal: what leaves is what is read, for both families, single and in runs; the IPv4 checksum is
/// right.
#[test]
fn headers_survive() {
    for (from, to) in [("10.0.0.1:4791", "10.0.0.2:5000"), ("[fd00::1]:4791", "[fd00::2]:5000")] {
        for segment in [None, Some(1000)] {
            let out = outgoing(from, to, 3500, segment);
            let headers = emit(&out);
            let got = Incoming::parse(headers.as_slice(), 3500).unwrap();
            assert_eq!((got.from, got.to, got.mac), (out.from, out.to, out.macs.0));
            assert_eq!((got.bytes, got.ecn), (3500, 2));
            assert_eq!(got.segment, segment.map_or(3500, usize::from));
            if out.to.is_ipv4() {
                assert_eq!((got.id, got.dont_fragment), (0, true));
                assert_eq!(fold(sum(&headers.as_slice()[24..44])), 0xffff);
            }
        }
    }
}

/// Goal: short frames are padded to 60 octets: what is behind the datagram is none of it. Lengths
/// that contradict, fragments and other protocols are refused.
#[test]
fn lengths_and_kinds_are_checked() {
    let headers = emit(&outgoing("10.0.0.1:4791", "10.0.0.2:4791", 12, None));
    let parse = |change: &dyn Fn(&mut [u8]), rest: usize| {
        let mut octets = headers.as_slice().to_vec();
        change(&mut octets);
        Incoming::parse(&octets, rest)
    };
    assert_eq!(parse(&|_| {}, 18).map(|got| got.bytes), Some(12));
    assert_eq!(parse(&|_| {}, 11), None, "cut short");
    let ip = FRONT + ETHERNET;
    for (at, octet, what) in [
        (ip, 0x46, "options"),
        (ip + 3, 41, "IP and UDP lengths differ"),
        (ip + 6, 0x60, "more fragments"),
        (ip + 7, 1, "a fragment"),
        (ip + 9, 6, "TCP"),
        (ip - 1, 6, "ARP"),
        (1, 1, "a run of TCP"),
        (ip + 20 + 5, 7, "less than a UDP header"),
    ] {
        assert_eq!(parse(&|octets| octets[at] = octet, 12), None, "{what}");
    }
}

proptest! {
    /// Goal: any octets are refused or read, and what is read lies inside what arrived.
    #[test]
    fn any_octets_are_bounded(octets in proptest::collection::vec(any::<u8>(), 0..90), rest in 0_usize..70_000) {
        if let Some(got) = Incoming::parse(&octets, rest) {
            prop_assert!(got.bytes <= rest);
        }
    }
}
