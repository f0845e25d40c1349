//! A tap on any link: what passes is written to a pcap file, as it looks on the wire.
//!
//! Ethernet addresses are made up. IP and UDP headers are those that the kernel sends: DF set,
//! identification counted from 0 in each run of equal packets (so the ICRC in the file is valid),
//! checksums right. Of a received packet the identification is not known: its place in the run is
//! recorded, which is what a FlexBlk peer sent; other peers' ICRCs may not match in the file.
//! Source: the "libpcap" file format (draft-ietf-opsawg-pcap), nanosecond variant, `LINKTYPE_ETHERNET`.

use super::loopback::gather;
use super::run::{Runs, SEGMENTS_MAX};
use super::trailer::{ECT_0, Path, trailer};
use super::{Link, LinkCaps, RxRing, TxBatch};
use memory::Registry;
use std::io::{self, Write};
use std::net::IpAddr;
use std::time::{SystemTime, UNIX_EPOCH};

const MAGIC_NANOSECONDS: u32 = 0xa1b2_3c4d;
const LINKTYPE_ETHERNET: u32 = 1;
/// Octets of a record kept at most: everything.
const SNAP_BYTES: u32 = 262_144;
const UDP_HEADER_BYTES: usize = 8;

/// A link around a link, and the file.
pub struct PcapLink<L, W> {
    inner: L,
    file: W,
    frame: Vec<u8>,
    packet: Vec<u8>,
    /// Type of service of what is sent.
    class: u8,
    records: u64,
    failures: u64,
}

impl<L: Link, W: Write> PcapLink<L, W> {
    /// Taps `inner` into `file` (buffered by the caller; flushed after each burst).
    ///
    /// Errors: the file's.
    pub fn new(inner: L, mut file: W) -> io::Result<PcapLink<L, W>> {
        let mut header = Vec::with_capacity(24);
        header.extend(MAGIC_NANOSECONDS.to_le_bytes());
        header.extend(2_u16.to_le_bytes());
        header.extend(4_u16.to_le_bytes());
        header.extend([0; 8]);
        header.extend(SNAP_BYTES.to_le_bytes());
        header.extend(LINKTYPE_ETHERNET.to_le_bytes());
        file.write_all(&header)?;
        Ok(PcapLink {
            inner,
            file,
            frame: Vec::with_capacity(8192),
            packet: Vec::with_capacity(8192),
            class: 0,
            records: 0,
            failures: 0,
        })
    }

    /// Writes `self.packet` as one record. A file that cannot be written must not stop the link:
    /// failures are counted.
    fn record(&mut self, path: Path, tos: u8) {
        self.frame.clear();
        self.frame.resize(16, 0);
        emit_frame(&mut self.frame, path, tos, &self.packet);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = u32::try_from(now.as_secs()).unwrap_or(u32::MAX);
        let len = u32::try_from(self.frame.len() - 16).unwrap_or(u32::MAX);
        for (field, value) in
            self.frame.chunks_exact_mut(4).zip([seconds, now.subsec_nanos(), len, len])
        {
            field.copy_from_slice(&value.to_le_bytes());
        }
        self.records += 1;
        self.failures += u64::from(self.file.write_all(&self.frame).is_err());
    }

    fn flush(&mut self) {
        self.failures += u64::from(self.file.flush().is_err());
    }
}

impl<L: Link, W: Write> Link for PcapLink<L, W> {
    fn name(&self) -> &'static str {
        self.inner.name()
    }
    fn caps(&self) -> &LinkCaps {
        self.inner.caps()
    }

    fn rx_burst(&mut self, ring: &mut RxRing) -> io::Result<usize> {
        let before = ring.packets().len();
        let added = self.inner.rx_burst(ring)?;
        let to = self.inner.caps().local;
        let mut run = (u32::MAX, 0);
        for packet in ring.packets().iter().skip(before) {
            run = if packet.slot == run.0 { (packet.slot, run.1 + 1) } else { (packet.slot, 0) };
            self.packet.clear();
            self.packet.extend_from_slice(ring.octets(packet));
            self.record(Path { from: packet.from, to, ip_id: run.1 }, packet.ecn);
        }
        if added > 0 {
            self.flush();
        }
        Ok(added)
    }

    fn tx_burst(&mut self, batch: &mut TxBatch, memory: &Registry) -> io::Result<usize> {
        let mut runs = Runs::new(SEGMENTS_MAX);
        let caps = *self.inner.caps();
        for packet in batch.packets() {
            self.packet.clear();
            if !gather(packet, memory, &mut self.packet) {
                continue;
            }
            let from = caps.source(packet);
            let ip_id = runs.place((from, packet.to), packet.wire_len()).index;
            let path = Path { from, to: packet.to, ip_id };
            let payload = &self.packet[packet.header.as_slice().len()..];
            let tail = trailer(packet, path, std::iter::once(payload));
            self.packet.extend_from_slice(tail.as_slice());
            self.record(path, self.class);
        }
        if !batch.packets().is_empty() {
            self.flush();
        }
        self.inner.tx_burst(batch, memory)
    }

    fn fd(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        self.inner.fd()
    }

    fn set_ecn_capable(&mut self, capable: bool) {
        self.class = if capable { ECT_0 } else { 0 };
        self.inner.set_ecn_capable(capable);
    }
    fn counters(&self, report: &mut dyn FnMut(&'static str, u64)) {
        self.inner.counters(report);
        report("pcap.records", self.records);
        report("pcap.write_failures", self.failures);
    }
}

/// Appends Ethernet, IP and UDP headers and `payload`.
fn emit_frame(out: &mut Vec<u8>, path: Path, tos: u8, payload: &[u8]) {
    let udp_len = u16::try_from(UDP_HEADER_BYTES + payload.len()).unwrap_or(u16::MAX);
    for addr in [path.to, path.from] {
        out.extend(made_up_mac(addr.ip()));
    }
    let pseudo = match (path.from.ip(), path.to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            out.extend(0x0800_u16.to_be_bytes());
            let at = out.len();
            out.extend([0x45, tos]);
            out.extend(udp_len.saturating_add(20).to_be_bytes());
            out.extend(path.ip_id.to_be_bytes());
            out.extend([0x40, 0, 64, 17, 0, 0]);
            out.extend(from.octets());
            out.extend(to.octets());
            let checksum = !fold(sum(&out[at..]));
            out[at + 10..at + 12].copy_from_slice(&checksum.to_be_bytes());
            sum(&from.octets()) + sum(&to.octets())
        }
        (from, to) => {
            let octets = |ip: IpAddr| match ip {
                IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
                IpAddr::V6(ip) => ip.octets(),
            };
            out.extend(0x86dd_u16.to_be_bytes());
            out.extend([0x60 | tos >> 4, tos << 4, 0, 0]);
            out.extend(udp_len.to_be_bytes());
            out.extend([17, 64]);
            out.extend(octets(from));
            out.extend(octets(to));
            sum(&octets(from)) + sum(&octets(to))
        }
    };
    let at = out.len();
    out.extend(path.from.port().to_be_bytes());
    out.extend(path.to.port().to_be_bytes());
    out.extend(udp_len.to_be_bytes());
    out.extend([0, 0]);
    out.extend_from_slice(payload);
    let checksum = match !fold(pseudo + 17 + u64::from(udp_len) + sum(&out[at..])) {
        0 => 0xffff, // zero would mean "none"
        checksum => checksum,
    };
    out[at + 6..at + 8].copy_from_slice(&checksum.to_be_bytes());
}

/// A locally administered address that tells hosts apart.
fn made_up_mac(ip: IpAddr) -> [u8; 6] {
    let [.., a, b, c, d] = match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    };
    [2, 0, a, b, c, d]
}

/// Sum of big-endian 16-bit words, the last octet padded. Source: RFC 1071.
fn sum(octets: &[u8]) -> u64 {
    octets
        .chunks(2)
        .map(|pair| match *pair {
            [high, low] => u64::from(u16::from_be_bytes([high, low])),
            [high] => u64::from(high) << 8,
            _ => 0,
        })
        .sum()
}

/// One's complement sum in 16 bits.
fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::try_from(sum).unwrap_or(u16::MAX)
}

#[cfg(test)]
#[path = "pcap_tests.rs"]
mod tests;
