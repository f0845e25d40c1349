//! How well each namespace is reached by this path: asymmetric access, as the controller tells it.
//!
//! Source: NVMe Base 2.1, "Asymmetric Namespace Access Reporting", "Asymmetric Namespace Access" log.

use super::Host;
use super::own::{TAG_ANA, TAG_EVENTS, own};
use crate::commands;
use netstack::fabric::Fabric;
use std::collections::BTreeMap;
use std::time::Instant;
use wire::nvme::log::{AnaGroupHeader, AnaHeader, AnaState};
use wire::nvme::{AsyncEvent, Status};

/// Octets of the log that are read: more than a hundred groups of one namespace each.
const LOG_BYTES: u32 = 4096;
/// Offsets of CMIC and OAES in Identify Controller, and their bits for asymmetric access.
const CMIC: usize = 76;
const CMIC_ANA: u8 = 1 << 3;
const OAES: usize = 92;
const OAES_ANA: u32 = 1 << 11;

/// What is known of one path.
#[derive(Debug, Default)]
pub(super) struct Ana {
    /// Somebody chooses by it: this host is one path of several.
    pub(super) is_asked: bool,
    /// The log was read since the path was made; before, nobody knows.
    is_known: bool,
    /// It is to be read, and is being read.
    is_wanted: bool,
    is_reading: bool,
    /// By namespace; those that the log does not name are optimized.
    states: BTreeMap<u32, AnaState>,
}

impl Ana {
    /// The path is gone: what was known holds no more.
    pub(super) fn forget(&mut self) {
        *self = Ana { is_asked: self.is_asked, ..Ana::default() };
    }
    /// The log is to be read (again).
    pub(super) fn want(&mut self) {
        self.is_wanted = self.is_asked;
    }
    /// The path did not do what it should: nothing goes by it until the log was read again. (Commands
    /// that were sent again meanwhile used up their retries there.)
    pub(super) fn doubt(&mut self) {
        if self.is_asked {
            (self.is_known, self.is_wanted) = (false, true);
        }
    }
    /// How good the path is for `nsid`: 0 is best; `None`: not usable now.
    pub(super) fn rank(&self, nsid: u32) -> Option<u8> {
        if !self.is_known {
            return None;
        }
        match self.states.get(&nsid) {
            None | Some(AnaState::Optimized) => Some(0),
            Some(AnaState::NonOptimized) => Some(1),
            Some(AnaState::Inaccessible | AnaState::PersistentLoss | AnaState::Change) => None,
        }
    }
    /// The log as it came; what is cut off or reserved in it counts as not said.
    fn learn(&mut self, log: &[u8]) {
        self.states.clear();
        self.is_known = true;
        let Some((header, mut rest)) = log.split_at_checked(AnaHeader::LEN) else { return };
        let groups = AnaHeader::decode(header).map_or(0, |header| header.group_count());
        for _ in 0..groups {
            let Some((head, tail)) = rest.split_at_checked(AnaGroupHeader::LEN) else { return };
            let Some(head) = AnaGroupHeader::decode(head) else { return };
            let bytes = usize::try_from(head.namespace_count()).ok().and_then(|n| n.checked_mul(4));
            let Some((ids, tail)) = bytes.and_then(|n| tail.split_at_checked(n)) else { return };
            if let Some(state) = AnaState::from_code(head.state_code()) {
                let ids = ids.as_chunks::<4>().0.iter().map(|id| u32::from_le_bytes(*id));
                self.states.extend(ids.map(|nsid| (nsid, state)));
            }
            rest = tail;
        }
    }
}

impl<F: Fabric> Host<F> {
    /// The path was made: asks how good it is, and to be told when that changes.
    pub(super) fn begin_ana(&mut self, now: Instant) {
        self.ana.forget();
        if !self.ana.is_asked {
            return;
        }
        let identify = self.info.as_ref().map(|info| &info.identify);
        let reports = identify.is_some_and(|octets| octets[CMIC] & CMIC_ANA != 0);
        if !reports {
            self.ana.is_known = true;
            return;
        }
        let oaes = identify.map_or([0; 4], |octets| {
            [octets[OAES], octets[OAES + 1], octets[OAES + 2], octets[OAES + 3]]
        });
        if u32::from_le_bytes(oaes) & OAES_ANA != 0 {
            // A controller that refuses sends what it sends by itself.
            let _ = self.start(now, 0, own(TAG_EVENTS, commands::set_events(OAES_ANA), None));
        }
        self.ana.want();
    }
    /// Reads the log, if that is wanted and possible.
    pub(super) fn poll_ana(&mut self, now: Instant) {
        if !self.ana.is_wanted || self.ana.is_reading {
            return;
        }
        let data = self.scratch.data(LOG_BYTES, false);
        let log =
            commands::get_log_page(wire::nvme::log::LogId::Ana.octet(), u32::MAX, 0, LOG_BYTES);
        // A full admin queue: at the next turn.
        if self.start(now, 0, own(TAG_ANA, log, Some(data))).is_ok() {
            self.ana.is_wanted = false;
            self.ana.is_reading = true;
        }
    }
    pub(super) fn on_ana(&mut self, status: Status) {
        self.ana.is_reading = false;
        let mut log = [0; LOG_BYTES as usize];
        if status.is_success() {
            self.scratch.region().read(0, &mut log);
        }
        // What was read before something changed is read again.
        if !self.ana.is_wanted {
            // Who does not tell, is taken at its best.
            self.ana.learn(&log);
        }
    }
    pub(super) fn on_event(&mut self, dword: u32) {
        if AsyncEvent::from_dword(dword) == AsyncEvent::ANA_CHANGED {
            self.ana.want();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::nvme::Nsid;
    use wire::nvme::log::{AnaGroup, write_ana_log};

    /// Goal: each namespace is ranked by its group, an unread path is not used, and no log, however
    /// cut off or untrue, does worse than to leave something unsaid.
    #[test]
    fn paths_are_ranked() {
        let mut ana = Ana { is_asked: true, ..Ana::default() };
        assert_eq!(ana.rank(1), None, "not known yet");
        let group =
            |group_id, state, namespaces| AnaGroup { group_id, change_count: 1, state, namespaces };
        let (first, second, third) = ([Nsid(1)], [Nsid(2), Nsid(7)], [Nsid(3)]);
        let groups = [
            group(1, AnaState::Optimized, &first[..]),
            group(2, AnaState::NonOptimized, &second[..]),
            group(3, AnaState::Inaccessible, &third[..]),
        ];
        let mut log = [0; 256];
        let len = write_ana_log(&mut log, 3, &groups).unwrap();
        ana.learn(&log);
        let ranks = [1, 2, 7, 3, 9].map(|nsid| ana.rank(nsid));
        assert_eq!(ranks, [Some(0), Some(1), Some(1), None, Some(0)]);
        for cut in 0..len {
            ana.learn(&log[..cut]);
        }
        log[16 + 4..16 + 8].copy_from_slice(&[0xff; 4]);
        ana.learn(&log);
        assert_eq!(ana.rank(3), Some(0), "not said");
        ana.doubt();
        assert_eq!(ana.rank(1), None, "in doubt");
        ana.learn(&log);
        assert_eq!(ana.rank(1), Some(0));
        ana.forget();
        assert_eq!((ana.rank(1), ana.is_asked), (None, true));
    }
}
