//! What a target demands of a host, and what is spoken of what the host offers.

use crate::secret::Secret;
use wire::fabrics::auth::{DhGroup, FailureReason, HashId, Offer};

/// What a target knows of one host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Credentials {
    /// The host proves that it has it.
    pub host: Secret,
    /// The controller proves that it has it, if the host asks.
    pub controller: Option<Secret>,
    /// The hash that the host must speak; `None`: SHA-256 if it does, else the first that it offers.
    pub hash: Option<HashId>,
    /// The group that the host must speak; `None`: the null group if it does, else the first that it
    /// offers. These are the defaults of Linux's target.
    pub group: Option<DhGroup>,
}

impl Credentials {
    /// Of a host with this secret, nothing else said.
    #[must_use]
    pub fn new(host: Secret) -> Credentials {
        Credentials { host, controller: None, hash: None, group: None }
    }
}

/// What is spoken, of what the host offers. Errors: nothing that we would speak.
pub(crate) fn choose(
    wanted: &Credentials,
    offer: &Offer,
) -> Result<(HashId, DhGroup), FailureReason> {
    let hash =
        choice(wanted.hash, HashId::Sha256, offer.hashes.iter().filter_map(HashId::from_octet));
    let group =
        choice(wanted.group, DhGroup::Null, offer.groups.iter().filter_map(DhGroup::from_octet));
    let hash = hash.ok_or(FailureReason::HashNotUsable)?;
    Ok((hash, group.ok_or(FailureReason::GroupNotUsable)?))
}

/// `wanted` or nothing; without a wish, `usual`, or the first on offer.
fn choice<T: Copy + PartialEq>(
    wanted: Option<T>,
    usual: T,
    offered: impl Iterator<Item = T>,
) -> Option<T> {
    let offered: Vec<T> = offered.collect();
    let has = |id: &T| offered.contains(id);
    match wanted {
        Some(wanted) => Some(wanted).filter(has),
        None => Some(usual).filter(has).or(offered.first().copied()),
    }
}
