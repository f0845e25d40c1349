//! Lists: namespace ids (CNS 02h, and the changed namespaces log), a namespace's identifiers
//! (CNS 03h), controllers (CNS 12h, 13h).

use super::IDENTIFY_LEN;
use crate::nvme::{ControllerId, Nsid};
use crate::octets::{Le16, Le32, get, layout, set};

layout! {
    /// Up to 1,024 namespace ids in ascending order, ended by 0.
    NamespaceList[IDENTIFY_LEN] {}
}

impl NamespaceList {
    /// Ids that fit.
    pub const CAPACITY: usize = IDENTIFY_LEN / 4;

    /// The first [`Self::CAPACITY`] of `ids`, which ascend.
    #[must_use]
    pub fn new(ids: impl IntoIterator<Item = Nsid>) -> Self {
        let mut list = Self::zeroed();
        for (index, nsid) in ids.into_iter().take(Self::CAPACITY).enumerate() {
            set::<Le32, _>(&mut list.octets, 4 * index, nsid.0);
        }
        list
    }

    /// The ids, up to the first 0.
    pub fn iter(&self) -> impl Iterator<Item = Nsid> + '_ {
        let (ids, _) = self.octets.as_chunks::<4>();
        ids.iter().map(|id| Nsid(u32::from_le_bytes(*id))).take_while(|nsid| nsid.0 != 0)
    }
}

layout! {
    /// Up to 2,047 controller ids in ascending order, behind their number.
    ControllerList[IDENTIFY_LEN] {
        /// Ids that follow.
        count set_count: u16 as Le16, 0;
    }
}

impl ControllerList {
    /// Ids that fit.
    pub const CAPACITY: usize = IDENTIFY_LEN / 2 - 1;

    /// The first [`Self::CAPACITY`] of `ids`, which ascend.
    #[must_use]
    pub fn new(ids: impl IntoIterator<Item = ControllerId>) -> Self {
        let mut list = Self::zeroed();
        let mut count = 0;
        for (index, id) in ids.into_iter().take(Self::CAPACITY).enumerate() {
            set::<Le16, _>(&mut list.octets, 2 + 2 * index, id.0);
            count += 1;
        }
        list.set_count(count);
        list
    }

    /// The ids, as many as are said and fit.
    pub fn iter(&self) -> impl Iterator<Item = ControllerId> + '_ {
        let count = usize::from(self.count()).min(Self::CAPACITY);
        (0..count).map(|index| ControllerId(get::<Le16, _>(&self.octets, 2 + 2 * index)))
    }
}

/// One identifier of a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NamespaceDescriptor<'a> {
    /// IEEE extended unique id.
    Eui64([u8; 8]),
    /// Globally unique id.
    Nguid([u8; 16]),
    /// UUID, as in RFC 4122.
    Uuid([u8; 16]),
    /// Command set; 0 = NVM.
    CommandSet(u8),
    /// A type or length without a name here.
    Other {
        /// Identifier type.
        kind: u8,
        /// Its octets.
        octets: &'a [u8],
    },
}

layout! {
    /// Identifiers of a namespace, each with type and length.
    ///
    /// ```text
    /// type 1 | length 1 | reserved 2 | identifier … | next … | type 0 ends it
    /// ```
    DescriptorList[IDENTIFY_LEN] {}
}

impl DescriptorList {
    /// Those that fit, in order.
    #[must_use]
    pub fn new<'a>(descriptors: impl IntoIterator<Item = NamespaceDescriptor<'a>>) -> Self {
        let mut list = Self::zeroed();
        let mut free: &mut [u8] = &mut list.octets;
        for descriptor in descriptors {
            let command_set;
            let (kind, value): (u8, &[u8]) = match &descriptor {
                NamespaceDescriptor::Eui64(id) => (1, id),
                NamespaceDescriptor::Nguid(id) => (2, id),
                NamespaceDescriptor::Uuid(id) => (3, id),
                NamespaceDescriptor::CommandSet(csi) => {
                    command_set = [*csi];
                    (4, &command_set)
                }
                NamespaceDescriptor::Other { kind, octets } => (*kind, octets),
            };
            let Ok(len) = u8::try_from(value.len()) else { break };
            let Some((place, rest)) = free.split_at_mut_checked(4 + value.len()) else { break };
            place[0] = kind;
            place[1] = len;
            place[4..].copy_from_slice(value);
            free = rest;
        }
        list
    }

    /// The identifiers, up to type 0 or the first that does not fit.
    pub fn iter(&self) -> impl Iterator<Item = NamespaceDescriptor<'_>> {
        let mut rest: &[u8] = &self.octets;
        core::iter::from_fn(move || {
            let ([kind, len, _, _], tail) = rest.split_first_chunk::<4>()?;
            if *kind == 0 {
                return None;
            }
            let (value, next) = tail.split_at_checked(usize::from(*len))?;
            rest = next;
            Some(Self::descriptor(*kind, value))
        })
    }

    fn descriptor(kind: u8, octets: &[u8]) -> NamespaceDescriptor<'_> {
        let known = match kind {
            1 => octets.try_into().ok().map(NamespaceDescriptor::Eui64),
            2 => octets.try_into().ok().map(NamespaceDescriptor::Nguid),
            3 => octets.try_into().ok().map(NamespaceDescriptor::Uuid),
            4 => <[u8; 1]>::try_from(octets).ok().map(|[csi]| NamespaceDescriptor::CommandSet(csi)),
            _ => None,
        };
        known.unwrap_or(NamespaceDescriptor::Other { kind, octets })
    }
}
