//! One suite that every backend and every stack of layers passes.
//!
//! `check(&|| backend, Keeps::Data)` panics with a reason at the first violation. Each check
//! starts with a fresh backend of at least [`DISK_BYTES_MIN`].

mod overlap;
mod queue;
mod rig;
mod values;

pub use rig::{Rig, Until};

use crate::Backend;

/// The least size that the suite needs.
pub const DISK_BYTES_MIN: u64 = 16 << 20;

/// What the backend under test promises about data.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Keeps {
    /// Reads return what was written.
    Data,
    /// Reads return zeroes, whatever was written.
    Zeroes,
}

/// Runs the suite on backends that `make` gives, all of the same kind.
///
/// Panics at the first violation of the contract.
pub fn check(make: &dyn Fn() -> Box<dyn Backend>, keeps: Keeps) {
    if keeps == Keeps::Data {
        values::reads_return_what_was_written(&mut Rig::new(make()));
        values::zeroed_and_deallocated_blocks_read_as_zeroes(&mut Rig::new(make()));
        values::compare_tells_equal_from_different(&mut Rig::new(make()));
        for seed in 0..4 {
            values::behaves_like_an_array(&mut Rig::new(make()), seed);
        }
        overlap::compare_and_write_is_one_step(&mut Rig::new(make()));
        for seed in 0..4 {
            overlap::no_block_is_torn(&mut Rig::new(make()), seed);
        }
    } else {
        values::reads_return_zeroes(&mut Rig::new(make()));
    }
    overlap::a_released_grant_unlocks_its_blocks(&mut Rig::new(make()));
    overlap::a_writer_is_not_starved_by_readers(&mut Rig::new(make()));
    queue::a_full_queue_returns_the_request(&mut Rig::new(make()));
    queue::a_thousand_requests_finish_once_each(&mut Rig::new(make()));
    queue::resizing_keeps_what_is_there(&mut Rig::new(make()));
    queue::more_large_requests_than_buffers_all_finish(&mut Rig::new(make()));
}
