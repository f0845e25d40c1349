use super::{NQN, World};
use crate::DISCOVERY_NQN;
use wire::cm::{NvmeRejStatus, NvmeRejectPrivate, NvmeRequestPrivate};
use wire::fabrics::{ConnectCmd, ConnectData, ConnectFault, Nqn, PropertyGetCmd, PropertySize};
use wire::nvme::{Cid, ControllerId, IoOpcode, QueueId, Sgl, Status, ZeroBased};

/// Goal: connections whose private data a controller cannot honour are refused, with the status
/// that says which number is wrong.
#[test]
fn private_data_is_checked() {
    let request = |qid, receives, sends| {
        let mut private = NvmeRequestPrivate::zeroed();
        private.set_queue_id(qid).set_host_receive_queue_size(receives);
        private.set_host_send_queue_size(sends);
        private
    };
    let mut format = request(0, 32, 31);
    format.set_record_format(1);
    let cases = [
        (request(0, 32, 31), None),
        (request(128, 1024, 1023), None),
        (format, Some(NvmeRejStatus::INVALID_RECORD_FORMAT)),
        (request(129, 16, 15), Some(NvmeRejStatus::INVALID_QUEUE_ID)),
        (request(0, 32, 32), Some(NvmeRejStatus::INVALID_SEND_QUEUE_SIZE)),
        (request(1, 16, 0), Some(NvmeRejStatus::INVALID_SEND_QUEUE_SIZE)),
        (request(1, 16, 1024), Some(NvmeRejStatus::INVALID_SEND_QUEUE_SIZE)),
        (request(1, 16, 0xffff), Some(NvmeRejStatus::INVALID_SEND_QUEUE_SIZE)),
        (request(1, 0, 15), Some(NvmeRejStatus::INVALID_RECEIVE_QUEUE_SIZE)),
    ];
    let mut world = World::new();
    let mut host = world.host();
    for (private, refused) in cases {
        let at = host.open_with(&mut world, 1, 4, private.as_octets());
        let queue = &host.queues[at];
        assert_eq!(queue.established, refused.is_none(), "{private:?}");
        let status = queue.rejected.as_deref().and_then(NvmeRejectPrivate::decode);
        assert_eq!(status.map(|status| status.status_code()), refused.map(|status| status.0));
    }
    let at = host.open_with(&mut world, 1, 4, &[0; 31]);
    assert!(host.queues[at].rejected.is_some(), "short private data");
    assert_eq!(world.reactor.counters().rejected_connections, 8);
}

/// What to break in a Connect.
type Break = fn(&mut ConnectCmd, &mut ConnectData);

/// Goal: each wrong parameter of Connect gets nvmet's status, and the result that names it.
#[test]
fn wrong_parameters_are_named() {
    let parameters = Status::CONNECT_INVALID_PARAMETERS;
    let data = |offset| ConnectFault { offset, in_data: true }.dword();
    let command = |offset| ConnectFault { offset, in_data: false }.dword();
    let admin: [(Break, Status, u32); 6] = [
        (|c, _| c.record_format = 1, Status::CONNECT_INCOMPATIBLE_FORMAT, 0),
        (|c, _| c.queue = QueueId(1), parameters, command(42)),
        (|c, _| c.sq_size = ZeroBased::<u16>::from_raw(0), parameters, command(44)),
        (
            |_, d| {
                d.set_controller_raw(1);
            },
            parameters,
            data(16),
        ),
        (
            |_, d| {
                d.set_subsystem_nqn_raw([b'x'; 256]);
            },
            parameters,
            data(256),
        ),
        (
            |_, d| {
                d.set_host_nqn_raw([0; 256]);
            },
            parameters,
            data(512),
        ),
    ];
    let io: [(Break, Status, u32); 5] = [
        (|c, _| c.sq_size = ZeroBased::<u16>::from_raw(1024), parameters, command(44)),
        (
            |_, d| {
                d.set_controller_raw(0x7777);
            },
            parameters,
            data(16),
        ),
        (
            |_, d| {
                d.set_host_id([0x99; 16]);
            },
            parameters,
            data(0),
        ),
        (
            |_, d| {
                d.set_host_nqn_raw(Nqn::new("nqn.2026-01.x:other").unwrap().field());
            },
            parameters,
            data(16),
        ),
        (
            |_, d| {
                d.set_subsystem_nqn_raw(Nqn::new("nqn.2026-01.x:none").unwrap().field());
            },
            parameters,
            data(256),
        ),
    ];
    let cases = admin.iter().map(|case| (0, case)).chain(io.iter().map(|case| (1, case)));
    for (number, (qid, (spoil, status, result))) in cases.enumerate() {
        let mut world = World::new();
        let mut host = if qid == 0 { world.host() } else { world.connected(0, 0) };
        let at = host.open(&mut world, qid, 8);
        let cntlid = if qid == 0 { ControllerId::DYNAMIC } else { ControllerId(host.cntlid) };
        let (sqe, mut data) = host.connect_command(at, NQN, cntlid, 0);
        let mut command = ConnectCmd::decode(&sqe);
        spoil(&mut command, &mut data);
        let mut spoiled = command.command(Cid(0));
        spoiled.set_sgl(sqe.sgl());
        host.data.write(0, data.as_octets());
        let cqe = host.execute(&mut world, at, spoiled, data.as_octets());
        assert!(cqe.status().is(*status) && cqe.status().dnr, "{number}: {:?}", cqe.status());
        assert_eq!(cqe.dw0(), *result, "{number}");
        // The connection is still good for a right one.
        let again = host.connect(&mut world, at, NQN, cntlid, 0);
        assert!(again.status().is_success(), "{number}: {:?}", again.status());
    }
}

/// Goal: nothing but Connect is served before Connect, and Connect only once; data of the wrong
/// length is refused.
#[test]
fn connect_comes_first_and_once() {
    let mut world = World::new();
    let mut host = world.host();
    let at = host.open(&mut world, 0, 32);
    let get = PropertyGetCmd { size: PropertySize::Four, offset: 0x1c }.command(Cid(0));
    let read = host.rw(IoOpcode::Read, 0, 1, 0);
    for sqe in [get, read] {
        let status = host.execute(&mut world, at, sqe, &[]).status();
        assert_eq!(status, Status::INVALID_OPCODE.do_not_retry());
    }
    let (mut sqe, _) = host.connect_command(at, NQN, ControllerId::DYNAMIC, 0);
    sqe.set_sgl(host.sgl(0, 1023));
    let status = host.execute(&mut world, at, sqe, &[]).status();
    assert_eq!(status, Status::SGL_DATA_LENGTH.do_not_retry());
    assert!(host.connect(&mut world, at, NQN, ControllerId::DYNAMIC, 0).status().is_success());
    let twice = host.connect(&mut world, at, NQN, ControllerId::DYNAMIC, 0).status();
    assert!(twice.is(Status::INVALID_OPCODE) && twice.dnr);
    assert_eq!(world.reactor.controller_count(), 1);
}

/// Goal: an I/O queue needs a ready controller and a free number; the discovery service has none.
#[test]
fn queues_need_a_ready_controller() {
    let mut world = World::new();
    let mut host = world.host();
    host.connect_admin(&mut world, NQN);
    let at = host.open(&mut world, 1, 8);
    let cntlid = ControllerId(host.cntlid);
    let early = host.connect(&mut world, at, NQN, cntlid, 0).status();
    assert!(early.is(Status::COMMAND_SEQUENCE), "not enabled: {early:?}");
    host.enable(&mut world);
    assert!(host.connect(&mut world, at, NQN, cntlid, 0).status().is_success());
    let twin = host.open(&mut world, 1, 8);
    let taken = host.connect(&mut world, twin, NQN, cntlid, 0).status();
    assert!(taken.is(Status::COMMAND_SEQUENCE) && taken.dnr, "{taken:?}");

    let mut discoverer = world.host();
    discoverer.connect_admin(&mut world, DISCOVERY_NQN);
    assert_eq!(discoverer.set_cc(&mut world, 1), 1);
    let at = discoverer.open(&mut world, 1, 8);
    let cntlid = ControllerId(discoverer.cntlid);
    let cqe = discoverer.connect(&mut world, at, DISCOVERY_NQN, cntlid, 0);
    assert!(cqe.status().is(Status::CONNECT_INVALID_PARAMETERS));
    assert_eq!(ConnectFault::from_dword(cqe.dw0()), ConnectFault::QUEUE_ID);
}

/// Goal: with flow control off the head pointer reads as FFFFh, and Connect works in the capsule
/// on an admin queue too.
#[test]
fn flow_control_can_be_switched_off() {
    let mut world = World::new();
    let mut host = world.host();
    let at = host.open(&mut world, 0, 32);
    let (sqe, data) = host.connect_command(at, NQN, ControllerId::DYNAMIC, 0);
    let command =
        ConnectCmd { attributes: ConnectCmd::NO_FLOW_CONTROL, ..ConnectCmd::decode(&sqe) };
    let mut sqe = command.command(Cid(0));
    sqe.set_sgl(Sgl::InCapsule { offset: 0, len: 1024 });
    let cqe = host.execute(&mut world, at, sqe, data.as_octets());
    assert!(cqe.status().is_success());
    assert_eq!(cqe.sq_head(), 0xffff);
}
