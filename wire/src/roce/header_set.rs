//! Which extended headers a packet has, as a table.

use super::Opcode;

/// Which extended headers follow a BTH, one bit each: what the `has_` predicates say, worked out
/// beforehand, since every packet in and out asks for all of them.
#[derive(Clone, Copy)]
pub(super) struct HeaderSet(u8);

impl HeaderSet {
    pub(super) const DETH: u8 = 1 << 0;
    pub(super) const FETH: u8 = 1 << 1;
    pub(super) const RETH: u8 = 1 << 2;
    pub(super) const ATOMIC: u8 = 1 << 3;
    pub(super) const AETH: u8 = 1 << 4;
    pub(super) const ATOMIC_ACK: u8 = 1 << 5;
    pub(super) const IMM: u8 = 1 << 6;
    pub(super) const IETH: u8 = 1 << 7;

    #[inline]
    pub(super) const fn has(self, header: u8) -> bool {
        self.0 & header != 0
    }

    const fn of(opcode: Opcode) -> u8 {
        (opcode.has_deth() as u8 * Self::DETH)
            | (opcode.has_feth() as u8 * Self::FETH)
            | (opcode.has_reth() as u8 * Self::RETH)
            | (opcode.has_atomic() as u8 * Self::ATOMIC)
            | (opcode.has_aeth() as u8 * Self::AETH)
            | (opcode.has_atomic_ack() as u8 * Self::ATOMIC_ACK)
            | (opcode.has_imm() as u8 * Self::IMM)
            | (opcode.has_ieth() as u8 * Self::IETH)
    }
}

static HEADER_SETS: [u8; 256] = {
    let mut sets = [0; 256];
    let mut index = 0;
    while index < Opcode::ALL.len() {
        let opcode = Opcode::ALL[index];
        sets[opcode.octet() as usize] = HeaderSet::of(opcode);
        index += 1;
    }
    sets
};

impl Opcode {
    #[inline]
    pub(super) fn header_set(self) -> HeaderSet {
        HeaderSet(HEADER_SETS[usize::from(self.octet())])
    }
}
