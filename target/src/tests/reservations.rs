//! Reservations from end to end: commands, conflicts, notices, persistence, preempt and abort.

use super::access::{heard, wait};
use super::admin::log;
use super::host::Host;
use super::probe::Probe;
use super::{NQN, World};
use crate::{Config, ExportError, ReservationStore, SavedReservations};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::rc::Rc;
use storage::Memory;
use wire::nvme::log::{LogId, ReservationLog};
use wire::nvme::reservation::{
    ReportCmd, ReservationCmd, ReservationKeys, ReservationStatus, ReservationType as T,
};
use wire::nvme::{
    AsyncEvent, Cid, FeatureCmd, FeatureId, IoOpcode, Nsid, Sgl, Sqe, Status, ZeroBased,
};

/// A reservation command whose keys lie at offset 4096 of the host's memory, or in the capsule.
fn command(
    host: &mut Host,
    opcode: IoOpcode,
    what: ReservationCmd,
    keys: [u64; 2],
) -> (Sqe, Vec<u8>) {
    let mut data = ReservationKeys::zeroed();
    data.set_current(keys[0]).set_other(keys[1]);
    let len = if opcode == IoOpcode::ReservationRelease { 8 } else { 16 };
    let mut sqe = what.command(opcode, Cid(0), Nsid(1));
    host.data.write(4096, data.as_octets());
    // Either way, by turns.
    sqe.set_sgl(if host.next_cid.is_multiple_of(2) {
        host.sgl(4096, len)
    } else {
        Sgl::InCapsule { offset: 0, len }
    });
    (sqe, data.as_octets()[..len as usize].to_vec())
}
fn reserve(
    host: &mut Host,
    world: &mut World,
    opcode: IoOpcode,
    what: ReservationCmd,
    keys: [u64; 2],
) -> Status {
    let (sqe, data) = command(host, opcode, what, keys);
    host.execute(world, 1, sqe, &data).status()
}
fn register(host: &mut Host, world: &mut World, key: u64, persistence: u32) -> Status {
    let what = ReservationCmd { persistence, ..ReservationCmd::default() };
    reserve(host, world, IoOpcode::ReservationRegister, what, [0, key])
}
fn acquire(host: &mut Host, world: &mut World, action: u32, kind: T, keys: [u64; 2]) -> Status {
    let what = ReservationCmd { action, kind: kind.octet(), ..ReservationCmd::default() };
    reserve(host, world, IoOpcode::ReservationAcquire, what, keys)
}
fn release(host: &mut Host, world: &mut World, action: u32, kind: T, key: u64) -> Status {
    let what = ReservationCmd { action, kind: kind.octet(), ..ReservationCmd::default() };
    reserve(host, world, IoOpcode::ReservationRelease, what, [key, 0])
}
fn io(host: &mut Host, world: &mut World, opcode: IoOpcode) -> Status {
    let sqe = host.rw(opcode, 0, 1, 0);
    host.execute(world, 1, sqe, &[]).status()
}

/// Goal: every I/O command of a host that a reservation denies is a conflict, at once and only while
/// it lasts; the holder's are not.
#[test]
fn reservations_deny_commands() {
    let mut world = World::new();
    let (mut a, mut b) = (world.connected(1, 8), world.connected(1, 8));
    assert!(register(&mut a, &mut world, 0xa, 0).is_success());
    let reads = [IoOpcode::Read, IoOpcode::Compare, IoOpcode::Verify];
    let writes =
        [IoOpcode::Write, IoOpcode::WriteZeroes, IoOpcode::DatasetManagement, IoOpcode::Flush];
    for (kind, denies_reads) in [(T::WriteExclusive, false), (T::ExclusiveAccess, true)] {
        assert!(acquire(&mut a, &mut world, 0, kind, [0xa, 0]).is_success());
        for (opcodes, is_denied) in [(&reads[..], denies_reads), (&writes[..], true)] {
            for opcode in opcodes {
                let status = io(&mut b, &mut world, *opcode);
                assert_eq!(
                    status.is(Status::RESERVATION_CONFLICT),
                    is_denied,
                    "{kind:?} {opcode:?}"
                );
                assert!(!io(&mut a, &mut world, *opcode).is(Status::RESERVATION_CONFLICT));
            }
        }
        assert!(release(&mut a, &mut world, 0, kind, 0xa).is_success());
        assert!(io(&mut b, &mut world, IoOpcode::Write).is_success());
    }
    let mut other = b.rw(IoOpcode::Write, 0, 1, 0);
    other.set_nsid(Nsid(2)).set_sgl(b.sgl(0, 4096));
    assert!(acquire(&mut a, &mut world, 0, T::ExclusiveAccess, [0xa, 0]).is_success());
    assert!(b.execute(&mut world, 1, other, &[]).status().is_success(), "another namespace");
    let mut late = world.connected(1, 4);
    assert!(io(&mut late, &mut world, IoOpcode::Read).is(Status::RESERVATION_CONFLICT));
}

/// Goal: hosts learn from the log what was taken from them, one notice a read, and can mask it.
#[test]
fn losers_are_told() {
    let mut world = World::new();
    let (mut a, mut b) = (world.connected(1, 8), world.connected(1, 8));
    for (host, key) in [(&mut a, 0xa), (&mut b, 0xb)] {
        assert!(register(host, &mut world, key, 0).is_success());
        wait(host, &mut world);
    }
    let shared = T::WriteExclusiveRegistrants;
    assert!(acquire(&mut a, &mut world, 0, shared, [0xa, 0]).is_success());
    assert!(release(&mut a, &mut world, 0, shared, 0xa).is_success());
    assert!(acquire(&mut a, &mut world, 1, shared, [0xa, 0xb]).is_success());
    assert_eq!(heard(&mut b, &mut world), [AsyncEvent::RESERVATION_LOG]);
    assert_eq!(heard(&mut a, &mut world), []);
    let read = |b: &mut Host, world: &mut World| {
        let page = log(b, world, LogId::Reservation, 0, 64);
        let page = ReservationLog::decode(&page).unwrap();
        (page.count(), page.kind(), page.available(), page.nsid())
    };
    assert_eq!(read(&mut b, &mut world), (1, 2, 1, 1), "released");
    wait(&mut b, &mut world);
    assert_eq!(heard(&mut b, &mut world), [AsyncEvent::RESERVATION_LOG], "there is more");
    assert_eq!(read(&mut b, &mut world), (2, 1, 0, 1), "registration preempted");
    assert_eq!(read(&mut b, &mut world), (0, 0, 0, 0), "empty");
    let mask =
        |value, nsid| FeatureCmd::set(FeatureId::RESERVATION_MASK, value, Cid(0), Nsid(nsid));
    let set = |host: &mut Host, world: &mut World, sqe| host.execute(world, 0, sqe, &[]).status();
    assert!(set(&mut b, &mut world, mask(1, 1)).is(Status::INVALID_FIELD));
    assert!(set(&mut b, &mut world, mask(2, 9)).is(Status::INVALID_NAMESPACE));
    assert!(set(&mut b, &mut world, mask(0b1110, u32::MAX)).is_success());
    let get = FeatureCmd::get(FeatureId::RESERVATION_MASK, Cid(0), Nsid(2));
    assert_eq!(b.execute(&mut world, 0, get, &[]).dw0(), 0b1110);
    assert!(register(&mut b, &mut world, 0xb, 0).is_success());
    assert!(acquire(&mut a, &mut world, 1, shared, [0xa, 0xb]).is_success());
    let page = log(&mut b, &mut world, LogId::Reservation, 0, 64);
    assert!(page.iter().all(|octet| *octet == 0), "masked");
}

fn report(host: &mut Host, world: &mut World, len: u32, extended: bool) -> Result<Vec<u8>, Status> {
    let dwords = ZeroBased::<u32>::from_count(u64::from(len) / 4).unwrap();
    let sqe = ReportCmd { dwords, extended }.command(Cid(0), Nsid(1));
    let sqe = host.with_answer(sqe, len);
    let status = host.execute(world, 1, sqe, &[]).status();
    if status.is_success() { Ok(host.read_data(0, len as usize)) } else { Err(status) }
}

/// Goal: the report names holder and controllers, is cut where the host's memory ends, and is only
/// given in the form that has room for the identifiers.
#[test]
fn reports_are_given() {
    let mut world = World::new();
    let (mut a, mut b) = (world.connected(1, 8), world.connected(1, 8));
    assert!(register(&mut a, &mut world, 0xa, 0).is_success());
    assert!(register(&mut b, &mut world, 0xb, 0).is_success());
    assert!(acquire(&mut b, &mut world, 0, T::ExclusiveAccess, [0xb, 0]).is_success());
    let page = report(&mut a, &mut world, 4096, true).unwrap();
    let head = ReservationStatus::decode(&page[..64]).unwrap();
    assert_eq!((head.generation(), head.kind(), head.registered(), head.persists()), (2, 2, 2, 0));
    let second = (page[128], page[130], page[136], page[144]);
    assert_eq!(second, (u8::try_from(b.cntlid).unwrap(), 1, 0xb, b.id));
    assert_eq!(report(&mut a, &mut world, 68, true).unwrap(), page[..68]);
    let short = report(&mut a, &mut world, 4096, false).unwrap_err();
    assert!(short.is(Status::HOST_ID_INCONSISTENT));
    assert!(report(&mut a, &mut world, 2 << 20, true).unwrap_err().is(Status::INVALID_FIELD));
}

/// Goal: malformed reservation commands get the status of the standard and change nothing.
#[test]
fn malformed_commands_are_refused() {
    let mut world = World::new();
    let mut a = world.connected(1, 8);
    let what = ReservationCmd::default();
    let (mut sqe, _) = command(&mut a, IoOpcode::ReservationRegister, what, [0, 1]);
    sqe.set_sgl(a.sgl(4096, 15));
    assert!(a.execute(&mut world, 1, sqe, &[]).status().is(Status::SGL_DATA_LENGTH));
    sqe.set_sgl(Sgl::InCapsule { offset: 0, len: 16 });
    assert!(a.execute(&mut world, 1, sqe, &[1; 8]).status().is(Status::SGL_OFFSET));
    sqe.set_nsid(Nsid(9)).set_sgl(a.sgl(4096, 16));
    assert!(a.execute(&mut world, 1, sqe, &[]).status().is(Status::INVALID_NAMESPACE));
    let page = report(&mut a, &mut world, 64, true).unwrap();
    assert!(page.iter().all(|octet| *octet == 0));
}

/// A store that a test can look into, and make fail.
#[derive(Clone, Default)]
struct Kept {
    states: Rc<RefCell<HashMap<[u8; 16], SavedReservations>>>,
    fails: Rc<Cell<bool>>,
}

impl ReservationStore for Kept {
    fn load(&mut self, uuid: [u8; 16]) -> io::Result<Option<SavedReservations>> {
        if self.fails.get() {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(self.states.borrow().get(&uuid).cloned())
    }
    fn save(&mut self, uuid: [u8; 16], state: Option<&SavedReservations>) -> io::Result<()> {
        if self.fails.get() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let mut states = self.states.borrow_mut();
        match state {
            Some(state) => drop(states.insert(uuid, state.clone())),
            None => drop(states.remove(&uuid)),
        }
        Ok(())
    }
}

fn kept_world(kept: &Kept) -> World {
    let mut world = World::empty(Config::default());
    world.reactor.set_reservation_store(Box::new(kept.clone()));
    world.add(1, Box::new(Memory::new(512, 64, 64).unwrap()));
    world
}

/// Goal: what a host asked to persist is there after a restart and keeps others out from the first
/// command on; what it did not is gone; a change that cannot be kept does not happen.
#[test]
fn reservations_survive_a_restart() {
    let kept = Kept::default();
    let mut world = kept_world(&kept);
    let mut a = world.connected(1, 8);
    assert!(register(&mut a, &mut world, 0xa, 0).is_success());
    assert!(kept.states.borrow().is_empty(), "nobody asked for it");
    let sqe = FeatureCmd::set(FeatureId::RESERVATION_PERSISTENCE, 1, Cid(0), Nsid(1));
    assert!(a.execute(&mut world, 0, sqe, &[]).status().is_success());
    assert!(acquire(&mut a, &mut world, 0, T::ExclusiveAccess, [0xa, 0]).is_success());
    kept.fails.set(true);
    let refused = release(&mut a, &mut world, 0, T::ExclusiveAccess, 0xa);
    assert!(refused.is(Status::INTERNAL_ERROR) && !refused.dnr);
    assert_eq!(world.reactor.counters().reservations_not_kept, 1);
    kept.fails.set(false);
    drop((a, world));

    let mut world = kept_world(&kept);
    let (mut a, mut b) = (world.connected(1, 8), world.connected(1, 8));
    assert!(io(&mut b, &mut world, IoOpcode::Read).is(Status::RESERVATION_CONFLICT));
    assert!(io(&mut a, &mut world, IoOpcode::Read).is_success());
    let page = report(&mut a, &mut world, 64, true).unwrap();
    assert_eq!(page[9], 1, "persists");
    let what = ReservationCmd { action: 1, persistence: 2, ..ReservationCmd::default() };
    let left = reserve(&mut a, &mut world, IoOpcode::ReservationRegister, what, [0xa, 0]);
    assert!(left.is_success());
    assert!(kept.states.borrow().is_empty(), "persistence was switched off");
    kept.fails.set(true);
    let disk = Box::new(Memory::new(512, 64, 8).unwrap());
    let refused = world.reactor.add_namespace(NQN, None, "mem:x", disk);
    assert!(matches!(refused, Err(ExportError::Reservations(_))), "{refused:?}");
}

/// Goal: a target without a store says that it has none.
#[test]
fn nothing_persists_without_a_store() {
    let mut world = World::new();
    let mut a = world.connected(1, 8);
    assert!(register(&mut a, &mut world, 0xa, 3).is_success(), "as Linux asks");
    assert_eq!(report(&mut a, &mut world, 64, true).unwrap()[9], 0);
    let sqe = FeatureCmd::set(FeatureId::RESERVATION_PERSISTENCE, 1, Cid(0), Nsid(1));
    assert!(a.execute(&mut world, 0, sqe, &[]).status().is(Status::FEATURE_NOT_CHANGEABLE));
}

/// Goal: when Preempt and Abort is answered, nothing of the preempted host is on its way any more:
/// what waited ended with the status for it, what was at the disk finished, and none of it lands
/// later. Whatever the moment, every command is answered once and no buffer is left.
#[test]
fn preempt_and_abort_waits_for_the_other_host() {
    for turns_before in 0..12 {
        let mut world = World::empty(Config::default());
        let probe = Probe::new(64);
        let state = Rc::clone(&probe.state);
        world.add(1, Box::new(probe));
        let (mut a, mut b) = (world.connected(1, 8), world.connected(1, 32));
        assert!(register(&mut a, &mut world, 0xa, 0).is_success());
        assert!(register(&mut b, &mut world, 0xb, 0).is_success());
        assert!(acquire(&mut b, &mut world, 0, T::WriteExclusive, [0xb, 0]).is_success());
        b.data.write(0, &[0xbb; 4096]);
        for start in 0..24 {
            let sqe = b.rw(IoOpcode::Write, start % 8, 1, 0);
            b.submit(1, sqe, &[]);
        }
        for _ in 0..turns_before {
            world.reactor.turn(world.now);
        }
        state.held.set(turns_before % 2 == 0);
        let what = ReservationCmd { action: 2, kind: 1, ..ReservationCmd::default() };
        let (sqe, data) = command(&mut a, IoOpcode::ReservationAcquire, what, [0xa, 0xb]);
        a.submit(1, sqe, &data);
        world.settle_held();
        if state.held.get() && world.reactor.preempts_waiting() > 0 {
            a.poll(&world);
            assert!(
                a.queues[1].completions.is_empty(),
                "answered while b's writes are on their way"
            );
        }
        state.held.set(false);
        a.run(&mut world);
        assert!(a.queues[1].completions.pop_front().unwrap().status().is_success());
        assert_eq!(world.reactor.preempts_waiting(), 0);
        a.data.write(0, &[0xaa; 4096]);
        let sqe = a.rw(IoOpcode::Write, 0, 8, 0);
        assert!(a.execute(&mut world, 1, sqe, &[]).status().is_success());
        b.run(&mut world);
        let done: Vec<Status> = b.queues[1].completions.drain(..).map(|cqe| cqe.status()).collect();
        assert_eq!(done.len(), 24, "after {turns_before} turns");
        let expected = [Status::SUCCESS, Status::ABORTED_PREEMPT, Status::RESERVATION_CONFLICT];
        assert!(done.iter().all(|status| expected.iter().any(|e| status.is(*e))), "{done:?}");
        let sqe = a.rw(IoOpcode::Read, 0, 8, 8192);
        assert!(a.execute(&mut world, 1, sqe, &[]).status().is_success());
        assert!(a.read_data(8192, 4096).iter().all(|octet| *octet == 0xaa), "a late write of b");
        assert_eq!(state.buffers_out.get(), 0);
    }
}

/// Goal: a preempted host that is dead, and a preempting one that dies, leave nothing waiting.
#[test]
fn preempting_survives_dead_hosts() {
    for dies in ["victim", "preemptor"] {
        let mut world = World::empty(Config::default());
        let probe = Probe::new(64);
        let state = Rc::clone(&probe.state);
        world.add(1, Box::new(probe));
        let (mut a, mut b) = (world.connected(1, 8), world.connected(1, 32));
        assert!(register(&mut a, &mut world, 0xa, 0).is_success());
        assert!(register(&mut b, &mut world, 0xb, 0).is_success());
        state.held.set(true);
        for start in 0..8 {
            let sqe = b.rw(IoOpcode::Write, start, 1, 0);
            b.submit(1, sqe, &[]);
        }
        world.settle_held();
        let what = ReservationCmd { action: 2, kind: 1, ..ReservationCmd::default() };
        let (sqe, data) = command(&mut a, IoOpcode::ReservationAcquire, what, [0xa, 0xb]);
        a.submit(1, sqe, &data);
        world.settle_held();
        assert_eq!(world.reactor.preempts_waiting(), 1);
        let dead = if dies == "victim" { &mut b } else { &mut a };
        dead.queues.iter().for_each(|queue| dead.fabric.cut(queue.qp));
        world.settle_held();
        state.held.set(false);
        world.settle();
        assert_eq!((world.reactor.preempts_waiting(), state.buffers_out.get()), (0, 0), "{dies}");
        if dies == "victim" {
            a.run(&mut world);
            assert!(a.queues[1].completions.pop_front().unwrap().status().is_success());
        }
        assert_eq!(world.reactor.controller_count(), 1);
    }
}
