//! What a block holds: a value that says which write made it, in every word.

use crate::random::mix;

/// Names one write of one block; 0 is a block of zeroes.
pub(crate) type Value = u64;

/// What a block's octets are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Content {
    /// One write's, whole.
    Whole(Value),
    /// Not one write's: words of two, or of none. The first word and the place where it ends.
    Torn {
        /// What the first word says.
        first: Value,
        /// First octet that does not fit to it.
        offset: usize,
    },
}

/// Fills a block, whose length is a multiple of eight.
pub(crate) fn fill(block: &mut [u8], value: Value, lba: u64) {
    let key = key(value, lba);
    for (at, word) in (0u64..).zip(block.chunks_exact_mut(8)) {
        word.copy_from_slice(&expected(value, key, at).to_le_bytes());
    }
}

/// Reads a block back.
#[must_use]
pub(crate) fn read(block: &[u8], lba: u64) -> Content {
    let mut words = block.chunks_exact(8).map(word);
    let first = words.next().unwrap_or(0);
    let key = key(first, lba);
    for (at, found) in (1u64..).zip(words) {
        if found != expected(first, key, at) {
            let offset = usize::try_from(at * 8).unwrap_or(usize::MAX);
            return Content::Torn { first, offset };
        }
    }
    Content::Whole(first)
}

fn key(value: Value, lba: u64) -> u64 {
    mix(value ^ lba.rotate_left(32)) | 1
}

fn expected(value: Value, key: u64, at: u64) -> u64 {
    if value == 0 || at == 0 { value } else { key.wrapping_mul(at + 1) }
}

fn word(octets: &[u8]) -> u64 {
    octets.first_chunk().map_or(0, |octets| u64::from_le_bytes(*octets))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a whole block is recognised, two halves of two writes and a block of another place
    /// are not.
    #[test]
    fn torn_and_misplaced_blocks_are_seen() {
        let (mut a, mut b) = ([0; 512], [0; 512]);
        assert_eq!(read(&a, 7), Content::Whole(0));
        fill(&mut a, 5, 7);
        fill(&mut b, 6, 7);
        assert_eq!(read(&a, 7), Content::Whole(5));
        assert_eq!(read(&a, 8), Content::Torn { first: 5, offset: 8 });
        a[256..].copy_from_slice(&b[256..]);
        assert_eq!(read(&a, 7), Content::Torn { first: 5, offset: 256 });
        fill(&mut a, 0, 7);
        assert_eq!(a, [0; 512]);
    }
}
