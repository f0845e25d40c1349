//! Layers: each a backend around a backend.

mod delay;
mod faulty;
mod rate;
mod stats;

pub use delay::{Delay, Time};
pub use faulty::{Fault, Faulty, Kind, When};
pub use rate::{Rate, Rates};
pub use stats::Stats;

/// The methods that a layer leaves as they are.
macro_rules! forward_the_disk {
    () => {
        fn geometry(&self) -> crate::Geometry {
            self.inner.geometry()
        }
        fn regions(&self) -> &[memory::Region] {
            self.inner.regions()
        }
        fn release(&mut self, buffer: memory::DmaBuf) {
            self.inner.release(buffer);
        }
        fn resize(&mut self, block_count: u64) -> std::io::Result<()> {
            self.inner.resize(block_count)
        }
        fn fd(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
            self.inner.fd()
        }
    };
}
pub(crate) use forward_the_disk;

/// The sooner of two moments.
pub(crate) fn sooner(
    a: Option<std::time::Instant>,
    b: Option<std::time::Instant>,
) -> Option<std::time::Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

#[cfg(test)]
#[path = "layer_tests.rs"]
mod tests;
