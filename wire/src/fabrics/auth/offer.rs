//! What a host offers in Negotiate: a descriptor of 64 octets for each protocol.
//!
//! ```text
//!  0 AUTHID  1 reserved  2 HALEN  3 DHLEN  4..34 hash functions  34..64 DH groups
//! ```

/// Octets of a descriptor.
pub(super) const OFFER_BYTES: usize = 64;
/// Identifier of DH-HMAC-CHAP.
pub(super) const DH_HMAC_CHAP: u8 = 1;
/// Identifiers that a list has room for.
const IDS_MAX: usize = 30;
const HASHES: usize = 4;
const GROUPS: usize = HASHES + IDS_MAX;

/// Identifiers in the host's order, some perhaps without a name: at most 30.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct IdList {
    ids: [u8; IDS_MAX],
    len: u8,
}

impl IdList {
    /// The first 30 of `ids`.
    #[must_use]
    pub fn new(ids: impl IntoIterator<Item = u8>) -> Self {
        let mut list = Self::default();
        for (place, id) in list.ids.iter_mut().zip(ids) {
            *place = id;
            list.len += 1;
        }
        list
    }

    /// In the host's order.
    pub fn iter(&self) -> impl Iterator<Item = u8> + '_ {
        self.ids[..usize::from(self.len)].iter().copied()
    }

    fn read(octets: &[u8], len: u8) -> Option<Self> {
        let octets = octets.get(..usize::from(len)).filter(|ids| ids.len() <= IDS_MAX)?;
        Some(Self::new(octets.iter().copied()))
    }
}

/// DH-HMAC-CHAP as a host would speak it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Offer {
    /// Hash functions: see [`super::HashId`].
    pub hashes: IdList,
    /// Groups: see [`super::DhGroup`].
    pub groups: IdList,
}

impl Offer {
    /// `None`: another protocol. Errors: lists longer than their room.
    pub(super) fn decode(octets: &[u8; OFFER_BYTES]) -> Result<Option<Self>, ()> {
        if octets[0] != DH_HMAC_CHAP {
            return Ok(None);
        }
        let hashes = IdList::read(&octets[HASHES..GROUPS], octets[2]).ok_or(())?;
        let groups = IdList::read(&octets[GROUPS..], octets[3]).ok_or(())?;
        Ok(Some(Self { hashes, groups }))
    }

    pub(super) fn encode(&self) -> [u8; OFFER_BYTES] {
        let mut octets = [0; OFFER_BYTES];
        octets[0] = DH_HMAC_CHAP;
        octets[2] = self.hashes.len;
        octets[3] = self.groups.len;
        octets[HASHES..GROUPS].copy_from_slice(&self.hashes.ids);
        octets[GROUPS..].copy_from_slice(&self.groups.ids);
        octets
    }
}
