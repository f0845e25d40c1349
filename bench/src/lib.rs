//! Load scenarios and what they report. `limits`: what this machine can move at all.

pub mod limits;
