//! The index: a walk over nodes that lie far apart.

use super::{HOPS, mix};
use memory::Region;
use std::sync::atomic::Ordering;

/// Octets of a node: a cache line, whose first word names the next.
pub const NODE_BYTES: usize = 64;

/// Nodes in one cycle, so that no walk is short, in an order that no prefetcher guesses.
#[derive(Clone)]
pub struct Index {
    nodes: Region,
    count: u64,
}

impl Index {
    /// Links the nodes of `memory`, as many as fit.
    #[must_use]
    pub fn build(memory: Region) -> Index {
        let index = Index::over(memory);
        // Sattolo's algorithm: a random permutation that is one cycle.
        let mut order: Vec<u64> = (0..index.count).collect();
        for at in (1..order.len()).rev() {
            let other = usize::try_from(mix(at as u64) % at as u64).unwrap_or(0);
            order.swap(at, other);
        }
        for (at, next) in order.into_iter().enumerate() {
            index.node(at as u64).store(next, Ordering::Relaxed);
        }
        index
    }
    /// An index that is there already.
    #[must_use]
    pub fn over(memory: Region) -> Index {
        let count = (memory.len() / NODE_BYTES) as u64;
        Index { nodes: memory, count }
    }
    /// Walks from the nodes of all `keys`, side by side: a step of each, then the next of each, so
    /// that their misses overlap. Leaves the nodes reached in `keys`.
    pub fn walk(&self, keys: &mut [u64]) {
        for at in &mut *keys {
            *at = mix(*at) % self.count;
        }
        for _ in 0..HOPS {
            for at in &mut *keys {
                // Memory that others may write: whatever it says, the step stays inside.
                *at = self.node(*at).load(Ordering::Relaxed).min(self.count - 1);
            }
        }
    }
    fn node(&self, at: u64) -> &std::sync::atomic::AtomicU64 {
        &self.nodes.words(usize::try_from(at).unwrap_or(0) * NODE_BYTES, 1)[0]
    }
}
