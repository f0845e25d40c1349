use super::World;
use super::host::Host;
use std::time::Duration;
use wire::nvme::log::{CommandEffects, ErrorLogEntry, LogId, SmartLog, SupportedLogPages};
use wire::nvme::{
    AbortCmd, AdminOpcode, Cid, FeatureCmd, FeatureId, GetLogPageCmd, IoOpcode, Nsid, QueueCount,
    QueueId, Sqe, Status, Timestamp, ZeroBased,
};

fn get(host: &mut Host, world: &mut World, fid: FeatureId) -> Result<u32, Status> {
    outcome(host, world, FeatureCmd::get(fid, Cid(0), Nsid(0)))
}
fn set(host: &mut Host, world: &mut World, fid: FeatureId, value: u32) -> Result<u32, Status> {
    outcome(host, world, FeatureCmd::set(fid, value, Cid(0), Nsid(0)))
}
fn outcome(host: &mut Host, world: &mut World, sqe: Sqe) -> Result<u32, Status> {
    let cqe = host.execute(world, 0, sqe, &[]);
    if cqe.status().is_success() { Ok(cqe.dw0()) } else { Err(cqe.status()) }
}

/// The octets of a log page.
pub(super) fn log(host: &mut Host, world: &mut World, page: LogId, nsid: u32, len: u32) -> Vec<u8> {
    let dwords = ZeroBased::<u32>::from_count(u64::from(len) / 4).unwrap();
    let command = GetLogPageCmd { lid: page.octet(), dwords, ..GetLogPageCmd::default() };
    let sqe = host.with_answer(command.command(Cid(0), Nsid(nsid)), len);
    let cqe = host.execute(world, 0, sqe, &[]);
    assert!(cqe.status().is_success(), "{page:?}: {:?}", cqe.status());
    host.read_data(0, len as usize)
}

/// Goal: every feature reads back as it was set, selects default and capabilities, and refuses
/// what it cannot take.
#[test]
fn features_are_set_and_read() {
    let mut world = World::new();
    let mut host = world.connected(0, 0);
    let (h, w) = (&mut host, &mut world);
    let queues = set(h, w, FeatureId::NUMBER_OF_QUEUES, 7 | 7 << 16).unwrap();
    assert_eq!(QueueCount::from_dword(queues).submission.count(), 128);
    assert_eq!(get(h, w, FeatureId::NUMBER_OF_QUEUES), Ok(queues));
    let bad = Err(Status::INVALID_FIELD.do_not_retry().with_more());
    assert_eq!(set(h, w, FeatureId::NUMBER_OF_QUEUES, 0xffff), bad);
    assert_eq!(set(h, w, FeatureId::KEEP_ALIVE, 12_345), Ok(0));
    assert_eq!(get(h, w, FeatureId::KEEP_ALIVE), Ok(12_345));
    assert_eq!(set(h, w, FeatureId::ASYNC_EVENT, 1 << 8), Ok(0));
    assert_eq!(get(h, w, FeatureId::ASYNC_EVENT), Ok(1 << 8));
    assert_eq!(set(h, w, FeatureId::ASYNC_EVENT, 1 << 9), bad);
    assert_eq!(get(h, w, FeatureId::LBA_RANGE_TYPE), bad);
    for (fid, default, value) in [
        (FeatureId::ARBITRATION, 7, 3),
        (FeatureId::ERROR_RECOVERY, 0, 50),
        (FeatureId::WRITE_ATOMICITY, 0, 1),
        (FeatureId::TEMPERATURE_THRESHOLD, 0xffff, 350),
    ] {
        assert_eq!(get(h, w, fid), Ok(default), "{fid:?}");
        assert_eq!(set(h, w, fid, value), Ok(0), "{fid:?}");
        assert_eq!(get(h, w, fid), Ok(value), "{fid:?}");
    }
    for (fid, value) in [
        (FeatureId::POWER_MANAGEMENT, 1),
        (FeatureId::ERROR_RECOVERY, 1 << 16),
        (FeatureId::TEMPERATURE_THRESHOLD, 1 << 16),
        (FeatureId::TEMPERATURE_THRESHOLD, 2 << 20),
    ] {
        assert_eq!(set(h, w, fid, value), bad, "{fid:?} {value:#x}");
    }
    let rejected = Status::COMMAND_SET_REJECTED.do_not_retry().with_more();
    assert_eq!(set(h, w, FeatureId::COMMAND_SET_PROFILE, 1), Err(rejected));
    assert_eq!(set(h, w, FeatureId::COMMAND_SET_PROFILE, 0), Ok(0));
    let of_one = FeatureCmd::set(FeatureId::ARBITRATION, 1, Cid(0), Nsid(1));
    let not_of_one = Status::FEATURE_NOT_NAMESPACE.do_not_retry().with_more();
    assert_eq!(outcome(h, w, of_one), Err(not_of_one));
    assert_eq!(get(h, w, FeatureId::VOLATILE_WRITE_CACHE), bad, "memory has no cache");
    let mut defaults = FeatureCmd::get(FeatureId::ASYNC_EVENT, Cid(0), Nsid(0));
    defaults.set_cdw10(defaults.cdw10() | 1 << 8);
    assert_eq!(outcome(h, w, defaults), Ok(0));
    let mut capabilities = FeatureCmd::get(FeatureId::ASYNC_EVENT, Cid(0), Nsid(0));
    capabilities.set_cdw10(capabilities.cdw10() | 3 << 8);
    assert_eq!(outcome(h, w, capabilities), Ok(4));
    let mut saved = FeatureCmd::set(FeatureId::KEEP_ALIVE, 1, Cid(0), Nsid(0));
    saved.set_cdw10(saved.cdw10() | 1 << 31);
    let not_saveable = Status::FEATURE_NOT_SAVEABLE.do_not_retry().with_more();
    assert_eq!(outcome(h, w, saved), Err(not_saveable));
}

/// Goal: the clock that a host sets goes on from there; the host's identifier is what it connected
/// with.
#[test]
fn features_with_data() {
    let mut world = World::new();
    let mut host = world.connected(0, 0);
    let mut timestamp = Timestamp::zeroed();
    timestamp.set_unix_ms(1_700_000_000_000);
    host.data.write(0, timestamp.as_octets());
    let sqe = FeatureCmd::set(FeatureId::TIMESTAMP, 0, Cid(0), Nsid(0));
    let sqe = host.with_answer(sqe, 8);
    assert!(host.execute(&mut world, 0, sqe, &[]).status().is_success());
    world.advance(Duration::from_millis(1500));
    let sqe = FeatureCmd::get(FeatureId::TIMESTAMP, Cid(0), Nsid(0));
    let sqe = host.with_answer(sqe, 8);
    assert!(host.execute(&mut world, 0, sqe, &[]).status().is_success());
    let now = Timestamp::decode(&host.read_data(0, 8)).unwrap();
    assert_eq!((now.unix_ms(), now.origin()), (1_700_000_001_500, 1));
    let mut sqe = FeatureCmd::get(FeatureId::HOST_ID, Cid(0), Nsid(0));
    sqe.set_cdw11(1);
    let sqe = host.with_answer(sqe, 16);
    assert!(host.execute(&mut world, 0, sqe, &[]).status().is_success());
    assert_eq!(host.read_data(0, 16), [host.id; 16]);
}

/// Goal: the error log tells what failed, newest first, and where in the command.
#[test]
fn failures_are_logged() {
    let mut world = World::new();
    let mut host = world.connected(1, 4);
    let sqe = host.rw(IoOpcode::Read, 1 << 40, 1, 0);
    let failed = host.execute(&mut world, 1, sqe, &[]);
    assert_eq!(failed.status(), Status::LBA_OUT_OF_RANGE.do_not_retry().with_more());
    let sqe = Sqe::new(0xc0, Cid(0), Nsid(5));
    host.execute(&mut world, 0, sqe, &[]);
    let page = log(&mut host, &mut world, LogId::Error, 0, 4096);
    let entries: Vec<_> =
        page.chunks(64).map(|octets| ErrorLogEntry::decode(octets).unwrap()).collect();
    let told =
        |e: &ErrorLogEntry| (e.error_count(), e.sq_id(), e.lba(), e.nsid(), e.parameter_location());
    assert_eq!(told(&entries[0]), (2, 0, 0, 5, 0));
    assert_eq!(told(&entries[1]), (1, 1, 1 << 40, 1, 40));
    assert_eq!(entries[1].cid(), failed.cid().0);
    assert!(entries[1].status().is(Status::LBA_OUT_OF_RANGE));
    assert_eq!(entries[2].error_count(), 0);
}

/// Goal: SMART counts what was moved, for one namespace or all, and errors.
#[test]
fn smart_counts() {
    let mut world = World::new();
    let mut host = world.connected(1, 8);
    for _ in 0..3 {
        let sqe = host.rw(IoOpcode::Read, 0, 1000, 0);
        host.execute(&mut world, 1, sqe, &[]);
    }
    let sqe = host.rw(IoOpcode::Write, 0, 1001, 0);
    host.execute(&mut world, 1, sqe, &[]);
    let sqe = host.rw(IoOpcode::Write, u64::MAX, 1, 0);
    host.execute(&mut world, 1, sqe, &[]);
    for (nsid, expected) in
        [(u32::MAX, [3, 2, 3, 1, 1]), (1, [3, 2, 3, 1, 1]), (2, [0, 0, 0, 0, 1])]
    {
        let page = SmartLog::decode(&log(&mut host, &mut world, LogId::Smart, nsid, 512)).unwrap();
        let told = [
            page.data_units_read(),
            page.data_units_written(),
            page.host_reads(),
            page.host_writes(),
            page.error_log_entries(),
        ];
        assert_eq!(told, expected, "{nsid}");
    }
}

/// Goal: pages say which pages and commands there are; offsets and lengths are honoured, and
/// zeroes follow a page's end.
#[test]
fn pages_are_listed_and_cut() {
    let mut world = World::new();
    let mut host = world.connected(0, 0);
    let listed = log(&mut host, &mut world, LogId::SupportedPages, 0, 1024);
    let listed = SupportedLogPages::decode(&listed).unwrap();
    for lid in 0..=255u8 {
        let command = GetLogPageCmd { lid, ..GetLogPageCmd::default() };
        let sqe = host.with_answer(command.command(Cid(0), Nsid::ALL), 4);
        let answered = host.execute(&mut world, 0, sqe, &[]).status().is_success();
        assert_eq!(answered, listed.contains(lid), "{lid:#x}");
    }
    let effects = log(&mut host, &mut world, LogId::Effects, 0, 4096);
    let decoded = CommandEffects::decode(&effects).unwrap();
    assert!(decoded.io(IoOpcode::Read.octet()).is_supported());
    assert!(!decoded.io(IoOpcode::WriteUncorrectable.octet()).is_supported());
    let longer = log(&mut host, &mut world, LogId::SupportedPages, 0, 2048);
    assert!(longer[1024..].iter().all(|octet| *octet == 0));
    let cut = |offset, host: &mut Host, world: &mut World| {
        let dwords = ZeroBased::<u32>::from_count(16).unwrap();
        let lid = LogId::Effects.octet();
        let command = GetLogPageCmd { lid, dwords, offset, ..GetLogPageCmd::default() };
        let sqe = host.with_answer(command.command(Cid(0), Nsid(0)), 64);
        host.execute(world, 0, sqe, &[]).status()
    };
    assert!(cut(1024, &mut host, &mut world).is_success());
    assert_eq!(host.read_data(0, 64), effects[1024..1088]);
    assert!(cut(1026, &mut host, &mut world).is(Status::INVALID_FIELD), "not a multiple of 4");
    assert!(cut(8192, &mut host, &mut world).is(Status::INVALID_FIELD), "beyond the page");
}

/// Goal: Abort ends a waiting event request and says honestly that it ended nothing else.
#[test]
fn abort_ends_event_requests_only() {
    let mut world = World::new();
    let mut host = world.connected(1, 4);
    let sqe = host.admin(AdminOpcode::AsyncEventRequest);
    let waiting = host.submit(0, sqe, &[]);
    host.run(&mut world);
    for (queue, cid) in [(0, 999), (1, waiting)] {
        let abort = AbortCmd { queue: QueueId(queue), cid: Cid(cid) };
        assert_eq!(outcome(&mut host, &mut world, abort.command(Cid(0))), Ok(1));
    }
    let abort = AbortCmd { queue: QueueId::ADMIN, cid: Cid(waiting) };
    let aborting = host.submit(0, abort.command(Cid(0)), &[]);
    host.run(&mut world);
    let done: Vec<_> = host.queues[0].completions.drain(..).collect();
    assert_eq!(done.len(), 2);
    let of = |cid| done.iter().find(|cqe| cqe.cid() == Cid(cid)).unwrap();
    assert!(of(waiting).status().is(Status::ABORT_REQUESTED));
    assert_eq!((of(aborting).status(), of(aborting).dw0()), (Status::SUCCESS, 0));
}

/// Goal: Abort ends a command of an I/O queue that only waits, whatever for, and says of others that
/// they run on; each is answered once.
#[test]
fn abort_ends_what_waits() {
    let mut world = World::empty(crate::Config::default());
    let probe = super::probe::Probe::new(64);
    let state = std::rc::Rc::clone(&probe.state);
    world.add(1, Box::new(probe));
    let mut host = world.connected(1, 32);
    let mut half = host.rw(IoOpcode::Compare, 0, 1, 0);
    half.set_fuse(1);
    let waits = host.submit(1, half, &[]);
    host.run(&mut world);
    state.held.set(true);
    let sqe = host.rw(IoOpcode::Read, 0, 1, 0);
    let second = {
        let mut write = host.rw(IoOpcode::Write, 0, 1, 0);
        write.set_fuse(2);
        write
    };
    let abort = |queue, cid| AbortCmd { queue: QueueId(queue), cid: Cid(cid) }.command(Cid(0));
    for (queue, cid, runs_on) in [(1, 999, 1), (7, waits, 1), (1, waits, 0), (1, waits, 1)] {
        assert_eq!(outcome(&mut host, &mut world, abort(queue, cid)), Ok(runs_on), "{queue} {cid}");
    }
    let reads = host.submit(1, sqe, &[]);
    world.settle_held();
    assert_eq!(outcome(&mut host, &mut world, abort(1, reads)), Ok(1), "at the disk");
    state.held.set(false);
    host.submit(1, second, &[]);
    host.run(&mut world);
    let done: Vec<_> = host.queues[1].completions.drain(..).map(|cqe| cqe.status()).collect();
    assert_eq!(done.len(), 3);
    assert!(done[0].is(Status::ABORT_REQUESTED));
    assert_eq!(done.iter().filter(|status| status.is_success()).count(), 1);
    assert!(done.iter().any(|status| status.is(Status::ABORTED_MISSING_FUSED)));
}

/// Goal: a volatile cache can be switched off where there is one.
#[test]
fn write_cache_can_be_switched_off() {
    let mut world = World::empty(crate::Config::default());
    let disk = super::probe::Probe::new(64).cached();
    world.add(1, Box::new(disk));
    let mut host = world.connected(0, 0);
    let (h, w) = (&mut host, &mut world);
    assert_eq!(get(h, w, FeatureId::VOLATILE_WRITE_CACHE), Ok(1));
    assert_eq!(set(h, w, FeatureId::VOLATILE_WRITE_CACHE, 0), Ok(0));
    assert_eq!(get(h, w, FeatureId::VOLATILE_WRITE_CACHE), Ok(0));
}
