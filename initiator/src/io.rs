//! The NVM commands that block users need, by octets instead of blocks.

use crate::commands;
use crate::queue::{Command, Data};
use memory::{Mr, Sge};

/// What a namespace looks like from here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NamespaceInfo {
    /// Namespace identifier.
    pub nsid: u32,
    /// Octets of a logical block: a power of two, 512 to 65,536.
    pub block_bytes: u32,
    /// Logical blocks.
    pub block_count: u64,
    /// Octets of the largest single command.
    pub max_transfer_bytes: u32,
}

/// A request that a namespace cannot take: the caller's fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadIo {
    /// Offset or length is not a multiple of the block.
    #[error("offset and length must be multiples of the {0}-octet block")]
    Misaligned(u32),
    /// Beyond the last block.
    #[error("beyond the end of the namespace")]
    OutOfRange,
    /// Longer than the largest command, or empty.
    #[error("length must be 1 block to {0} octets")]
    BadLength(u32),
}

/// What to do with blocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IoOp {
    /// Blocks → memory.
    Read,
    /// Memory → blocks.
    Write,
    /// Memory → blocks, durable when done (FUA).
    WriteDurable,
    /// Everything acknowledged becomes durable. Offset and length are ignored.
    Flush,
    /// Blocks become zeroes, without data.
    WriteZeroes,
    /// Compare memory with blocks.
    Compare,
    /// The controller reads the blocks, without data.
    Verify,
}

impl NamespaceInfo {
    /// Octets in all.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.block_count.saturating_mul(u64::from(self.block_bytes))
    }

    /// The command for `op` on `length` octets from `offset`; data, if `op` has any, is at `addr`
    /// in `mr`.
    ///
    /// Errors: [`BadIo`], the caller's fault. Panics if the data is not inside `mr`.
    pub fn command(
        &self,
        tag: u64,
        op: IoOp,
        offset: u64,
        length: u32,
        mr: &Mr,
        addr: u64,
    ) -> Result<Command, BadIo> {
        if op == IoOp::Flush {
            return Ok(command(tag, commands::flush(self.nsid), None));
        }
        let (slba, blocks) = self.blocks(offset, length)?;
        let has_data = !matches!(op, IoOp::WriteZeroes | IoOp::Verify);
        if has_data && length > self.max_transfer_bytes {
            return Err(BadIo::BadLength(self.max_transfer_bytes));
        }
        let data = has_data.then(|| data(mr, addr, length, op != IoOp::Read));
        Ok(command(tag, commands::nvm(op, self.nsid, slba, blocks), data))
    }

    /// The Deallocate command for one span; its range descriptor is written at `addr` in `mr`
    /// by the caller, from [`commands::dsm_range`].
    ///
    /// Errors: [`BadIo`], the caller's fault.
    pub fn deallocate(&self, tag: u64, mr: &Mr, addr: u64) -> Command {
        command(tag, commands::deallocate(self.nsid, 1), Some(data(mr, addr, 16, true)))
    }

    /// First block and number of blocks of a span of octets.
    ///
    /// Errors: [`BadIo`], the caller's fault.
    pub fn blocks(&self, offset: u64, length: u32) -> Result<(u64, u32), BadIo> {
        let block = u64::from(self.block_bytes);
        if !offset.is_multiple_of(block) || !u64::from(length).is_multiple_of(block) {
            return Err(BadIo::Misaligned(self.block_bytes));
        }
        let blocks = length / self.block_bytes;
        if blocks == 0 || blocks > 65_536 {
            return Err(BadIo::BadLength(self.max_transfer_bytes));
        }
        let slba = offset / block;
        if slba.checked_add(u64::from(blocks)).is_none_or(|end| end > self.block_count) {
            return Err(BadIo::OutOfRange);
        }
        Ok((slba, blocks))
    }
}

fn command(tag: u64, sqe: wire::nvme::Sqe, data: Option<Data>) -> Command {
    Command { tag, sqe, data, expires: true, attempts: 0 }
}

/// Command data at `addr` in `mr`. Panics if it is not inside.
#[must_use]
pub fn data(mr: &Mr, addr: u64, length: u32, to_controller: bool) -> Data {
    let inside = addr.checked_sub(mr.addr).and_then(|skip| mr.length.checked_sub(skip));
    assert!(inside.is_some_and(|rest| rest >= u64::from(length)), "data outside its registration");
    Data { sge: Sge { addr, length, lkey: mr.lkey }, rkey: mr.rkey, to_controller }
}
