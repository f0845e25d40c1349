//! Two RoCE machines in a world: data, losses, refusals, hostile peers.

mod cost;
mod errors;
mod hostile;
mod loss;
mod matrix;
mod random;
mod reorder;
mod script;

use super::RoceMachine;
use crate::qp::testing::{Sent, Setup, Transport, World};
use crate::qp::{Cx, Machine, QpConfig};
use verbs::{SendOp, WcStatus};
use wire::roce::{Opcode, Packet};

pub(super) type RoceWorld = World<RoceMachine>;

impl Transport for RoceMachine {
    fn make(config: QpConfig) -> RoceMachine {
        RoceMachine::new(config)
    }
    fn receive(&mut self, cx: &mut Cx<'_>, octets: &[u8]) {
        if let Ok(packet) = Packet::parse(octets, false) {
            self.handle_packet(cx, &packet);
        }
    }
}

/// Where what is sent lies, at both sides.
pub(super) const SOURCE: u32 = 0;
/// Where what arrives lands, at both sides.
pub(super) const LANDING: u32 = 512 << 10;

/// The packet that was sent.
pub(super) fn packet(sent: &Sent) -> Packet<'_> {
    Packet::parse(&sent.octets, false).expect("machines send packets that parse")
}

/// The opcode of a packet that was sent.
pub(super) fn opcode(sent: &Sent) -> Opcode {
    packet(sent).bth.opcode
}

/// Two connected machines, the first one's source painted.
pub(super) fn world(setup: &Setup) -> RoceWorld {
    let world = RoceWorld::new(setup);
    world.sides[0].paint(SOURCE, LANDING, 7);
    world.sides[1].paint(SOURCE, LANDING, 8);
    world
}

/// A world where side 0 posted one operation of `len` octets: `Send` into receive 9, and so on.
pub(super) fn world_with(setup: &Setup, op: fn(&RoceWorld) -> SendOp, len: u32) -> RoceWorld {
    let mut world = world(setup);
    let op = op(&world);
    world.sides[1].post_recv(9, LANDING, len);
    let is_read = matches!(op, SendOp::RdmaRead(_));
    world.sides[0].post(1, op, if is_read { LANDING } else { SOURCE }, len);
    world
}

pub(super) const OK: WcStatus = WcStatus::Success;
