//! What the sides tell each other before and after the test.
//!
//! Each message is a SEND of one value, without a type: its place in the order says what it is, and
//! its length is all that tells a wrong peer. Numbers are big endian, but for text.
//!
//! | octets | is |
//! |---|---|
//! | 16 | version, text |
//! | 4, 4 | octets of a page, and of a cache line: the larger of both sides' counts |
//! | 2 | path MTU, a digit of `ibv_mtu` as text |
//! | 56 | [`Dest`]: a queue pair and memory; sent again to wait for each other |
//! | 8 × 5 | size, iterations, then as `double`: peak, average (MiB/s), message rate (millions/s) |
//!
//! Source: perftest 4.5, its communication functions.

use crate::rdma::Fault;

/// The version that is spoken.
pub(super) const VERSION: &str = "6.06";
pub(super) const VERSION_LEN: usize = 16;
/// Octets of a page, as most machines have them.
pub(super) const PAGE_BYTES: u32 = 4096;
/// Octets of a cache line.
pub(super) const CACHE_LINE_BYTES: u32 = 64;
/// Values of a report.
pub(super) const REPORT_VALUES: usize = 5;
const DEST_LEN: usize = 56;

/// Kinds of messages, as the order has them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Version,
    PageBytes,
    CacheLineBytes,
    Mtu,
    Dest,
    /// One value of the report, by its number.
    Report(usize),
}

impl Kind {
    pub(super) fn len(self) -> usize {
        match self {
            Kind::Version => VERSION_LEN,
            Kind::PageBytes | Kind::CacheLineBytes => 4,
            Kind::Mtu => 2,
            Kind::Dest => DEST_LEN,
            Kind::Report(_) => 8,
        }
    }
    fn name(self) -> &'static str {
        match self {
            Kind::Version => "its version",
            Kind::PageBytes => "its page size",
            Kind::CacheLineBytes => "its cache line",
            Kind::Mtu => "its path MTU",
            Kind::Dest => "its queue pair",
            Kind::Report(_) => "a value of its report",
        }
    }
    /// Errors: the peer's, another length than this kind's, an old version, no path MTU.
    pub(super) fn check(self, octets: &[u8]) -> Result<(), Fault> {
        match self {
            Kind::Version => check_version(octets),
            Kind::Mtu => check_mtu(octets),
            Kind::PageBytes | Kind::CacheLineBytes | Kind::Dest | Kind::Report(_) => {
                self.check_len(octets)
            }
        }
    }
    fn check_len(self, octets: &[u8]) -> Result<(), Fault> {
        let (sent, due, name) = (octets.len(), self.len(), self.name());
        if sent == due {
            return Ok(());
        }
        let why = format!(
            "sent {sent} octets where perftest sends {name} ({due}): is it the same test, with -R, \
             of one size and direction?"
        );
        Err(Fault::Peer(why))
    }
}

/// A queue pair and the memory that it may reach.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Dest {
    /// READs outstanding that this side can have.
    pub(super) out_reads: u32,
    pub(super) qpn: u32,
    pub(super) psn: u32,
    pub(super) rkey: u32,
    pub(super) vaddr: u64,
    pub(super) gid: [u8; 16],
}

impl Dest {
    /// LID and shared receive queue are none; four octets after the key only align the address.
    pub(super) fn to_octets(self) -> [u8; DEST_LEN] {
        let mut octets = [0; DEST_LEN];
        let fields = [(4, self.out_reads), (8, self.qpn), (12, self.psn), (16, self.rkey)];
        for (at, value) in fields {
            octets[at..at + 4].copy_from_slice(&value.to_be_bytes());
        }
        octets[24..32].copy_from_slice(&self.vaddr.to_be_bytes());
        octets[32..48].copy_from_slice(&self.gid);
        octets
    }

    /// Errors: the peer's, another length.
    pub(super) fn parse(octets: &[u8]) -> Result<Dest, Fault> {
        Kind::Dest.check_len(octets)?;
        let word = |at: usize| u32::from_be_bytes(chunk(octets, at));
        let vaddr = u64::from_be_bytes(chunk(octets, 24));
        let (out_reads, qpn, psn, rkey) = (word(4), word(8), word(12), word(16));
        Ok(Dest { out_reads, qpn, psn, rkey, vaddr, gid: chunk(octets, 32) })
    }
}

/// A test's outcome, as it travels.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(super) struct Values {
    pub(super) bytes: u64,
    pub(super) iterations: u64,
    /// Peak and average in MiB/s, messages in millions per second.
    pub(super) rates: [f64; 3],
}

impl Values {
    pub(super) fn octets(&self, number: usize) -> [u8; 8] {
        match number {
            0 => self.bytes.to_be_bytes(),
            1 => self.iterations.to_be_bytes(),
            _ => self.rates[number - 2].to_be_bytes(),
        }
    }
    /// Errors: the peer's, no length of a value, or a rate that is no number.
    pub(super) fn set(&mut self, number: usize, octets: &[u8]) -> Result<(), Fault> {
        Kind::Report(number).check_len(octets)?;
        let whole = u64::from_be_bytes(chunk(octets, 0));
        match number {
            0 => self.bytes = whole,
            1 => self.iterations = whole,
            _ => {
                let rate = f64::from_bits(whole);
                if !rate.is_finite() || rate < 0.0 {
                    return Err(Fault::Peer(format!("reports a rate of {rate}")));
                }
                self.rates[number - 2] = rate;
            }
        }
        Ok(())
    }
}

/// The version as it travels.
pub(super) fn version() -> [u8; VERSION_LEN] {
    let mut octets = [0; VERSION_LEN];
    octets[..VERSION.len()].copy_from_slice(VERSION.as_bytes());
    octets
}

/// Errors: the peer's, a version that speaks otherwise (before 5.70), or none.
fn check_version(octets: &[u8]) -> Result<(), Fault> {
    Kind::Version.check_len(octets)?;
    let text = octets.split(|&octet| octet == 0).next().unwrap_or_default();
    let text = String::from_utf8_lossy(text).escape_debug().to_string();
    match text.trim_end_matches(|c: char| c.is_ascii_alphabetic()).parse::<f64>() {
        Ok(version) if version >= 5.7 => Ok(()),
        _ => Err(Fault::Peer(format!("speaks version {text:?}; 5.70 or newer is needed"))),
    }
}

/// A path MTU as it travels: its `ibv_mtu` as text.
pub(super) fn mtu(path_mtu_bytes: u32) -> [u8; 2] {
    let code = match path_mtu_bytes {
        0..=511 => b'1',
        512..=1023 => b'2',
        1024..=2047 => b'3',
        2048..=4095 => b'4',
        _ => b'5',
    };
    [code, 0]
}

/// Errors: the peer's, no path MTU.
fn check_mtu(octets: &[u8]) -> Result<(), Fault> {
    Kind::Mtu.check_len(octets)?;
    match octets[0] {
        b'1'..=b'5' => Ok(()),
        other => Err(Fault::Peer(format!("sent {other:#04x} for its path MTU"))),
    }
}

/// Panics beyond the end: lengths were checked.
fn chunk<const N: usize>(octets: &[u8], at: usize) -> [u8; N] {
    octets[at..at + N].try_into().expect("as long as asked for")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Goal: the layout of the C structure that perftest copies, in its order and alignment.
    #[test]
    fn dest_has_perftests_layout() {
        let gid = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 90, 0, 1];
        let dest =
            Dest { out_reads: 16, qpn: 0x11, psn: 2, rkey: 0xaabb_ccdd, vaddr: 0x7f00_1234, gid };
        let octets = dest.to_octets();
        assert_eq!(
            octets[..20],
            [0, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0, 0x11, 0, 0, 0, 2, 0xaa, 0xbb, 0xcc, 0xdd]
        );
        assert_eq!(octets[20..32], [0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 0, 0x12, 0x34]);
        assert_eq!(octets[32..48], gid);
        assert_eq!(Dest::parse(&octets), Ok(dest));
    }

    /// Goal: versions that speak as we do are taken, others and nonsense are not.
    #[test]
    fn versions() {
        assert_eq!(check_version(&version()), Ok(()));
        for (text, is_good) in [
            ("5.70", true),
            ("6.06H", true),
            ("6.25", true),
            ("5.69", false),
            ("", false),
            ("six", false),
            ("nan", false),
            ("\x1b[2J", false),
        ] {
            let mut octets = [0; VERSION_LEN];
            octets[..text.len()].copy_from_slice(text.as_bytes());
            assert_eq!(check_version(&octets).is_ok(), is_good, "{text}");
        }
    }

    proptest! {
        /// Goal: no octets of a peer panic; what has another length than the order says is refused.
        #[test]
        fn any_octets(octets in proptest::collection::vec(any::<u8>(), 0..80)) {
            prop_assert_eq!(Dest::parse(&octets).is_ok(), octets.len() == DEST_LEN);
            let mut values = Values::default();
            for number in 0..REPORT_VALUES {
                let outcome = values.set(number, &octets);
                prop_assert!(outcome.is_err() || octets.len() == 8);
            }
            prop_assert!(values.rates.iter().all(|rate| rate.is_finite() && *rate >= 0.0));
            let _ = (check_version(&octets), check_mtu(&octets));
        }
    }
}
