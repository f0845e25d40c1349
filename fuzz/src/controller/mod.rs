//! A whole target against hosts that send anything, in any order, on several connections.
//!
//! What must hold for any octets: no panic; every command is answered at most once, and once the target
//! is at rest exactly once, unless its connection ended or it waits by its nature (event requests, half
//! of a fused pair); an honest host of the same subsystem reads what it wrote; when all hosts are gone,
//! no connection, controller, disk buffer or registration is left. A run is a function of its octets.

mod disk;
mod host;
mod input;
mod script;
mod world;

use input::Input;
use std::time::Instant;
use world::World;

/// Runs the script that the octets are. `start` is the time at its beginning: any will do.
pub(crate) fn run(octets: &[u8], start: Instant) {
    let mut input = Input::new(octets);
    let mut world = World::new(start, input.octet() & 1 == 0);
    script::run(&mut world, &mut input);
    world.finish();
}
