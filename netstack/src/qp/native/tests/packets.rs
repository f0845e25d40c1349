//! What is on the wire: one packet per block, uniform sizes, and no acknowledgement too many.

use super::*;
use verbs::{WcOpcode, WcStatus};
use wire::roce::Opcode;
use wire::roce::native::NativeFlags;

fn block_world() -> Native {
    World::new(&Setup { mtu: 4096, region_bytes: 4 << 20, ..Setup::default() })
}

/// One NVMe Read at the target: WRITE of the block, SEND of the response capsule.
fn respond(w: &mut Native, id: u64, len: u32) {
    let remote = w.sides[0].remote(1 << 20);
    let mut write = wr(id, SendOp::RdmaWrite(remote), &[w.sides[1].sge(2 << 20, len)]);
    write.flags.signaled = false;
    w.sides[1].machine.post_send(write).unwrap();
    w.sides[1].post(id, SendOp::Send, 0, 16);
}

/// Reads at depth 1: one packet each way per block, and no acknowledgement of its own.
#[test]
fn depth_one_needs_no_explicit_acks() {
    let mut w = block_world();
    for id in 0..300 {
        w.sides[1].post_recv(id, 0, 64);
        w.sides[0].post_recv(id, 0, 16);
        w.sides[0].post(id, SendOp::Send, 100, 64);
        run_until(&mut w, |w| w.sides[1].wcs.iter().any(|wc| wc.opcode == WcOpcode::Recv));
        w.sides[1].wcs.clear();
        respond(&mut w, id, 4096);
        run_until(&mut w, |w| w.sides[0].wcs.iter().any(|wc| wc.opcode == WcOpcode::Recv));
        w.sides[0].wcs.clear();
    }
    assert_eq!(w.trace.iter().filter(|s| is_ack(&s.octets)).count(), 0);
    assert_eq!(w.trace.len(), 600);
    let (requests, responses): (Vec<_>, Vec<_>) = w.trace.iter().partition(|s| s.from == 0);
    assert!(requests.iter().all(|s| s.octets.len() == 80 + 64));
    assert!(responses.iter().all(|s| s.octets.len() == 80 + 4096));
    w.settle();
    let idle: Vec<_> = w.trace[600..].iter().map(|s| is_ack(&s.octets)).collect();
    assert_eq!(idle, [true], "the last response is acknowledged after the delay");
}

/// At depth, response packets are uniform, one per block, whatever the block size.
#[test]
fn responses_are_uniform() {
    for (len, packets) in [(512, 1), (4096, 1), (16_384, 4)] {
        let mut w = block_world();
        for id in 0..32 {
            w.sides[0].post_recv(id, 0, 16);
            respond(&mut w, id, len);
        }
        w.settle();
        let sent: Vec<_> = w.trace.iter().filter(|s| s.from == 1 && !is_ack(&s.octets)).collect();
        assert_eq!(sent.len(), 32 * packets);
        assert!(sent.iter().all(|s| s.octets.len() == 80 + len.min(4096) as usize));
        let messages = sent
            .iter()
            .filter(|s| header(&s.octets).unwrap().flags.contains(NativeFlags::IMMEDIATE_MESSAGE));
        assert_eq!(messages.count(), 32, "the capsule rides in the last packet");
        assert_eq!(w.sides[1].take_wcs().len(), 32);
        let acks = w.trace.iter().filter(|s| is_ack(&s.octets)).count();
        assert!(acks <= 4, "{acks} acknowledgements for {} packets", 32 * packets);
    }
}

/// A command capsule with its block is one packet; a longer SEND is cut at MTU + 64.
#[test]
fn capsule_and_block_are_one_packet() {
    let mut w = block_world();
    w.sides[1].post_recv(1, 0, 5000);
    w.sides[1].post_recv(2, 0, 10_000);
    let list = [w.sides[0].sge(0, 64), w.sides[0].sge(8192, 4096)];
    w.sides[0].machine.post_send(wr(1, SendOp::Send, &list)).unwrap();
    w.sides[0].post(2, SendOp::Send, 0, 10_000);
    w.settle();
    let sizes: Vec<_> =
        w.trace.iter().filter(|s| s.from == 0).map(|s| s.octets.len() - 80).collect();
    assert_eq!(sizes, [4160, 4160, 4160, 1680]);
}

/// A WRITE alone asks for its acknowledgement: nothing of the peer's would carry one.
#[test]
fn a_lone_write_does_not_wait_for_the_delay() {
    let mut w = block_world();
    let remote = w.sides[1].remote(0);
    w.sides[0].post(1, SendOp::RdmaWrite(remote), 0, 4096);
    let start = w.now;
    w.settle();
    assert_eq!(w.sides[0].take_wcs(), [(1, WcStatus::Success)]);
    assert!(w.now - start < Duration::from_micros(50), "{:?}", w.now - start);
}

/// A message between two others that cannot be fused stays a packet of its own, and order holds.
#[test]
fn order_of_fused_and_other_messages() {
    let mut w = block_world();
    for id in 0..4 {
        w.sides[1].post_recv(id, 10_000 * id as u32, 10_000);
    }
    w.sides[0].paint(0, 10_000, 1);
    let remote = w.sides[1].remote(100_000);
    w.sides[0].post(0, SendOp::Send, 0, 17);
    w.sides[0].post(1, SendOp::RdmaWrite(remote), 0, 100);
    w.sides[0].post(2, SendOp::SendWithImm(7), 0, 5);
    w.sides[0].post(3, SendOp::RdmaWriteWithImm(remote, 9), 0, 100);
    w.sides[0].post(4, SendOp::Send, 0, 3);
    w.settle();
    let got: Vec<_> = w.sides[1].wcs.iter().map(|wc| (wc.wr_id, wc.byte_len, wc.imm)).collect();
    assert_eq!(got, [(0, 17, None), (1, 5, Some(7)), (2, 100, Some(9)), (3, 3, None)]);
    let opcodes: Vec<_> = w
        .trace
        .iter()
        .filter(|s| s.from == 0)
        .map(|s| header(&s.octets).unwrap().bth.opcode)
        .collect();
    use Opcode::{NativeSend, NativeWrite};
    assert_eq!(opcodes, [NativeSend, NativeWrite, NativeWrite, NativeSend]);
    assert_eq!(w.sides[0].take_wcs().len(), 5);
}
