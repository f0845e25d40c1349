//! Every operation, with sizes around every boundary, over several MTUs.

use super::*;
use verbs::{Rkey, WcOpcode, WcStatus};

const SIZES: [u32; 14] = [0, 1, 15, 16, 17, 255, 256, 257, 319, 320, 321, 1024, 4096 + 64, 70_001];
const MTUS: [u32; 3] = [256, 1024, 4096];

fn wide(mtu: u32) -> Native {
    World::new(&Setup { mtu, region_bytes: 1 << 20, ..Setup::default() })
}

/// SEND of any kind delivers its octets, its length, immediate data and solicited bit.
#[test]
fn send() {
    for mtu in MTUS {
        for len in SIZES {
            let mut w = wide(mtu);
            w.sides[0].paint(0, len, 7);
            w.sides[1].post_recv(1, 100_000, 90_000);
            w.sides[1].post_recv(2, 200_000, 90_000);
            w.sides[0].post(10, SendOp::Send, 0, len);
            let mut second = wr(11, SendOp::SendWithImm(0xdead_beef), &[w.sides[0].sge(0, len)]);
            second.flags.solicited = true;
            w.sides[0].machine.post_send(second).unwrap();
            w.settle();
            assert_eq!(w.sides[0].take_wcs(), [(10, WcStatus::Success), (11, WcStatus::Success)]);
            let wcs = std::mem::take(&mut w.sides[1].wcs);
            assert_eq!(wcs.len(), 2, "mtu {mtu} len {len}");
            assert!(wcs.iter().all(|wc| wc.byte_len == len && wc.opcode == WcOpcode::Recv));
            assert_eq!((wcs[0].wr_id, wcs[0].imm, wcs[0].solicited), (1, None, false));
            assert_eq!((wcs[1].wr_id, wcs[1].imm, wcs[1].solicited), (2, Some(0xdead_beef), true));
            assert_eq!(w.sides[1].octets(100_000, len), w.sides[0].octets(0, len));
            assert_eq!(w.sides[1].octets(200_000, len), w.sides[0].octets(0, len));
        }
    }
}

/// RDMA WRITE, with and without immediate, and READ move their octets.
#[test]
fn write_and_read() {
    for mtu in MTUS {
        for len in SIZES {
            let mut w = wide(mtu);
            w.sides[0].paint(0, len, 3);
            w.sides[1].paint(300_000, len, 4);
            w.sides[1].post_recv(1, 0, 0);
            let to = w.sides[1].remote(100_000);
            let to_imm = w.sides[1].remote(200_000);
            let from = w.sides[1].remote(300_000);
            w.sides[0].post(10, SendOp::RdmaWrite(to), 0, len);
            w.sides[0].post(11, SendOp::RdmaWriteWithImm(to_imm, 5), 0, len);
            w.sides[0].post(12, SendOp::RdmaRead(from), 400_000, len);
            w.settle();
            let wcs = std::mem::take(&mut w.sides[0].wcs);
            assert_eq!(wcs.iter().map(|wc| wc.wr_id).collect::<Vec<_>>(), [10, 11, 12]);
            assert!(wcs.iter().all(|wc| wc.status == WcStatus::Success));
            assert_eq!(wcs[2].byte_len, len);
            let wc = w.sides[1].wcs.pop().unwrap();
            assert_eq!((wc.opcode, wc.imm, wc.byte_len), (WcOpcode::RecvRdmaWithImm, Some(5), len));
            assert!(w.sides[1].wcs.is_empty());
            let mine = w.sides[0].octets(0, len);
            assert_eq!(w.sides[1].octets(100_000, len), mine, "mtu {mtu} len {len}");
            assert_eq!(w.sides[1].octets(200_000, len), mine);
            assert_eq!(w.sides[0].octets(400_000, len), w.sides[1].octets(300_000, len));
            assert_eq!(w.sides[1].octets(100_000 + len, 1), [0], "not an octet more");
        }
    }
}

/// Gather and scatter lists are honoured on all three paths.
#[test]
fn lists() {
    let mut w = wide(256);
    w.sides[0].paint(0, 5000, 9);
    let side = &w.sides[0];
    let list = [side.sge(0, 10), side.sge(1000, 0), side.sge(500, 700), side.sge(3000, 301)];
    let flat = [side.octets(0, 10), side.octets(500, 700), side.octets(3000, 301)].concat();
    let there = &w.sides[1];
    let sges = [there.sge(10_000, 400), there.sge(20_000, 5), there.sge(30_000, 1000)];
    let sges = SgeList::from_slice(&sges);
    w.sides[1].receives.post(verbs::RecvWr { wr_id: 1, sges }).unwrap();
    let remote = w.sides[1].remote(40_000);
    w.sides[0].machine.post_send(wr(1, SendOp::Send, &list)).unwrap();
    w.sides[0].machine.post_send(wr(2, SendOp::RdmaWrite(remote), &list)).unwrap();
    let landing = [w.sides[0].sge(60_000, 1), w.sides[0].sge(70_000, 1010)];
    w.sides[0].machine.post_send(wr(3, SendOp::RdmaRead(remote), &landing)).unwrap();
    w.settle();
    let there = &w.sides[1];
    let got = [there.octets(10_000, 400), there.octets(20_000, 5), there.octets(30_000, 606)];
    assert_eq!(got.concat(), flat);
    assert_eq!(there.octets(40_000, 1011), flat);
    let read = [w.sides[0].octets(60_000, 1), w.sides[0].octets(70_000, 1010)].concat();
    assert_eq!(read, flat);
}

/// Atomics return the old value in the host's order and are executed in posting order.
#[test]
fn atomics() {
    let mut w = wide(1024);
    w.sides[1].region.write(800, &5u64.to_ne_bytes());
    let remote = w.sides[1].remote(800);
    w.sides[0].post(1, SendOp::FetchAdd { remote, add: 3 }, 0, 8);
    w.sides[0].post(2, SendOp::CompareSwap { remote, compare: 8, swap: 100 }, 8, 8);
    w.sides[0].post(3, SendOp::CompareSwap { remote, compare: 8, swap: 200 }, 16, 8);
    w.settle();
    let values: Vec<u64> = (0..3)
        .map(|i| u64::from_ne_bytes(w.sides[0].octets(8 * i, 8).try_into().unwrap()))
        .collect();
    assert_eq!(values, [5, 8, 100]);
    assert_eq!(w.sides[1].octets(800, 8), 100u64.to_ne_bytes());
    let wcs = std::mem::take(&mut w.sides[0].wcs);
    let opcodes: Vec<_> = wcs.iter().map(|wc| (wc.opcode, wc.byte_len)).collect();
    let (add, swap) = ((WcOpcode::FetchAdd, 8), (WcOpcode::CompSwap, 8));
    assert_eq!(opcodes, [add, swap, swap]);
}

/// SEND with invalidate makes the peer's key useless before the receive completes; a local
/// invalidate waits for the work before it and holds back the work after it.
#[test]
fn invalidates() {
    let mut w = wide(1024);
    let access = memory::Access::LOCAL_WRITE | memory::Access::REMOTE_WRITE;
    let region = w.sides[1].region.clone();
    let window = w.sides[1].memory.register(&region, access).unwrap();
    let own_region = w.sides[0].region.clone();
    let own = w.sides[0].memory.register(&own_region, access).unwrap();
    let remote = verbs::Remote { addr: window.addr + 5000, rkey: window.rkey };
    for (len, id) in [(16, 1), (2000, 2)] {
        w.sides[1].post_recv(id, 0, 3000);
        let _ = len;
    }
    w.sides[0].post(1, SendOp::RdmaWrite(remote), 0, 3000);
    w.sides[0].post(2, SendOp::SendWithInv(window.rkey), 0, 16);
    w.sides[0].machine.post_send(wr(3, SendOp::LocalInv(own.rkey), &[])).unwrap();
    w.sides[0].post(4, SendOp::Send, 0, 2000);
    w.settle();
    let done: Vec<_> = (1..5).map(|id| (id, WcStatus::Success)).collect();
    assert_eq!(w.sides[0].take_wcs(), done);
    let wc = w.sides[1].wcs[0];
    assert_eq!((wc.invalidated, wc.byte_len), (Some(window.rkey), 16));
    assert!(w.sides[1].memory.invalidate(window.rkey).is_err(), "already");
    assert!(w.sides[0].memory.invalidate(own.rkey).is_err(), "already");
    assert_eq!(w.sides[1].wcs[1].invalidated, None);
    // Unknown keys: the peer's fault, and ours.
    w.sides[1].post_recv(5, 0, 16);
    w.sides[0].post(6, SendOp::SendWithInv(Rkey(0xffff_ff00)), 0, 16);
    w.settle();
    assert_eq!(w.sides[0].take_wcs(), [(6, WcStatus::RemOpErr)]);
}

/// A fenced SEND leaves only after the READ before it was answered; unfenced it does not wait.
#[test]
fn fence() {
    for fence in [true, false] {
        let mut w = wide(1024);
        w.sides[1].post_recv(1, 0, 2000);
        let remote = w.sides[1].remote(100);
        w.sides[0].post(1, SendOp::RdmaRead(remote), 0, 3000);
        let mut send = wr(2, SendOp::Send, &[w.sides[0].sge(0, 100)]);
        send.flags.fence = fence;
        w.sides[0].machine.post_send(send).unwrap();
        w.settle();
        let at = |from: usize, opcode: wire::roce::Opcode| {
            let mut of = w.trace.iter().filter(|s| s.from == from);
            of.find(|s| header(&s.octets).is_some_and(|h| h.bth.opcode == opcode)).unwrap().at
        };
        let answered = at(1, wire::roce::Opcode::NativeReadResponse);
        let sent = at(0, wire::roce::Opcode::NativeSend);
        assert_eq!(sent > answered, fence);
        assert_eq!(w.sides[0].take_wcs(), [(1, WcStatus::Success), (2, WcStatus::Success)]);
    }
}

/// More READs than the peer holds wait; all are answered, in order.
#[test]
fn read_depth() {
    let mut w: Native = World::new(&Setup { max_rd_atomic: 2, mtu: 256, ..Setup::default() });
    w.sides[1].paint(0, 40_000, 5);
    for id in 0..40 {
        let remote = w.sides[1].remote(1000 * id);
        w.sides[0].post(u64::from(id), SendOp::RdmaRead(remote), 1000 * id, 1000);
    }
    w.settle();
    assert_eq!(w.sides[0].octets(0, 40_000), w.sides[1].octets(0, 40_000));
    let ids: Vec<u64> = w.sides[0].take_wcs().iter().map(|wc| wc.0).collect();
    assert_eq!(ids, (0..40).collect::<Vec<_>>());
    assert!(w.sides[0].machine.is_idle());
}

/// Sequence numbers wrap in both directions in mid-message.
#[test]
fn psn_wrap() {
    let mut w: Native =
        World::new(&Setup { mtu: 256, psn: [0xff_fffa, 0xff_fffe], ..Setup::default() });
    w.sides[0].paint(0, 20_000, 5);
    w.sides[1].paint(100_000, 20_000, 6);
    let (to, from) = (w.sides[1].remote(0), w.sides[1].remote(100_000));
    w.sides[0].post(1, SendOp::RdmaWrite(to), 0, 20_000);
    w.sides[0].post(2, SendOp::RdmaRead(from), 100_000, 20_000);
    w.settle();
    assert_eq!(w.sides[1].octets(0, 20_000), w.sides[0].octets(0, 20_000));
    assert_eq!(w.sides[0].octets(100_000, 20_000), w.sides[1].octets(100_000, 20_000));
    assert_eq!(w.sides[0].take_wcs().len(), 2);
    assert_eq!(w.sides[0].counters.retransmitted_packets, 0);
}
