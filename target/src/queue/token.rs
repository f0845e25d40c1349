//! Names of work between asking and hearing of it.

use storage::Tag;

/// What a piece of fabric work was for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum WorkKind {
    /// A receive: the index is a receive's, not a command slot's.
    Recv = 0,
    /// The response capsule of a command.
    Send = 1,
    /// Data to the host.
    Write = 2,
    /// Data from the host.
    Read = 3,
}

/// Token of fabric work: kind, and receive or command slot. The connection is told by the event.
pub(crate) fn token(kind: WorkKind, slot: u16) -> u64 {
    (kind as u64) << 16 | u64::from(slot)
}

/// What [`token`] put in.
pub(crate) fn parse_token(token: u64) -> (WorkKind, u16) {
    let kind = match token >> 16 {
        0 => WorkKind::Recv,
        1 => WorkKind::Send,
        2 => WorkKind::Write,
        _ => WorkKind::Read,
    };
    (kind, slot_of(token))
}

/// Tag of a disk request: queue and command slot. A queue keeps its place until every disk has
/// answered, so no tag can name two commands.
pub(crate) fn disk_tag(queue: u32, slot: u16) -> Tag {
    Tag(u64::from(queue) << 16 | u64::from(slot))
}

/// What [`disk_tag`] put in.
pub(crate) fn parse_tag(tag: Tag) -> (u32, u16) {
    #[expect(clippy::cast_possible_truncation, reason = "a queue's place is 32 bits wide")]
    ((tag.0 >> 16) as u32, slot_of(tag.0))
}

#[expect(clippy::cast_possible_truncation, reason = "the low 16 bits are meant")]
fn slot_of(name: u64) -> u16 {
    name as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: names survive the round trip through a fabric and a disk.
    #[test]
    fn names_round_trip() {
        for kind in [WorkKind::Recv, WorkKind::Send, WorkKind::Write, WorkKind::Read] {
            assert_eq!(parse_token(token(kind, 0xffff)), (kind, 0xffff));
        }
        assert_eq!(parse_tag(disk_tag(u32::MAX, 7)), (u32::MAX, 7));
    }
}
