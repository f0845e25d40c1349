//! Reservation notices that a host has not read yet.
//!
//! Source: NVMe Base 2.1, "Reservation Notification (Log Page Identifier 80h)".

use super::Controller;
use std::collections::VecDeque;
use wire::nvme::AsyncEvent;
use wire::nvme::log::{ReservationLog, ReservationNotice};

/// Notices that are kept; those that find no room are counted, and so missed in the numbering.
const KEPT_MAX: usize = 64;

#[derive(Clone, Copy, Debug)]
struct Entry {
    number: u64,
    notice: ReservationNotice,
    nsid: u32,
}

/// The notices of one controller, oldest first.
#[derive(Debug, Default)]
pub(super) struct Notices {
    entries: VecDeque<Entry>,
    count: u64,
}

impl Notices {
    fn push(&mut self, notice: ReservationNotice, nsid: u32) {
        // 0 stands for an empty page.
        self.count = self.count.checked_add(1).unwrap_or(1);
        if self.entries.len() < KEPT_MAX {
            self.entries.push_back(Entry { number: self.count, notice, nsid });
        }
    }
}

impl Controller {
    /// The host lost a registration or reservation of `nsid`, or may have one now.
    pub(crate) fn handle_reservation_notice(&mut self, nsid: u32, notice: ReservationNotice) {
        if self.settings.reservation_mask(nsid) & notice.mask_bit() != 0 {
            return;
        }
        self.notices.push(notice, nsid);
        self.handle_event(AsyncEvent::RESERVATION_LOG);
    }
    /// The oldest notice, which is read by this.
    pub(super) fn reservation_page(&mut self, retain_event: bool) -> Vec<u8> {
        let mut page = ReservationLog::zeroed();
        if let Some(entry) = self.notices.entries.pop_front() {
            let waiting = u8::try_from(self.notices.entries.len()).unwrap_or(u8::MAX);
            page.set_count(entry.number)
                .set_kind(entry.notice as u8)
                .set_available(waiting)
                .set_nsid(entry.nsid);
        }
        if !retain_event {
            self.aer.unmask(AsyncEvent::RESERVATION_LOG);
            if !self.notices.entries.is_empty() {
                self.handle_event(AsyncEvent::RESERVATION_LOG);
            }
        }
        page.as_octets().to_vec()
    }
}
