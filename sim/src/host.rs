//! A host as one actor: a real initiator, its data memory, and a workload.

use crate::check::{Arena, Commands, Outcome, Slot, Violation};
use crate::io::{Io, What, draw_what, is_expected, name};
use crate::net::SimLink;
use crate::pattern::{self, Content, Value};
use crate::plan::HostPlan;
use crate::random::Random;
use crate::server;
use crate::shared::Shared;
use dpa::nic::Nic;
use initiator::commands::dsm_range;
use initiator::{Completion, Host, HostOptions, HostState, IoOp, NamespaceInfo, Timers};
use memory::Mr;
use netstack::fabric::Fabric;
use std::io;
use std::time::{Duration, Instant};
use wire::nvme::Status;

/// What a host that died or gave up had sent may still happen for this long.
const GRACE: Duration = Duration::from_secs(20);

/// One host.
pub(crate) struct HostActor {
    index: usize,
    plan: HostPlan,
    host: Option<Host<Nic<SimLink>>>,
    mr: Option<Mr>,
    arena: Arena,
    random: Random,
    commands: Commands<Io>,
    commands_left: u64,
    /// The last reads, of everything: from this block on.
    read_back_from: Option<u64>,
    pub(crate) restart_at: Option<Instant>,
    pub(crate) wake: Option<Instant>,
    was_live: bool,
    done: Vec<Completion>,
    scratch: Vec<u8>,
}

impl HostActor {
    pub(crate) fn new(index: usize, shared: &Shared, random: Random) -> io::Result<HostActor> {
        let plan = shared.plan.hosts[index].clone();
        let slot_bytes = usize::try_from(shared.plan.io_bytes_max).unwrap_or(usize::MAX);
        Ok(HostActor {
            index,
            host: None,
            mr: None,
            arena: Arena::new(plan.outstanding_max, slot_bytes)?,
            random,
            commands: Commands::default(),
            commands_left: plan.commands,
            read_back_from: None,
            restart_at: Some(shared.base),
            wake: None,
            was_live: false,
            done: Vec::new(),
            scratch: vec![0; slot_bytes],
            plan,
        })
    }
    /// The host begins, or begins again: a new NIC at the old address.
    pub(crate) fn start(&mut self, shared: &mut Shared) -> io::Result<()> {
        let plan = &shared.plan;
        let link = SimLink::new(&shared.net, self.index + 1, plan.path_mtu_bytes, plan.same_host);
        let nic = Nic::new(link, plan.endpoint(self.plan.mode, self.random.next_u64()));
        let number = u8::try_from(self.index).unwrap_or(0);
        let options = HostOptions {
            target: server::service(),
            subnqn: server::NQN.into(),
            hostnqn: format!("nqn.2026-11.io.flexblk:host{number}"),
            hostid: [number + 1; 16],
            io_queues: self.plan.queues,
            queue_depth: self.plan.depth,
            keys: None,
            concatenate: false,
            timers: Timers {
                io_timeout: plan.io_timeout,
                connect_timeout: Duration::from_secs(2),
                reconnect_delay: Duration::from_millis(100),
                fast_io_fail: Duration::from_secs(20),
                ctrl_loss: Duration::from_secs(120),
                keep_alive: plan.keep_alive,
                retries: 5,
            },
        };
        let mut host = Host::new(nic, options, shared.now)?;
        let mr = host.register(self.arena.region()).map_err(io::Error::other)?;
        (self.host, self.mr, self.restart_at) = (Some(host), Some(mr), None);
        (self.wake, self.was_live) = (Some(shared.now), false);
        Ok(())
    }
    /// Gone without a word.
    pub(crate) fn kill(&mut self, shared: &mut Shared, again: Instant) -> Result<(), Violation> {
        self.host = None;
        self.wake = None;
        self.restart_at = Some(again);
        for io in self.commands.take_all() {
            self.abandon(shared, io)?;
        }
        Ok(())
    }
    /// Says goodbye.
    pub(crate) fn close(&mut self, shared: &Shared) {
        if let Some(host) = &mut self.host {
            host.disconnect(shared.now);
            self.wake = Some(shared.now);
        }
    }
    /// Closed, and the peer heard it.
    pub(crate) fn is_closed(&self) -> bool {
        self.host.as_ref().is_none_or(|host| host.state() == HostState::Closed && host.is_closed())
    }
    pub(crate) fn is_alive(&self) -> bool {
        self.host.is_some()
    }
    /// Will not come to life by itself.
    pub(crate) fn is_dead(&self) -> bool {
        self.host.as_ref().is_some_and(|host| host.state() == HostState::Dead)
    }
    /// Nothing to submit and nothing outstanding.
    pub(crate) fn is_finished(&self) -> bool {
        self.commands_left == 0 && self.read_back_from.is_none() && self.commands.is_empty()
    }
    /// Reads the whole namespace.
    pub(crate) fn read_back(&mut self, now: Instant) {
        self.read_back_from = Some(0);
        self.wake = Some(now);
    }
    pub(crate) fn qp_count(&mut self) -> usize {
        self.host.as_mut().map_or(0, |host| host.fabric_mut().endpoint_mut().qp_count())
    }
    pub(crate) fn counters(&self, report: &mut dyn FnMut(&'static str, u64)) {
        if let Some(host) = &self.host {
            host.fabric().counters(report);
        }
    }
    /// Buffers are all back and nobody wrote where nobody may.
    pub(crate) fn check_memory(&mut self) -> Result<(), Violation> {
        self.arena.check_all()?;
        if self.arena.is_whole() {
            return Ok(());
        }
        Err(Violation::new("no buffer leaks", format!("host {}", self.index)))
    }
    /// For the text of a violation.
    pub(crate) fn describe(&self) -> String {
        let state = self.host.as_ref().map(|host| (host.state(), host.error().cloned()));
        let (len, oldest) = (self.commands.len(), self.commands.oldest());
        let left = self.commands_left;
        format!("host {}: {state:?}, {left} to do, {len} outstanding, {oldest:?}", self.index)
    }

    /// One turn: the initiator's, then completions, then new commands.
    pub(crate) fn turn(&mut self, shared: &mut Shared) -> Result<(), Violation> {
        let Some(host) = &mut self.host else { return Ok(()) };
        let now = shared.now;
        host.turn(now);
        let is_live = host.state() == HostState::Live;
        if is_live != self.was_live {
            self.was_live = is_live;
            shared.note("host live", [self.index as u64, u64::from(is_live), 0, 0]);
        }
        if !is_live {
            self.commands.iter_mut().for_each(|io| io.repeats(&mut shared.blocks));
        }
        host.poll_done(&mut self.done);
        for done in std::mem::take(&mut self.done) {
            self.complete(shared, done)?;
        }
        let submitted = self.submit(shared)?;
        let Some(host) = &mut self.host else { return Ok(()) };
        if submitted && self.random.one_in(2) {
            host.kick(now);
        }
        let soon = submitted || host.fabric().has_pending();
        self.wake = if soon { Some(now) } else { host.poll_timeout() };
        Ok(())
    }

    fn submit(&mut self, shared: &mut Shared) -> Result<bool, Violation> {
        let mut any = false;
        while self.commands.len() < self.plan.outstanding_max
            && (self.commands_left > 0 || self.read_back_from.is_some())
            && !self.random.one_in(8)
        {
            let Some(slot) = self.arena.take()? else { break };
            if !self.submit_one(shared, slot)? {
                break;
            }
            any = true;
        }
        Ok(any)
    }

    fn submit_one(&mut self, shared: &mut Shared, slot: Slot) -> Result<bool, Violation> {
        let (what, lba, count) = self.draw(shared);
        shared.next_value += 1;
        let value = match what {
            What::Nvm(IoOp::Write | IoOp::WriteDurable) => shared.next_value,
            What::Nvm(_) | What::Deallocate => 0,
        };
        let start = shared.blocks.tick();
        let io = Io { what, lba, count, slot, value, start };
        self.prepare(shared, &io);
        let tag = self.commands.next_tag();
        let queue = self.random.index(usize::from(self.plan.queues));
        let command = self.command(shared, tag, &io);
        let Some(host) = &mut self.host else { return Ok(false) };
        if host.submit(shared.now, queue, command).is_err() {
            self.arena.give_back(slot)?;
            return Ok(false);
        }
        let is_live = host.state() == HostState::Live;
        if io.changes() {
            io.lbas().for_each(|lba| shared.blocks.begin(lba, value, start));
            if !is_live {
                io.repeats(&mut shared.blocks);
            }
        }
        self.commands.submitted(tag, io);
        self.advance(lba, count, shared.plan.disk.block_count);
        let place = lba << 16 | u64::from(count);
        shared.note(name(what), [self.index as u64, tag, place, value]);
        Ok(true)
    }

    /// One command less to submit, in a namespace of `blocks`.
    fn advance(&mut self, lba: u64, count: u32, blocks: u64) {
        match &mut self.read_back_from {
            Some(from) => *from = lba + u64::from(count),
            None => self.commands_left -= 1,
        }
        if self.read_back_from.is_some_and(|from| from >= blocks) {
            self.read_back_from = None;
        }
    }

    fn draw(&mut self, shared: &Shared) -> (What, u64, u32) {
        let disk = &shared.plan.disk;
        let most = shared.plan.io_bytes_max / u64::from(disk.block_bytes);
        if let Some(from) = self.read_back_from {
            let count = most.min(disk.block_count - from);
            return (What::Nvm(IoOp::Read), from, u32::try_from(count).unwrap_or(1));
        }
        let r = &mut self.random;
        let count = if r.one_in(2) { r.range(1, most.min(8)) } else { r.range(1, most) };
        let count = count.min(disk.block_count);
        let last = disk.block_count - count;
        let lba = if r.happens(shared.plan.hot_ppm) {
            r.below(shared.plan.hot_blocks).min(last)
        } else {
            r.range(0, last)
        };
        (draw_what(r, &shared.plan.mix), lba, u32::try_from(count).unwrap_or(1))
    }

    /// Fills the buffer, and says who may write to it.
    fn prepare(&mut self, shared: &Shared, io: &Io) {
        let block = shared.plan.disk.block_bytes as usize;
        let octets = &mut self.scratch[..io.count as usize * block];
        match io.what {
            What::Nvm(IoOp::Write | IoOp::WriteDurable) => {
                for (lba, block) in io.lbas().zip(octets.chunks_exact_mut(block)) {
                    pattern::fill(block, io.value, lba);
                }
                self.arena.write(io.slot, octets);
            }
            What::Nvm(IoOp::Compare) => {
                for (lba, block) in io.lbas().zip(octets.chunks_exact_mut(block)) {
                    pattern::fill(block, shared.blocks.guess(lba), lba);
                }
                self.arena.write(io.slot, octets);
            }
            What::Deallocate => self.arena.write(io.slot, &dsm_range(io.lba, io.count)),
            What::Nvm(IoOp::Read) => {
                // A read that brings nothing must not look like one that did.
                octets.fill(0xee);
                self.arena.write(io.slot, octets);
                self.arena.thaw(io.slot, octets.len());
            }
            What::Nvm(IoOp::Flush | IoOp::WriteZeroes | IoOp::Verify) => {}
        }
    }

    fn command(&self, shared: &Shared, tag: u64, io: &Io) -> initiator::Command {
        let disk = &shared.plan.disk;
        let namespace = NamespaceInfo {
            nsid: 1,
            block_bytes: disk.block_bytes,
            block_count: disk.block_count,
            max_transfer_bytes: 1 << 20,
        };
        let mr = self.mr.as_ref().expect("registered at the start");
        let addr = self.arena.addr(io.slot);
        match io.what {
            What::Deallocate => namespace.deallocate(tag, mr, addr),
            What::Nvm(op) => {
                let offset = io.lba * u64::from(disk.block_bytes);
                let length = io.count * disk.block_bytes;
                let command = namespace.command(tag, op, offset, length, mr, addr);
                command.expect("within the namespace")
            }
        }
    }

    fn complete(&mut self, shared: &mut Shared, done: Completion) -> Result<(), Violation> {
        let io = self.commands.completed(done.tag)?;
        let status = u64::from(done.status.word());
        shared.note("  completed", [self.index as u64, done.tag, status, done.result]);
        shared.completed += 1;
        if done.status.is_success() {
            return self.succeed(shared, &io);
        }
        if done.status.is(Status::HOST_PATHING) && !shared.plan.is_clean() {
            return self.abandon(shared, io);
        }
        if !is_expected(&shared.plan, &io, done.status) {
            let detail = format!("{}: {io:?}: {}", self.index, done.status);
            return Err(Violation::new("commands fail only for a reason", detail));
        }
        let end = shared.blocks.tick();
        io.end(&mut shared.blocks, end, Outcome::Failed)?;
        self.arena.give_back(io.slot)
    }

    fn succeed(&mut self, shared: &mut Shared, io: &Io) -> Result<(), Violation> {
        let end = shared.blocks.tick();
        let block = shared.plan.disk.block_bytes as usize;
        match io.what {
            What::Nvm(IoOp::Read | IoOp::Compare) => {
                let octets = &mut self.scratch[..io.count as usize * block];
                self.arena.read(io.slot, octets);
                shared.octets += octets.len() as u64;
                for (lba, block) in io.lbas().zip(octets.chunks_exact(block)) {
                    let value = whole(lba, block)?;
                    shared.blocks.read(lba, value, io.start, end)?;
                }
            }
            What::Nvm(IoOp::Flush) => shared.blocks.flushed(io.start, end),
            What::Nvm(IoOp::Write | IoOp::WriteDurable) => {
                shared.octets += u64::from(io.count) * block as u64;
                io.end(&mut shared.blocks, end, Outcome::Done)?;
            }
            What::Nvm(IoOp::WriteZeroes) | What::Deallocate => {
                io.end(&mut shared.blocks, end, Outcome::Done)?;
            }
            What::Nvm(IoOp::Verify) => {}
        }
        self.arena.give_back(io.slot)
    }

    /// No answer came, and none will.
    fn abandon(&mut self, shared: &mut Shared, io: Io) -> Result<(), Violation> {
        if io.changes() {
            io.repeats(&mut shared.blocks);
            shared.abandoned.push((shared.now + GRACE, io));
        }
        self.arena.give_back(io.slot)
    }
}

fn whole(lba: u64, block: &[u8]) -> Result<Value, Violation> {
    match pattern::read(block, lba) {
        Content::Whole(value) => Ok(value),
        Content::Torn { first, offset } => {
            let detail = format!("block {lba}: begins with {first:#x}, not so from octet {offset}");
            Err(Violation::new("a logical block is never read torn", detail))
        }
    }
}
