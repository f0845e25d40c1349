//! Memory that the processes of one sample share: a page that says how far they are, and regions
//! that all stacks use in turn.

use memory::Region;
use serde::{Deserialize, Serialize};
use std::io;
use std::os::fd::AsRawFd;
use std::sync::atomic::Ordering;

/// A shared region of another process of this user.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Handle {
    process: u32,
    fd: i32,
    len: usize,
}

impl Handle {
    /// Names a region of this process. Errors: it is not a shared one.
    pub fn of(region: &Region) -> io::Result<Handle> {
        let fd = region.shared_fd().ok_or(io::ErrorKind::InvalidInput)?.as_raw_fd();
        Ok(Handle { process: std::process::id(), fd, len: region.len() })
    }
    /// The process whose region it is.
    #[must_use]
    pub fn process(self) -> u32 {
        self.process
    }
    /// Maps it. Errors: its process is gone.
    pub fn open(self) -> io::Result<Region> {
        let path = format!("/proc/{}/fd/{}", self.process, self.fd);
        let file = std::fs::OpenOptions::new().read(true).write(true).open(path)?;
        Region::map_shared(file.into(), self.len)
    }
}

/// How far a sample is. The client leads, the end is said by whoever started them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Phase {
    /// Connecting, warming up.
    Ramp,
    /// Measured.
    Measuring,
    /// Not measured any more.
    Over,
    /// The server may go.
    End,
}

/// The page.
#[derive(Clone)]
pub struct Page(Region);

impl Page {
    /// A new one, in `Ramp`. Errors: memory.
    pub fn create() -> io::Result<Page> {
        Ok(Page(Region::allocate_shared(4096)?))
    }
    /// For other processes. Errors: none in practice.
    pub fn handle(&self) -> io::Result<Handle> {
        Handle::of(&self.0)
    }
    /// Another process' page. Errors: as [`Handle::open`].
    pub fn open(handle: Handle) -> io::Result<Page> {
        Ok(Page(handle.open()?))
    }
    /// How far it is: one load.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self.0.words(0, 1)[0].load(Ordering::Acquire) {
            0 => Phase::Ramp,
            1 => Phase::Measuring,
            2 => Phase::Over,
            _ => Phase::End,
        }
    }
    /// Says how far it is.
    pub fn set(&self, phase: Phase) {
        self.0.words(0, 1)[0].store(phase as u64, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: what one side says, the other sees.
    #[test]
    fn phases_are_seen() {
        let page = Page::create().unwrap();
        let other = Page::open(page.handle().unwrap()).unwrap();
        for phase in [Phase::Ramp, Phase::Measuring, Phase::Over, Phase::End] {
            page.set(phase);
            assert_eq!(other.phase(), phase);
        }
    }
}
