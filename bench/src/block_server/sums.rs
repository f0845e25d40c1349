//! CRC-32C of blocks while they are placed: a handler that leaves sums in host memory.

use dpa::engine::{Fault, Grant, Message, Offload, Piece};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// One word for each block: octets that came in order, and their CRC above.
#[derive(Clone, Debug)]
pub struct Sums(Arc<[AtomicU64]>);

impl Sums {
    /// For `blocks` blocks.
    #[must_use]
    pub fn new(blocks: usize) -> Sums {
        Sums((0..blocks).map(|_| AtomicU64::new(0)).collect())
    }
    /// The CRC of a block of which `len` octets came in order, and forgets it. `None`: they did not
    /// (compute it over the memory then).
    #[must_use]
    pub fn take(&self, block: usize, len: u32) -> Option<u32> {
        let word = self.0.get(block)?;
        let sum = word.load(Ordering::Acquire);
        word.store(0, Ordering::Relaxed);
        let [octets, crc] = split(sum);
        (octets == len).then_some(crc)
    }
}

fn split(sum: u64) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = sum.to_le_bytes();
    [u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h])]
}

/// The handler.
#[derive(Debug)]
pub struct SumBlocks {
    sums: Sums,
    /// Process address of the first block, and octets of one.
    start: u64,
    block_bytes: u64,
}

impl SumBlocks {
    /// Sums blocks of `block_bytes` that lie from address `start` on.
    #[must_use]
    pub fn new(sums: Sums, start: u64, block_bytes: u32) -> SumBlocks {
        SumBlocks { sums, start, block_bytes: u64::from(block_bytes) }
    }
}

impl Offload for SumBlocks {
    #[inline]
    fn on_packet(&mut self, piece: &Piece<'_>, grant: &mut Grant<'_>) -> Result<(), Fault> {
        let Some(offset) = piece.at.checked_sub(self.start) else { return Ok(()) };
        let (block, at) = (offset / self.block_bytes, offset % self.block_bytes);
        let block = usize::try_from(block).unwrap_or(usize::MAX);
        let Some(word) = self.sums.0.get(block) else { return Ok(()) };
        grant.spend(u32::try_from(piece.payload.len().div_ceil(64)).unwrap_or(u32::MAX))?;
        let [octets, crc] = if at == 0 { [0, 0] } else { split(word.load(Ordering::Relaxed)) };
        // Out of order, or twice: no octet count will fit, and the reader sums for itself.
        let (octets, crc) = if u64::from(octets) == at {
            let len = u32::try_from(piece.payload.len()).unwrap_or(0);
            (octets + len, crc32c::crc32c_append(crc, piece.payload))
        } else {
            (u32::MAX, 0)
        };
        word.store(u64::from(octets) | u64::from(crc) << 32, Ordering::Release);
        Ok(())
    }
    fn on_message(&mut self, _message: &Message, _grant: &mut Grant<'_>) -> Result<(), Fault> {
        Ok(())
    }
}
