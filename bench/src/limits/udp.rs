//! Streams and ping-pong over the UDP link, without a protocol.

use super::{PingPong, Stream, rate};
use hdrhistogram::Histogram;
use memory::{Access, Mr, Region, Registry, Sge};
use netstack::link::{Link, RxRing, Trailer, Transmit, TxBatch, UdpLink};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use verbs::SgeList;
use wire::roce::{Header, Opcode, Psn, QpNum};

/// How long nothing may arrive before what is missing counts as lost.
const QUIET: Duration = Duration::from_millis(50);

/// Longer round trips count as this long.
const ROUND_TRIP_NS_MAX: u64 = 1_000_000_000;

/// What a stream is made of.
pub(super) struct Shape {
    /// Payload octets of one packet.
    packet_bytes: u32,
    /// Packets handed over in one call.
    burst: usize,
    /// Bursts that may be on their way.
    window: u64,
    /// Octets that payload is gathered from.
    region_bytes: usize,
    /// Runs leave as one message.
    gso: bool,
}

pub(super) const COLD_BURSTS: Shape =
    Shape { packet_bytes: 4096, burst: 14, window: 16, region_bytes: 256 << 20, gso: true };
pub(super) const HOT_BURSTS: Shape = Shape { region_bytes: 56 << 10, ..COLD_BURSTS };
pub(super) const SMALL: Shape =
    Shape { packet_bytes: 64, burst: 64, window: 16, region_bytes: 4096, gso: true };
pub(super) const SMALL_SINGLE: Shape = Shape { gso: false, ..SMALL };

/// What both threads see: credits cost no packets, since both are in one process.
#[derive(Default)]
struct Shared {
    received: AtomicU64,
    bytes: AtomicU64,
    stop: AtomicBool,
}

/// Streams for `time`; the receiver's numbers.
pub(super) fn stream(shape: &Shape, time: Duration) -> io::Result<Stream> {
    let (mut sender, receiver) = links(shape.gso)?;
    let to = receiver.caps().local;
    let shared = Arc::new(Shared::default());
    let thread = {
        let shared = Arc::clone(&shared);
        std::thread::spawn(move || receive(receiver, &shared))
    };
    let sent = send(shape, &mut sender, to, &shared, time);
    shared.stop.store(true, Ordering::Release);
    let outcome = thread.join().map_err(|_| io::Error::other("the receiver panicked"))?;
    let (sent, elapsed) = (sent?, outcome?);
    let received = shared.received.load(Ordering::Acquire);
    Ok(Stream {
        mb_per_s: rate(shared.bytes.load(Ordering::Acquire), elapsed) / 1e6,
        packets_per_s: rate(received, elapsed),
        lost: sent.saturating_sub(received),
    })
}

/// Sends bursts within the window for `time`; packets sent.
fn send(
    shape: &Shape,
    link: &mut UdpLink,
    to: SocketAddr,
    shared: &Shared,
    time: Duration,
) -> io::Result<u64> {
    let host = Host::new(shape.region_bytes)?;
    let started = Instant::now();
    let mut batch = TxBatch::new(shape.burst);
    let window = shape.window * shape.burst as u64;
    let (mut sent, mut turn, mut progress, mut seen) = (0_u64, 0_usize, Instant::now(), 0);
    while started.elapsed() < time {
        let received = shared.received.load(Ordering::Acquire);
        if received > seen {
            (seen, progress) = (received, Instant::now());
        }
        if sent.saturating_sub(received) >= window {
            // A lost packet would hold the window closed for ever: one more burst now and then.
            if progress.elapsed() < QUIET {
                std::hint::spin_loop();
                continue;
            }
            progress = Instant::now();
        }
        for at in 0..shape.burst {
            batch.push(packet(to, host.sge(turn, at, shape)));
        }
        turn = turn.wrapping_add(1);
        sent += link.tx_burst(&mut batch, &host.registry)? as u64;
    }
    Ok(sent)
}

/// Receives until told to stop and nothing comes any more; the time from first to last packet.
fn receive(mut link: UdpLink, shared: &Shared) -> io::Result<Duration> {
    let mut ring = RxRing::new(6, 1 << 16);
    let mut first: Option<Instant> = None;
    let mut last = Instant::now();
    loop {
        let count = link.rx_burst(&mut ring)?;
        let bytes: u64 = ring.packets().iter().map(|packet| u64::from(packet.len)).sum();
        ring.recycle();
        if count > 0 {
            last = Instant::now();
            first.get_or_insert(last);
            shared.bytes.fetch_add(bytes, Ordering::Relaxed);
            shared.received.fetch_add(count as u64, Ordering::Release);
        } else if shared.stop.load(Ordering::Acquire) && last.elapsed() > QUIET {
            return Ok(first.map_or(Duration::ZERO, |first| last - first));
        }
    }
}

/// Sends one packet there and one back for `time`.
pub(super) fn ping_pong(time: Duration) -> io::Result<PingPong> {
    let (mut near, mut far) = links(true)?;
    let (to_near, to_far) = (near.caps().local, far.caps().local);
    let shared = Arc::new(Shared::default());
    let echo = {
        let shared = Arc::clone(&shared);
        std::thread::spawn(move || -> io::Result<()> {
            let host = Host::new(4096)?;
            let (mut ring, mut batch) = (RxRing::new(2, 1 << 16), TxBatch::new(1));
            while !shared.stop.load(Ordering::Acquire) {
                if far.rx_burst(&mut ring)? > 0 {
                    batch.push(packet(to_near, host.sge(0, 0, &SMALL)));
                    far.tx_burst(&mut batch, &host.registry)?;
                    ring.recycle();
                }
            }
            Ok(())
        })
    };
    let host = Host::new(4096)?;
    let (mut ring, mut batch) = (RxRing::new(2, 1 << 16), TxBatch::new(1));
    let mut histogram = Histogram::<u64>::new_with_max(ROUND_TRIP_NS_MAX, 3)
        .map_err(|error| io::Error::other(error.to_string()))?;
    let started = Instant::now();
    while started.elapsed() < time {
        let sent_at = Instant::now();
        batch.push(packet(to_far, host.sge(0, 0, &SMALL)));
        near.tx_burst(&mut batch, &host.registry)?;
        while near.rx_burst(&mut ring)? == 0 && sent_at.elapsed() < QUIET {}
        ring.recycle();
        histogram
            .saturating_record(u64::try_from(sent_at.elapsed().as_nanos()).unwrap_or(u64::MAX));
    }
    shared.stop.store(true, Ordering::Release);
    echo.join().map_err(|_| io::Error::other("the echo panicked"))??;
    let micros = |quantile| rate(histogram.value_at_quantile(quantile), Duration::from_secs(1000));
    Ok(PingPong { p50_us: micros(0.5), p99_us: micros(0.99), count: histogram.len() })
}

fn links(gso: bool) -> io::Result<(UdpLink, UdpLink)> {
    let mut near = UdpLink::bind(SocketAddr::from(([127, 0, 0, 2], 0)))?;
    if !gso {
        near.disable_gso();
    }
    Ok((near, UdpLink::bind(SocketAddr::from(([127, 0, 0, 1], 0)))?))
}

/// Memory to gather from.
struct Host {
    registry: Registry,
    mr: Mr,
}

impl Host {
    fn new(bytes: usize) -> io::Result<Host> {
        let region = Region::allocate(bytes)?;
        region.fill(0, bytes, 0x5a);
        let mut registry = Registry::new(1, 1);
        let mr = registry.register(&region, Access::LOCAL_READ).map_err(io::Error::other)?;
        Ok(Host { registry, mr })
    }

    /// Packet `at` of burst `turn`: bursts lie at random places, their packets one after another.
    fn sge(&self, turn: usize, at: usize, shape: &Shape) -> Sge {
        let burst_bytes = shape.burst as u64 * u64::from(shape.packet_bytes);
        let places = (self.mr.length / burst_bytes).max(1);
        // Odd and far: no two bursts in a row are neighbours.
        let place = (turn as u64).wrapping_mul(0x9e37_79b9) % places;
        let offset = place * burst_bytes + at as u64 * u64::from(shape.packet_bytes);
        Sge { addr: self.mr.addr + offset, length: shape.packet_bytes, lkey: self.mr.lkey }
    }
}

fn packet(to: SocketAddr, payload: Sge) -> Transmit {
    let header = Header::new(Opcode::SendOnly, QpNum::new(2), Psn::ZERO);
    Transmit {
        to,
        header: header.emit(payload.length as usize),
        payload: SgeList::from_slice(&[payload]),
        pad: 0,
        trailer: Trailer::None,
    }
}
