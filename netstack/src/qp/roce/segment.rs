//! Messages cut into packets. Source: IBTA 1.4, "Segmentation and reassembly": every packet of a
//! message but the last carries exactly one path MTU.

use memory::Sge;
use verbs::SgeList;
use wire::roce::Position;

/// Most octets of one message. Source: IBTA 1.4, "Maximum message size".
pub(super) const MESSAGE_BYTES_MAX: u32 = 1 << 31;

/// The place in its message of a packet that starts it or not, ends it or not.
pub(super) fn position(starts: bool, ends: bool) -> Position {
    match (starts, ends) {
        (true, true) => Position::Only,
        (true, false) => Position::First,
        (false, false) => Position::Middle,
        (false, true) => Position::Last,
    }
}

/// First or only.
pub(super) fn starts(position: Position) -> bool {
    matches!(position, Position::First | Position::Only)
}

/// Last or only.
pub(super) fn ends(position: Position) -> bool {
    matches!(position, Position::Last | Position::Only)
}

/// Packets of a message of `len` octets: one at least.
pub(super) fn packets(len: u32, mtu: u32) -> u32 {
    len.div_ceil(mtu).max(1)
}

/// The pieces that hold `len` octets from `offset` of what `sges` list; fewer at its end.
pub(super) fn pieces(sges: &[Sge], offset: u32, len: u32) -> impl Iterator<Item = Sge> + '_ {
    let (mut skip, mut rest) = (offset, len);
    sges.iter().filter_map(move |&sge| {
        if rest == 0 {
            return None;
        }
        if skip >= sge.length {
            skip -= sge.length;
            return None;
        }
        let piece = sge.slice(skip, rest);
        skip = 0;
        rest -= piece.length;
        Some(piece)
    })
}

/// The same as a list. Panics if `sges` list fewer octets.
pub(super) fn slice(sges: &[Sge], offset: u32, len: u32) -> SgeList {
    let mut rest = len;
    let mut out = SgeList::new();
    for piece in pieces(sges, offset, len) {
        rest -= piece.length;
        out.push(piece);
    }
    assert_eq!(rest, 0, "a packet beyond its message");
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use memory::Lkey;

    fn sge(addr: u64, length: u32) -> Sge {
        Sge { addr, length, lkey: Lkey(7) }
    }

    /// Goal: pieces are taken across elements, empty elements are passed over, order is kept.
    #[test]
    fn slices_span_elements() {
        let list = [sge(100, 10), sge(0, 0), sge(200, 5), sge(300, 20)];
        assert_eq!(slice(&list, 0, 10).as_slice(), [sge(100, 10)]);
        assert_eq!(slice(&list, 8, 9).as_slice(), [sge(108, 2), sge(200, 5), sge(300, 2)]);
        assert_eq!(slice(&list, 15, 20).as_slice(), [sge(300, 20)]);
        assert!(slice(&list, 35, 0).is_empty());
    }

    /// Goal: packet counts at the edges of the MTU.
    #[test]
    fn counts() {
        let counts = [0, 1, 255, 256, 257, 512, 513].map(|len| packets(len, 256));
        assert_eq!(counts, [1, 1, 1, 1, 2, 2, 3]);
        assert_eq!(packets(MESSAGE_BYTES_MAX, 256), 1 << 23);
    }
}
