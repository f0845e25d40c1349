//! What a target is told when it is made.

/// Bounds and choices of a target. `Default` is what an appliance wants.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// Makes serial numbers and the first controller identifiers. Take the same one at each start:
    /// hosts know a disk by what is derived from it.
    pub seed: u64,
    /// Most octets of one command (MDTS): a power of two, 4 KiB to 1 MiB.
    pub max_transfer_bytes: u32,
    /// Octets of payload of one packet, where packets are known (an RDMA path MTU). A disk whose
    /// blocks are no larger, and divide it, has host data put into its own memory; `None` (or
    /// larger blocks) goes through staging buffers, so that a transfer that breaks off tears no
    /// block.
    pub path_mtu_bytes: Option<u32>,
    /// Connections at once.
    pub connections_max: u32,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            seed: 1,
            max_transfer_bytes: 1 << 20,
            path_mtu_bytes: Some(4096),
            connections_max: 4096,
        }
    }
}

impl Config {
    /// No packet carries parts of two blocks of this size.
    pub(crate) fn may_write_directly(&self, block_bytes: u32) -> bool {
        self.path_mtu_bytes.is_some_and(|mtu| block_bytes > 0 && mtu % block_bytes == 0)
    }
}
