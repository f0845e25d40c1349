//! The blocking face: one call, one answer. Real clock, sleeps when there is nothing to do.

use crate::commands;
use crate::host::{Completion, Host, HostError, HostOptions, HostState};
use crate::io::{BadIo, IoOp, NamespaceInfo, data};
use crate::queue::Command;
use crate::wait::Waiter;
use memory::{Mr, Region};
use netstack::fabric::Fabric;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use wire::nvme::Status;

/// Octets of memory for the data of blocking calls.
const BUFFER_BYTES: usize = 1 << 20;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// No connection.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The controller's answer to `what` was not success.
    #[error("{what}: {status}")]
    Status {
        /// Command.
        what: &'static str,
        /// The controller's word.
        status: Status,
    },
    /// The connection was lost between a command that is not sent twice and its answer.
    #[error("the connection was lost before the answer: read the blocks to see what became of it")]
    Unknown,
    /// The request was malformed.
    #[error(transparent)]
    BadIo(#[from] BadIo),
    /// No such namespace.
    #[error("namespace {0} does not exist in this subsystem (see `flexblk list-ns`)")]
    NoNamespace(u32),
    /// This machine's fault.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// One connection with blocking calls.
pub struct Session<F: Fabric> {
    pub(crate) host: Host<F>,
    waiter: Waiter,
    pub(crate) buffer: Region,
    pub(crate) mr: Mr,
    pub(crate) done: Vec<Completion>,
}

impl<F: Fabric> Session<F> {
    /// Connects, and returns when commands flow.
    ///
    /// Errors: what kept it from connecting within `connect_timeout`, or the target's refusal.
    pub fn connect(
        fabric: F,
        options: HostOptions,
        waiter: Waiter,
    ) -> Result<Session<F>, SessionError> {
        let now = Instant::now();
        let give_up = now + options.timers.connect_timeout;
        Session::over(Host::new(fabric, options, now)?, give_up, waiter)
    }
    /// The same with several paths to one subsystem, over shares of one fabric: see
    /// [`Host::with_paths`]. Returns when one of them is live.
    ///
    /// Errors: as `connect`, of the first path.
    pub fn connect_paths(
        shares: Vec<F>,
        options: HostOptions,
        more: &[SocketAddr],
        waiter: Waiter,
    ) -> Result<Session<F>, SessionError> {
        let now = Instant::now();
        let give_up = now + options.timers.connect_timeout;
        Session::over(Host::with_paths(shares, options, more, now)?, give_up, waiter)
    }
    fn over(
        mut host: Host<F>,
        give_up: Instant,
        waiter: Waiter,
    ) -> Result<Session<F>, SessionError> {
        let buffer = Region::allocate(BUFFER_BYTES)?;
        let mr = host.register(&buffer).map_err(io::Error::other)?;
        let mut session = Session { host, waiter, buffer, mr, done: Vec::new() };
        while session.host.state() != HostState::Live {
            session.turn();
            if session.host.state() == HostState::Dead || Instant::now() > give_up {
                return Err(session.why().into());
            }
        }
        Ok(session)
    }

    /// The host underneath, for pipelined work.
    pub fn host(&mut self) -> &mut Host<F> {
        &mut self.host
    }
    /// One turn, then sleep if nothing happened.
    pub fn turn(&mut self) {
        let now = Instant::now();
        let before = self.standing();
        self.host.turn(now);
        self.host.poll_done(&mut self.done);
        let deadline = self.host.poll_timeout();
        let progress = self.standing() != before;
        self.waiter.idle(self.host.fabric(), progress, now, deadline);
    }
    /// What somebody may wait for. A turn that brought it is not slept after.
    fn standing(&self) -> (usize, HostState, bool) {
        (self.done.len(), self.host.state(), self.host.is_closed())
    }
    /// Takes completions of commands submitted through `host`.
    pub fn take_done(&mut self, out: &mut Vec<Completion>) {
        self.host.poll_done(&mut self.done);
        out.append(&mut self.done);
    }

    fn why(&self) -> HostError {
        self.host.error().cloned().unwrap_or(HostError::NoAnswer(self.host.target()))
    }

    fn call(
        &mut self,
        what: &'static str,
        admin: bool,
        command: Command,
    ) -> Result<u64, SessionError> {
        let now = Instant::now();
        let sent = if admin {
            self.host.submit_admin(now, command)
        } else {
            self.host.submit(now, 0, command)
        };
        if sent.is_err() {
            return Err(io::Error::from(io::ErrorKind::WouldBlock).into());
        }
        loop {
            self.turn();
            let Some(at) = self.done.iter().position(|done| done.tag == command.tag) else {
                continue;
            };
            let done = self.done.swap_remove(at);
            if done.status.is(Status::HOST_PATHING) {
                return Err(self.why().into());
            }
            if !done.status.is_success() {
                return Err(SessionError::Status { what, status: done.status });
            }
            return Ok(done.result);
        }
    }

    /// An admin command whose data (up to 1 MiB) comes back.
    ///
    /// Errors: the connection's or the controller's.
    pub fn admin_in(
        &mut self,
        what: &'static str,
        sqe: wire::nvme::Sqe,
        length: u32,
    ) -> Result<Vec<u8>, SessionError> {
        let data = (length > 0).then(|| data(&self.mr, self.mr.addr, length, false));
        self.call(what, true, Command { tag: 1, sqe, data, expires: true, attempts: 0 })?;
        let mut octets = vec![0; length as usize];
        self.buffer.read(0, &mut octets);
        Ok(octets)
    }

    /// Identify Controller (4,096 octets).
    ///
    /// Errors: the connection's or the controller's.
    pub fn identify_controller(&mut self) -> Result<Vec<u8>, SessionError> {
        self.admin_in("Identify Controller", commands::identify_controller(), 4096)
    }
    /// Identify Namespace (4,096 octets).
    ///
    /// Errors: the connection's or the controller's.
    pub fn identify_namespace(&mut self, nsid: u32) -> Result<Vec<u8>, SessionError> {
        self.admin_in("Identify Namespace", commands::identify_namespace(nsid), 4096)
    }
    /// Active namespaces (at most 1,024).
    ///
    /// Errors: the connection's or the controller's.
    pub fn namespaces(&mut self) -> Result<Vec<u32>, SessionError> {
        let list = self.admin_in("Identify", commands::identify_active_namespaces(), 4096)?;
        let ids = list.chunks_exact(4).map(|id| u32::from_le_bytes([id[0], id[1], id[2], id[3]]));
        Ok(ids.take_while(|&id| id != 0).collect())
    }
    /// What a namespace looks like.
    ///
    /// Errors: `NoNamespace`, or the connection's or the controller's.
    pub fn namespace(&mut self, nsid: u32) -> Result<NamespaceInfo, SessionError> {
        if !self.namespaces()?.contains(&nsid) {
            return Err(SessionError::NoNamespace(nsid));
        }
        let octets = self.identify_namespace(nsid)?;
        let max = self.host.info().and_then(|info| info.max_transfer_bytes).unwrap_or(1 << 20);
        commands::namespace_info(nsid, &octets, max).ok_or(SessionError::NoNamespace(nsid))
    }
    /// A log page, in pieces of 4,096 octets.
    ///
    /// Errors: the connection's or the controller's.
    pub fn log_page(&mut self, lid: u8, nsid: u32, length: u32) -> Result<Vec<u8>, SessionError> {
        let mut octets = Vec::new();
        while (octets.len() as u64) < u64::from(length) {
            let offset = octets.len() as u64;
            let piece = (u64::from(length) - offset).min(4096);
            let piece = u32::try_from(piece).unwrap_or(4096);
            let sqe = commands::get_log_page(lid, nsid, offset, piece);
            octets.extend(self.admin_in("Get Log Page", sqe, piece)?);
        }
        Ok(octets)
    }

    /// Reads octets; the span must be whole blocks, of any length.
    ///
    /// Errors: `BadIo`, or the connection's or the controller's.
    pub fn read_at(
        &mut self,
        ns: &NamespaceInfo,
        offset: u64,
        into: &mut [u8],
    ) -> Result<(), SessionError> {
        let piece = self.piece(ns);
        let mut at = offset;
        for part in into.chunks_mut(piece) {
            let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
            let command = ns.command(1, IoOp::Read, at, length, &self.mr, self.mr.addr)?;
            self.call("Read", false, command)?;
            self.buffer.read(0, part);
            at += u64::from(length);
        }
        Ok(())
    }
    /// Writes octets; the span must be whole blocks, of any length.
    ///
    /// Errors: `BadIo`, or the connection's or the controller's.
    pub fn write_at(
        &mut self,
        ns: &NamespaceInfo,
        offset: u64,
        from: &[u8],
    ) -> Result<(), SessionError> {
        let piece = self.piece(ns);
        let mut at = offset;
        for part in from.chunks(piece) {
            let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
            self.buffer.write(0, part);
            let command = ns.command(1, IoOp::Write, at, length, &self.mr, self.mr.addr)?;
            self.call("Write", false, command)?;
            at += u64::from(length);
        }
        Ok(())
    }
    /// Everything acknowledged becomes durable.
    ///
    /// Errors: the connection's or the controller's.
    pub fn flush(&mut self, ns: &NamespaceInfo) -> Result<(), SessionError> {
        let command = ns.command(1, IoOp::Flush, 0, 0, &self.mr, self.mr.addr)?;
        self.call("Flush", false, command).map(drop)
    }

    /// Disconnects, and gives the target a moment to hear it.
    pub fn close(mut self) {
        self.host.disconnect(Instant::now());
        let until = Instant::now() + Duration::from_millis(200);
        while !self.host.is_closed() && Instant::now() < until {
            self.turn();
        }
    }

    fn piece(&self, ns: &NamespaceInfo) -> usize {
        BUFFER_BYTES.min(ns.max_transfer_bytes as usize)
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
