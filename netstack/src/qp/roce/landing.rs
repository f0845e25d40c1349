//! Received payload into its scatter list.

use super::segment;
use crate::Place;
use memory::{Access, AccessError, Registry, Sge};

/// Places `payload` at `offset` of what `sges` list, after checking each element's key.
///
/// Errors: a key does not open its element; elements before it may have been filled.
/// Panics if the list is shorter: the caller compared lengths.
pub(super) fn land(
    memory: &Registry,
    place: &mut dyn Place,
    sges: &[Sge],
    offset: u32,
    payload: &[u8],
) -> Result<(), AccessError> {
    let len = u32::try_from(payload.len()).expect("a packet's payload");
    let mut rest = payload;
    for sge in segment::pieces(sges, offset, len) {
        let span = memory.local(sge, Access::LOCAL_WRITE)?;
        let (piece, later) = rest.split_at(span.len());
        place.place(span, piece);
        rest = later;
    }
    assert!(rest.is_empty(), "a packet beyond its message");
    Ok(())
}
