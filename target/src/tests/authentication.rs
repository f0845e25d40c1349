//! Hosts that must prove who they are: over the whole target, on admin and I/O queues.

use super::host::Host;
use super::{NQN, World};
use crate::{Credentials, DhGroup, HostList, Port, Secret, Security, TransportKind};
use auth::{HostAuthError, HostKeys, HostSide, InlineHelper, Names, Step};
use std::sync::Arc;
use std::time::Duration;
use wire::fabrics::ConnectResult;
use wire::fabrics::auth::{AuthCmd, FailureReason};
use wire::nvme::{Cid, ControllerId, Cqe, IoOpcode, Sqe, Status};

const RIGHT: &str = "DHHC-1:00:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh+KfiaR:";
const OTHER: &str = "DHHC-1:01:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh+KfiaR:";
/// Octets of room that Linux's host names.
const ROOM: u32 = 4096;

fn secret(text: &str) -> Secret {
    text.parse().unwrap()
}
fn keys(host: &str, controller: Option<&str>) -> HostKeys {
    HostKeys { host: secret(host), controller: controller.map(secret) }
}
fn dice(octets: &mut [u8]) {
    octets.fill(0x5a);
}

/// A target that wants `credentials` of host 1, and that host.
fn world(credentials: &Credentials) -> (World, Host) {
    let mut world = World::new();
    let mut count = 0_u8;
    let random = move |octets: &mut [u8]| {
        count = count.wrapping_add(1);
        octets.fill(count);
    };
    world.reactor.set_auth_helper(Box::new(InlineHelper::new(random)));
    let host = world.host();
    let nqn = host.nqn();
    world.reactor.set_credentials(NQN, nqn.as_str(), Some(credentials.clone())).unwrap();
    (world, host)
}

/// Connects queue `qid` and says whether the answer demands a proof.
fn open(host: &mut Host, world: &mut World, qid: u16) -> (usize, bool) {
    let cntlid = if qid == 0 { ControllerId::DYNAMIC } else { ControllerId(host.cntlid) };
    let at = host.open(world, qid, 32);
    let cqe = host.connect(world, at, NQN, cntlid, 0);
    assert!(cqe.status().is_success(), "{}", cqe.status());
    let result = ConnectResult::from_dword(cqe.dw0());
    host.cntlid = result.controller.0;
    (at, result.authentication == ConnectResult::AUTHENTICATE)
}
fn send(host: &mut Host, world: &mut World, at: usize, octets: &[u8]) -> Cqe {
    host.data.write(0, octets);
    let len = u32::try_from(octets.len()).unwrap();
    let mut sqe = AuthCmd::new(len).send(Cid(0));
    sqe.set_sgl(host.sgl(0, len));
    host.execute(world, at, sqe, &[])
}
fn receive(host: &mut Host, world: &mut World, at: usize) -> Vec<u8> {
    let sqe = host.with_answer(AuthCmd::new(ROOM).receive(Cid(0)), ROOM);
    let cqe = host.execute(world, at, sqe, &[]);
    assert!(cqe.status().is_success(), "{}", cqe.status());
    host.read_data(0, ROOM as usize)
}

/// Talks on queue `at` until the host is done. `Err`: why there is no trust.
fn prove(
    host: &mut Host,
    world: &mut World,
    at: usize,
    keys: HostKeys,
) -> Result<DhGroup, HostAuthError> {
    let names = Names { host: host.nqn().as_str().into(), subsystem: NQN.into() };
    talk(host, world, at, HostSide::start(Arc::new(keys), names, 77))
}
/// The same of a conversation that was begun.
fn talk(
    host: &mut Host,
    world: &mut World,
    at: usize,
    (mut side, mut step): (HostSide, Step),
) -> Result<DhGroup, HostAuthError> {
    loop {
        step = match step {
            Step::Send(octets) => {
                let cqe = send(host, world, at, &octets);
                assert!(cqe.status().is_success(), "{}", cqe.status());
                side.handle_sent()
            }
            Step::Receive => side.handle_received(&receive(host, world, at), &mut dice),
            Step::Compute(job) => side.handle_agreed(job.compute()),
            Step::Done { group, .. } => return Ok(group),
            Step::Failed(why) => return Err(why),
        };
    }
}
fn read(host: &mut Host, world: &mut World, at: usize) -> Status {
    let sqe = host.rw(IoOpcode::Read, 0, 1, 0);
    host.execute(world, at, sqe, &[]).status()
}

/// Goal: nothing is served before the proof, everything after it, on each queue; hosts without
/// credentials are asked for none.
#[test]
fn nothing_is_served_before_the_proof() {
    for group in [DhGroup::Null, DhGroup::Ffdhe2048] {
        let mut credentials = Credentials::new(secret(RIGHT));
        credentials.controller = Some(secret(OTHER));
        credentials.group = Some(group);
        let (mut world, mut host) = world(&credentials);
        let mut free = world.connected(1, 4);
        assert!(read(&mut free, &mut world, 1).is_success());

        let (admin, is_demanded) = open(&mut host, &mut world, 0);
        assert!(is_demanded);
        for opcode in 0..=0x7f {
            let sqe = Sqe::new(opcode, Cid(0), wire::nvme::Nsid(1));
            let status = host.execute(&mut world, admin, sqe, &[]).status();
            assert!(status.is(Status::AUTHENTICATION_REQUIRED), "{opcode:#x}: {status}");
        }
        assert_eq!(prove(&mut host, &mut world, admin, keys(RIGHT, Some(OTHER))), Ok(group));
        host.enable(&mut world);
        let (io, is_demanded) = open(&mut host, &mut world, 1);
        assert!(is_demanded);
        assert!(read(&mut host, &mut world, io).is(Status::AUTHENTICATION_REQUIRED));
        assert_eq!(prove(&mut host, &mut world, io, keys(RIGHT, None)), Ok(group));
        assert!(read(&mut host, &mut world, io).is_success());
        // Again, on a queue that is trusted.
        assert_eq!(prove(&mut host, &mut world, io, keys(RIGHT, Some(OTHER))), Ok(group));
        assert!(read(&mut host, &mut world, io).is_success());
        assert_eq!(world.reactor.counters().authenticated, 2);
        assert_eq!(world.reactor.counters().authentication_failures, 0);
    }
}

/// Goal: a wrong secret ends the connection after it was told so: the controller with the admin
/// queue, an I/O queue alone; others go on.
#[test]
fn a_wrong_secret_ends_the_connection() {
    let (mut world, mut host) = world(&Credentials::new(secret(RIGHT)));
    let mut free = world.connected(1, 4);
    let (at, _) = open(&mut host, &mut world, 0);
    let refused = Err(HostAuthError::Refused(FailureReason::Failed));
    assert_eq!(prove(&mut host, &mut world, at, keys(OTHER, None)), refused);
    host.run(&mut world);
    assert!(host.queues[at].disconnected);
    assert_eq!(world.reactor.controller_count(), 1);

    let (at, _) = open(&mut host, &mut world, 0);
    assert_eq!(prove(&mut host, &mut world, at, keys(RIGHT, None)), Ok(DhGroup::Null));
    // What the host's helpers take for the admin queue is the first one.
    host.queues.swap(0, at);
    host.enable(&mut world);
    let (io, _) = open(&mut host, &mut world, 1);
    assert_eq!(prove(&mut host, &mut world, io, keys(OTHER, None)), refused);
    host.run(&mut world);
    assert!(host.queues[io].disconnected && !host.queues[0].disconnected);
    // The controller has nothing to prove with, and the host says so.
    let (io, _) = open(&mut host, &mut world, 2);
    let end = prove(&mut host, &mut world, io, keys(RIGHT, Some(RIGHT)));
    assert_eq!(end, refused);
    assert_eq!(world.reactor.counters().authentication_failures, 3);
    assert!(read(&mut free, &mut world, 1).is_success());
}

/// Goal: a host that stops in the middle is given up, and leaves nothing behind.
#[test]
fn a_silent_host_is_given_up() {
    let (mut world, mut host) = world(&Credentials::new(secret(RIGHT)));
    for messages in 0..2 {
        let (at, _) = open(&mut host, &mut world, 0);
        if messages > 0 {
            let names = Names { host: host.nqn().as_str().into(), subsystem: NQN.into() };
            let (_, step) = HostSide::start(Arc::new(keys(RIGHT, None)), names, 1);
            let Step::Send(octets) = step else { panic!("{step:?}") };
            assert!(send(&mut host, &mut world, at, &octets).status().is_success());
        }
        world.now += Duration::from_secs(29);
        host.run(&mut world);
        assert!(!host.queues[at].disconnected);
        world.now += Duration::from_secs(2);
        host.run(&mut world);
        assert!(host.queues[at].disconnected);
        assert_eq!((world.reactor.controller_count(), world.reactor.connection_count()), (0, 0));
    }
    assert_eq!(world.reactor.counters().authentication_failures, 2);
}

/// Goal: commands with wrong fields, lengths and room are refused where they are wrong, and change
/// nothing; on a connection that needs no proof the commands do not exist.
#[test]
fn bad_commands_are_refused() {
    let (mut world, mut host) = world(&Credentials::new(secret(RIGHT)));
    let (at, _) = open(&mut host, &mut world, 0);
    let good = AuthCmd::new(72);
    for bad in [
        AuthCmd { protocol: 0, ..good },
        AuthCmd { specific: [0, 1], ..good },
        AuthCmd { specific: [1, 0], ..good },
        AuthCmd { length: 0, ..good },
        AuthCmd { length: 1 << 20, ..good },
    ] {
        let send = host.with_answer(bad.send(Cid(0)), bad.length);
        let receive = host.with_answer(bad.receive(Cid(0)), bad.length);
        for sqe in [send, receive] {
            let status = host.execute(&mut world, at, sqe, &[]).status();
            assert!(status.is(Status::INVALID_FIELD), "{bad:?}: {status}");
        }
    }
    // A message longer than any, and room for less than one.
    let long = host.with_answer(AuthCmd::new(2000).send(Cid(0)), 2000);
    assert!(host.execute(&mut world, at, long, &[]).status().is(Status::INVALID_FIELD));
    let short = host.with_answer(AuthCmd::new(7).receive(Cid(0)), 7);
    assert!(host.execute(&mut world, at, short, &[]).status().is(Status::INVALID_FIELD));
    let uneven = host.with_answer(AuthCmd::new(72).send(Cid(0)), 80);
    assert!(host.execute(&mut world, at, uneven, &[]).status().is(Status::SGL_DATA_LENGTH));
    assert_eq!(prove(&mut host, &mut world, at, keys(RIGHT, None)), Ok(DhGroup::Null));

    let mut free = world.connected(0, 0);
    let sqe = free.with_answer(AuthCmd::new(72).send(Cid(0)), 72);
    assert!(free.execute(&mut world, 0, sqe, &[]).status().is(Status::INVALID_OPCODE));
}

/// Goal: credentials change live: a host that proved itself stays, one that did not have to is asked.
#[test]
fn credentials_change_live() {
    let (mut world, mut host) = world(&Credentials::new(secret(RIGHT)));
    let mut free = world.connected(1, 4);
    let (at, _) = open(&mut host, &mut world, 0);
    assert_eq!(prove(&mut host, &mut world, at, keys(RIGHT, None)), Ok(DhGroup::Null));
    for nqn in [host.nqn(), free.nqn()] {
        let credentials = Credentials::new(secret(OTHER));
        world.reactor.set_credentials(NQN, nqn.as_str(), Some(credentials)).unwrap();
    }
    free.run(&mut world);
    assert!(free.queues.iter().all(|queue| queue.disconnected));
    host.enable(&mut world);
    assert_eq!(prove(&mut host, &mut world, at, keys(OTHER, None)), Ok(DhGroup::Null));
    // Lists of hosts are another matter.
    world.reactor.set_hosts(NQN, HostList::only([])).unwrap();
    host.run(&mut world);
    assert!(host.queues[at].disconnected);
}

/// Goal: a key that a conversation makes is known to the fabric, lets the host in without another proof,
/// and is forgotten once nobody uses it: after a while, or with the last connection. Where no TLS is
/// spoken, none is made.
#[test]
fn generated_keys_come_and_go() {
    let mut credentials = Credentials::new(secret(RIGHT));
    credentials.group = Some(DhGroup::Ffdhe2048);
    let (mut world, mut host) = world(&credentials);
    let address = ([127, 0, 0, 1], 4421).into();
    let port = Port { id: 2, transport: TransportKind::Tcp, address };
    world.reactor.listen(port.clone());
    host.to = address;
    let names = Names { host: host.nqn().as_str().into(), subsystem: NQN.into() };
    let begin = || HostSide::start_for_channel(Arc::new(keys(RIGHT, None)), names.clone(), 7);
    let (at, _) = open(&mut host, &mut world, 0);
    let refused = HostAuthError::Refused(FailureReason::ConcatenationMismatch);
    assert_eq!(talk(&mut host, &mut world, at, begin()), Err(refused), "no TLS is spoken there");
    world.reactor.secure_port(&port, Security::Optional).unwrap();
    let made = |world: &mut World| world.reactor.fabric_mut().psks.clone();
    for is_used in [false, true] {
        let (at, is_demanded) = open(&mut host, &mut world, 0);
        assert!(is_demanded);
        talk(&mut host, &mut world, at, begin()).unwrap();
        let identity = made(&mut world).pop_last().expect("a key was made");
        if is_used {
            world.reactor.fabric_mut().comes_with = Some(identity);
            let (admin, is_demanded) = open(&mut host, &mut world, 0);
            assert!(!is_demanded, "it was proved already");
            world.advance(Duration::from_secs(31));
            assert_eq!(made(&mut world).len(), 1, "a connection uses it");
            let (now, qp) = (world.now, host.queues[admin].qp);
            netstack::fabric::Fabric::disconnect(&mut host.fabric, now, qp);
            host.run(&mut world);
        } else {
            world.advance(Duration::from_secs(29));
            assert_eq!(made(&mut world).len(), 1);
            let timeout = world.reactor.turn(world.now).next_timeout.unwrap();
            assert!(timeout <= world.now + Duration::from_secs(1), "it wakes up for it");
            world.advance(Duration::from_secs(2));
        }
        assert_eq!(made(&mut world).len(), 0, "used: {is_used}");
    }
    assert_eq!(world.reactor.counters().tls_generated, 2);
}
