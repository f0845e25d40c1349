//! The octets that decide what happens.

/// Read from the front; zeros once they are used up.
pub(crate) struct Input<'i> {
    rest: &'i [u8],
}

impl<'i> Input<'i> {
    pub(crate) fn new(octets: &'i [u8]) -> Input<'i> {
        Input { rest: octets }
    }
    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }
    pub(crate) fn octet(&mut self) -> u8 {
        self.array::<1>()[0]
    }
    pub(crate) fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut octets = [0; N];
        let taken = self.take(N);
        octets[..taken.len()].copy_from_slice(taken);
        octets
    }
    /// At most `len` octets.
    pub(crate) fn take(&mut self, len: usize) -> &'i [u8] {
        let (now, later) = self.rest.split_at(len.min(self.rest.len()));
        self.rest = later;
        now
    }
    /// One of `all`.
    pub(crate) fn choose<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::from(self.octet()) % all.len()]
    }
    /// A number that means something often: small, a power of two, near the largest, or any.
    pub(crate) fn dword(&mut self) -> u32 {
        let kind = self.octet();
        let low = u32::from(kind & 0x1f);
        match kind >> 5 {
            0..=2 => u32::from(kind),
            3 => 1 << low,
            4 => u32::MAX - low,
            5 => 4096 - 16 + low,
            _ => u32::from_le_bytes(self.array()),
        }
    }
}
