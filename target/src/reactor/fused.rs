//! Which commands are halves of a pair, and whether they fit together.
//!
//! Source: NVMe Base 2.1, "Fused Operations"; NVM Command Set 1.1, "Fused Operation".

use super::Reactor;
use crate::fault::{Fault, field};
use crate::io::{Io, IoKind, fused_bytes_max};
use crate::queue::{PARTNER_FAILED, PARTNER_MISSING, Pending};
use netstack::fabric::Fabric;
use wire::nvme::{Sqe, Status};

/// The FUSE field: first half, second half.
const FIRST: u8 = 1;
const SECOND: u8 = 2;

impl<F: Fabric> Reactor<F> {
    /// A command that claims to be half of a pair; `planned`: what it is by itself.
    pub(super) fn accept_fused(
        &mut self,
        index: u32,
        slot: u16,
        sqe: &Sqe,
        planned: Result<Io, Fault>,
    ) {
        let pending = std::mem::take(&mut self.queues[index].fused);
        match (sqe.fuse(), pending) {
            (FIRST, _) => match planned.and_then(|io| self.check_first(io)) {
                Ok(io) => {
                    self.queues[index].start_half(slot, None);
                    self.start_with_list(index, slot, sqe, io);
                    let failed = self.queues[index].command(slot).is_answered();
                    self.queues[index].fused =
                        if failed { Pending::Failed } else { Pending::First(slot) };
                }
                Err(fault) => {
                    self.queues[index].fused = Pending::Failed;
                    self.fail(index, slot, sqe, fault);
                }
            },
            (SECOND, Pending::First(first)) => self.accept_second(index, slot, sqe, first, planned),
            (SECOND, Pending::Failed) => self.fail(index, slot, sqe, PARTNER_FAILED),
            (SECOND, Pending::None) => self.fail(index, slot, sqe, PARTNER_MISSING),
            _ => self.fail(index, slot, sqe, Fault::invalid_field(field::FLAGS)),
        }
    }
    fn accept_second(
        &mut self,
        index: u32,
        slot: u16,
        sqe: &Sqe,
        first: u16,
        planned: Result<Io, Fault>,
    ) {
        let compare = self.queues[index].command(first).io;
        match planned.map(|io| check_second(&compare, io)) {
            Ok(Ok(io)) => {
                self.queues[index].start_half(slot, Some(first));
                self.start_with_list(index, slot, sqe, io);
                if self.queues[index].command(slot).is_answered() {
                    self.queues[index].doom_half(first, PARTNER_FAILED, &mut self.actions);
                }
            }
            // They do not fit together: both are wrong.
            Ok(Err(fault)) => {
                self.queues[index].doom_half(first, fault, &mut self.actions);
                self.fail(index, slot, sqe, fault);
            }
            Err(fault) => {
                self.queues[index].doom_half(first, PARTNER_FAILED, &mut self.actions);
                self.fail(index, slot, sqe, fault);
            }
        }
    }
    fn check_first(&self, io: Io) -> Result<Io, Fault> {
        if io.kind != IoKind::Compare {
            return Err(Fault::invalid_field(field::FLAGS));
        }
        if io.bytes > fused_bytes_max(self.disks[io.disk.0 as usize].geometry) {
            return Err(Fault::at(Status::ATOMIC_WRITE_UNIT, field::CDW12));
        }
        Ok(Io { kind: IoKind::FusedCompare, ..io })
    }
    /// Something else came behind a first half.
    #[cold]
    pub(super) fn drop_fused(&mut self, index: u32) {
        let queue = &mut self.queues[index];
        if let Pending::First(first) = std::mem::take(&mut queue.fused) {
            queue.doom_half(first, PARTNER_MISSING, &mut self.actions);
        }
    }
}

fn check_second(compare: &Io, io: Io) -> Result<Io, Fault> {
    let fits = (io.nsid, io.range) == (compare.nsid, compare.range) && io.disk == compare.disk;
    if io.kind != IoKind::Write {
        return Err(Fault::invalid_field(field::FLAGS));
    }
    if !fits {
        return Err(Fault::invalid_field(field::CDW10));
    }
    Ok(Io { kind: IoKind::FusedWrite, ..io })
}
