//! What must hold between and after the stages of a run, and what is told when it does not.

use super::World;
use crate::check::Violation;
use crate::host::HostActor;
use crate::shared::Shared;
use std::time::Duration;

/// Longest time for which a receiver holds an acknowledgement.
const ACK_DELAY: Duration = Duration::from_micros(100);

impl World {
    /// In a run whose network did nothing to packets: no packet named memory that its key does not
    /// cover, and nothing was sent again that only a loss or a timer could cause.
    ///
    /// A timer may ring without a loss: packets wait for each other at a slow port, and the first
    /// acknowledgement that waited comes after the shortest timer (seeds 76 and 1411: 2 and 5 ms one way
    /// and a timer of 500 µs). It costs a duplicate; nothing is declared lost. So retransmissions
    /// are wrong where an answer cannot have taken as long as the shortest timer: twice the slowest
    /// packet, looking at it included, and what a receiver may hold an acknowledgement for.
    pub(super) fn check_counters(&mut self) -> Result<(), Violation> {
        let Shared { plan, net, .. } = &self.shared;
        let net = net.borrow();
        if !plan.is_clean() || !net.injected().is_clean() {
            return Ok(());
        }
        let answer = 2 * (net.slowest() + Duration::from_nanos(plan.quantum_ns)) + ACK_DELAY;
        let is_in_time = answer < plan.shortest_timer();
        let mut wrong = Vec::new();
        let mut look = |name: &'static str, value: u64| {
            let must_be_zero = name == "link.tx_bad_key_packets"
                || is_in_time && name == "qp.retransmitted_packets";
            if must_be_zero && value > 0 {
                wrong.push(format!("{name} = {value} (answers within {answer:?})"));
            }
        };
        self.server.counters(&mut look);
        self.hosts.iter().for_each(|host| host.counters(&mut look));
        if wrong.is_empty() {
            return Ok(());
        }
        Err(Violation::new("clean runs send what is asked for, once", wrong.join(", ")))
    }

    /// Nothing is left, nothing was overwritten.
    pub(super) fn check_end(&mut self) -> Result<(), Violation> {
        self.hosts.iter_mut().try_for_each(HostActor::check_memory)?;
        let (granted, in_flight) = self.server.platter().borrow().owed();
        if (granted, in_flight) != (0, 0) {
            let detail = format!("{granted} buffers and {in_flight} requests of the disk are owed");
            return Err(Violation::new("no buffer leaks", detail));
        }
        Ok(())
    }

    pub(super) fn stuck(&mut self, why: &str) -> Violation {
        let hosts: Vec<String> = self.hosts.iter().map(HostActor::describe).collect();
        let left = self.server.left();
        let owed = self.server.platter().borrow().owed();
        let now = self.shared.now;
        let due = (0..=self.hosts.len()).map(|who| {
            self.due_at(who)
                .map(|at| (at.saturating_duration_since(now), now.saturating_duration_since(at)))
        });
        let mut counters = format!(" due (after, late): {:?}", due.collect::<Vec<_>>());
        self.server.report(&mut |name, value| {
            if value > 0 {
                counters += &format!(" {name}={value}");
            }
        });
        let detail = format!(
            "{:?} does not end, {why} ({} steps since faults stopped, {} idle): target has {left:?} connections, controllers, \
             queue pairs, {owed:?} buffers and requests of the disk: {}; {};{counters}",
            self.stage,
            self.steps,
            self.idle_steps,
            self.server.describe(),
            hosts.join("; ")
        );
        Violation::new("everything completes once faults stop", detail)
    }
}
