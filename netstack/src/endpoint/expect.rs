//! What is about to be handled is asked for ahead.
//!
//! With hundreds of busy queue pairs the state of each has left the near caches between two of its
//! packets, and whoever handles a packet would wait for one line after the other: the table's entry
//! names the machine, which names its queues. Asked for in these steps, some packets ahead, the
//! lines of several queue pairs come while another's packet is handled.

use super::Endpoint;
use verbs::QpNum;

/// How near its turn is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ahead {
    /// The table's entry is wanted.
    Entry,
    /// The entry is there; the machine is wanted.
    Machine,
    /// The machine is there; the front of its queues is wanted.
    Queues,
}

/// The state of so few queue pairs stays in the near caches by itself.
const FEW: usize = 16;

impl Endpoint {
    /// There are so many queue pairs that asking ahead pays.
    #[inline]
    #[must_use]
    pub fn has_many(&self) -> bool {
        self.qps.len() > FEW
    }

    /// A packet for `qp` is handled soon, or work is posted to it. A hint.
    #[inline]
    pub fn expect(&self, qp: QpNum, ahead: Ahead) {
        let key = qp.get();
        if ahead == Ahead::Entry {
            return self.qps.prefetch(key);
        }
        let Some(qp) = self.qps.get(key) else { return };
        let Some(machine) = qp.machine.as_ref() else { return };
        if ahead == Ahead::Machine {
            machine.prefetch();
            qp.receives.prefetch();
        } else {
            machine.prefetch_queues();
        }
    }
}
