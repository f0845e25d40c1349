//! How fast memory is copied.

use std::hint::black_box;
use std::time::{Duration, Instant};

const BLOCK_BYTES: usize = 64 << 10;
const COLD_BYTES: usize = 256 << 20;

/// Copies one block over another that both stay in the cache; 10^9 octets per second.
pub(super) fn hot(time: Duration) -> f64 {
    let from = vec![1_u8; BLOCK_BYTES];
    let mut to = vec![0_u8; BLOCK_BYTES];
    run(time, |_| {
        black_box(&mut to).copy_from_slice(black_box(&from));
    })
}

/// Copies blocks between random places of a large region; 10^9 octets per second.
pub(super) fn cold(time: Duration) -> f64 {
    let mut memory = vec![1_u8; COLD_BYTES];
    let (from, to) = memory.split_at_mut(COLD_BYTES / 2);
    let blocks = COLD_BYTES / 2 / BLOCK_BYTES;
    run(time, |turn| {
        // A step that is odd visits every block of a power of two, in no order that prefetches.
        let from_at = turn.wrapping_mul(1_221) % blocks * BLOCK_BYTES;
        let to_at = turn.wrapping_mul(1_667) % blocks * BLOCK_BYTES;
        black_box(&mut to[to_at..to_at + BLOCK_BYTES])
            .copy_from_slice(black_box(&from[from_at..from_at + BLOCK_BYTES]));
    })
}

fn run(time: Duration, mut copy: impl FnMut(usize)) -> f64 {
    let started = Instant::now();
    let mut turn = 0;
    while turn % 64 != 0 || started.elapsed() < time {
        copy(turn);
        turn += 1;
    }
    super::rate((turn * BLOCK_BYTES) as u64, started.elapsed()) / 1e9
}
