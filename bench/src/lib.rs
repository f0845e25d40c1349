//! Load scenarios and what they report. [`load`]: block workloads over the initiator.
//! [`limits`]: what this machine can move at all. [`compare`]: stacks against each other.
//! [`report`]: what people see of that.

pub mod compare;
pub mod limits;
pub mod load;
pub mod report;
