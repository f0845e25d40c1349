//! Where rings and flags lie: in memory of this process, or in a region that another process maps.

#[cfg(feature = "loom")]
use loom::sync::atomic::AtomicU64;
#[cfg(not(feature = "loom"))]
use memory::Region;
#[cfg(not(feature = "loom"))]
use std::sync::atomic::AtomicU64;

/// Words of a cache line.
pub(super) const WORDS: usize = 8;

/// One cache line of atomic words.
#[repr(align(64))]
pub(super) struct Line([AtomicU64; WORDS]);

/// Cache lines that two threads or processes share.
pub(super) enum Lines {
    Own(Box<[Line]>),
    #[cfg(not(feature = "loom"))]
    Mapped {
        region: Region,
        offset: usize,
    },
}

impl Lines {
    /// `count` zeroed lines of this process.
    pub(super) fn own(count: usize) -> Lines {
        let line = || Line(std::array::from_fn(|_| AtomicU64::new(0)));
        Lines::Own((0..count).map(|_| line()).collect())
    }
    /// `count` lines of `region`, from `offset`. Panics when they are not inside it or `offset` is
    /// no multiple of a line.
    #[cfg(not(feature = "loom"))]
    pub(super) fn mapped(region: &Region, offset: usize, count: usize) -> Lines {
        assert!(offset.is_multiple_of(64), "lines at {offset}");
        let _ = region.words(offset, count * WORDS);
        Lines::Mapped { region: region.clone(), offset }
    }
    /// A line's words. Panics beyond the end.
    #[inline]
    pub(super) fn line(&self, at: usize) -> &[AtomicU64] {
        match self {
            Lines::Own(lines) => &lines[at].0,
            #[cfg(not(feature = "loom"))]
            Lines::Mapped { region, offset } => region.words(offset + at * 64, WORDS),
        }
    }
}
