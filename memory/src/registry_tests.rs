use super::*;

fn table() -> (Registry, Region, Mr) {
    let mut registry = Registry::new(4, 7);
    let region = Region::allocate(8192).unwrap();
    let access = Access::LOCAL_WRITE | Access::REMOTE_WRITE | Access::REMOTE_ATOMIC;
    let mr = registry.register(&region, access).unwrap();
    (registry, region, mr)
}

/// Goal: no span that leaves the registration by even one octet opens, including by overflow.
#[test]
fn bounds_hold_at_both_ends() {
    let (registry, _region, mr) = table();
    let open =
        |addr, len| registry.remote(mr.rkey, addr, len, Access::REMOTE_WRITE).map(|s| s.len());
    assert_eq!(open(mr.addr, 8192), Ok(8192));
    assert_eq!(open(mr.addr + 8192, 0), Ok(0));
    assert_eq!(open(mr.addr + 8191, 2), Err(AccessError::OutOfBounds));
    assert_eq!(open(mr.addr - 1, 1), Err(AccessError::OutOfBounds));
    assert_eq!(open(u64::MAX, 2), Err(AccessError::OutOfBounds));
}

/// Goal: rights that were not granted do not open.
#[test]
fn rights_are_checked() {
    let (registry, _region, mr) = table();
    let read = registry.remote(mr.rkey, mr.addr, 1, Access::REMOTE_READ).map(|s| s.len());
    assert_eq!(read, Err(AccessError::Denied));
}

/// Goal: an invalidated key stays dead, and the renewed one differs from it in its low octet only.
#[test]
fn invalidated_key_never_opens_again() {
    let (mut registry, _region, mr) = table();
    registry.invalidate(mr.rkey).unwrap();
    let open = |r: &Registry, key| r.remote(key, mr.addr, 1, Access::REMOTE_WRITE).map(|s| s.len());
    assert_eq!(open(&registry, mr.rkey), Err(AccessError::BadKey));
    assert_eq!(registry.invalidate(mr.rkey), Err(AccessError::BadKey));
    let renewed = registry.renew(mr.lkey, mr.addr + 4096, 4096).unwrap();
    assert_eq!(renewed.rkey.0 >> 8, mr.rkey.0 >> 8);
    assert_ne!(renewed.rkey, mr.rkey);
    assert_eq!(open(&registry, mr.rkey), Err(AccessError::BadKey));
    assert_eq!(open(&registry, renewed.rkey), Err(AccessError::OutOfBounds));
}

/// Goal: a slot used again gives a new key, so that a stale one of the former owner fails.
#[test]
fn reused_slot_has_another_key() {
    let (mut registry, region, mr) = table();
    registry.deregister(mr.lkey).unwrap();
    assert_eq!(registry.deregister(mr.lkey), Err(AccessError::BadKey));
    let again = registry.register(&region, Access::LOCAL_WRITE).unwrap();
    assert_ne!(again.lkey, mr.lkey);
    assert!(
        registry
            .local(Sge { addr: mr.addr, length: 1, lkey: mr.lkey }, Access::LOCAL_READ)
            .is_err()
    );
}

/// Goal: atomics refuse misaligned addresses and return the old value.
#[test]
fn atomics_are_aligned_and_return_the_old_value() {
    let (mut registry, region, mr) = table();
    region.write(16, &5u64.to_ne_bytes());
    assert_eq!(registry.atomic(mr.rkey, mr.addr + 16, |v| v + 3), Ok(5));
    let mut now = [0; 8];
    region.read(16, &mut now);
    assert_eq!(u64::from_ne_bytes(now), 8);
    assert_eq!(registry.atomic(mr.rkey, mr.addr + 4, |v| v), Err(AccessError::Misaligned));
}

/// Goal: the capacity is a bound, not a hint.
#[test]
fn a_full_table_refuses() {
    let (mut registry, region, _mr) = table();
    for _ in 0..3 {
        registry.register(&region, Access::LOCAL_READ).unwrap();
    }
    assert_eq!(registry.register(&region, Access::LOCAL_READ), Err(RegistryFull(4)));
}

/// Goal: a key opens the same memory in the table that made it and in one that adopted it, until
/// either is told its end; a slot that was given out again opens only what is there now.
#[test]
fn adopted_keys_open_the_same_memory() {
    let region = Region::allocate(4096).unwrap();
    let other = Region::allocate(4096).unwrap();
    let (mut first, mut second) = (Registry::new(1, 7), Registry::new(1, 0));
    let mr = first.register(&region, Access::LOCAL_WRITE).unwrap();
    second.adopt(&region, &mr);
    let sge = Sge { addr: mr.addr + 8, length: 4, lkey: mr.lkey };
    second.local(sge, Access::LOCAL_WRITE).unwrap().write(b"seen");
    let mut octets = [0; 4];
    first.local(sge, Access::LOCAL_READ).unwrap().read(&mut octets);
    assert_eq!(&octets, b"seen");
    assert!(second.remote(mr.rkey, mr.addr, 4, Access::REMOTE_READ).is_err(), "rights hold too");
    first.deregister(mr.lkey).unwrap();
    let again = first.register(&other, Access::LOCAL_WRITE).unwrap();
    second.adopt(&other, &again);
    assert_eq!(second.local(sge, Access::LOCAL_READ).err(), Some(AccessError::BadKey));
    second.release(mr.lkey);
    let sge = Sge { addr: again.addr, length: 4, lkey: again.lkey };
    assert!(second.local(sge, Access::LOCAL_READ).is_ok(), "another key's end is not its own");
    second.release(again.lkey);
    assert!(second.local(sge, Access::LOCAL_READ).is_err());
}
