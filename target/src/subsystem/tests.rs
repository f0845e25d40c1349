use super::*;
use crate::identity::NamespaceIds;

fn namespace(nsid: u32) -> Namespace {
    let geometry = Geometry {
        block_bytes: 512,
        block_count: 8,
        volatile_write_cache: false,
        max_transfer_bytes: 300 << 10,
        write_zeroes: true,
        deallocate: true,
        in_place: false,
    };
    Namespace::new(nsid, DiskIndex(0), geometry, NamespaceIds::derive(1, "x"))
}

/// Goal: namespaces are found by identifier whatever the order and the holes.
#[test]
fn namespaces_are_found() {
    let mut subsystem = Subsystem::new("nqn.2026-01.io.flexblk:a", 1).unwrap();
    for nsid in [3, 1, 700] {
        subsystem.add(namespace(nsid)).unwrap();
    }
    for (nsid, found) in
        [(0, false), (1, true), (2, false), (3, true), (700, true), (u32::MAX, false)]
    {
        assert_eq!(subsystem.namespace(nsid).map(|n| n.nsid), found.then_some(nsid));
    }
    assert_eq!(subsystem.free_nsid(), 2);
    assert_eq!(subsystem.add(namespace(3)), Err(ExportError::BadNsid(3)));
    assert_eq!(subsystem.add(namespace(0)), Err(ExportError::BadNsid(0)));
    assert_eq!(subsystem.max_transfer_bytes(1 << 20), 256 << 10, "rounded down to a power of two");
}

/// Goal: names that hosts would refuse are refused at the start, with the reason.
#[test]
fn names_are_checked() {
    for bad in ["", "nqn.", "nqn.2026-01", "nqn.20a6-01.io", "iqn.2026-01.io.x"] {
        let refused = Subsystem::new(bad, 1).unwrap_err();
        assert!(matches!(refused, ExportError::BadNqn(name, _) if name == bad));
    }
    assert!(Subsystem::new(&format!("nqn.2026-01.{}", "x".repeat(212)), 1).is_err());
    assert!(Subsystem::new(DISCOVERY_NQN, 1).is_err());
    assert_eq!(Subsystem::new("nqn.2026-01.io:a", 1).unwrap().serial().len(), 20);
}
