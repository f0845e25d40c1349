//! What a host knows of its controller.

use super::Host;
use netstack::fabric::Fabric;

/// What the controller said of itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ControllerInfo {
    /// Controller identifier.
    pub cntlid: u16,
    /// CAP register.
    pub cap: u64,
    /// Octets of the largest command; `None`: no bound.
    pub max_transfer_bytes: Option<u32>,
    /// Octets of data that fit into an I/O command capsule.
    pub in_capsule_bytes: u32,
    /// The whole Identify Controller structure.
    pub identify: Box<[u8; 4096]>,
}

impl<F: Fabric> Host<F> {
    pub(super) fn begin_info(&mut self, cntlid: u16) {
        self.info = Some(ControllerInfo {
            cntlid,
            cap: 0,
            max_transfer_bytes: None,
            in_capsule_bytes: 0,
            identify: Box::new([0; 4096]),
        });
    }

    pub(super) fn info_mut(&mut self) -> &mut ControllerInfo {
        self.info.as_mut().expect("set by the Connect step")
    }

    pub(super) fn cntlid(&self) -> u16 {
        self.info.as_ref().map_or(0xffff, |info| info.cntlid)
    }
}
