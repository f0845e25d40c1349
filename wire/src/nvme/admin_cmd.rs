//! Admin commands: what their dwords 10 to 15 say.
//!
//! Source: NVMe Base 2.0, "Admin command set", one section for each command.

use super::{AdminOpcode, Cid, ControllerId, FeatureId, Nsid, QueueId, Sqe};
use crate::octets::{Bits, Le16, Le32, Le64, get, set};

const CDW10: usize = 40;
const CDW11: usize = 44;
const CDW12: usize = 48;
const CDW14: usize = 56;

fn new(opcode: AdminOpcode, cid: Cid, nsid: Nsid) -> [u8; Sqe::LEN] {
    *Sqe::new(opcode.octet(), cid, nsid).as_octets()
}

/// Identify.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IdentifyCmd {
    /// Controller or namespace structure: see [`super::identify::Cns`].
    pub cns: u8,
    /// Controller that some structures are about.
    pub controller: ControllerId,
    /// Command set that some structures are about; 0 = NVM.
    pub csi: u8,
}

impl IdentifyCmd {
    /// Reads dwords 10 and 11.
    #[must_use]
    pub fn decode(sqe: &Sqe) -> Self {
        let octets = sqe.as_octets();
        Self {
            cns: octets[CDW10],
            controller: ControllerId(get::<Le16, _>(octets, CDW10 + 2)),
            csi: octets[CDW11 + 3],
        }
    }

    /// A command with these dwords.
    #[must_use]
    pub fn command(&self, cid: Cid, nsid: Nsid) -> Sqe {
        let mut octets = new(AdminOpcode::Identify, cid, nsid);
        octets[CDW10] = self.cns;
        set::<Le16, _>(&mut octets, CDW10 + 2, self.controller.0);
        octets[CDW11 + 3] = self.csi;
        Sqe::from_octets(octets)
    }
}

/// Get Log Page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GetLogPageCmd {
    /// Log page: see [`super::log::LogId`].
    pub lid: u8,
    /// Log specific parameter, 7 bits.
    pub lsp: u32,
    /// Leave the asynchronous event of this page masked.
    pub retain_event: bool,
    /// Dwords to transfer, zero-based, 32 bits.
    pub dwords: super::ZeroBased<u32>,
    /// Octet offset in the page (or index, see `index_offset`).
    pub offset: u64,
    /// `offset` counts entries, not octets.
    pub index_offset: bool,
    /// Command set; 0 = NVM.
    pub csi: u8,
}

impl GetLogPageCmd {
    /// Reads dwords 10 to 14.
    #[must_use]
    pub fn decode(sqe: &Sqe) -> Self {
        let octets = sqe.as_octets();
        let low = u32::from(get::<Le16, _>(octets, CDW10 + 2));
        let high = u32::from(get::<Le16, _>(octets, CDW11));
        Self {
            lid: octets[CDW10],
            lsp: get::<Bits<Le32, 8, 7>, _>(octets, CDW10),
            retain_event: get::<Bits<Le32, 15, 1>, _>(octets, CDW10),
            dwords: super::ZeroBased::<u32>::from_raw(high << 16 | low),
            offset: get::<Le64, _>(octets, CDW12),
            index_offset: get::<Bits<Le32, 23, 1>, _>(octets, CDW14),
            csi: octets[CDW14 + 3],
        }
    }

    /// Octets to transfer, 4 to 16 GiB.
    #[must_use]
    pub fn len_bytes(&self) -> u64 {
        self.dwords.count() * 4
    }

    /// A command with these dwords.
    #[must_use]
    pub fn command(&self, cid: Cid, nsid: Nsid) -> Sqe {
        let mut octets = new(AdminOpcode::GetLogPage, cid, nsid);
        octets[CDW10] = self.lid;
        set::<Bits<Le32, 8, 7>, _>(&mut octets, CDW10, self.lsp);
        set::<Bits<Le32, 15, 1>, _>(&mut octets, CDW10, self.retain_event);
        let [a, b, c, d] = self.dwords.raw().to_le_bytes();
        set::<Le16, _>(&mut octets, CDW10 + 2, u16::from_le_bytes([a, b]));
        set::<Le16, _>(&mut octets, CDW11, u16::from_le_bytes([c, d]));
        set::<Le64, _>(&mut octets, CDW12, self.offset);
        set::<Bits<Le32, 23, 1>, _>(&mut octets, CDW14, self.index_offset);
        octets[CDW14 + 3] = self.csi;
        Sqe::from_octets(octets)
    }
}

/// Which value Get Features asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FeatureSelect {
    /// In force now.
    #[default]
    Current,
    /// Of the controller.
    Default,
    /// Kept across power cycles.
    Saved,
    /// Not a value, but what can be done with the feature.
    Capabilities,
    /// A reserved code, 4 to 7.
    Reserved(u8),
}

/// Get Features and Set Features.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeatureCmd {
    /// Which.
    pub fid: FeatureId,
    /// Get: which value.
    pub select: FeatureSelect,
    /// Set: keep it across power cycles.
    pub save: bool,
    /// Set: the value; Get: parameter of some features.
    pub value: u32,
}

impl FeatureCmd {
    /// Reads dwords 10 and 11.
    #[must_use]
    pub fn decode(sqe: &Sqe) -> Self {
        let octets = sqe.as_octets();
        let select = match get::<Bits<crate::octets::U8, 0, 3>, u8>(octets, CDW10 + 1) {
            0 => FeatureSelect::Current,
            1 => FeatureSelect::Default,
            2 => FeatureSelect::Saved,
            3 => FeatureSelect::Capabilities,
            other => FeatureSelect::Reserved(other),
        };
        Self {
            fid: FeatureId(octets[CDW10]),
            select,
            save: get::<Bits<Le32, 31, 1>, _>(octets, CDW10),
            value: sqe.cdw11(),
        }
    }

    /// A Get Features of the current value.
    #[must_use]
    pub fn get(fid: FeatureId, cid: Cid, nsid: Nsid) -> Sqe {
        let mut octets = new(AdminOpcode::GetFeatures, cid, nsid);
        octets[CDW10] = fid.0;
        Sqe::from_octets(octets)
    }

    /// A Set Features.
    #[must_use]
    pub fn set(fid: FeatureId, value: u32, cid: Cid, nsid: Nsid) -> Sqe {
        let mut octets = new(AdminOpcode::SetFeatures, cid, nsid);
        octets[CDW10] = fid.0;
        let mut sqe = Sqe::from_octets(octets);
        sqe.set_cdw11(value);
        sqe
    }
}

/// Abort.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbortCmd {
    /// The queue of the command to abort.
    pub queue: QueueId,
    /// That command.
    pub cid: Cid,
}

impl AbortCmd {
    /// Reads dword 10.
    #[must_use]
    pub fn decode(sqe: &Sqe) -> Self {
        let octets = sqe.as_octets();
        Self {
            queue: QueueId(get::<Le16, _>(octets, CDW10)),
            cid: Cid(get::<Le16, _>(octets, CDW10 + 2)),
        }
    }

    /// A command with this dword.
    #[must_use]
    pub fn command(&self, cid: Cid) -> Sqe {
        let mut octets = new(AdminOpcode::Abort, cid, Nsid::NONE);
        set::<Le16, _>(&mut octets, CDW10, self.queue.0);
        set::<Le16, _>(&mut octets, CDW10 + 2, self.cid.0);
        Sqe::from_octets(octets)
    }
}
