//! Registered memory by the parts of a PDU.

use super::held::Held;
use crate::fabric::Gather;
use memory::{Access, AccessError, Registry, Sge, Span};
use smallvec::SmallVec;
use verbs::Remote;

/// Elements of a gather.
pub(super) type Spans<'r> = SmallVec<[Span<'r>; 2]>;

/// The part of `local` that starts `skip` octets in, `take` octets at most.
pub(super) fn slices(local: &Gather, mut skip: u32, mut take: u32) -> impl Iterator<Item = Sge> {
    local.to_list().into_iter().filter_map(move |sge| {
        let before = skip.min(sge.length);
        skip -= before;
        let part = sge.slice(before, take);
        take -= part.length;
        (part.length > 0).then_some(part)
    })
}

/// Copies octets into local memory, `at` octets in. Errors: they do not fit there, or a key does not
/// cover it; this side's fault.
pub(super) fn place_local(
    memory: &Registry,
    local: &Gather,
    at: u32,
    mut octets: &[u8],
) -> Result<(), AccessError> {
    let length = u32::try_from(octets.len()).map_err(|_| AccessError::OutOfBounds)?;
    for part in slices(local, at, length) {
        let (now, later) = octets.split_at(part.length as usize);
        memory.local(part, Access::LOCAL_WRITE)?.write(now);
        octets = later;
    }
    if octets.is_empty() { Ok(()) } else { Err(AccessError::OutOfBounds) }
}

/// The same for what landed in a receive: where its memory lets it, it waits in the buffer.
pub(super) fn place_received(
    memory: &Registry,
    held: &mut Held,
    local: &Gather,
    at: u32,
    mut octets: &[u8],
) -> Result<(), AccessError> {
    let length = u32::try_from(octets.len()).map_err(|_| AccessError::OutOfBounds)?;
    for part in slices(local, at, length) {
        let (now, later) = octets.split_at(part.length as usize);
        let span = memory.local(part, Access::LOCAL_WRITE)?;
        if !span.held_back().is_some_and(|to| held.push(to, now)) {
            span.write(now);
        }
        octets = later;
    }
    if octets.is_empty() { Ok(()) } else { Err(AccessError::OutOfBounds) }
}

/// Copies octets into memory that was registered for the peer, `at` octets in.
pub(super) fn place_remote(
    memory: &Registry,
    to: Remote,
    at: u32,
    octets: &[u8],
) -> Result<(), AccessError> {
    let length = u32::try_from(octets.len()).map_err(|_| AccessError::OutOfBounds)?;
    remote_span(memory, to, at, length)?.write(octets);
    Ok(())
}

/// Where `length` octets of local memory go, `at` octets in.
pub(super) fn local_spans<'r>(
    memory: &'r Registry,
    local: &Gather,
    at: u32,
    length: u32,
) -> Result<Spans<'r>, AccessError> {
    slices(local, at, length).map(|part| memory.local(part, Access::LOCAL_WRITE)).collect()
}

/// Where `length` octets of memory that was registered for the peer go, `at` octets in.
pub(super) fn remote_span(
    memory: &Registry,
    to: Remote,
    at: u32,
    length: u32,
) -> Result<Span<'_>, AccessError> {
    let addr = to.addr.checked_add(u64::from(at)).ok_or(AccessError::OutOfBounds)?;
    memory.remote(to.rkey, addr, length, Access::REMOTE_WRITE)
}
