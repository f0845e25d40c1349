//! Asymmetric namespace access (page 0Ch): a header of 16 octets, then groups of 32 + 4 n octets.

use crate::nvme::Nsid;
use crate::octets::{Bits, Le16, Le32, Le64, U8, layout};

/// How well a group can be reached through this controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AnaState {
    /// The best path.
    Optimized = 0x1,
    /// A path.
    NonOptimized = 0x2,
    /// No path now.
    Inaccessible = 0x3,
    /// No path again.
    PersistentLoss = 0x4,
    /// Changing.
    Change = 0xf,
}

impl AnaState {
    /// `None` for reserved codes.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            0x1 => Some(Self::Optimized),
            0x2 => Some(Self::NonOptimized),
            0x3 => Some(Self::Inaccessible),
            0x4 => Some(Self::PersistentLoss),
            0xf => Some(Self::Change),
            _ => None,
        }
    }
}

layout! {
    /// First in the page.
    AnaHeader[16] {
        /// Changes so far.
        change_count set_change_count: u64 as Le64, 0;
        /// Groups that follow.
        group_count set_group_count: u16 as Le16, 8;
    }
}

layout! {
    /// First in a group; its namespace ids (32 bits each) follow.
    AnaGroupHeader[32] {
        /// Group.
        group_id set_group_id: u32 as Le32, 0;
        /// Namespace ids that follow.
        namespace_count set_namespace_count: u32 as Le32, 4;
        /// Changes of this group so far.
        change_count set_change_count: u64 as Le64, 8;
        /// See [`AnaState`].
        state_code set_state_code: u8 as Bits<U8, 0, 4>, 16;
    }
}

/// One group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnaGroup<'a> {
    /// Group.
    pub group_id: u32,
    /// Changes of this group so far.
    pub change_count: u64,
    /// How well it can be reached.
    pub state: AnaState,
    /// Its namespaces, ascending.
    pub namespaces: &'a [Nsid],
}

/// Writes the page into `out` and returns its length; `None` when it does not fit, and then `out`
/// holds the part that did.
#[must_use]
pub fn write_ana_log(out: &mut [u8], change_count: u64, groups: &[AnaGroup<'_>]) -> Option<usize> {
    let mut header = AnaHeader::zeroed();
    header.set_change_count(change_count).set_group_count(u16::try_from(groups.len()).ok()?);
    let mut at = append(out, 0, header.as_octets())?;
    for group in groups {
        let mut header = AnaGroupHeader::zeroed();
        header
            .set_group_id(group.group_id)
            .set_namespace_count(u32::try_from(group.namespaces.len()).ok()?)
            .set_change_count(group.change_count)
            .set_state_code(group.state as u8);
        at = append(out, at, header.as_octets())?;
        for nsid in group.namespaces {
            at = append(out, at, &nsid.0.to_le_bytes())?;
        }
    }
    Some(at)
}

fn append(out: &mut [u8], at: usize, piece: &[u8]) -> Option<usize> {
    let end = at.checked_add(piece.len())?;
    out.get_mut(at..end)?.copy_from_slice(piece);
    Some(end)
}
