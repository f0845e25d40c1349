use super::probe::Probe;
use super::{NQN, World};
use crate::Config;
use proptest::prelude::*;
use std::rc::Rc;
use wire::nvme::{AdminOpcode, Cid, ControllerId, Sgl, Sqe};

/// Descriptors that a host could mean, and some that none could.
fn sgl() -> impl Strategy<Value = [u8; 16]> {
    // Keyed descriptors of foreign memory would end the connection, as they should: those are
    // tested elsewhere. Here the key is right, or there is none.
    prop_oneof![
        any::<[u8; 16]>().prop_filter("a key", |octets| octets[15] >> 4 != 4),
        (0..8192u64, 0..8192u32).prop_map(|(offset, len)| Sgl::InCapsule { offset, len }.encode()),
        (0..1u64 << 20, prop_oneof![Just(4096u32), Just(512), 0..8192u32])
            .prop_map(|(addr, len)| Sgl::Keyed { addr, len, key: 0, invalidate: false }.encode()),
    ]
}

/// A capsule of random fields, each from a range in which both sense and nonsense happen.
fn capsule() -> impl Strategy<Value = ([u8; 64], Vec<u8>)> {
    let opcode = prop_oneof![
        any::<u8>(),
        prop::sample::select(vec![
            0u8, 1, 2, 5, 6, 8, 9, 10, 12, 0x0d, 0x0e, 0x11, 0x15, 0x18, 0x19, 0x7f,
        ]),
    ];
    // Plain, halves of a pair, nonsense.
    let flags = prop_oneof![4 => Just(0x40u8), 1 => 0x41..=0x42u8, 1 => any::<u8>()];
    let dword = || prop_oneof![0..16u32, 0..4200u32, any::<u32>()];
    let dwords = [dword(), dword(), dword(), dword(), dword(), dword()];
    let data = prop::collection::vec(any::<u8>(), 0..=4096);
    (opcode, flags, 0..5u32, sgl(), dwords, data).prop_map(
        |(opcode, flags, nsid, sgl, dwords, data)| {
            let mut octets = [0; 64];
            octets[0] = opcode;
            octets[1] = flags;
            octets[4..8].copy_from_slice(&nsid.to_le_bytes());
            octets[24..40].copy_from_slice(&sgl);
            for (at, dword) in dwords.iter().enumerate() {
                octets[40 + at * 4..44 + at * 4].copy_from_slice(&dword.to_le_bytes());
            }
            (octets, data)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// Goal: whatever a host sends, on whatever queue, before or after Connect: no panic, exactly
    /// one completion for each command (or the end of the connection), and no buffer lost.
    #[test]
    fn any_capsule_is_answered_once(
        capsules in prop::collection::vec((capsule(), 0..2usize), 1..24),
        connected: bool,
    ) {
        let mut world = World::empty(Config::default());
        let probe = Probe::new(4096);
        let state = Rc::clone(&probe.state);
        world.add(1, Box::new(probe));
        let mut host = world.host();
        if connected {
            host.connect_admin(&mut world, NQN);
            host.enable(&mut world);
            host.connect_io(&mut world, 1, 32);
        } else {
            host.open(&mut world, 0, 32);
            host.open(&mut world, 1, 32);
        }
        let mut events_left = 4;
        for ((octets, data), at) in capsules {
            let mut sqe = Sqe::from_octets(octets);
            if let Sgl::Keyed { addr, len, .. } = sqe.sgl() {
                let key = host.mr.rkey.0;
                sqe.set_sgl(Sgl::Keyed { addr: host.mr.addr + addr, len, key, invalidate: false });
            }
            let is_event = at == 0 && sqe.admin_opcode() == Some(AdminOpcode::AsyncEventRequest);
            if host.queues[at].disconnected {
                continue;
            }
            let cid = host.submit(at, sqe, &data);
            host.run(&mut world);
            let done: Vec<_> = host.queues[at].completions.drain(..).collect();
            let answers = done.iter().filter(|cqe| cqe.cid() == Cid(cid)).count();
            let is_first_half = at == 1 && sqe.fuse() == 1 && answers == 0;
            let waits = (is_event && answers == 0 && events_left > 0) || is_first_half;
            events_left -= i32::from(waits && !is_first_half);
            prop_assert!(answers == 1 || waits || host.queues[at].disconnected, "{answers} answers");
        }
        prop_assert_eq!(state.buffers_out.get(), 0);
        // And the target still serves.
        let mut other = world.host();
        let at = other.open(&mut world, 0, 32);
        let cqe = other.connect(&mut world, at, NQN, ControllerId::DYNAMIC, 0);
        prop_assert!(cqe.status().is_success());
    }

    /// Goal: octets of any length and content as a capsule never make the target panic.
    #[test]
    fn any_octets_are_survived(
        octets in prop::collection::vec(any::<u8>(), 0..=4160),
        at in 0..2usize,
    ) {
        let mut world = World::new();
        let mut host = world.connected(1, 8);
        host.send(at, &octets);
        host.run(&mut world);
        let mut other = world.connected(1, 8);
        let sqe = other.rw(wire::nvme::IoOpcode::Read, 0, 1, 0);
        prop_assert!(other.execute(&mut world, 1, sqe, &[]).status().is_success());
    }
}
