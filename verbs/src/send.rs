//! Work requests for the send queue.

use crate::{Rkey, Sge};
use smallvec::SmallVec;

/// Scatter/gather list; up to two elements without allocation (a capsule and its data).
pub type SgeList = SmallVec<[Sge; 2]>;

/// A span of the peer's memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Remote {
    /// Address as the peer registered it.
    pub addr: u64,
    /// The peer's key for it.
    pub rkey: Rkey,
}

/// What a send work request does, with its operands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SendOp {
    /// Message into the peer's next receive.
    Send,
    /// The same, with four octets of immediate data.
    SendWithImm(u32),
    /// The same, and the peer's key is invalidated before its completion.
    SendWithInv(Rkey),
    /// Into the peer's memory.
    RdmaWrite(Remote),
    /// The same; consumes a receive and completes it with the immediate data.
    RdmaWriteWithImm(Remote, u32),
    /// From the peer's memory.
    RdmaRead(Remote),
    /// `if *remote == compare { *remote = swap }`; the old value lands in the single element.
    CompareSwap {
        /// Eight aligned octets.
        remote: Remote,
        /// Expected value.
        compare: u64,
        /// New value.
        swap: u64,
    },
    /// `*remote += add`; the old value lands in the single element.
    FetchAdd {
        /// Eight aligned octets.
        remote: Remote,
        /// Addend, wrapping.
        add: u64,
    },
    /// A local key becomes useless once all earlier work is done.
    LocalInv(Rkey),
}

/// Flags of a send work request (`ibv_send_flags`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct WrFlags {
    /// A success is worth a completion (failures always are).
    pub signaled: bool,
    /// Starts only after all earlier RDMA READs and atomics are done.
    pub fence: bool,
    /// The peer's completion is solicited.
    pub solicited: bool,
}

/// One send work request. `sges` is the gather list, or for READ and atomics the landing places.
///
/// Bounds: the elements' sum is at most 2^31 octets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SendWr {
    /// Returned in the completion.
    pub wr_id: u64,
    /// Operation and operands.
    pub op: SendOp,
    /// Local memory.
    pub sges: SgeList,
    /// Flags.
    pub flags: WrFlags,
}

impl SendWr {
    /// Sum of the elements' lengths.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.sges.iter().map(|sge| u64::from(sge.length)).sum()
    }
    /// A message without payload.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Why a post was refused. The work request comes back untouched in the caller's hands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PostError {
    /// As many outstanding as the capabilities allow: poll completions, then post again.
    #[error("queue is full")]
    Full,
    /// No queue pair of that number here.
    #[error("no such queue pair")]
    NoSuchQp,
    /// The queue pair's state does not take this post (`ibv_post_send` before RTS: `EINVAL`).
    #[error("queue pair is in the wrong state")]
    WrongState,
    /// Malformed: too many elements, too long, or a landing place of the wrong size.
    #[error("malformed work request")]
    Malformed,
}
