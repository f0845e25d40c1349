//! Blocks that name themselves: data that tells where and when it was written.

/// Writes and checks patterns. Each 64-octet line holds the block's offset, the write's number and
/// a mix of both, so that stale, misplaced and torn data all show.
pub struct Verifier {
    io_bytes: u32,
    start: u64,
    /// Write number of each I/O-sized piece; 0: not written by this run.
    written: Vec<u32>,
}

/// In a write's number: it failed, so the piece holds the data before it, or its own, or parts.
const FAILED: u32 = 1 << 31;

impl Verifier {
    /// For pieces of `io_bytes` in `start .. start + span`.
    #[must_use]
    pub fn new(io_bytes: u32, start: u64, span: u64) -> Verifier {
        let pieces = usize::try_from(span / u64::from(io_bytes)).unwrap_or(0);
        Verifier { io_bytes, start, written: vec![0; pieces] }
    }
    /// The pattern for the next write at `offset`, into `buffer` (`io_bytes` long), and its number.
    pub fn fill(&mut self, offset: u64, buffer: &mut [u8]) -> u32 {
        let last = self.index(offset).map_or(0, |at| self.written[at] & !FAILED);
        let number = ((last + 1) & !FAILED).max(1);
        for (line, octets) in (0u64..).zip(buffer.chunks_mut(64)) {
            let word = mix(offset + line * 64, number);
            for eight in octets.chunks_mut(8) {
                eight.copy_from_slice(&word.to_le_bytes()[..eight.len()]);
            }
        }
        number
    }
    /// The write of `number` at `offset` was acknowledged.
    pub fn acknowledged(&mut self, offset: u64, number: u32) {
        if let Some(at) = self.index(offset) {
            self.written[at] = number;
        }
    }
    /// The write of `number` at `offset` failed: until the next one, reads may see anything.
    pub fn failed(&mut self, offset: u64, number: u32) {
        self.acknowledged(offset, number | FAILED);
    }
    /// What a read of `offset` must see; 0: anything.
    #[must_use]
    pub fn number(&self, offset: u64) -> u32 {
        let number = self.index(offset).map_or(0, |at| self.written[at]);
        if number & FAILED == 0 { number } else { 0 }
    }
    /// Whether `data`, read from `offset`, is what write `number` put there.
    #[must_use]
    pub fn check(&self, offset: u64, number: u32, data: &[u8]) -> bool {
        number == 0
            || (0u64..).zip(data.chunks(64)).all(|(line, octets)| {
                let word = mix(offset + line * 64, number).to_le_bytes();
                octets.chunks(8).all(|eight| eight == &word[..eight.len()])
            })
    }

    fn index(&self, offset: u64) -> Option<usize> {
        let piece = offset.checked_sub(self.start)? / u64::from(self.io_bytes);
        usize::try_from(piece).ok().filter(|&at| at < self.written.len())
    }
}

fn mix(offset: u64, number: u32) -> u64 {
    let mut z = offset ^ u64::from(number).rotate_left(40) ^ 0x5bf0_3635_d1f8_a2c7;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: stale, misplaced and torn data are all caught.
    #[test]
    fn wrong_data_is_caught() {
        let mut verifier = Verifier::new(4096, 8192, 65_536);
        let mut old = vec![0; 4096];
        let mut new = vec![0; 4096];
        let number = verifier.fill(12_288, &mut old);
        assert!(verifier.check(12_288, verifier.number(12_288), &old), "unwritten: anything goes");
        verifier.acknowledged(12_288, number);
        assert!(verifier.check(12_288, number, &old));
        let number = verifier.fill(12_288, &mut new);
        assert!(!verifier.check(12_288, number, &old), "stale");
        assert!(!verifier.check(16_384, number, &new), "misplaced");
        new[2048..].copy_from_slice(&old[2048..]);
        assert!(!verifier.check(12_288, number, &new), "torn");
    }

    /// Goal: a failed write excuses whatever is read, and the next one ends that.
    #[test]
    fn failed_writes_excuse_until_the_next() {
        let mut verifier = Verifier::new(4096, 0, 8192);
        let (mut first, mut third) = (vec![0; 4096], vec![0; 4096]);
        let number = verifier.fill(4096, &mut first);
        verifier.acknowledged(4096, number);
        let number = verifier.fill(4096, &mut third);
        verifier.failed(4096, number);
        assert!(verifier.check(4096, verifier.number(4096), &first));
        let number = verifier.fill(4096, &mut third);
        verifier.acknowledged(4096, number);
        assert!(!verifier.check(4096, verifier.number(4096), &first), "older than the last");
        assert!(verifier.check(4096, verifier.number(4096), &third));
        assert_eq!(number, 3, "a failed write's number is not used again");
    }
}
