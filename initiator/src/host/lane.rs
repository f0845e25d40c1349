//! One connection of a host: its queue, and what waits for room or for the connection.

use super::Host;
use crate::contract::Timers;
use crate::queue::{Command, Queue};
use memory::Access;
use netstack::fabric::{Fabric, QpHandle, Work};
use std::collections::VecDeque;
use std::io;

/// One connection: a queue and, while connected, its fabric handle.
pub(super) struct Lane {
    pub(super) queue: Queue,
    pub(super) qp: Option<QpHandle>,
    pub(super) ready: bool,
    /// Commands that wait for a connection.
    pub(super) waiting: VecDeque<Command>,
    /// Work that the fabric had no room for.
    pub(super) unposted: VecDeque<Work>,
}

impl Lane {
    pub(super) fn new<F: Fabric>(
        fabric: &mut F,
        qid: u16,
        depth: u16,
        timers: &Timers,
    ) -> io::Result<Lane> {
        let memory = Queue::allocate(depth)?;
        let mr = fabric.register(&memory, Access::LOCAL_WRITE).map_err(io::Error::other)?;
        Ok(Lane {
            queue: Queue::new(qid, depth, timers.io_timeout, memory, mr),
            qp: None,
            ready: false,
            waiting: VecDeque::new(),
            unposted: VecDeque::new(),
        })
    }
}

impl<F: Fabric> Host<F> {
    pub(super) fn lane_of(&self, qp: QpHandle) -> Option<usize> {
        self.lanes.iter().position(|lane| lane.qp == Some(qp))
    }

    pub(super) fn post(&mut self, lane: usize, work: Work) {
        let lane = &mut self.lanes[lane];
        let Some(qp) = lane.qp else { return };
        if !lane.unposted.is_empty() {
            lane.unposted.push_back(work);
        } else if let Err(full) = self.fabric.post(qp, work) {
            lane.unposted.push_back(full.0);
        }
    }

    pub(super) fn repost(&mut self) {
        for lane in &mut self.lanes {
            let Some(qp) = lane.qp else { continue };
            while let Some(work) = lane.unposted.front() {
                if self.fabric.post(qp, *work).is_err() {
                    break;
                }
                lane.unposted.pop_front();
            }
        }
    }
}
