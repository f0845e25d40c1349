//! Closed connections, remembered for a while: a late duplicate of their REQ opens nothing.

use super::PeerKey;
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};
use wire::cm::MAD_LEN;

/// What a late REQ of a closed connection gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Late {
    /// REJ, stale connection.
    Stale,
    /// The refusal that it got before: the peer has not seen it.
    Refusal(Box<[u8; MAD_LEN]>),
}

/// Up to `capacity` closed connections; beyond, the oldest is forgotten.
#[derive(Debug)]
pub(crate) struct TimeWait {
    order: VecDeque<(Instant, PeerKey)>,
    entries: BTreeMap<PeerKey, Late>,
    capacity: usize,
    period: Duration,
}

impl TimeWait {
    pub(crate) fn new(capacity: usize, period: Duration) -> TimeWait {
        TimeWait { order: VecDeque::new(), entries: BTreeMap::new(), capacity, period }
    }

    /// Remembers a closed connection.
    pub(crate) fn add(&mut self, now: Instant, key: PeerKey, late: Late) {
        self.expire(now);
        if self.order.len() >= self.capacity {
            self.forget_oldest();
        }
        if self.entries.insert(key, late).is_none() {
            self.order.push_back((now + self.period, key));
        }
    }

    /// What a REQ of `key` gets, if it is late.
    pub(crate) fn find(&mut self, now: Instant, key: PeerKey) -> Option<&Late> {
        self.expire(now);
        self.entries.get(&key)
    }

    fn expire(&mut self, now: Instant) {
        while self.order.front().is_some_and(|(until, _)| *until <= now) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((_, key)) = self.order.pop_front() {
            self.entries.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    fn key(id: u32) -> PeerKey {
        (SocketAddr::from(([10, 0, 0, 1], 4791)), id)
    }

    /// Remembered until the period has passed, never more than the capacity.
    #[test]
    fn bounded_in_time_and_number() {
        let now = Instant::now();
        let mut wait = TimeWait::new(3, Duration::from_secs(5));
        for id in 0..4 {
            wait.add(now, key(id), Late::Stale);
        }
        assert_eq!(wait.find(now, key(0)), None, "the oldest made room");
        assert_eq!(wait.find(now, key(3)), Some(&Late::Stale));
        assert_eq!(wait.find(now + Duration::from_secs(5), key(3)), None);
        assert!(wait.order.is_empty() && wait.entries.is_empty());
    }
}
