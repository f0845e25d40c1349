//! The duty to complete a command, as a value that cannot be forgotten.

/// The right, and the duty, to complete one command: spent by [`complete`](Inflight::complete) or
/// [`abandon`](Inflight::abandon). A completion slot of the host stands behind each.
#[must_use = "an accepted command must be completed or abandoned"]
#[derive(Debug)]
pub(crate) struct Inflight {
    slot: u16,
    cid: u16,
    spent: bool,
}

impl Inflight {
    /// Accepts command `cid`: the caller has reserved response slot `slot` for it.
    pub(crate) fn accept(slot: u16, cid: u16) -> Inflight {
        Inflight { slot, cid, spent: false }
    }
    /// The response slot.
    pub(crate) fn slot(&self) -> u16 {
        self.slot
    }
    /// The command identifier.
    pub(crate) fn cid(&self) -> u16 {
        self.cid
    }
    /// The command is answered now. Returns its identifier for the completion entry.
    pub(crate) fn complete(mut self) -> u16 {
        self.spent = true;
        self.cid
    }
    /// Nobody is left to answer (the connection is gone).
    pub(crate) fn abandon(mut self) {
        self.spent = true;
    }
}

impl Drop for Inflight {
    fn drop(&mut self) {
        let accounted = self.spent || std::thread::panicking();
        assert!(accounted, "command {} neither completed nor abandoned", self.cid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a command that is dropped on the floor is a loud bug, not a host that waits for ever.
    #[test]
    #[should_panic(expected = "neither completed nor abandoned")]
    fn forgetting_panics() {
        drop(Inflight::accept(0, 7));
    }

    /// Goal: both ways of spending are fine.
    #[test]
    fn spending_is_quiet() {
        assert_eq!(Inflight::accept(0, 7).complete(), 7);
        Inflight::accept(0, 8).abandon();
    }
}
