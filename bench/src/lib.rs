//! Load scenarios and what they report. [`load`]: block workloads over the initiator.
//! [`limits`]: what this machine can move at all. [`compare`]: stacks against each other,
//! with [`micro`] and [`tcp`], the baselines; [`report`]: what a comparison looks like. [`rdma`]: verbs,
//! with the tools of others at the other end.

pub mod block_server;
pub mod compare;
pub mod limits;
pub mod load;
pub mod micro;
pub mod rdma;
pub mod report;
pub mod stack;
pub mod tcp;
