//! Hosts that must come through TLS. That they can, the tests over TCP show: here is no TLS.

use super::{NQN, World};
use crate::{HashId, Port, Security, TlsKey, TransportKind};
use wire::fabrics::ConnectFault;
use wire::nvme::{ControllerId, IoOpcode, Status};

/// Goal: who claims the name of a host that has a key, and comes without TLS, is sent away; others are
/// not. One that was connected before loses its controllers; without the key it is let in again.
#[test]
fn a_host_with_a_key_does_not_come_without_tls() {
    let mut world = World::new();
    let (mut a, mut b) = (world.connected(1, 4), world.connected(1, 4));
    let key = TlsKey::new(&[7; 32], Some(HashId::Sha256)).unwrap();
    let nqn = a.nqn();
    world.reactor.set_tls_key(NQN, nqn.as_str(), Some(&key)).unwrap();
    a.run(&mut world);
    assert!(a.queues.iter().all(|queue| queue.disconnected));
    let sqe = b.rw(IoOpcode::Read, 0, 1, 0);
    assert!(b.execute(&mut world, 1, sqe, &[]).status().is_success());
    let at = a.open(&mut world, 0, 32);
    let cqe = a.connect(&mut world, at, NQN, ControllerId::DYNAMIC, 0);
    assert!(cqe.status().is(Status::CONNECT_INVALID_HOST) && cqe.status().dnr);
    assert_eq!(cqe.dw0(), ConnectFault::HOST_NQN.dword());
    assert_eq!(world.reactor.counters().tls_refused, 1);
    world.reactor.set_tls_key(NQN, nqn.as_str(), None).unwrap();
    let at = a.open(&mut world, 0, 32);
    let cqe = a.connect(&mut world, at, NQN, ControllerId::DYNAMIC, 0);
    assert!(cqe.status().is_success(), "{}", cqe.status());
    assert!(world.reactor.set_tls_key("nqn.none", nqn.as_str(), Some(&key)).is_err());
}

/// Goal: where there is no TLS, none is promised.
#[test]
fn a_port_without_tls_does_not_promise_it() {
    let mut world = World::new();
    let address = ([127, 0, 0, 9], 4420).into();
    let port = Port { id: 9, transport: TransportKind::Rdma, address };
    assert!(world.reactor.secure_port(&port, Security::Required).is_err());
    world.reactor.secure_port(&port, Security::None).unwrap();
}
