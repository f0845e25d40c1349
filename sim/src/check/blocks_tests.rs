use super::*;

/// A block with a history of `(value, start, end)` writes, all acknowledged.
fn history(writes: &[(Value, Moment, Moment)]) -> Blocks {
    let mut blocks = Blocks::new(1);
    for &(value, start, end) in writes {
        blocks.begin(0, value, start);
        blocks.end(0, start, end, Outcome::Done, false).unwrap();
    }
    blocks
}

/// Goal: the last acknowledged write is read, an overwritten one is not.
#[test]
fn an_overwritten_value_is_stale() {
    let mut blocks = history(&[(1, 1, 2), (2, 3, 4)]);
    assert_eq!(blocks.read(0, 2, 5, 6), Ok(()));
    assert!(blocks.read(0, 1, 7, 8).is_err());
    assert!(history(&[(1, 1, 2)]).read(0, 0, 3, 4).is_err(), "zeroes were overwritten");
    assert!(history(&[(1, 1, 2)]).read(0, 9, 3, 4).is_err(), "never written");
}

/// Goal: writes that overlap may have either order, but one order for all readers.
#[test]
fn overlapping_writes_have_one_order() {
    for (first, second) in [(1, 2), (2, 1)] {
        let mut blocks = history(&[(1, 1, 5), (2, 2, 6)]);
        assert_eq!(blocks.read(0, first, 7, 8), Ok(()));
        assert!(blocks.read(0, second, 9, 10).is_err());
    }
    let mut blocks = Blocks::new(1);
    blocks.begin(0, 1, 1);
    assert_eq!(blocks.read(0, 0, 2, 3), Ok(()), "not yet");
    assert_eq!(blocks.read(0, 1, 4, 5), Ok(()), "already");
    blocks.begin(0, 2, 6);
    assert_eq!(blocks.end(0, 6, 7, Outcome::Done, false), Ok(()));
    assert!(blocks.read(0, 1, 8, 9).is_err(), "seen before the second began: gone after its end");
}

/// Goal: a write that is sent again may come back once, but not after its acknowledgement.
#[test]
fn a_repeated_write_comes_back_until_its_end() {
    let mut blocks = Blocks::new(1);
    blocks.begin(0, 1, 1);
    blocks.repeats(0, 1);
    assert_eq!(blocks.read(0, 1, 2, 3), Ok(()));
    blocks.begin(0, 2, 4);
    assert_eq!(blocks.end(0, 4, 5, Outcome::Done, false), Ok(()));
    assert_eq!(blocks.read(0, 2, 6, 7), Ok(()));
    assert_eq!(blocks.end(0, 1, 8, Outcome::Done, false), Ok(()));
    assert_eq!(blocks.read(0, 1, 9, 10), Ok(()));
    assert!(blocks.read(0, 2, 11, 12).is_err());
}

/// Goal: a failed write happened before its end, or never.
#[test]
fn a_failed_write_does_not_come_late() {
    let mut blocks = history(&[(1, 1, 2)]);
    blocks.begin(0, 2, 3);
    assert_eq!(blocks.end(0, 3, 4, Outcome::Failed, false), Ok(()));
    assert_eq!(blocks.read(0, 1, 5, 6), Ok(()), "not happened");
    assert!(blocks.read(0, 2, 7, 8).is_err(), "too late");
}

/// Goal: after a crash, flushed and forced data is there; what was only acknowledged may be lost.
#[test]
fn a_crash_keeps_what_is_durable() {
    let mut blocks = history(&[(1, 1, 2), (2, 3, 4)]);
    assert_eq!(blocks.clone_for_test().crash(&[1]), Ok(()), "not flushed");
    blocks.flushed(5, 6);
    assert!(blocks.clone_for_test().crash(&[1]).is_err(), "flushed");
    assert_eq!(blocks.crash(&[2]), Ok(()));
    assert_eq!(blocks.read(0, 2, 20, 21), Ok(()));
    assert!(blocks.read(0, 1, 22, 23).is_err());
}

impl Blocks {
    fn clone_for_test(&self) -> Blocks {
        Blocks { blocks: self.blocks.clone(), now: self.now.max(10), crashed: self.crashed }
    }
}
