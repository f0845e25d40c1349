//! The whole system in one thread, from one seed: clock, network, disks, real NICs, a real target
//! and real hosts, faults, and checkers.
//!
//! Read first: [`Plan`] (what a seed means), [`World`] (the loop), [`check`] (what must hold), then
//! `net` and `disk` (what goes wrong).
//!
//! **Architecture invariant:** a run is a function of commit, configuration and seed.

mod check;
mod disk;
mod host;
mod io;
mod net;
mod pattern;
mod plan;
mod random;
mod server;
mod shared;
mod trace;
mod world;

pub use check::Violation;
pub use net::Injected;
pub use plan::{ModeChoice, Plan};
pub use world::{Failure, Summary, World};

use std::time::Instant;

/// Runs one seed. `base` is any moment: nothing depends on it. `is_verbose`: tells everything on
/// standard output.
///
/// Errors: the first violation, with the last events before it.
pub fn run(
    seed: u64,
    mode: ModeChoice,
    base: Instant,
    is_verbose: bool,
) -> Result<Summary, Box<Failure>> {
    World::new(Plan::new(seed, mode), base, is_verbose).run()
}
