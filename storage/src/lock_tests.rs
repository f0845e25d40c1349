use super::*;
use proptest::prelude::*;

fn range(start: u64, count: u32) -> BlockRange {
    BlockRange { start, count }
}

/// Goal: readers share, a writer is alone, and disjoint ranges do not meet.
#[test]
fn modes_conflict_as_they_should() {
    let mut locks = Locks::new(1024, 16);
    assert!(locks.try_lock(range(0, 8), Mode::Shared));
    assert!(locks.try_lock(range(4, 8), Mode::Shared));
    assert!(!locks.try_lock(range(7, 1), Mode::Exclusive));
    assert!(locks.try_lock(range(12, 4), Mode::Exclusive));
    assert!(!locks.try_lock(range(15, 1), Mode::Shared));
    locks.unlock(range(12, 4), Mode::Exclusive);
    assert!(locks.try_lock(range(15, 1), Mode::Shared));
}

/// Goal: a waiting writer is not overtaken by readers that came later, and all get their turn.
#[test]
fn arrival_order_holds() {
    let mut locks = Locks::new(1024, 16);
    assert!(locks.try_lock(range(0, 4), Mode::Shared));
    locks.wait(range(2, 4), Mode::Exclusive, 1);
    assert!(!locks.try_lock(range(3, 1), Mode::Shared), "would overtake the writer");
    locks.wait(range(3, 1), Mode::Shared, 2);
    assert!(locks.try_lock(range(0, 2), Mode::Shared), "does not meet the writer");
    locks.unlock(range(0, 4), Mode::Shared);
    assert_eq!((locks.next_granted(), locks.next_granted()), (Some(1), None));
    locks.unlock(range(2, 4), Mode::Exclusive);
    assert_eq!((locks.next_granted(), locks.waiting()), (Some(2), 0));
}

/// Goal: a range over the end of the table, and one longer than it, lock every block they cover.
#[test]
fn wrapped_and_giant_ranges_lock_all_of_their_blocks() {
    let mut locks = Locks::new(1 << 40, 1);
    assert!(locks.try_lock(range(62, 4), Mode::Exclusive));
    assert!(!locks.try_lock(range(65, 1), Mode::Shared));
    locks.unlock(range(62, 4), Mode::Exclusive);
    assert!(locks.try_lock(range(5, u32::MAX), Mode::Exclusive));
    assert!(!locks.try_lock(range(1 << 39, 1), Mode::Shared));
    locks.unlock(range(5, u32::MAX), Mode::Exclusive);
    assert!(locks.slots.iter().all(|slot| *slot == 0));
}

proptest! {
    /// Goal: against a plain list as model: conflicting holds never coexist, grants among
    /// conflicting requests follow arrival, and everything is granted in the end.
    #[test]
    fn behaves_like_a_list(
        wanted in prop::collection::vec((0u64..200, 1u32..40, any::<bool>(), any::<usize>()), 1..200)
    ) {
        let mut locks = Locks::new(128, 2);
        let table = locks.slots.len() as u64;
        let covers = |r: BlockRange| (0..u64::from(r.count)).map(|i| (r.start + i) % table).collect::<Vec<_>>();
        let clash = |a: (BlockRange, Mode), b: (BlockRange, Mode)| {
            (a.1 == Mode::Exclusive || b.1 == Mode::Exclusive)
                && covers(a.0).iter().any(|block| covers(b.0).contains(block))
        };
        let all: Vec<(BlockRange, Mode)> = wanted
            .iter()
            .map(|w| (range(w.0, w.1), if w.2 { Mode::Exclusive } else { Mode::Shared }))
            .collect();
        let (mut held, mut waiting): (Vec<usize>, Vec<usize>) = (Vec::new(), Vec::new());
        let mut next = 0;
        while next < all.len() || !held.is_empty() {
            let arrive = next < all.len() && (held.is_empty() || !wanted[next].3.is_multiple_of(3));
            if arrive {
                let expected = !held.iter().chain(&waiting).any(|&h| clash(all[h], all[next]));
                let got = locks.try_lock(all[next].0, all[next].1);
                prop_assert_eq!(got, expected);
                if got { held.push(next) } else {
                    locks.wait(all[next].0, all[next].1, u32::try_from(next).unwrap());
                    waiting.push(next);
                }
                next += 1;
            } else {
                let pick = wanted[held[0]].3 % held.len();
                let out = held.swap_remove(pick);
                locks.unlock(all[out].0, all[out].1);
            }
            while let Some(id) = locks.next_granted() {
                let id = id as usize;
                let place = waiting.iter().position(|&w| w == id).unwrap();
                for &other in held.iter().chain(&waiting[..place]) {
                    prop_assert!(!clash(all[other], all[id]), "granted against {other}");
                }
                waiting.remove(place);
                held.push(id);
            }
        }
        prop_assert!(waiting.is_empty());
        prop_assert!(locks.slots.iter().all(|slot| *slot == 0));
    }
}
