//! `flexblk compare`: the same work over several stacks, in turn.

pub mod record;
