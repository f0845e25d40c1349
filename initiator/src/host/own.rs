//! Commands of the host's own: their tags, memory for their data, and their answers.

use super::{Host, HostError};
use crate::commands;
use crate::queue::{Command, Data};
use memory::{Access, Mr, Region, Sge};
use netstack::fabric::Fabric;
use std::io;
use std::time::Instant;
use wire::nvme::Status;

/// Tags above this are the host's own commands.
pub(super) const OWN_TAGS: u64 = 1 << 63;
/// Tags of the host's own commands.
pub(super) const TAG_BRINGUP: u64 = 1;
pub(super) const TAG_KEEP_ALIVE: u64 = 2;
pub(super) const TAG_ABORT: u64 = 3;
pub(super) const TAG_EVENT: u64 = 4;
pub(super) const TAG_EVENTS: u64 = 5;
pub(super) const TAG_ANA: u64 = 6;
/// Octets of the host's own command data: Connect data, Identify data.
pub(super) const SCRATCH_BYTES: usize = 4096;

/// Memory for the data of the host's own commands, one at a time.
pub(super) struct Scratch {
    region: Region,
    mr: Mr,
}

impl Scratch {
    pub(super) fn new<F: Fabric>(fabric: &mut F) -> io::Result<Scratch> {
        let region = Region::allocate(SCRATCH_BYTES)?;
        let access = Access::LOCAL_WRITE | Access::REMOTE_READ | Access::REMOTE_WRITE;
        let mr = fabric.register(&region, access).map_err(io::Error::other)?;
        Ok(Scratch { region, mr })
    }
    pub(super) fn region(&self) -> &Region {
        &self.region
    }
    pub(super) fn data(&self, length: u32, to_controller: bool) -> Data {
        let sge = Sge { addr: self.mr.addr, length, lkey: self.mr.lkey };
        Data { sge, rkey: self.mr.rkey, to_controller }
    }
}

/// A command of the host's own.
pub(super) fn own(tag: u64, sqe: wire::nvme::Sqe, data: Option<Data>) -> Command {
    Command {
        tag: OWN_TAGS | tag,
        sqe,
        data,
        expires: !commands::is_async_event(&sqe),
        attempts: 0,
    }
}

impl<F: Fabric> Host<F> {
    /// The answer to one of the host's own commands.
    pub(super) fn handle_own(&mut self, now: Instant, tag: u64, status: Status, result: u64) {
        match tag {
            TAG_BRINGUP => self.handle_step(now, status, result),
            TAG_EVENT if status.is_success() => {
                #[expect(clippy::cast_possible_truncation, reason = "dword 0")]
                self.on_event(result as u32);
                self.ask_for_events(now);
            }
            TAG_ANA => self.on_ana(status),
            TAG_KEEP_ALIVE if !status.is_success() => {
                let step = "Keep Alive";
                self.break_down(now, HostError::Command { step, status });
            }
            // An abort's own outcome does not matter: the aborted command's does.
            _ => {}
        }
    }

    pub(super) fn ask_for_events(&mut self, now: Instant) {
        // A full admin queue only delays the next event; the one after its completions asks again.
        let _ = self.start(now, 0, own(TAG_EVENT, commands::async_event(), None));
    }
}
