//! Every operation, at sizes around the MTU's multiples, at every MTU: the data arrives.

use super::*;
use crate::qp::testing::Setup;
use memory::Access;
use verbs::{Rkey, SgeList, WcOpcode, WrFlags};

const OPS: [fn(&RoceWorld) -> SendOp; 5] = [
    |_| SendOp::Send,
    |_| SendOp::SendWithImm(0x0102_0304),
    |w| SendOp::RdmaWrite(w.sides[1].remote(LANDING)),
    |w| SendOp::RdmaWriteWithImm(w.sides[1].remote(LANDING), 5),
    |w| SendOp::RdmaRead(w.sides[1].remote(SOURCE)),
];

fn sizes(mtu: u32) -> [u32; 12] {
    [0, 1, 3, 4, 255, mtu - 1, mtu, mtu + 1, 2 * mtu, 3 * mtu + 2, 70 * mtu, 129 * mtu - 3]
}

fn run(setup: &Setup, op: fn(&RoceWorld) -> SendOp, len: u32) {
    let mut world = world_with(setup, op, len);
    let op = op(&world);
    let is_read = matches!(op, SendOp::RdmaRead(_));
    world.settle();
    let what = format!("{op:?} of {len} at {}", setup.mtu);
    assert_eq!(world.sides[0].take_wcs(), [(1, OK)], "{what}");
    let (from, to) = if is_read { (1, 0) } else { (0, 1) };
    let expected = world.sides[from].octets(SOURCE, len);
    assert!(world.sides[to].octets(LANDING, len) == expected, "{what}");
    let takes_receive = !matches!(op, SendOp::RdmaWrite(_) | SendOp::RdmaRead(_));
    if takes_receive {
        let wc = world.sides[1].wcs[0];
        assert_eq!((wc.wr_id, wc.status, wc.byte_len), (9, OK, len), "{what}");
    } else {
        assert!(world.sides[1].wcs.is_empty(), "{what}");
    }
    assert_eq!(world.sides[0].counters.retransmitted_packets, 0, "{what}");
    assert!(world.sides.iter().all(|side| side.machine.is_idle()));
}

/// Goal: op × size × MTU, data equal, one completion each, nothing sent twice.
#[test]
fn every_operation_at_every_mtu() {
    for mtu in [256, 512, 1024, 2048, 4096] {
        let setup = Setup { mtu, region_bytes: 2 << 20, ..Setup::default() };
        for op in OPS {
            for len in sizes(mtu) {
                if len <= LANDING {
                    run(&setup, op, len);
                }
            }
        }
    }
}

/// Goal: immediate data, solicited and opcodes reach the receiver's completion as they were sent.
#[test]
fn completions_tell_what_arrived() {
    let mut world = world(&Setup::default());
    for id in 0..2 {
        world.sides[1].post_recv(id, LANDING, 64);
    }
    let side = &mut world.sides[0];
    let sges = SgeList::from_slice(&[side.sge(0, 10)]);
    let flags = WrFlags { signaled: true, solicited: true, fence: false };
    let op = SendOp::SendWithImm(0xdead_beef);
    side.machine.post_send(verbs::SendWr { wr_id: 1, op, sges, flags }).unwrap();
    let op = SendOp::RdmaWriteWithImm(world.sides[1].remote(LANDING + 100), 77);
    world.sides[0].post(2, op, 0, 3000);
    world.settle();
    let [first, second] = world.sides[1].wcs[..] else { panic!("two receives") };
    assert_eq!(
        (first.opcode, first.imm, first.solicited),
        (WcOpcode::Recv, Some(0xdead_beef), true)
    );
    assert_eq!((second.opcode, second.imm), (WcOpcode::RecvRdmaWithImm, Some(77)));
    assert_eq!((second.byte_len, second.solicited), (3000, false));
    let opcodes: Vec<_> = world.sides[0].wcs.iter().map(|wc| wc.opcode).collect();
    assert_eq!(opcodes, [WcOpcode::Send, WcOpcode::RdmaWrite]);
}

/// Goal: SEND with invalidate kills exactly the named key, and the completion names it.
#[test]
fn invalidate_travels_with_the_send() {
    let mut world = world(&Setup::default());
    let region = world.sides[1].region.clone();
    let extra = world.sides[1].memory.register(&region, Access::REMOTE_READ).unwrap();
    world.sides[1].post_recv(9, LANDING, 16);
    world.sides[0].post(1, SendOp::SendWithInv(extra.rkey), 0, 16);
    world.settle();
    assert_eq!(world.sides[1].wcs[0].invalidated, Some(extra.rkey));
    let memory = &world.sides[1].memory;
    assert!(memory.remote(extra.rkey, extra.addr, 1, Access::REMOTE_READ).is_err());
    let mr = world.sides[1].mr;
    assert!(memory.remote(mr.rkey, mr.addr, 1, Access::REMOTE_READ).is_ok());
}

/// Goal: a local invalidate waits for what was posted before it, and then kills its own key.
#[test]
fn local_invalidate_is_ordered() {
    let mut world = world(&Setup::default());
    let region = world.sides[0].region.clone();
    let extra = world.sides[0].memory.register(&region, Access::LOCAL_WRITE).unwrap();
    world.sides[0].post(1, SendOp::RdmaRead(world.sides[1].remote(0)), LANDING, 5000);
    world.sides[0].post(2, SendOp::LocalInv(Rkey(extra.lkey.0)), 0, 0);
    world.sides[0].post(3, SendOp::RdmaWrite(world.sides[1].remote(LANDING)), 0, 100);
    world.transmit_all();
    let valid = |world: &RoceWorld| {
        let key = extra.rkey;
        world.sides[0].memory.remote(key, extra.addr, 1, Access::LOCAL_READ).is_ok()
    };
    assert!(valid(&world), "the READ is not done");
    world.settle();
    assert!(!valid(&world));
    assert_eq!(world.sides[0].take_wcs(), [(1, OK), (2, OK), (3, OK)]);
}

/// Goal: gather lists with odd and empty elements, and scattered receives, lose nothing; payload
/// of one packet spans several elements.
#[test]
fn elements_of_any_length() {
    let setup = Setup { mtu: 256, ..Setup::default() };
    let mut world = world(&setup);
    let lengths = [1, 300, 0, 7, 513, 255];
    let gather: SgeList = lengths
        .iter()
        .scan(0, |at, &len| {
            let sge = world.sides[0].sge(*at, len);
            *at += len + 13;
            Some(sge)
        })
        .collect();
    let expected: Vec<u8> = gather
        .iter()
        .flat_map(|sge| {
            let offset = u32::try_from(sge.addr - world.sides[0].mr.addr).unwrap();
            world.sides[0].octets(offset, sge.length)
        })
        .collect();
    let total: u32 = lengths.iter().sum();
    let landing =
        [world.sides[1].sge(LANDING, 100), world.sides[1].sge(LANDING + 1000, total - 100)];
    let receive = verbs::RecvWr { wr_id: 9, sges: SgeList::from_slice(&landing) };
    world.sides[1].receives.post(receive).unwrap();
    let flags = WrFlags { signaled: true, ..WrFlags::default() };
    let send = verbs::SendWr { wr_id: 1, op: SendOp::Send, sges: gather, flags };
    assert_eq!(world.sides[0].machine.post_send(send.clone()), Err(verbs::PostError::Malformed));
    let caps = verbs::QpCaps { max_send_sge: 8, ..verbs::QpCaps::default() };
    let mr = (world.sides[0].mr, world.sides[1].mr);
    world.sides[0].machine =
        RoceMachine::new(crate::qp::testing::config(0, &Setup { caps, ..setup }));
    assert_eq!((world.sides[0].mr, world.sides[1].mr), mr);
    world.sides[0].machine.post_send(send).unwrap();
    world.settle();
    assert_eq!(world.sides[1].take_wcs(), [(9, OK)]);
    let mut got = world.sides[1].octets(LANDING, 100);
    got.extend(world.sides[1].octets(LANDING + 1000, total - 100));
    assert!(got == expected);
}

/// Goal: atomics return the old value and change the remote one, at both ends of the wire.
#[test]
fn atomics() {
    let mut world = world(&Setup::default());
    let cell = |world: &RoceWorld| {
        u64::from_ne_bytes(world.sides[1].octets(LANDING, 8).try_into().unwrap())
    };
    world.sides[1].region.write(LANDING as usize, &40u64.to_ne_bytes());
    let remote = world.sides[1].remote(LANDING);
    world.sides[0].post(1, SendOp::FetchAdd { remote, add: 2 }, 0, 8);
    world.sides[0].post(2, SendOp::CompareSwap { remote, compare: 41, swap: 1 }, 8, 8);
    world.sides[0].post(3, SendOp::CompareSwap { remote, compare: 42, swap: 99 }, 16, 8);
    world.settle();
    assert_eq!(cell(&world), 99);
    let old = |at| u64::from_ne_bytes(world.sides[0].octets(at, 8).try_into().unwrap());
    assert_eq!([old(0), old(8), old(16)], [40, 42, 42]);
    assert_eq!(world.sides[0].take_wcs(), [(1, OK), (2, OK), (3, OK)]);
}
