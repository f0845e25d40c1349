//! The native transport in the world of two machines.

mod bench;
mod errors;
mod loss;
mod matrix;
mod packets;
mod random;
mod silence;

use super::NativeMachine;
use crate::qp::testing::{Faults, Setup, Transport, World};
use crate::qp::{Cx, Machine, QpConfig};
use memory::Sge;
use std::time::Duration;
use verbs::{SendOp, SendWr, SgeList, WrFlags};
use wire::roce::native::{NativeHeader, NativePacket};

impl Transport for NativeMachine {
    fn make(config: QpConfig) -> NativeMachine {
        NativeMachine::new(config)
    }
    fn receive(&mut self, cx: &mut Cx<'_>, octets: &[u8]) {
        if let Ok(packet) = NativePacket::parse(octets, false) {
            self.handle_packet(cx, &packet);
        }
    }
}

type Native = World<NativeMachine>;

fn world(mtu: u32) -> Native {
    World::new(&Setup { mtu, ..Setup::default() })
}

/// The header of a traced packet, if it is one with a number.
fn header(octets: &[u8]) -> Option<NativeHeader> {
    match NativePacket::parse(octets, false) {
        Ok(NativePacket::Data { header, .. }) => Some(header),
        _ => None,
    }
}

/// An acknowledgement packet.
fn is_ack(octets: &[u8]) -> bool {
    matches!(NativePacket::parse(octets, false), Ok(NativePacket::Ack(_)))
}

/// A work request of several elements.
fn wr(wr_id: u64, op: SendOp, sges: &[Sge]) -> SendWr {
    let flags = WrFlags { signaled: true, ..WrFlags::default() };
    SendWr { wr_id, op, sges: SgeList::from_slice(sges), flags }
}

/// Runs until `done`, at most 100 ms; returns how long it took.
fn run_until(w: &mut Native, done: impl Fn(&Native) -> bool) -> Duration {
    let start = w.now;
    while !done(w) {
        assert!(w.now - start < Duration::from_millis(100), "not done in 100 ms");
        w.drive(Duration::from_micros(1));
        w.now += Duration::from_micros(1);
    }
    w.now - start
}
