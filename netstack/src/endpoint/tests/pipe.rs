//! A switch between the hosts: each has one port, with a rate, a queue, and marks when it is long.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Octets on the wire beside the UDP payload: preamble, gap, Ethernet with its CRC, IPv4, UDP.
const FRAME_BYTES: usize = 8 + 12 + 18 + 20 + 8;
/// ECN: congestion experienced. Source: RFC 3168, section 5.
const MARK: u8 = 3;

/// The network's speed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Speed {
    /// Octets per second that a port sends.
    pub(super) rate: u64,
    /// One way, without any queue.
    pub(super) propagation: Duration,
    /// Octets that wait at a port; more are lost.
    pub(super) queue_max: u64,
    /// Octets that wait from which packets are marked.
    pub(super) mark_at: u64,
}

/// 10 Gbit/s with the buffer and the marking threshold of a switch, and so much of a round trip.
pub(super) fn ten_gigabit(rtt: Duration) -> Speed {
    Speed { rate: 1_250_000_000, propagation: rtt / 2, queue_max: 2 << 20, mark_at: 100 << 10 }
}

/// How a packet gets through.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Way {
    pub(super) delay: Duration,
    pub(super) ecn: u8,
}

/// One port: towards one host.
#[derive(Debug)]
struct Port {
    to: SocketAddr,
    free_at: Instant,
    /// Octets carried.
    bytes: u64,
    /// How long each packet waited before it, in order.
    waits: Vec<Duration>,
}

/// The switch.
#[derive(Debug)]
pub(super) struct Pipes {
    speed: Speed,
    ports: Vec<Port>,
    /// Packets lost at full queues.
    pub(super) overflows: u64,
    /// Packets marked.
    pub(super) marks: u64,
}

impl Pipes {
    pub(super) fn new(speed: Speed) -> Pipes {
        Pipes { speed, ports: Vec::new(), overflows: 0, marks: 0 }
    }

    /// A datagram of `len` octets on its way. `None`: the queue is full.
    pub(super) fn carry(&mut self, now: Instant, to: SocketAddr, len: usize) -> Option<Way> {
        let speed = self.speed;
        let at = self.port(now, to);
        let port = &mut self.ports[at];
        let bytes = (len + FRAME_BYTES) as u64;
        let wait = port.free_at.saturating_duration_since(now);
        let queue = wait.as_nanos() * u128::from(speed.rate) / 1_000_000_000;
        if queue + u128::from(bytes) > u128::from(speed.queue_max) {
            self.overflows += 1;
            return None;
        }
        let takes = Duration::from_nanos(bytes * 1_000_000_000 / speed.rate);
        port.free_at = now + wait + takes;
        port.bytes += bytes;
        port.waits.push(wait);
        let is_marked = queue > u128::from(speed.mark_at);
        self.marks += u64::from(is_marked);
        let delay = wait + takes + speed.propagation;
        Some(Way { delay, ecn: if is_marked { MARK } else { 0 } })
    }

    /// Forgets what was measured.
    pub(super) fn start_measuring(&mut self) {
        for port in &mut self.ports {
            port.bytes = 0;
            port.waits.clear();
        }
        (self.overflows, self.marks) = (0, 0);
    }

    /// How long packets to a host waited, in ascending order.
    pub(super) fn waits(&self, to: SocketAddr) -> Vec<Duration> {
        let port = self.ports.iter().find(|port| port.to == to);
        let mut waits = port.map(|port| port.waits.clone()).unwrap_or_default();
        waits.sort_unstable();
        waits
    }

    /// Octets of frames that left to a host.
    pub(super) fn bytes(&self, to: SocketAddr) -> u64 {
        self.ports.iter().find(|port| port.to == to).map_or(0, |port| port.bytes)
    }

    fn port(&mut self, now: Instant, to: SocketAddr) -> usize {
        self.ports.iter().position(|port| port.to == to).unwrap_or_else(|| {
            self.ports.push(Port { to, free_at: now, bytes: 0, waits: Vec::new() });
            self.ports.len() - 1
        })
    }
}

/// Goal: the model is what the other tests take it for: rate, queue, marks and the end of the queue.
#[test]
fn a_port_queues_marks_and_overflows() {
    let speed = Speed {
        rate: 1_000_000_000,
        propagation: Duration::from_micros(5),
        queue_max: 2_000,
        mark_at: 500,
    };
    let (mut pipes, now) = (Pipes::new(speed), Instant::now());
    let (to, other) = (SocketAddr::from(([10, 0, 0, 1], 1)), SocketAddr::from(([10, 0, 0, 2], 1)));
    let len = 1000 - FRAME_BYTES;
    let way = |us, ecn| Some(Way { delay: Duration::from_micros(us), ecn });
    assert_eq!(pipes.carry(now, to, len), way(6, 0), "1 µs on the wire");
    assert_eq!(pipes.carry(now, to, len), way(7, MARK), "after the first");
    assert_eq!(pipes.carry(now, to, len), None, "2,000 octets wait, a third packet is too much");
    assert_eq!(pipes.carry(now, other, len), way(6, 0), "a port of its own");
    assert_eq!(pipes.carry(now + Duration::from_micros(2), to, len), way(6, 0), "all has left");
    assert_eq!((pipes.overflows, pipes.marks, pipes.bytes(to)), (1, 1, 3000));
}
