use super::*;
use std::collections::HashSet;

/// A key finds its own value and nothing after the value is gone.
#[test]
fn stale_keys_find_nothing() {
    let mut table = Table::new(4, 24, &mut Random::new(1));
    let first = table.insert(|key| key).unwrap();
    assert_eq!(table.get(first), Some(&first));
    assert_eq!(table.remove(first), Some(first));
    assert_eq!(table.get(first), None);
    assert_eq!(table.remove(first), None);
    for _ in 0..8 {
        let key = table.insert(|key| key).unwrap();
        assert!(table.get(first).is_none() && key != first);
        table.remove(key);
    }
    assert_eq!(table.len(), 0);
}

/// A full table refuses; `nobody` is never the key of a slot.
#[test]
fn full_table_refuses() {
    let mut table = Table::new(3, 24, &mut Random::new(2));
    let keys: Vec<u32> = (0..3).map(|_| table.insert(|_| ()).unwrap()).collect();
    assert_eq!(table.insert(|_| ()), None);
    for serial in 0..100 {
        assert!(table.get(table.nobody(serial)).is_none());
        assert!(!keys.contains(&table.nobody(serial)));
    }
}

/// A slot's nonces do not repeat before all were used, and 0 and 1 are never keys.
#[test]
fn nonces_walk_the_whole_circle() {
    let mut table = Table::new(3, 12, &mut Random::new(3));
    let mut seen = HashSet::new();
    for _ in 0..3 * ((1 << 10) - 1) {
        let key = table.insert(|_| ()).unwrap();
        assert!(key > 1 && key < 1 << 12);
        assert!(seen.insert(key), "{key:#x} came twice");
        table.remove(key);
    }
}

/// Two seeds give different keys, and consecutive keys of one table are not neighbours.
#[test]
fn keys_do_not_tell_one_another() {
    let keys = |seed| {
        let mut table = Table::new(1023, 24, &mut Random::new(seed));
        (0..1000).map(|_| table.insert(|_| ()).unwrap() >> 10).collect::<Vec<_>>()
    };
    let (a, b) = (keys(1), keys(2));
    let same = a.iter().zip(&b).filter(|(a, b)| a == b).count();
    assert!(same < 10, "{same} of 1,000 nonces do not depend on the seed");
    let neighbours = a.windows(2).filter(|pair| pair[0].abs_diff(pair[1]) <= 1).count();
    assert!(neighbours < 10, "{neighbours} nonces are neighbours");
}
