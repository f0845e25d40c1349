//! Rates that hold, in time that a test makes.
#![allow(clippy::cast_precision_loss, reason = "numbers that are small because a test chose them")]

use super::{BURST, Cost, Limiter, RateLimit};
use proptest::prelude::*;
use std::time::Duration;

const READ: Cost = Cost { is_write: false, bytes: 4096 };
const WRITE: Cost = Cost { is_write: true, bytes: 4096 };
const STEP: Duration = Duration::from_micros(100);

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Goal: with demand, what starts is the rate times the time: never more than that, the burst and
    /// one command, and never less than that but for one step; for operations and for octets.
    #[test]
    fn rates_are_kept_and_used(
        rate in 100..200_000_u64,
        commands in prop::collection::vec((any::<bool>(), 1..64_u64), 1..20),
        steps in 100..3000_u32,
        of_bytes: bool,
        idle_ms in 0..2000_u64,
    ) {
        let per_second = if of_bytes { rate * 4096 } else { rate };
        let limit = if of_bytes {
            RateLimit { bytes_per_second: per_second, ..RateLimit::default() }
        } else {
            RateLimit { ios_per_second: per_second, ..RateLimit::default() }
        };
        let mut limiter = Limiter::new(limit);
        let units = |cost: &Cost| if of_bytes { cost.bytes } else { 1 };
        let cost = |at: usize| {
            let (is_write, blocks) = commands[at % commands.len()];
            Cost { is_write, bytes: blocks * 512 }
        };
        // Some that start at once, then a pause, in which no more than the burst is saved.
        let mut now = crate::test_clock() + Duration::from_secs(1);
        limiter.submit(1, cost(0), cost(0));
        prop_assert!(limiter.poll(now).is_some());
        now += Duration::from_millis(idle_ms);
        let (mut next, mut started, mut largest) = (1, 0, 0);
        for _ in 0..steps {
            // Always a few in line, of two connections.
            for _ in 0..64 {
                let from = u32::try_from(next % 2).unwrap();
                limiter.submit(from, cost(next), cost(next));
                next += 1;
            }
            while let Some(cost) = limiter.poll(now) {
                started += units(&cost);
                largest = largest.max(units(&cost));
            }
            now += STEP;
        }
        let seconds = (STEP * (steps - 1)).as_secs_f64();
        let most = (seconds + BURST.as_secs_f64()) * per_second as f64 + largest as f64 + 1.0;
        prop_assert!(started as f64 <= most, "{started} of {most}");
        let supply = f64::from(steps) * 64.0 * 512.0;
        let supply = if of_bytes { supply } else { f64::from(steps) * 64.0 };
        // The first command may have taken a while of its own.
        let first = cost(0);
        let lost = units(&first) as f64 + STEP.as_secs_f64() * per_second as f64 + 1.0;
        let least = (seconds * per_second as f64 - lost).min(supply);
        prop_assert!(started as f64 >= least - largest as f64, "{started} of {least}");
    }
}

/// Goal: a connection with a hundred commands in line does not keep another's waiting.
#[test]
fn connections_take_turns() {
    let now = crate::test_clock();
    let limit = RateLimit { ios_per_second: 1000, ..RateLimit::default() };
    let mut limiter = Limiter::new(limit);
    (0..100).for_each(|_| limiter.submit(1, READ, 1));
    (0..3).for_each(|_| limiter.submit(2, READ, 2));
    let at = |nth: u64| now + Duration::from_millis(nth * 2 + 20);
    let order: Vec<_> = (0..8).filter_map(|nth| limiter.poll(at(nth * 20))).collect();
    assert_eq!(order, [1, 2, 1, 2, 1, 2, 1, 1]);
}

/// Goal: a limit of writes holds up writes only, also those behind which reads of others wait.
#[test]
fn reads_pass_writes_that_wait() {
    let now = crate::test_clock();
    let limit = RateLimit { write_bytes_per_second: 4096, ..RateLimit::default() };
    let mut limiter = Limiter::new(limit);
    (0..2).for_each(|nth| limiter.submit(1, WRITE, nth));
    limiter.submit(2, READ, 9);
    assert_eq!((limiter.poll(now), limiter.poll(now), limiter.poll(now)), (Some(0), Some(9), None));
    let second = limiter.poll_timeout(None).unwrap();
    assert!(second > now + Duration::from_millis(900) && second <= now + Duration::from_secs(1));
    assert_eq!((limiter.poll(second - STEP), limiter.poll(second)), (None, Some(1)));
    assert!(limiter.is_empty() && limiter.poll_timeout(None).is_none());
}

/// Goal: a limit that is taken away lets go what waited.
#[test]
fn limits_are_changed_while_commands_wait() {
    let now = crate::test_clock();
    let mut limiter = Limiter::new(RateLimit { ios_per_second: 1, ..RateLimit::default() });
    (0..5).for_each(|nth| limiter.submit(1, READ, nth));
    assert_eq!((limiter.poll(now), limiter.poll(now)), (Some(0), None));
    limiter.set(RateLimit::default());
    assert_eq!(limiter.poll_timeout(Some(now)), Some(now));
    assert_eq!(std::iter::from_fn(|| limiter.poll(now)).collect::<Vec<_>>(), [1, 2, 3, 4]);
}
