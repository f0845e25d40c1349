//! Rate limits of a namespace or a host: what waits for its turn, and whose turn it is.
//!
//! Each of the four limits is a virtual clock: a command that starts moves it on by what the command
//! costs at that rate, and nothing starts while the clock is ahead of the time. A clock is never more
//! than [`BURST`] behind, so what an idle namespace saves up is bounded. Connections take turns, one
//! command each; a command never starts twice, and none is refused.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// What one may catch up with after it was idle.
const BURST: Duration = Duration::from_millis(10);
/// Fastest and largest rates that are told from none, so that no product overflows.
const RATE_MAX: u64 = 1 << 40;

/// Limits of a namespace, for all hosts together, or of a host, for all its namespaces. 0: none. At most 2^40 each; more counts as that.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RateLimit {
    /// Reads, writes and compares in a second.
    pub ios_per_second: u64,
    /// Octets of them in a second.
    pub bytes_per_second: u64,
    /// Octets of reads and compares in a second.
    pub read_bytes_per_second: u64,
    /// Octets of writes in a second.
    pub write_bytes_per_second: u64,
}

/// What a command takes of the limits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Cost {
    pub(crate) is_write: bool,
    pub(crate) bytes: u64,
}

/// One rate, as a virtual clock.
#[derive(Debug)]
struct Clock {
    per_second: u64,
    /// Nothing starts before; `None`: nothing has started yet.
    ready: Option<Instant>,
    /// Of a nanosecond, in units of one `per_second`th.
    fraction: u64,
}

impl Clock {
    fn new(per_second: u64) -> Clock {
        Clock { per_second: per_second.min(RATE_MAX), ready: None, fraction: 0 }
    }
    fn ready_at(&self) -> Option<Instant> {
        self.ready.filter(|_| self.per_second > 0)
    }
    fn take(&mut self, now: Instant, units: u64) {
        if self.per_second == 0 {
            return;
        }
        let earliest = now.checked_sub(BURST).unwrap_or(now);
        let from = self.ready.map_or(earliest, |ready| ready.max(earliest));
        let cost = u128::from(units) * 1_000_000_000 + u128::from(self.fraction);
        let rate = u128::from(self.per_second);
        self.fraction = u64::try_from(cost % rate).unwrap_or(0);
        let nanos = u64::try_from(cost / rate).unwrap_or(u64::MAX);
        self.ready = from.checked_add(Duration::from_nanos(nanos)).or(Some(from));
    }
}

/// What waits for its turn.
#[derive(Debug)]
pub(crate) struct Limiter<T> {
    /// Of all, and of octets in all, read and written.
    clocks: [Clock; 4],
    /// By connection, in the order of their turns. None is empty.
    lines: VecDeque<(u32, VecDeque<(Cost, T)>)>,
}

impl<T> Limiter<T> {
    pub(crate) fn new(limit: RateLimit) -> Limiter<T> {
        Limiter { clocks: clocks(limit), lines: VecDeque::new() }
    }
    /// Other limits from now on; what waits keeps its place.
    pub(crate) fn set(&mut self, limit: RateLimit) {
        self.clocks = clocks(limit);
    }
    /// A command of connection `from` waits for its turn.
    pub(crate) fn submit(&mut self, from: u32, cost: Cost, item: T) {
        match self.lines.iter_mut().find(|(line, _)| *line == from) {
            Some((_, line)) => line.push_back((cost, item)),
            None => self.lines.push_back((from, VecDeque::from([(cost, item)]))),
        }
    }
    /// Takes out what waits of connection `from`, which has ended.
    pub(crate) fn cancel(&mut self, from: u32) -> impl Iterator<Item = T> {
        let at = self.lines.iter().position(|(line, _)| *line == from);
        let line = at.and_then(|at| self.lines.remove(at));
        line.into_iter().flat_map(|(_, line)| line.into_iter().map(|(_, item)| item))
    }
    /// Takes out those that are `wanted`, in the order of their lines. They are not charged.
    pub(crate) fn extract(&mut self, mut wanted: impl FnMut(&T) -> bool) -> Vec<T> {
        let mut taken = Vec::new();
        self.lines.retain_mut(|(_, line)| {
            let waiting = line.len();
            for _ in 0..waiting {
                let Some((cost, item)) = line.pop_front() else { break };
                if wanted(&item) {
                    taken.push(item);
                } else {
                    line.push_back((cost, item));
                }
            }
            !line.is_empty()
        });
        taken
    }
    /// The next command that may start now.
    pub(crate) fn poll(&mut self, now: Instant) -> Option<T> {
        let is_ready = |cost: &Cost| self.start_of(*cost).is_none_or(|at| at <= now);
        let front =
            |line: &VecDeque<(Cost, T)>| line.front().is_some_and(|(cost, _)| is_ready(cost));
        let at = self.lines.iter().position(|(_, line)| front(line))?;
        let (from, mut line) = self.lines.remove(at)?;
        let (cost, item) = line.pop_front()?;
        if !line.is_empty() {
            self.lines.push_back((from, line));
        }
        for (clock, units) in self.clocks.iter_mut().zip(units(cost)) {
            if units > 0 {
                clock.take(now, units);
            }
        }
        Some(item)
    }
    /// When the next command may start; `None`: none waits. Not later than now: `poll` has one.
    pub(crate) fn poll_timeout(&self, now: Option<Instant>) -> Option<Instant> {
        let fronts = self.lines.iter().filter_map(|(_, line)| line.front());
        fronts.filter_map(|(cost, _)| self.start_of(*cost).or(now)).min()
    }
    /// Nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }
    /// When a command of this cost may start; `None`: at any time.
    fn start_of(&self, cost: Cost) -> Option<Instant> {
        let takes = |(clock, units): (&Clock, u64)| clock.ready_at().filter(|_| units > 0);
        self.clocks.iter().zip(units(cost)).filter_map(takes).max()
    }
}

fn clocks(limit: RateLimit) -> [Clock; 4] {
    let RateLimit {
        ios_per_second,
        bytes_per_second,
        read_bytes_per_second,
        write_bytes_per_second,
    } = limit;
    [ios_per_second, bytes_per_second, read_bytes_per_second, write_bytes_per_second]
        .map(Clock::new)
}
/// What a command takes of each clock.
fn units(cost: Cost) -> [u64; 4] {
    let Cost { is_write, bytes } = cost;
    if is_write { [1, bytes, 0, bytes] } else { [1, bytes, bytes, 0] }
}

#[cfg(test)]
#[path = "limit_tests.rs"]
mod tests;
