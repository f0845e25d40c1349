//! From nothing to live: connect, enable, identify, I/O queues.
//!
//! Source: NVMe over Fabrics, "Association and Controller Initialization"; the order is Linux's.

use super::{Host, HostError, own};
use crate::commands::{self, ConnectOptions};
use crate::queue::Data;
use auth::HostAuthError;
use memory::{Access, Mr, Region, Sge};
use netstack::fabric::{ConnectParams, Fabric, QpHandle, WorkOp};
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use wire::fabrics::{ConnectFault, ConnectResult};
use wire::nvme::Status;

/// Commands outstanding on the admin queue. Linux: NVMF_AQ_DEPTH is 32.
pub(super) const ADMIN_DEPTH: u16 = 31;
/// Between two looks at CSTS.RDY.
const READY_POLL: Duration = Duration::from_millis(5);
/// Octets of the host's own command data: Connect data, Identify data.
pub(super) const SCRATCH_BYTES: usize = 4096;
/// READs of ours that the target may have outstanding (responder resources).
const READ_DEPTH: u8 = 64;

/// What the controller said of itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ControllerInfo {
    /// Controller identifier.
    pub cntlid: u16,
    /// CAP register.
    pub cap: u64,
    /// Octets of the largest command; `None`: no bound.
    pub max_transfer_bytes: Option<u32>,
    /// Octets of data that fit into an I/O command capsule.
    pub in_capsule_bytes: u32,
    /// The whole Identify Controller structure.
    pub identify: Box<[u8; 4096]>,
}

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

/// Tags of the host's own commands.
pub(super) const TAG_BRINGUP: u64 = 1;
pub(super) const TAG_KEEP_ALIVE: u64 = 2;
pub(super) const TAG_ABORT: u64 = 3;
pub(super) const TAG_EVENT: u64 = 4;
pub(super) const TAG_EVENTS: u64 = 5;
pub(super) const TAG_ANA: u64 = 6;

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
        self.scratch.region.write(0, data.as_octets());
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

    fn handle_step(&mut self, now: Instant, status: Status, result: u64) {
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
        self.scratch.region.read(0, &mut identify[..]);
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

    fn ask_for_events(&mut self, now: Instant) {
        // A full admin queue only delays the next event; the one after its completions asks again.
        let _ = self.start(now, 0, own(TAG_EVENT, commands::async_event(), None));
    }

    /// A refusal at bring-up is final on the first connection, and worth another try later.
    pub(super) fn refuse(&mut self, now: Instant, step: Step, status: Status, result: u64) {
        #[expect(clippy::cast_possible_truncation, reason = "dword 0 is the low 32 bits")]
        let parameter = ConnectFault::from_dword(result as u32);
        let bad = status.is(Status::CONNECT_INVALID_PARAMETERS).then_some(parameter);
        match (step, bad) {
            (Step::Connect(0), Some(ConnectFault::SUBSYSTEM_NQN)) => {
                let (addr, subnqn) = (self.options.target, self.options.subnqn.clone());
                return self.break_down(now, HostError::NoSubsystem { addr, subnqn });
            }
            // A controller that does not know the commands has no secret to prove.
            (Step::AuthSend(_) | Step::AuthReceive(_), _) if status.is(Status::INVALID_OPCODE) => {
                return self.distrust(now, HostAuthError::Unproved);
            }
            // The controller of the admin queue is gone: the target restarted in between.
            (Step::Connect(_), Some(ConnectFault::CONTROLLER_ID)) => {
                return self.break_down(now, HostError::Lost(self.options.target));
            }
            _ => {}
        }
        let step = match step {
            Step::Connect(0) => "Connect",
            Step::Connect(_) => "Connect of an I/O queue",
            Step::AuthSend(_) => "Authentication Send",
            Step::AuthReceive(_) => "Authentication Receive",
            Step::ReadCap | Step::Ready => "Property Get",
            Step::Enable => "Property Set",
            Step::Identify => "Identify Controller",
            Step::QueueCount => "Set Features (Number of Queues)",
            Step::Transport(_) | Step::ReadyAgain(_) => "connecting",
        };
        self.break_down(now, HostError::Command { step, status });
    }

    fn begin_info(&mut self, cntlid: u16) {
        self.info = Some(ControllerInfo {
            cntlid,
            cap: 0,
            max_transfer_bytes: None,
            in_capsule_bytes: 0,
            identify: Box::new([0; 4096]),
        });
    }

    fn info_mut(&mut self) -> &mut ControllerInfo {
        self.info.as_mut().expect("set by the Connect step")
    }

    fn cntlid(&self) -> u16 {
        self.info.as_ref().map_or(0xffff, |info| info.cntlid)
    }

    /// Where the host connects to.
    pub fn target(&self) -> SocketAddr {
        self.options.target
    }
}
