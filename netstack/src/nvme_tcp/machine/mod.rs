//! A connection without its socket: octets in, places and octets out. Pure.
//!
//! [`Machine::handle_octets`] takes in what came, `post` what the consumer wants; what is to be sent
//! stands in [`Machine::outbox`]. The two sides differ in `host` and `controller`.
//!
//! **Architecture invariant:** what a peer makes this side keep is bounded: a header, the octets of one
//! read, and what the consumer's own work names.

mod arriving;
mod controller;
mod ending;
mod handshake;
mod host;

use super::framer::Framer;
use super::outbox::{Outbox, Then};
use super::{Shared, Stop};
use crate::fabric::{FabricEvent, Full, Gather, QpHandle, Work, WorkOp};
use controller::Controller;
use host::Host;
use std::collections::VecDeque;
use std::net::SocketAddr;
use verbs::{Remote, WcStatus};
use wire::nvme_tcp::{Framing, Pdu, Receiver, Shape};

pub(super) use ending::REASON_INVALID_SERVICE;
pub(super) use handshake::READ_DEPTH;

/// Receives that may be posted before the connection is accepted, which says how many.
const RECEIVES_BEFORE: usize = 4096;

/// How far it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    /// The kernel connects (host).
    Connecting,
    /// The first PDU of the peer is awaited.
    Greeting,
    /// The first command is awaited (controller).
    Expecting,
    /// It came, and our consumer has not answered yet (controller).
    Requested,
    Open,
    /// Over: with this, which is told last.
    Over(Option<FabricEvent>),
}

enum Side {
    Host(Host),
    Controller(Controller),
}

/// Where data goes.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// Behind the capsule, in a receive.
    Receive(Work),
    /// A command's memory (host).
    Command(Remote),
    /// What was asked for by an R2T (controller).
    Fetch(Gather),
    /// It is not looked at.
    Nowhere,
}

/// A PDU whose data is arriving.
#[derive(Clone, Copy, Debug)]
struct Landing {
    pdu: Pdu,
    place: Place,
    /// Octets into the place.
    at: u32,
    /// A receive for the response that the PDU stands for (host).
    response: Option<Work>,
}

/// Why work was not taken.
#[derive(Debug)]
pub(super) enum NotPosted {
    Full(Full<Work>),
    /// The connection ends.
    Stop(Stop),
}

pub(super) struct Machine {
    pub(super) qp: QpHandle,
    pub(super) stage: Stage,
    side: Side,
    peer: SocketAddr,
    /// The port that the peer came to, or that it has.
    port: u16,
    framer: Framer,
    /// Of what is sent.
    framing: Framing,
    pub(super) outbox: Outbox,
    receives: VecDeque<Work>,
    receives_max: usize,
    /// Work at once, and how much of it is outstanding.
    depth: usize,
    outstanding: usize,
    landing: Option<Landing>,
    /// A header that waits for a receive, or to be accepted; and what came behind it.
    waiting: Option<(Shape, Pdu)>,
    stash: Vec<u8>,
    /// The PDU that was not whole when [`Machine::handle_patience`] looked last.
    unfinished: Option<u32>,
    /// The last PDU with data had [`LONG_DATA_BYTES`] or more, without a digest.
    long_data: bool,
}

impl Machine {
    fn new(qp: QpHandle, stage: Stage, side: Side, peer: SocketAddr, port: u16) -> Machine {
        let receiver = if let Side::Host(_) = side { Receiver::Host } else { Receiver::Controller };
        Machine {
            qp,
            stage,
            side,
            peer,
            port,
            framer: Framer::new(receiver),
            framing: Framing::PLAIN,
            outbox: Outbox::default(),
            receives: VecDeque::new(),
            receives_max: RECEIVES_BEFORE,
            depth: 0,
            outstanding: 0,
            landing: None,
            waiting: None,
            stash: Vec::new(),
            unfinished: None,
            long_data: false,
        }
    }

    /// It takes no octets in before a receive is posted, or it is accepted.
    pub(super) fn is_blocked(&self) -> bool {
        self.waiting.is_some()
    }

    /// Time has passed that a PDU is given to become whole. Errors: the same one was unfinished the
    /// last time, and it was not this side that did not take it.
    pub(super) fn handle_patience(&mut self) -> Result<(), Stop> {
        let unfinished = self.framer.unfinished().filter(|_| !self.is_blocked());
        let before = std::mem::replace(&mut self.unfinished, unfinished);
        if unfinished.is_some() && unfinished == before { Err(Stop::Overdue) } else { Ok(()) }
    }
    fn done(&mut self, token: u64, signaled: bool, shared: &mut Shared) {
        self.outstanding -= 1;
        if signaled {
            let (qp, status) = (self.qp, WcStatus::Success);
            shared.events.push(FabricEvent::Done { qp, token, status });
        }
    }

    /// Takes work. `Ok(true)`: something that waited may go on.
    pub(super) fn post(&mut self, work: Work, shared: &mut Shared) -> Result<bool, NotPosted> {
        if matches!(self.stage, Stage::Over(_)) {
            let (qp, token, status) = (self.qp, work.token, WcStatus::WrFlushErr);
            shared.events.push(FabricEvent::Done { qp, token, status });
            return Ok(false);
        }
        if work.op == WorkOp::Recv {
            if self.receives.len() >= self.receives_max {
                return Err(NotPosted::Full(Full(work)));
            }
            self.receives.push_back(work);
            return Ok(self.waiting.is_some() && self.stage == Stage::Open);
        }
        if self.outstanding >= self.depth || self.stage != Stage::Open {
            return Err(NotPosted::Full(Full(work)));
        }
        let posted = match &mut self.side {
            Side::Host(_) => self.post_command(&work, shared),
            Side::Controller(_) => self.post_as_controller(&work, shared),
        };
        match posted {
            Ok(()) => Ok(false),
            Err(NotPosted::Stop(stop)) => {
                let (qp, token) = (self.qp, work.token);
                let status = WcStatus::LocProtErr;
                shared.events.push(FabricEvent::Done { qp, token, status });
                Err(NotPosted::Stop(stop))
            }
            Err(full) => Err(full),
        }
    }
    /// Queues what waited for the turn's end. Errors: how it ends.
    pub(super) fn settle_outbox(&mut self, shared: &mut Shared) -> Result<(), Stop> {
        match self.side {
            Side::Host(_) => Ok(()),
            Side::Controller(_) => self.release_held(shared),
        }
    }
    /// Queues what waited, and says whether there is anything to hand over.
    pub(super) fn wants_to_write(&self) -> bool {
        let held = match &self.side {
            Side::Host(_) => false,
            Side::Controller(controller) => controller.is_holding(),
        };
        held || !self.outbox.is_empty()
    }
    /// So many octets of the outbox were handed over.
    pub(super) fn handle_sent(&mut self, count: u64, shared: &mut Shared) {
        self.outbox.handle_sent(count);
        while let Some(then) = self.outbox.poll_then() {
            match then {
                Then::Work { token, signaled } => self.done(token, signaled, shared),
                Then::Answered { cid } => {
                    if let Side::Host(host) = &mut self.side {
                        host.handle_answered(cid);
                    }
                }
            }
        }
    }
}
