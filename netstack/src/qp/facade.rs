//! One queue pair's transport, whichever wire mode was agreed on.

use super::native::NativeMachine;
use super::roce::{Options, RoceMachine};
use super::{Cx, Machine, QpConfig};
use crate::link::TxBatch;
use std::time::Instant;
use verbs::{PostError, SendWr, WcStatus};

/// Either transport. Boxed, so that a table of queue pairs stays dense.
pub(crate) enum QpMachine {
    /// RoCEv2, as Linux rxe speaks it.
    Roce(Box<RoceMachine>),
    /// Native.
    Native(Box<NativeMachine>),
}

/// The same call on whichever machine it is.
macro_rules! either {
    ($self:ident, $machine:ident => $call:expr) => {
        match $self {
            QpMachine::Roce($machine) => $call,
            QpMachine::Native($machine) => $call,
        }
    };
}

impl QpMachine {
    /// A RoCEv2 queue pair; `owns_receives` is false when it takes from a shared receive queue.
    pub(crate) fn roce(config: QpConfig, owns_receives: bool, peer_is_flexblk: bool) -> QpMachine {
        let options = Options { owns_receives, peer_is_flexblk, ..Options::default() };
        QpMachine::Roce(Box::new(RoceMachine::with_options(config, options)))
    }

    /// A native queue pair; `owns_receives` as above.
    pub(crate) fn native(config: QpConfig, owns_receives: bool) -> QpMachine {
        let machine = NativeMachine::new(config);
        QpMachine::Native(Box::new(match owns_receives {
            true => machine,
            false => machine.with_shared_receives(),
        }))
    }

    pub(crate) fn is_native(&self) -> bool {
        matches!(self, QpMachine::Native(_))
    }

    /// Asks the cache for the machine.
    #[inline]
    pub(crate) fn prefetch(&self) {
        either!(self, machine => memory::prefetch_value(&raw const **machine));
    }

    /// Asks the cache for what the machine points to.
    #[inline]
    pub(crate) fn prefetch_queues(&self) {
        if let QpMachine::Native(machine) = self {
            machine.prefetch_queues();
        }
    }

    #[inline]
    pub(crate) fn post_send(&mut self, wr: SendWr) -> Result<(), PostError> {
        either!(self, machine => machine.post_send(wr))
    }

    #[inline]
    pub(crate) fn handle_timeout(&mut self, cx: &mut Cx<'_>) {
        either!(self, machine => machine.handle_timeout(cx));
    }

    #[inline]
    pub(crate) fn handle_cnp(&mut self, now: Instant) {
        either!(self, machine => machine.handle_cnp(now));
    }

    #[inline]
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        either!(self, machine => machine.poll_timeout())
    }

    #[inline]
    pub(crate) fn poll_transmit(&mut self, cx: &mut Cx<'_>, out: &mut TxBatch) {
        either!(self, machine => machine.poll_transmit(cx, out));
    }

    #[inline]
    pub(crate) fn wants_transmit(&self, now: Instant) -> bool {
        either!(self, machine => machine.wants_transmit(now))
    }

    pub(crate) fn fail(&mut self, cx: &mut Cx<'_>, status: WcStatus) {
        either!(self, machine => machine.fail(cx, status));
    }

    #[inline]
    pub(crate) fn is_failed(&self) -> bool {
        either!(self, machine => machine.is_failed())
    }

    pub(crate) fn is_idle(&self) -> bool {
        either!(self, machine => machine.is_idle())
    }
}
