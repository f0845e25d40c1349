//! What the processor's cache is told: copies past it, and lines to fetch ahead.
//!
//! Copies go past it into memory that nobody reads soon. An ordinary store to a line that is not in the cache first fetches it, only to overwrite it, and
//! leaves it there in the place of one that is used: the blocks of a disk in memory are such lines.
//! Measured on one machine: 4-KiB blocks into 512 MiB at 8 GB/s by ordinary stores, 21 GB/s so.

/// Shorter copies go through the cache.
const STREAMED_BYTES_MIN: usize = 512;

/// Copies `len` octets. What was streamed is visible to other threads and devices after
/// [`settle`], to this thread at once.
///
/// # Safety
/// As `std::ptr::copy_nonoverlapping`.
#[inline]
pub(crate) unsafe fn copy(from: *const u8, to: *mut u8, len: usize) {
    #[cfg(target_arch = "x86_64")]
    if len >= STREAMED_BYTES_MIN && (to as usize).is_multiple_of(64) {
        let lines = len / 64 * 64;
        // SAFETY: the caller's promise, for the first `lines` octets and for the rest; the processor
        // has what is asked for.
        unsafe {
            if std::arch::is_x86_feature_detected!("avx512f") {
                copy_whole_lines(from, to, lines);
            } else {
                copy_lines(from, to, lines);
            }
            std::ptr::copy_nonoverlapping(from.add(lines), to.add(lines), len - lines);
        }
        return;
    }
    // SAFETY: the caller's promise.
    unsafe { std::ptr::copy_nonoverlapping(from, to, len) };
}

/// # Safety
/// As `std::ptr::copy_nonoverlapping`; `to` and `len` are multiples of 64.
#[cfg(target_arch = "x86_64")]
unsafe fn copy_lines(from: *const u8, to: *mut u8, len: usize) {
    use std::arch::x86_64::{__m128i, _mm_loadu_si128, _mm_stream_si128};
    for line in (0..len).step_by(64) {
        // SAFETY: within both spans, and `to` is aligned: the caller's promise.
        unsafe {
            let source = from.add(line).cast::<__m128i>();
            let sink = to.add(line).cast::<__m128i>();
            let words = [
                _mm_loadu_si128(source),
                _mm_loadu_si128(source.add(1)),
                _mm_loadu_si128(source.add(2)),
                _mm_loadu_si128(source.add(3)),
            ];
            _mm_stream_si128(sink, words[0]);
            _mm_stream_si128(sink.add(1), words[1]);
            _mm_stream_si128(sink.add(2), words[2]);
            _mm_stream_si128(sink.add(3), words[3]);
        }
    }
}

/// The same with a line in one store: measured with 4-KiB blocks and their CRC-32C, 276 ns instead of
/// 380 (fewer stores wait in the processor's buffers, so the sum goes on meanwhile).
///
/// # Safety
/// As `copy_lines`; the processor has AVX-512F.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
unsafe fn copy_whole_lines(from: *const u8, to: *mut u8, len: usize) {
    use std::arch::x86_64::{_mm512_loadu_si512, _mm512_stream_si512};
    for line in (0..len).step_by(64) {
        // SAFETY: within both spans, and `to` is aligned: the caller's promise.
        unsafe {
            _mm512_stream_si512(to.add(line).cast(), _mm512_loadu_si512(from.add(line).cast()));
        }
    }
}

/// Makes everything that this thread streamed visible to all, before what it stores next. Once a
/// batch is enough, before its completions are told.
#[inline]
pub fn settle() {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a fence, without operands.
    unsafe {
        std::arch::x86_64::_mm_sfence();
    }
}

/// Asks for the lines of `len` octets, which need not even be mapped. A hint: one that costs about
/// a cycle a line.
#[inline]
pub(crate) fn prefetch(start: *const u8, len: usize) {
    prefetch_lines(start, 0..len.div_ceil(64));
}

/// Asks for the lines of a value that is used soon. It need not be there: an address is enough.
#[inline]
pub fn prefetch_value<T>(at: *const T) {
    let start = at.cast::<u8>();
    let skew = start as usize % 64;
    prefetch_lines(start.wrapping_sub(skew), 0..(skew + size_of::<T>()).div_ceil(64));
}

#[inline]
fn prefetch_lines(start: *const u8, lines: std::ops::Range<usize>) {
    #[cfg(target_arch = "x86_64")]
    for line in lines {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch neither faults nor changes memory, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(start.wrapping_add(line * 64).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (start, lines);
}

/// How far a block has come on its way out. At each stage some more of its lines are asked for, in
/// ascending order: all at once would wait for the 10 to 16 fills that a core can have under way,
/// and so the memory works while the processor does the rest of the block's I/O. The last lines
/// are left to the hardware's own prefetching.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// Its disk grants it.
    Granted,
    /// Its owner is told.
    Answered,
    /// It is queued to be sent.
    Queued,
    /// It is cut into packets.
    Cut,
}

impl Stage {
    /// Longer pieces are read fast enough by the gather itself.
    const BYTES_MAX: usize = 16 << 10;

    const fn lines(self) -> std::ops::Range<usize> {
        match self {
            Stage::Granted => 0..8,
            Stage::Answered => 8..16,
            Stage::Queued => 16..32,
            Stage::Cut => 32..48,
        }
    }
}

/// Asks for those lines of `len` octets whose turn it is.
#[inline]
pub(crate) fn prefetch_stage(start: *const u8, len: usize, stage: Stage) {
    if len <= Stage::BYTES_MAX {
        let lines = stage.lines();
        prefetch_lines(start, lines.start..lines.end.min(len.div_ceil(64)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Region;

    /// Goal: lines are copied exactly by every way that this processor has.
    #[test]
    #[cfg(target_arch = "x86_64")]
    fn both_ways_copy_the_same() {
        let from: Vec<u8> = (0..1024_u32).map(|i| (i * 11 + 1).to_le_bytes()[0]).collect();
        let region = Region::allocate(4096).unwrap();
        let check = |what: &str| {
            settle();
            let mut all = vec![0; 1024];
            region.read(64, &mut all);
            assert_eq!(all, from, "{what}");
            region.fill(0, 4096, 0);
        };
        // SAFETY: 1,024 octets each, at a line's boundary.
        unsafe { copy_lines(from.as_ptr(), region.as_ptr(64), 1024) };
        check("sixteen octets at a time");
        if std::arch::is_x86_feature_detected!("avx512f") {
            // SAFETY: as above, and the processor has it.
            unsafe { copy_whole_lines(from.as_ptr(), region.as_ptr(64), 1024) };
            check("a line at a time");
        }
    }

    /// Goal: any length at any alignment arrives whole, and nothing beside it changes.
    #[test]
    fn every_length_and_alignment_is_copied_exactly() {
        let from: Vec<u8> = (0..2048_u32).map(|i| (i * 7 + 1).to_le_bytes()[0]).collect();
        let region = Region::allocate(4096).unwrap();
        for len in [0, 1, 63, 64, 511, 512, 513, 575, 1024, 1500] {
            for (skip, at) in [(0, 64), (1, 64), (0, 65), (3, 80), (7, 128)] {
                region.fill(0, 4096, 0xee);
                // SAFETY: 7 + 1500 of 2048 octets, 128 + 1500 of 4096.
                unsafe { copy(from.as_ptr().add(skip), region.as_ptr(at), len) };
                settle();
                let mut all = vec![0; 4096];
                region.read(0, &mut all);
                assert_eq!(&all[at..at + len], &from[skip..skip + len], "{len} at {at}");
                assert!(all[..at].iter().chain(&all[at + len..]).all(|&octet| octet == 0xee));
            }
        }
    }
}
