//! Asynchronous Event Requests: commands that wait for something to tell.
//!
//! Source: NVMe Base 2.0, "Asynchronous Event Request command".

use crate::queue::Inflight;
use std::collections::VecDeque;
use wire::nvme::AsyncEvent;

/// Requests that a host may leave outstanding (AERL is one less).
pub(crate) const AER_LIMIT: u8 = 4;

/// The bit of Asynchronous Event Configuration (and of OAES) that enables `event`; none for those
/// that never happen here.
pub(crate) fn enable_bit(event: AsyncEvent) -> u32 {
    match event {
        AsyncEvent::NAMESPACE_CHANGED => 1 << 8,
        AsyncEvent::ANA_CHANGED => 1 << 11,
        AsyncEvent::DISCOVERY_CHANGED => 1 << 31,
        _ => 0,
    }
}

/// Requests and events of one controller. At most one of each event is pending: hosts read a log.
#[derive(Debug, Default)]
pub(crate) struct Aer {
    requests: VecDeque<Inflight>,
    pending: VecDeque<AsyncEvent>,
    /// Reported, and not yet read: not reported again until the host reads the log.
    masked: Vec<AsyncEvent>,
    enabled: u32,
}

impl Aer {
    /// Keeps a request. Errors: the request itself beyond [`AER_LIMIT`].
    pub(crate) fn handle_request(&mut self, request: Inflight) -> Result<(), Inflight> {
        if self.requests.len() >= usize::from(AER_LIMIT) {
            return Err(request);
        }
        self.requests.push_back(request);
        Ok(())
    }
    /// Something happened. Kept only if the host asked to hear of it.
    pub(crate) fn handle_event(&mut self, event: AsyncEvent) {
        // Reservation notices have a mask of their own, which their log keeps.
        let wanted = event == AsyncEvent::RESERVATION_LOG || self.enabled & enable_bit(event) != 0;
        if wanted && !self.masked.contains(&event) && !self.pending.contains(&event) {
            self.pending.push_back(event);
        }
    }
    /// The host read the log page of `event` and may be told again.
    pub(crate) fn unmask(&mut self, event: AsyncEvent) {
        self.masked.retain(|masked| *masked != event);
    }
    /// A request to complete with an event, if there are both.
    pub(crate) fn poll_event(&mut self) -> Option<(Inflight, AsyncEvent)> {
        if self.requests.is_empty() {
            return None;
        }
        let event = self.pending.pop_front()?;
        self.masked.push(event);
        Some((self.requests.pop_front()?, event))
    }
    /// Takes the request `cid` back, for Abort.
    pub(crate) fn abort(&mut self, cid: u16) -> Option<Inflight> {
        let at = self.requests.iter().position(|request| request.cid() == cid)?;
        self.requests.remove(at)
    }
    /// Takes all requests back, for a reset or a dead connection. Events are forgotten.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Inflight> {
        self.pending.clear();
        self.masked.clear();
        std::mem::take(&mut self.requests).into_iter()
    }
    /// Asynchronous Event Configuration, as the host set it.
    pub(crate) fn enabled(&self) -> u32 {
        self.enabled
    }
    /// Sets Asynchronous Event Configuration (the caller checked the bits).
    pub(crate) fn set_enabled(&mut self, bits: u32) {
        self.enabled = bits;
    }
}

impl Drop for Aer {
    fn drop(&mut self) {
        self.drain().for_each(Inflight::abandon);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: an event is told once until its log was read, and only to a host that asked.
    #[test]
    fn events_are_told_once_until_read() {
        let mut aer = Aer::default();
        for cid in 0..4 {
            aer.handle_request(Inflight::accept(cid, cid)).unwrap();
        }
        let fifth = aer.handle_request(Inflight::accept(4, 4)).unwrap_err();
        fifth.abandon();
        aer.handle_event(AsyncEvent::NAMESPACE_CHANGED);
        assert!(aer.poll_event().is_none(), "not enabled");
        aer.set_enabled(1 << 8);
        aer.handle_event(AsyncEvent::NAMESPACE_CHANGED);
        aer.handle_event(AsyncEvent::NAMESPACE_CHANGED);
        let (request, event) = aer.poll_event().unwrap();
        assert_eq!((request.complete(), event.dword()), (0, 0x0004_0002));
        aer.handle_event(AsyncEvent::NAMESPACE_CHANGED);
        assert!(aer.poll_event().is_none(), "masked until the log is read");
        aer.unmask(AsyncEvent::NAMESPACE_CHANGED);
        aer.handle_event(AsyncEvent::NAMESPACE_CHANGED);
        aer.poll_event().unwrap().0.abandon();
        aer.abort(3).unwrap().abandon();
        assert_eq!(aer.drain().map(Inflight::complete).collect::<Vec<_>>(), [2]);
    }
}
