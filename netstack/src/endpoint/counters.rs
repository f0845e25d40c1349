//! Packets that were dropped, by reason.

/// Why a packet was dropped. All are the sender's or the path's fault, none is answered.
///
/// Source: IBTA 1.4, "Packet header validation"; what rxe drops silently.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Drop {
    /// Shorter than its headers.
    Truncated,
    /// Transport version, padding, or payload where none belongs.
    Malformed,
    /// An opcode that this stack does not speak.
    UnknownOpcode,
    /// Another partition.
    PKey,
    /// No queue pair of that number.
    UnknownQp,
    /// Not from the queue pair's peer.
    WrongSource,
    /// The queue pair cannot receive (yet, or any more).
    NotReady,
    /// A native packet for a RoCEv2 queue pair, or the other way round.
    WrongMode,
    /// A datagram that is not for queue pair 1, or without its key.
    BadDatagram,
    /// The native CRC is wrong.
    BadCrc,
}

impl Drop {
    const ALL: [(Drop, &'static str); 10] = [
        (Drop::Truncated, "drop.truncated"),
        (Drop::Malformed, "drop.malformed"),
        (Drop::UnknownOpcode, "drop.unknown_opcode"),
        (Drop::PKey, "drop.pkey"),
        (Drop::UnknownQp, "drop.unknown_qp"),
        (Drop::WrongSource, "drop.wrong_source"),
        (Drop::NotReady, "drop.not_ready"),
        (Drop::WrongMode, "drop.wrong_mode"),
        (Drop::BadDatagram, "drop.bad_datagram"),
        (Drop::BadCrc, "drop.bad_crc"),
    ];
}

/// Packets dropped, by reason.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Drops([u64; Drop::ALL.len()]);

impl Drops {
    #[inline]
    pub(super) fn count(&mut self, reason: Drop) {
        self.0[reason as usize] += 1;
    }
    /// Packets dropped for that reason.
    #[must_use]
    pub fn of(&self, reason: Drop) -> u64 {
        self.0[reason as usize]
    }
    pub(super) fn report(&self, report: &mut dyn FnMut(&'static str, u64)) {
        for (reason, name) in Drop::ALL {
            report(name, self.of(reason));
        }
    }
}
