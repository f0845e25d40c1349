//! A fabric without a network: both ends in one process and one thread.
//!
//! Not a mock: it honours keys, bounds, posting order and flow control (a send waits until the
//! peer posts a receive), so controllers and hosts can be run against each other without packets.

use super::{
    ConnectParams, DisconnectReason, Fabric, FabricEvent, FabricLimits, Full, QpHandle, Work,
    WorkOp,
};
use memory::{Access, Mr, Region, Registry, RegistryFull, Rkey};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Instant;
use verbs::{Remote, WcStatus};

/// CM reason: nobody listens on that port. Source: IBTA 1.4, "REJ", reason codes.
const REASON_INVALID_SERVICE: u16 = 8;
/// CM reason: refused by the consumer.
const REASON_CONSUMER: u16 = 28;

/// One end. Clone the hub's handle into as many ends as the test needs.
pub struct Loopback {
    hub: Rc<RefCell<Hub>>,
    end: usize,
}

struct Hub {
    ends: Vec<End>,
    sides: Vec<Side>,
    /// Of each end, at once.
    registrations_max: usize,
}

/// Registrations of an end where nothing else is said.
const REGISTRATIONS_MAX: usize = 4096;

struct End {
    addr: SocketAddr,
    memory: Registry,
    listening: Vec<u16>,
    events: Vec<FabricEvent>,
}

/// One side of a connection; the other side is at `index ^ 1`.
struct Side {
    end: usize,
    state: State,
    sends: VecDeque<Work>,
    receives: VecDeque<Work>,
    depth: usize,
    read_depth: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Connecting,
    Requested,
    Open,
    Closed,
}

impl Loopback {
    /// A new hub with one end at `addr`.
    #[must_use]
    pub fn new(addr: SocketAddr) -> Loopback {
        Loopback::bounded(addr, REGISTRATIONS_MAX)
    }
    /// The same, whose ends have room for so many registrations each: a small hub is made faster.
    #[must_use]
    pub fn bounded(addr: SocketAddr, registrations_max: usize) -> Loopback {
        let hub = Hub { ends: Vec::new(), sides: Vec::new(), registrations_max };
        Loopback { hub: Rc::new(RefCell::new(hub)), end: 0 }.joined(addr)
    }
    /// Another end of the same hub, at `addr`.
    #[must_use]
    pub fn join(&self, addr: SocketAddr) -> Loopback {
        Loopback { hub: Rc::clone(&self.hub), end: 0 }.joined(addr)
    }
    fn joined(mut self, addr: SocketAddr) -> Loopback {
        let mut hub = self.hub.borrow_mut();
        self.end = hub.ends.len();
        let memory = Registry::new(hub.registrations_max, 1 + self.end as u64);
        hub.ends.push(End { addr, memory, listening: Vec::new(), events: Vec::new() });
        drop(hub);
        self
    }
    /// Registrations that this end has now.
    #[must_use]
    pub fn registrations(&self) -> usize {
        self.hub.borrow().ends[self.end].memory.in_use()
    }
    /// Cuts a connection as a dead peer would: both ends hear `Timeout`.
    pub fn cut(&mut self, qp: QpHandle) {
        self.hub.borrow_mut().close(
            qp.0 as usize,
            DisconnectReason::Timeout,
            DisconnectReason::Timeout,
        );
    }
}

impl Fabric for Loopback {
    fn limits(&self) -> FabricLimits {
        FabricLimits { name: "loopback", max_message_bytes: 1 << 30, read_depth_max: 128 }
    }
    fn register(&mut self, region: &Region, access: Access) -> Result<Mr, RegistryFull> {
        self.hub.borrow_mut().ends[self.end].memory.register(region, access)
    }
    fn deregister(&mut self, mr: &Mr) {
        // Unknown keys are ignored by contract.
        let _ = self.hub.borrow_mut().ends[self.end].memory.deregister(mr.lkey);
    }
    fn listen(&mut self, port: u16) {
        self.hub.borrow_mut().ends[self.end].listening.push(port);
    }
    fn connect(&mut self, _now: Instant, to: SocketAddr, params: ConnectParams) -> QpHandle {
        self.hub.borrow_mut().connect(self.end, to, params)
    }
    fn accept(&mut self, _now: Instant, qp: QpHandle, params: ConnectParams) {
        self.hub.borrow_mut().accept(qp.0 as usize, params);
    }
    fn reject(&mut self, _now: Instant, qp: QpHandle, private: &[u8]) {
        self.hub.borrow_mut().reject(qp.0 as usize, REASON_CONSUMER, private);
    }
    fn disconnect(&mut self, _now: Instant, qp: QpHandle) {
        let mut hub = self.hub.borrow_mut();
        hub.run();
        hub.close(qp.0 as usize, DisconnectReason::Local, DisconnectReason::Peer);
    }
    fn post(&mut self, qp: QpHandle, work: Work) -> Result<(), Full<Work>> {
        self.hub.borrow_mut().post(qp.0 as usize, work)
    }
    fn poll(&mut self, _now: Instant, out: &mut Vec<FabricEvent>) {
        let mut hub = self.hub.borrow_mut();
        hub.run();
        out.append(&mut hub.ends[self.end].events);
    }
    fn flush(&mut self, _now: Instant) {
        self.hub.borrow_mut().run();
    }
    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
    fn has_pending(&self) -> bool {
        !self.hub.borrow().ends[self.end].events.is_empty()
    }
    fn counters(&self, _report: &mut dyn FnMut(&'static str, u64)) {}
}

impl Hub {
    fn connect(&mut self, end: usize, to: SocketAddr, params: ConnectParams) -> QpHandle {
        let here = self.sides.len();
        let listener = self
            .ends
            .iter()
            .position(|e| e.addr.ip() == to.ip() && e.listening.contains(&to.port()));
        self.sides.push(Side::new(end, State::Connecting, &params));
        self.sides.push(Side::new(listener.unwrap_or(end), State::Requested, &params));
        let from = self.ends[end].addr;
        match listener {
            Some(listener) => self.ends[listener].events.push(FabricEvent::ConnectRequest {
                qp: handle(here + 1),
                from,
                port: to.port(),
                private: params.private,
                read_depth: params.read_depth,
            }),
            None => self.reject(here + 1, REASON_INVALID_SERVICE, &[]),
        }
        handle(here)
    }

    fn accept(&mut self, side: usize, params: ConnectParams) {
        if self.sides[side].state != State::Requested {
            return;
        }
        let offered = self.sides[side].read_depth;
        self.sides[side].depth = params.send_depth as usize;
        self.sides[side].state = State::Open;
        self.sides[side ^ 1].state = State::Open;
        for (at, private, read_depth) in
            [(side ^ 1, params.private, params.read_depth), (side, Vec::new(), offered)]
        {
            let qp = handle(at);
            self.event(at, FabricEvent::Established { qp, private, read_depth });
        }
    }

    fn reject(&mut self, side: usize, reason: u16, private: &[u8]) {
        self.sides[side].state = State::Closed;
        self.sides[side ^ 1].state = State::Closed;
        let qp = handle(side ^ 1);
        self.event(side ^ 1, FabricEvent::Rejected { qp, reason, private: private.to_vec() });
    }

    fn post(&mut self, at: usize, work: Work) -> Result<(), Full<Work>> {
        let side = &mut self.sides[at];
        if side.state == State::Closed {
            return Ok(());
        }
        let queue = if work.op == WorkOp::Recv { &mut side.receives } else { &mut side.sends };
        if queue.len() >= side.depth {
            return Err(Full(work));
        }
        queue.push_back(work);
        Ok(())
    }

    /// Executes what can be executed, each side in posting order.
    fn run(&mut self) {
        for at in 0..self.sides.len() {
            while self.sides[at].state == State::Open && self.step(at) {}
        }
    }

    /// Executes the oldest send-queue work of one side; false when there is none, or it waits.
    fn step(&mut self, at: usize) -> bool {
        let Some(work) = self.sides[at].sends.front().copied() else { return false };
        let status = match work.op {
            WorkOp::Send { invalidate } => {
                let Some(receive) = self.sides[at ^ 1].receives.pop_front() else { return false };
                self.send(at, &work, receive, invalidate)
            }
            WorkOp::RdmaWrite(remote) => self.transfer(at, &work, remote, Direction::Write),
            WorkOp::RdmaRead(remote) => self.transfer(at, &work, remote, Direction::Read),
            WorkOp::Recv => WcStatus::Success,
        };
        self.sides[at].sends.pop_front();
        let qp = handle(at);
        if status != WcStatus::Success {
            self.event(at, FabricEvent::Done { qp, token: work.token, status });
            self.close(at, DisconnectReason::Error(status), DisconnectReason::Error(status));
            return false;
        }
        if work.signaled {
            self.event(at, FabricEvent::Done { qp, token: work.token, status });
        }
        true
    }

    fn send(&mut self, at: usize, work: &Work, receive: Work, inv: Option<Rkey>) -> WcStatus {
        let peer = self.sides[at ^ 1].end;
        if work.local.len() > receive.local.len() {
            return WcStatus::RemInvReqErr;
        }
        if inv.is_some_and(|rkey| self.ends[peer].memory.invalidate(rkey).is_err()) {
            return WcStatus::RemOpErr;
        }
        let Some(octets) = self.gather(self.sides[at].end, work) else {
            return WcStatus::LocProtErr;
        };
        let mut rest = octets.as_slice();
        for sge in receive.local.iter() {
            let (now, later) = rest.split_at(rest.len().min(sge.length as usize));
            let Ok(span) = self.ends[peer].memory.local(sge, Access::LOCAL_WRITE) else {
                return WcStatus::RemOpErr;
            };
            span.write(now);
            rest = later;
        }
        #[expect(clippy::cast_possible_truncation, reason = "at most two u32 elements of capsule")]
        let len = octets.len() as u32;
        let qp = handle(at ^ 1);
        self.event(at ^ 1, FabricEvent::Recv { qp, token: receive.token, len, invalidated: inv });
        WcStatus::Success
    }

    fn transfer(&self, at: usize, work: &Work, remote: Remote, way: Direction) -> WcStatus {
        let (here, there) = (self.sides[at].end, self.sides[at ^ 1].end);
        let mut addr = remote.addr;
        for sge in work.local.iter() {
            let (local, right) = match way {
                Direction::Write => (Access::LOCAL_READ, Access::REMOTE_WRITE),
                Direction::Read => (Access::LOCAL_WRITE, Access::REMOTE_READ),
            };
            let Ok(mine) = self.ends[here].memory.local(sge, local) else {
                return WcStatus::LocProtErr;
            };
            let Ok(theirs) = self.ends[there].memory.remote(remote.rkey, addr, sge.length, right)
            else {
                return WcStatus::RemAccessErr;
            };
            let mut octets = vec![0; sge.length as usize];
            let (from, to) = if way == Direction::Write { (mine, theirs) } else { (theirs, mine) };
            from.read(&mut octets);
            to.write(&octets);
            addr += u64::from(sge.length);
        }
        WcStatus::Success
    }

    fn gather(&self, end: usize, work: &Work) -> Option<Vec<u8>> {
        let mut octets = Vec::new();
        for sge in work.local.iter() {
            let span = self.ends[end].memory.local(sge, Access::LOCAL_READ).ok()?;
            let at = octets.len();
            octets.resize(at + span.len(), 0);
            span.read(&mut octets[at..]);
        }
        Some(octets)
    }

    fn close(&mut self, at: usize, reason: DisconnectReason, peer_reason: DisconnectReason) {
        for (side, reason) in [(at, reason), (at ^ 1, peer_reason)] {
            if self.sides[side].state == State::Closed {
                continue;
            }
            self.sides[side].state = State::Closed;
            let sends = std::mem::take(&mut self.sides[side].sends);
            let receives = std::mem::take(&mut self.sides[side].receives);
            let qp = handle(side);
            for work in sends.into_iter().chain(receives) {
                let status = WcStatus::WrFlushErr;
                self.event(side, FabricEvent::Done { qp, token: work.token, status });
            }
            self.event(side, FabricEvent::Disconnected { qp, reason });
        }
    }

    fn event(&mut self, side: usize, event: FabricEvent) {
        let end = self.sides[side].end;
        self.ends[end].events.push(event);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Write,
    Read,
}

impl Side {
    fn new(end: usize, state: State, params: &ConnectParams) -> Side {
        Side {
            end,
            state,
            sends: VecDeque::new(),
            receives: VecDeque::new(),
            depth: params.send_depth.max(params.recv_depth) as usize,
            read_depth: params.read_depth,
        }
    }
}

fn handle(side: usize) -> QpHandle {
    #[expect(clippy::cast_possible_truncation, reason = "sides are counted in tests' thousands")]
    QpHandle(side as u32)
}

#[cfg(test)]
#[path = "loopback_tests.rs"]
mod tests;
