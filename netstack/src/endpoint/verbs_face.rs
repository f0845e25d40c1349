//! Queue pairs, completion queues and shared receive queues without CM, as ibverbs has them; and
//! posting, for all.

use super::completions::CqState;
use super::connect::flushed;
use super::context::{QpInit, Source};
use super::{Endpoint, Nowhere};
use crate::link::Trailer;
use crate::qp::{QpConfig, QpMachine};
use std::time::Instant;
use verbs::{
    CqId, PostError, QpAttr, QpNum, QpState, RecvWr, SendOp, SendWr, SrqId, WcOpcode, WcStatus,
};

/// Why something could not be made. The caller's fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CreateError {
    /// As many queue pairs as the endpoint was made for.
    #[error("no free queue pair")]
    Full,
    /// A completion queue does not exist, or has too few places left for what the queue pair can
    /// hold (twice its depths); or a shared receive queue with another completion queue.
    #[error("no such completion queue, or not enough room in it")]
    CompletionQueue,
}

/// Why a queue pair could not change. The caller's fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ModifyError {
    /// None of that number that is not CM's.
    #[error("no such queue pair")]
    NoSuchQp,
    /// The standard does not let this state follow.
    #[error("a queue pair in {from:?} cannot go to {to:?}")]
    Transition {
        /// State.
        from: QpState,
        /// State asked for.
        to: QpState,
    },
    /// RTR and RTS need attributes; the path MTU must be one of 256 to 4,096.
    #[error("attributes are missing or out of range")]
    Attributes,
}

impl Endpoint {
    /// A completion queue of `capacity`.
    pub fn create_cq(&mut self, capacity: usize) -> CqId {
        self.cqs.push(Some(CqState::new(capacity)));
        CqId(u32::try_from(self.cqs.len() - 1).expect("fewer than 2^32"))
    }

    /// Destroys a completion queue. False while queue pairs use it, or completions wait in it.
    pub fn destroy_cq(&mut self, cq: CqId) -> bool {
        let idle = cq != super::DEFAULT_CQ && self.cq_mut(cq).is_some_and(|cq| cq.is_idle());
        if idle {
            self.cqs[cq.0 as usize] = None;
        }
        idle
    }

    /// A shared receive queue of `capacity`. Its queue pairs must share a receive completion queue.
    pub fn create_srq(&mut self, capacity: u32) -> SrqId {
        self.add_srq(capacity)
    }

    /// Destroys a shared receive queue. False while queue pairs use it.
    pub fn destroy_srq(&mut self, srq: SrqId) -> bool {
        let state = self.srqs.get(srq.0 as usize).and_then(Option::as_ref);
        let unused = state.is_some_and(|state| state.users == 0);
        if unused {
            self.detach(srq);
        }
        unused
    }

    /// A queue pair in Reset. Errors: [`CreateError`].
    pub fn create_qp(&mut self, init: &QpInit) -> Result<QpNum, CreateError> {
        let is_full = self.qps.len() == self.config.max_qps as usize;
        let key = self.insert_qp(init);
        key.map(QpNum::new).ok_or(match is_full {
            true => CreateError::Full,
            false => CreateError::CompletionQueue,
        })
    }

    /// `ibv_modify_qp`: Reset to Init to RTR to RTS, or to Err, or back to Reset. `attr` is read
    /// for RTR (peer, path, and what this side receives) and for RTS (all of it). Packets that
    /// arrive before RTS are dropped, as if lost: the peer sends them again.
    ///
    /// Errors: [`ModifyError`]; SQD is not supported and gives `Transition`.
    pub fn modify_qp(
        &mut self,
        now: Instant,
        qp: QpNum,
        to: QpState,
        attr: Option<&QpAttr>,
    ) -> Result<(), ModifyError> {
        let key = qp.get();
        let context = self.qps.get_mut(key).filter(|qp| !qp.is_cm).ok_or(ModifyError::NoSuchQp)?;
        let from = context.state;
        if !from.may_become(to) || matches!(to, QpState::Sqd | QpState::Sqe) {
            return Err(ModifyError::Transition { from, to });
        }
        match to {
            QpState::Init => context.state = to,
            QpState::Rtr => {
                context.attr = Some(checked(attr)?);
                context.state = to;
            }
            QpState::Rts => {
                let attr = checked(attr)?;
                if from == QpState::Rtr {
                    self.start_roce(key, attr);
                    self.run(key, now, &mut Nowhere, |_, _| ());
                }
            }
            QpState::Err => self.go_to_error(now, key),
            QpState::Reset | QpState::Sqd | QpState::Sqe => self.go_to_reset(key),
        }
        Ok(())
    }

    /// State of a queue pair.
    #[must_use]
    pub fn qp_state(&self, qp: QpNum) -> Option<QpState> {
        self.qps.get(qp.get()).map(|qp| qp.state)
    }

    /// Attributes of a queue pair, once it has a peer.
    #[must_use]
    pub fn qp_attr(&self, qp: QpNum) -> Option<QpAttr> {
        self.qps.get(qp.get())?.attr
    }

    /// Everything posted to its send queue was acknowledged.
    #[must_use]
    pub fn is_idle(&self, qp: QpNum) -> bool {
        let machine = self.qps.get(qp.get()).and_then(|qp| qp.machine.as_ref());
        machine.is_none_or(QpMachine::is_idle)
    }

    /// Destroys a queue pair; its completions that wait are gone too. A connection is closed
    /// without an event. False when there is none.
    pub fn destroy_qp(&mut self, now: Instant, qp: QpNum) -> bool {
        let key = qp.get();
        let Some(context) = self.qps.get_mut(key) else { return false };
        if let Some(id) = context.connection.take() {
            self.cm.disconnect(now, id);
        }
        self.ends.retain(|ended| *ended != qp);
        self.remove_qp(key);
        true
    }

    /// Posts to the send queue; `poll_transmit` sends. In the error state the work is taken and
    /// completes with `WrFlushErr`.
    ///
    /// Errors: `NoSuchQp` (also once `Disconnected` was taken), `WrongState` before the connection
    /// is made, `Full`, `Malformed`.
    pub fn post_send(&mut self, qp: QpNum, wr: SendWr) -> Result<(), PostError> {
        let key = qp.get();
        let context = self.qps.get_mut(key).ok_or(PostError::NoSuchQp)?;
        if context.state == QpState::Err {
            self.wcs.push(flushed(qp, wr.wr_id, opcode(&wr.op)));
            self.route_completions(key);
            return Ok(());
        }
        if context.sends_unpolled >= context.caps.max_send_wr {
            return Err(PostError::Full);
        }
        let machine = context.machine.as_mut().ok_or(PostError::WrongState)?;
        machine.post_send(wr)?;
        if context.may_transmit {
            self.enqueue(key);
        }
        Ok(())
    }

    /// Posts to the receive queue. In the error state as `post_send`.
    ///
    /// Errors: `NoSuchQp`, `WrongState` in Reset or with a shared receive queue, `Full`.
    pub fn post_recv(&mut self, qp: QpNum, wr: RecvWr) -> Result<(), PostError> {
        let key = qp.get();
        let context = self.qps.get_mut(key).ok_or(PostError::NoSuchQp)?;
        if context.srq.is_some() || context.state == QpState::Reset {
            return Err(PostError::WrongState);
        }
        if context.receives_owed >= context.caps.max_recv_wr.saturating_mul(2) {
            return Err(PostError::Full);
        }
        if context.state == QpState::Err {
            context.receives_owed += 1;
            self.wcs.push(flushed(qp, wr.wr_id, WcOpcode::Recv));
            self.route_completions(key);
            return Ok(());
        }
        context.receives.post(wr)?;
        context.receives_owed += 1;
        Ok(())
    }

    fn start_roce(&mut self, key: u32, attr: QpAttr) {
        let cc = self.config.cc.make(attr.path_mtu_bytes);
        let Some(qp) = self.qps.get_mut(key) else { return };
        let config = QpConfig { qpn: qp.qpn, attr, caps: qp.caps, trailer: Trailer::Icrc, cc };
        qp.machine = Some(QpMachine::roce(config, qp.srq.is_none(), false));
        qp.source = Source::Host(attr.dest.ip());
        (qp.attr, qp.state, qp.may_transmit) = (Some(attr), QpState::Rts, true);
    }

    fn go_to_error(&mut self, now: Instant, key: u32) {
        let failed = self.run(key, now, &mut Nowhere, |machine, cx| {
            machine.fail(cx, WcStatus::WrFlushErr);
        });
        if failed.is_some() {
            return;
        }
        let Some(qp) = self.qps.get_mut(key) else { return };
        qp.state = QpState::Err;
        while let Some(receive) = qp.receives.take() {
            self.wcs.push(flushed(qp.qpn, receive.wr_id, WcOpcode::Recv));
        }
        self.route_completions(key);
    }

    /// Back to the beginning; what was posted is forgotten without completions, and completions
    /// that wait are gone.
    fn go_to_reset(&mut self, key: u32) {
        self.purge(key);
        self.timers.set(self.qps.index(key), None);
        let Some(qp) = self.qps.get_mut(key) else { return };
        qp.machine = None;
        qp.attr = None;
        while qp.receives.take().is_some() {}
        (qp.unpolled, qp.sends_unpolled, qp.receives_owed) = (0, 0, 0);
        (qp.state, qp.source, qp.may_transmit) = (QpState::Reset, Source::Nobody, false);
    }
}

fn checked(attr: Option<&QpAttr>) -> Result<QpAttr, ModifyError> {
    let valid = |attr: &&QpAttr| matches!(attr.path_mtu_bytes, 256 | 512 | 1024 | 2048 | 4096);
    attr.filter(valid).copied().ok_or(ModifyError::Attributes)
}

fn opcode(op: &SendOp) -> WcOpcode {
    match op {
        SendOp::Send | SendOp::SendWithImm(_) | SendOp::SendWithInv(_) => WcOpcode::Send,
        SendOp::RdmaWrite(_) | SendOp::RdmaWriteWithImm(..) => WcOpcode::RdmaWrite,
        SendOp::RdmaRead(_) => WcOpcode::RdmaRead,
        SendOp::CompareSwap { .. } => WcOpcode::CompSwap,
        SendOp::FetchAdd { .. } => WcOpcode::FetchAdd,
        SendOp::LocalInv(_) => WcOpcode::LocalInv,
    }
}
