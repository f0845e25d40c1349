//! What a refusal of the controller at bring-up means.

use super::bringup::Step;
use super::{Host, HostError};
use auth::HostAuthError;
use netstack::fabric::Fabric;
use std::time::Instant;
use wire::fabrics::ConnectFault;
use wire::nvme::Status;

impl<F: Fabric> Host<F> {
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
}
