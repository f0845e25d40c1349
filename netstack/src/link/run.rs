//! Which packets leave together: runs of equal datagrams, one GSO message each.
//!
//! Source: Linux `udp(7)`, `UDP_SEGMENT`: all segments of a message are equally long, the last one
//! may be shorter.

use std::net::SocketAddr;

/// Segments that every kernel with UDP GSO takes in one message (6.12 and later take 128).
pub(crate) const SEGMENTS_MAX: usize = 64;
/// Octets of one message: the largest UDP payload over IPv4.
const MESSAGE_BYTES_MAX: usize = 65_507;

/// Where a packet goes in the sequence of messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    /// It begins a new message; the one before, if any, is complete.
    pub(crate) begins: bool,
    /// Its place in the message. On IPv4 the kernel's segmentation makes this the packet's IP
    /// identification, which RoCEv2's ICRC covers.
    pub(crate) index: u16,
}

/// Cuts a sequence of packets into runs.
#[derive(Debug)]
pub(crate) struct Runs {
    segments_max: usize,
    open: Option<Run>,
}

#[derive(Debug)]
struct Run {
    way: (SocketAddr, SocketAddr),
    segment_bytes: usize,
    count: usize,
    bytes: usize,
    closed: bool,
}

impl Runs {
    /// `segments_max` packets a message at most; 1 turns GSO off.
    pub(crate) fn new(segments_max: usize) -> Runs {
        Runs { segments_max: segments_max.clamp(1, SEGMENTS_MAX), open: None }
    }
    /// Places the next packet, which goes `way`: from where, and where to.
    pub(crate) fn place(&mut self, way: (SocketAddr, SocketAddr), wire_len: usize) -> Place {
        if let Some(run) = &mut self.open
            && run.takes(way, wire_len, self.segments_max)
        {
            let index = u16::try_from(run.count).unwrap_or(0);
            run.count += 1;
            run.bytes += wire_len;
            run.closed = wire_len < run.segment_bytes;
            return Place { begins: false, index };
        }
        let run = Run { way, segment_bytes: wire_len, count: 1, bytes: wire_len, closed: false };
        self.open = Some(run);
        Place { begins: true, index: 0 }
    }
}

impl Run {
    fn takes(&self, way: (SocketAddr, SocketAddr), wire_len: usize, segments_max: usize) -> bool {
        !self.closed
            && self.count < segments_max
            && self.way == way
            && wire_len <= self.segment_bytes
            && self.bytes + wire_len <= MESSAGE_BYTES_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths_to_runs(lengths: &[usize], segments_max: usize) -> Vec<usize> {
        let to = "127.0.0.1:4791".parse().unwrap();
        let from = "127.0.0.2:4791".parse().unwrap();
        let mut runs = Runs::new(segments_max);
        let mut sizes = Vec::new();
        for &len in lengths {
            let place = runs.place((from, to), len);
            if place.begins {
                sizes.push(0);
            }
            assert_eq!(usize::from(place.index), *sizes.last().unwrap());
            *sizes.last_mut().unwrap() += 1;
        }
        sizes
    }

    /// Goal: equal packets share a message, a shorter one closes it, a longer one begins another.
    #[test]
    fn a_shorter_packet_closes_a_run() {
        assert_eq!(lengths_to_runs(&[100, 100, 60, 60, 100], 64), [3, 1, 1]);
        assert_eq!(lengths_to_runs(&[60, 100, 100], 64), [1, 2]);
    }

    /// Goal: no message exceeds the kernel's segment count or a UDP payload's octets.
    #[test]
    fn runs_are_bounded() {
        assert_eq!(lengths_to_runs(&[100; 130], 64), [64, 64, 2]);
        assert_eq!(lengths_to_runs(&[4128; 16], 64), [15, 1]);
        assert_eq!(lengths_to_runs(&[100; 3], 1), [1, 1, 1]);
    }

    /// Goal: packets to different peers, or from different ports, never share a message.
    #[test]
    fn a_run_has_one_way() {
        let mut runs = Runs::new(64);
        let mut begins = |from: &str, to: &str| {
            runs.place((from.parse().unwrap(), to.parse().unwrap()), 50).begins
        };
        assert!(begins("127.0.0.9:4791", "127.0.0.1:4791"));
        assert!(begins("127.0.0.9:4791", "127.0.0.1:4792"));
        assert!(begins("127.0.0.9:4791", "127.0.0.2:4792"));
        assert!(begins("127.0.0.9:49152", "127.0.0.2:4792"));
        assert!(!begins("127.0.0.9:49152", "127.0.0.2:4792"));
    }
}
