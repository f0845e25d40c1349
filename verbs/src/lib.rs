//! The ibverbs vocabulary as Rust values: work requests, completions, queue pairs' states.
//!
//! FlexiNS part: "IBV verbs compatibility". Names and numbers are ibverbs' own, so that a C ABI
//! can be laid over them. Source: IBTA 1.4, "Software Transport Interface".

mod cq;
mod qp;
mod recv;
mod send;
mod wc;

pub use cq::Cq;
pub use memory::{Access, AccessError, Lkey, Mr, Rkey, Sge};
pub use qp::{QpAttr, QpCaps, QpState};
pub use recv::{ReceiveQueue, RecvWr};
pub use send::{PostError, Remote, SendOp, SendWr, SgeList, WrFlags};
pub use wc::{Wc, WcOpcode, WcStatus};
pub use wire::roce::QpNum;

/// Protection domain: regions and queue pairs of different domains cannot meet. One per
/// application of a NIC.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Pd(pub u32);

/// Names a completion queue of one endpoint.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct CqId(pub u32);

/// Names a shared receive queue of one endpoint.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct SrqId(pub u32);
