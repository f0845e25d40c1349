//! The bare exchange: what a block read would cost if the stack on top cost nothing.
//!
//! One thread asks with 128 octets, the other answers with the block out of a cold region; the
//! answer rides in the header of the block's packets, as in the native mode. No acknowledgement, no
//! connection, no keys to check but the link's own: both threads spin, on a core each if there are
//! two.

use super::{Exchange, rate};
use hdrhistogram::Histogram;
use memory::{Access, Mr, Region, Registry, Sge};
use netstack::link::{Link, RxRing, Trailer, Transmit, TxBatch, UdpLink};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use verbs::SgeList;
use wire::roce::native::{NATIVE_HEADER_LEN, NativeHeader, NativePacket};
use wire::roce::{Msn, Opcode, Psn, QpNum};

/// Octets that blocks are read from: far more than any cache.
pub(super) const REGION_BYTES: usize = 512 << 20;
/// Octets of a request on the wire.
const REQUEST_BYTES: u32 = 128;
/// Payload octets of one packet of a block.
const PACKET_BYTES: u32 = 4096;
/// What did not come for this long is lost, and asked for anew.
const QUIET: Duration = Duration::from_millis(50);
/// Slots of a receive ring, and octets of one.
const RING: (u32, usize) = (6, (64 << 10) + 192);
/// Longer exchanges count as this long.
const EXCHANGE_NS_MAX: u64 = 1_000_000_000;

/// Memory that blocks are read from, filled once for all measurements.
pub(super) fn cold_region() -> io::Result<Region> {
    let region = Region::allocate(REGION_BYTES)?;
    region.fill(0, REGION_BYTES, 0x5a);
    Ok(region)
}

/// Exchanges blocks of `block_bytes`, `depth` at a time, for `time`.
pub(super) fn run(
    blocks: &Region,
    block_bytes: u32,
    depth: u32,
    time: Duration,
) -> io::Result<Exchange> {
    let far = UdpLink::bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let near = UdpLink::bind(SocketAddr::from(([127, 0, 0, 2], 0)))?;
    let to = far.caps().local;
    let stop = Arc::new(AtomicBool::new(false));
    let (server, cpus) = (Server::new(far, blocks, block_bytes)?, cpus());
    let [server, client] = [
        spawn(cpus[0], {
            let stop = Arc::clone(&stop);
            move || server.serve(&stop).map(|()| Exchange::default())
        }),
        spawn(cpus[1], move || Client::new(near, to, block_bytes, depth)?.ask(time)),
    ];
    let panicked = |_| io::Error::other("a thread of the exchange panicked");
    let outcome = client.join().map_err(panicked);
    stop.store(true, Ordering::Release);
    server.join().map_err(panicked)??;
    outcome?
}

/// Two CPUs of those that this process may use, if there are two.
pub(super) fn cpus() -> [Option<usize>; 2] {
    let Ok(all) = rustix::thread::sched_getaffinity(None) else { return [None; 2] };
    let mut usable = (0..rustix::thread::CpuSet::MAX_CPU).filter(|&cpu| all.is_set(cpu));
    match (usable.next(), usable.next()) {
        (Some(a), Some(b)) => [Some(a), Some(b)],
        _ => [None; 2],
    }
}

pub(super) fn spawn<T: Send + 'static>(
    cpu: Option<usize>,
    work: impl FnOnce() -> T + Send + 'static,
) -> std::thread::JoinHandle<T> {
    std::thread::spawn(move || {
        if let Some(cpu) = cpu {
            let mut set = rustix::thread::CpuSet::new();
            set.set(cpu);
            // Not allowed: then the scheduler places the thread.
            let _ = rustix::thread::sched_setaffinity(None, &set);
        }
        work()
    })
}

/// Times of exchanges, in nanoseconds.
pub(super) fn histogram() -> io::Result<Histogram<u64>> {
    Histogram::new_with_max(EXCHANGE_NS_MAX, 3).map_err(|error| io::Error::other(error.to_string()))
}

impl Exchange {
    /// What is told of exchanges of blocks of `block_bytes`.
    pub(super) fn of(times: &Histogram<u64>, per_s: f64, block_bytes: u32, lost: u64) -> Exchange {
        let micros = |q| rate(times.value_at_quantile(q), Duration::from_secs(1000));
        Exchange {
            per_s,
            gb_per_s: per_s * f64::from(block_bytes) / 1e9,
            p50_us: micros(0.5),
            p99_us: micros(0.99),
            count: times.len(),
            lost,
        }
    }
}

/// The side that has the blocks.
struct Server {
    link: UdpLink,
    registry: Registry,
    mr: Mr,
    block_bytes: u32,
}

impl Server {
    fn new(link: UdpLink, blocks: &Region, block_bytes: u32) -> io::Result<Server> {
        let mut registry = Registry::new(1, 1);
        let mr = registry.register(blocks, Access::LOCAL_READ).map_err(io::Error::other)?;
        Ok(Server { link, registry, mr, block_bytes })
    }

    fn serve(mut self, stop: &AtomicBool) -> io::Result<()> {
        let mut ring = RxRing::new(RING.0, RING.1);
        let mut batch = TxBatch::new(self.link.caps().burst_max);
        while !stop.load(Ordering::Acquire) {
            self.link.rx_burst(&mut ring)?;
            for packet in ring.packets() {
                if let Ok(NativePacket::Data { header, .. }) =
                    NativePacket::parse(ring.octets(packet), false)
                {
                    self.answer(packet.from, &header, &mut batch)?;
                }
            }
            ring.recycle();
            self.link.tx_burst(&mut batch, &self.registry)?;
        }
        Ok(())
    }

    /// Fetches the block's first lines and queues its packets.
    fn answer(
        &mut self,
        to: SocketAddr,
        request: &NativeHeader,
        batch: &mut TxBatch,
    ) -> io::Result<()> {
        let block_bytes = u64::from(self.block_bytes);
        let block = request.addr % (self.mr.length / block_bytes);
        let start = self.mr.addr + block * block_bytes;
        let sge = |offset: u64, length| Sge { addr: start + offset, length, lkey: self.mr.lkey };
        if let Ok(span) = self.registry.local(sge(0, self.block_bytes), Access::LOCAL_READ) {
            span.prefetch();
        }
        for offset in (0..self.block_bytes).step_by(PACKET_BYTES as usize) {
            if batch.room() == 0 {
                self.link.tx_burst(batch, &self.registry)?;
            }
            let length = PACKET_BYTES.min(self.block_bytes - offset);
            let offset = u64::from(offset);
            let header = NativeHeader { addr: offset, ..*request };
            batch.push(transmit(to, &header, sge(offset, length)));
        }
        Ok(())
    }
}

/// One block that was asked for.
#[derive(Clone, Copy)]
struct Slot {
    /// Which request of all.
    sequence: u32,
    octets_left: u32,
    asked_at: Instant,
}

/// The side that wants blocks.
struct Client {
    link: UdpLink,
    to: SocketAddr,
    registry: Registry,
    request: Mr,
    /// The caller's buffers, one for each slot.
    buffers: Region,
    block_bytes: u32,
    slots: Vec<Slot>,
    batch: TxBatch,
    random: u64,
    histogram: Histogram<u64>,
    lost: u64,
}

impl Client {
    fn new(link: UdpLink, to: SocketAddr, block_bytes: u32, depth: u32) -> io::Result<Client> {
        let buffers = Region::allocate(depth as usize * block_bytes as usize)?;
        let mut registry = Registry::new(1, 1);
        let region = Region::allocate(4096)?;
        let request = registry.register(&region, Access::LOCAL_READ).map_err(io::Error::other)?;
        let histogram = histogram()?;
        let slot = Slot { sequence: 0, octets_left: 0, asked_at: Instant::now() };
        let (slots, batch) = (vec![slot; depth as usize], TxBatch::new(depth as usize));
        let (random, lost) = (1, 0);
        Ok(Client {
            link,
            to,
            registry,
            request,
            buffers,
            block_bytes,
            slots,
            batch,
            random,
            histogram,
            lost,
        })
    }

    fn ask(mut self, time: Duration) -> io::Result<Exchange> {
        let mut ring = RxRing::new(RING.0, RING.1);
        let started = Instant::now();
        let (mut now, mut progress) = (started, started);
        (0..self.slots.len()).for_each(|slot| self.request(slot, now));
        while now - started < time {
            self.link.tx_burst(&mut self.batch, &self.registry)?;
            let arrived = self.link.rx_burst(&mut ring)?;
            now = Instant::now();
            for packet in ring.packets() {
                self.handle(now, ring.octets(packet));
            }
            ring.recycle();
            if arrived > 0 {
                progress = now;
            } else if now - progress > QUIET {
                progress = now;
                self.lost += self.slots.len() as u64;
                (0..self.slots.len()).for_each(|slot| self.request(slot, now));
            }
        }
        let per_s = rate(self.histogram.len(), now - started);
        Ok(Exchange::of(&self.histogram, per_s, self.block_bytes, self.lost))
    }

    /// Asks for a random block into `slot`.
    fn request(&mut self, slot: usize, now: Instant) {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let entry = &mut self.slots[slot];
        let sequence = entry.sequence.wrapping_add(1);
        *entry = Slot { sequence, octets_left: self.block_bytes, asked_at: now };
        let mut header = NativeHeader::new(Opcode::NativeSend, QpNum::new(2), Psn::ZERO);
        header.msn = Msn::new(u32::try_from(slot).unwrap_or(0));
        (header.addr, header.rkey) = (self.random >> 33, sequence);
        let length = REQUEST_BYTES - u32::try_from(NATIVE_HEADER_LEN).unwrap_or(REQUEST_BYTES);
        let sge = Sge { addr: self.request.addr, length, lkey: self.request.lkey };
        self.batch.push(transmit(self.to, &header, sge));
    }

    /// Copies a piece of a block to where the caller wants it; asks for the next block when it was
    /// the last. What belongs to an exchange that was given up is left.
    fn handle(&mut self, now: Instant, octets: &[u8]) {
        let Ok(NativePacket::Data { header, payload }) = NativePacket::parse(octets, false) else {
            return;
        };
        let slot = header.msn.get() as usize;
        let Some(entry) = self.slots.get_mut(slot).filter(|s| s.sequence == header.rkey) else {
            return;
        };
        let (block_bytes, len) = (self.block_bytes as usize, payload.len());
        let at = usize::try_from(header.addr).unwrap_or(block_bytes);
        if at + len > block_bytes || len as u64 > u64::from(entry.octets_left) {
            return;
        }
        self.buffers.write(slot * block_bytes + at, payload);
        entry.octets_left -= u32::try_from(len).unwrap_or(0);
        if entry.octets_left == 0 {
            let ns = u64::try_from((now - entry.asked_at).as_nanos()).unwrap_or(u64::MAX);
            self.histogram.saturating_record(ns);
            self.request(slot, now);
        }
    }
}

fn transmit(to: SocketAddr, header: &NativeHeader, payload: Sge) -> Transmit {
    let payload = SgeList::from_slice(&[payload]);
    Transmit { to, header: header.emit(), payload, pad: 0, trailer: Trailer::None }
}
