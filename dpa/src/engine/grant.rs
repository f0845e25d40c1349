//! What a handler may spend and reach.

use memory::Region;

/// Why a handler was stopped. Its own fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Fault {
    /// It used up its steps.
    #[error("out of steps")]
    OutOfSteps,
    /// It named memory that it was not granted, or may not write.
    #[error("memory outside the grant")]
    OutsideGrant,
}

/// A piece of memory that a handler may reach by its process address.
#[derive(Clone, Debug)]
pub struct Window {
    /// The memory.
    pub region: Region,
    /// It may be written too.
    pub writable: bool,
}

/// Steps and memory for one call of a handler.
#[derive(Debug)]
pub struct Grant<'w> {
    steps_left: u32,
    windows: &'w [Window],
}

impl<'w> Grant<'w> {
    /// `steps` steps and the memory of `windows`.
    #[must_use]
    pub fn new(steps: u32, windows: &'w [Window]) -> Grant<'w> {
        Grant { steps_left: steps, windows }
    }
    /// Steps not spent.
    #[must_use]
    pub fn steps_left(&self) -> u32 {
        self.steps_left
    }
    /// Spends steps before the work that they stand for. Errors: `OutOfSteps`; nothing is spent.
    pub fn spend(&mut self, steps: u32) -> Result<(), Fault> {
        self.steps_left = self.steps_left.checked_sub(steps).ok_or(Fault::OutOfSteps)?;
        Ok(())
    }
    /// Reads granted memory; one step a line of 64 octets, and one for the access.
    pub fn read(&mut self, at: u64, into: &mut [u8]) -> Result<(), Fault> {
        self.spend(lines(into.len()).saturating_add(1))?;
        let (window, offset) = self.find(at, into.len())?;
        window.region.read(offset, into);
        Ok(())
    }
    /// Writes granted memory; costs as `read`.
    pub fn write(&mut self, at: u64, from: &[u8]) -> Result<(), Fault> {
        self.spend(lines(from.len()).saturating_add(1))?;
        let (window, offset) = self.find(at, from.len())?;
        if !window.writable {
            return Err(Fault::OutsideGrant);
        }
        window.region.write(offset, from);
        Ok(())
    }

    fn find(&self, at: u64, len: usize) -> Result<(&'w Window, usize), Fault> {
        self.windows
            .iter()
            .find_map(|window| {
                let offset = usize::try_from(at.checked_sub(window.region.addr())?).ok()?;
                let end = offset.checked_add(len)?;
                (end <= window.region.len()).then_some((window, offset))
            })
            .ok_or(Fault::OutsideGrant)
    }
}

/// Lines of 64 octets that `len` octets touch at least.
pub(super) fn lines(len: usize) -> u32 {
    u32::try_from(len.div_ceil(64)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a handler reaches what it was granted and nothing else, and stops at its budget.
    #[test]
    fn grants_are_bounds() {
        let region = Region::allocate(4096).unwrap();
        let windows = [Window { region: region.clone(), writable: false }];
        let mut grant = Grant::new(5, &windows);
        let mut octets = [0; 128];
        assert_eq!(grant.read(region.addr() + 4000, &mut octets), Err(Fault::OutsideGrant));
        assert_eq!(grant.steps_left(), 2, "three steps for two lines, refused or not");
        assert_eq!(grant.write(region.addr(), &[1]), Err(Fault::OutsideGrant));
        assert_eq!(grant.read(region.addr(), &mut octets), Err(Fault::OutOfSteps));
        assert_eq!(Grant::new(9, &windows).read(region.addr() + 3968, &mut octets), Ok(()));
        assert_eq!(Grant::new(9, &windows).read(u64::MAX, &mut octets), Err(Fault::OutsideGrant));
    }
}
