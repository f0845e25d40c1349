//! From nothing to live: connect, enable, identify, I/O queues.
//!
//! Source: NVMe over Fabrics, "Association and Controller Initialization"; the order is Linux's.

use super::own::{TAG_BRINGUP, own};
use super::{Host, HostError};
use crate::commands::{self, ConnectOptions};
use crate::queue::Data;
use netstack::fabric::{ConnectParams, Fabric, QpHandle, WorkOp};
use std::time::{Duration, Instant};
use wire::fabrics::ConnectResult;
use wire::nvme::Status;

/// Commands outstanding on the admin queue. Linux: NVMF_AQ_DEPTH is 32.
pub(super) const ADMIN_DEPTH: u16 = 31;
/// Between two looks at CSTS.RDY.
const READY_POLL: Duration = Duration::from_millis(5);
/// READs of ours that the target may have outstanding (responder resources).
const READ_DEPTH: u8 = 64;

/// Where the host is between nothing and live.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    /// Not connected; `Recovery` knows when to try.
    Down,
    /// Connections are being taken down, to be made again.
    Closing,
    /// This step's answer is awaited.
    Bringup(Step),
    /// Commands flow.
    Live,
    /// Closed on request.
    Closed,
    /// Final.
    Dead,
}

/// Steps of the bring-up; each waits for one answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    Transport(usize),
    Connect(usize),
    /// A message of authentication is on its way.
    AuthSend(usize),
    /// One is awaited.
    AuthReceive(usize),
    ReadCap,
    Enable,
    Ready,
    ReadyAgain(Instant),
    Identify,
    QueueCount,
}

impl<F: Fabric> Host<F> {
    /// Starts connecting, admin queue first.
    pub(super) fn bring_up(&mut self, now: Instant) {
        self.recovery.attempt(now, self.options.timers.connect_timeout);
        if self.options.concatenate && !self.is_secured {
            // The key is made on a connection without TLS.
            self.fabric.set_own_psks(Vec::new());
        }
        self.lanes[0].queue.set_in_capsule(self.fabric.admin_in_capsule_bytes());
        self.connect_lane(now, 0);
    }

    fn connect_lane(&mut self, now: Instant, lane: usize) {
        let depth = self.lanes[lane].queue.depth();
        let cntlid = self.info.as_ref().map_or(0, |info| info.cntlid);
        let qid = self.lanes[lane].queue.qid();
        let params = ConnectParams {
            private: commands::connect_private(qid, depth, cntlid),
            send_depth: u32::from(depth) * 2 + 8,
            recv_depth: u32::from(depth) + 8,
            read_depth: READ_DEPTH,
        };
        let qp = self.fabric.connect(now, self.options.target, params);
        self.lanes[lane].qp = Some(qp);
        let receives: Vec<_> = self.lanes[lane].queue.receives().collect();
        for work in receives {
            debug_assert!(work.op == WorkOp::Recv);
            self.post(lane, work);
        }
        self.phase = Phase::Bringup(Step::Transport(lane));
    }

    pub(super) fn on_established(&mut self, now: Instant, qp: QpHandle) {
        let Some(lane) = self.lane_of(qp) else { return };
        if self.phase != Phase::Bringup(Step::Transport(lane)) {
            return;
        }
        let options = ConnectOptions {
            qid: self.lanes[lane].queue.qid(),
            depth: self.lanes[lane].queue.depth(),
            keep_alive: self.options.timers.keep_alive,
            cntlid: if lane == 0 { 0xffff } else { self.cntlid() },
            subnqn: &self.options.subnqn,
            hostnqn: &self.options.hostnqn,
            hostid: self.options.hostid,
            // This host counts its commands itself.
            no_flow_control: self.fabric.may_elide_responses(),
        };
        let sqe = commands::connect(&options);
        let data = match commands::connect_data(&options) {
            Ok(data) => data,
            Err(bad) => return self.break_down(now, HostError::BadNqn(bad.to_string())),
        };
        self.scratch.region().write(0, data.as_octets());
        let data = self.scratch.data(1024, true);
        self.step(now, lane, Step::Connect(lane), sqe, Some(data));
    }

    pub(super) fn on_rejected(&mut self, now: Instant, qp: QpHandle, reason: u16) {
        let Some(lane) = self.lane_of(qp) else { return };
        self.lanes[lane].qp = None;
        let addr = self.options.target;
        let error = match reason {
            commands::REASON_NO_LISTENER => HostError::NoListener(addr),
            _ => HostError::Refused { addr, reason },
        };
        self.break_down(now, error);
    }

    pub(super) fn step(
        &mut self,
        now: Instant,
        lane: usize,
        step: Step,
        sqe: wire::nvme::Sqe,
        data: Option<Data>,
    ) {
        self.phase = Phase::Bringup(step);
        let sent = self.start(now, lane, own(TAG_BRINGUP, sqe, data));
        assert!(sent.is_ok(), "a fresh queue has a free slot");
    }

    pub(super) fn handle_step(&mut self, now: Instant, status: Status, result: u64) {
        let Phase::Bringup(step) = self.phase else { return };
        if !status.is_success() {
            return self.refuse(now, step, status, result);
        }
        match step {
            Step::Connect(lane) => {
                #[expect(clippy::cast_possible_truncation, reason = "dword 0")]
                let result = ConnectResult::from_dword(result as u32);
                if lane == 0 {
                    self.begin_info(result.controller.0);
                }
                self.authenticate(now, lane, result.authentication);
            }
            Step::AuthSend(lane) => self.on_auth_sent(now, lane),
            Step::AuthReceive(lane) => self.on_auth_received(now, lane),
            Step::ReadCap => {
                self.info_mut().cap = result;
                self.step(now, 0, Step::Enable, commands::enable(), None);
            }
            Step::Enable => self.step(now, 0, Step::Ready, commands::property_get_csts(), None),
            Step::Ready if commands::is_ready(result) => {
                let data = self.scratch.data(4096, false);
                let identify = commands::identify_controller();
                self.step(now, 0, Step::Identify, identify, Some(data));
            }
            Step::Ready => self.phase = Phase::Bringup(Step::ReadyAgain(now + READY_POLL)),
            Step::Identify => self.on_identified(now),
            Step::QueueCount => {
                let granted = commands::granted_queues(result);
                let asked = self.lanes.len() - 1;
                self.recovery.io_lanes = asked.min(granted);
                self.connect_next(now, 1);
            }
            Step::Transport(_) | Step::ReadyAgain(_) => {}
        }
    }

    /// Queue `lane` is connected, and both sides are who they say as far as that was asked for.
    pub(super) fn on_trusted(&mut self, now: Instant, lane: usize) {
        if lane == 0 {
            return self.step(now, 0, Step::ReadCap, commands::property_get_cap(), None);
        }
        self.lanes[lane].ready = true;
        self.connect_next(now, lane + 1);
    }

    /// Looks at CSTS again once its time has come.
    pub(super) fn poll_ready(&mut self, now: Instant) {
        if let Phase::Bringup(Step::ReadyAgain(at)) = self.phase
            && at <= now
        {
            self.step(now, 0, Step::Ready, commands::property_get_csts(), None);
        }
    }

    fn on_identified(&mut self, now: Instant) {
        let mut identify = Box::new([0; 4096]);
        self.scratch.region().read(0, &mut identify[..]);
        let info = self.info_mut();
        info.max_transfer_bytes = commands::max_transfer_bytes(&identify);
        info.in_capsule_bytes = commands::in_capsule_bytes(&identify);
        info.identify = identify;
        if self.lanes.len() == 1 {
            self.on_live(now);
        } else {
            let asked = u16::try_from(self.lanes.len() - 1).unwrap_or(u16::MAX);
            self.step(now, 0, Step::QueueCount, commands::set_queue_count(asked), None);
        }
    }

    fn connect_next(&mut self, now: Instant, lane: usize) {
        if lane <= self.recovery.io_lanes {
            let info = self.info_mut();
            let (bytes, depth) = (info.in_capsule_bytes, commands::queue_depth_max(info.cap));
            self.lanes[lane].queue.set_in_capsule(bytes);
            self.lanes[lane].queue.bound_depth(depth);
            self.connect_lane(now, lane);
        } else {
            self.on_live(now);
        }
    }

    fn on_live(&mut self, now: Instant) {
        self.phase = Phase::Live;
        self.lanes[0].ready = true;
        self.error = None;
        self.recovery.on_live(now);
        self.arm_keep_alive(now);
        if self.lanes.len() > 1 {
            self.ask_for_events(now);
        }
        self.begin_ana(now);
        self.start_waiting(now);
    }
}
