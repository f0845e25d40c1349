use super::*;
use crate::conformance::{self, Keeps, Rig};
use crate::{Backend, BlockRange, DiskStatus, Done, Durability, Memory, Op, Purpose, Request, Tag};
use std::time::{Duration, Instant};

fn memory() -> Memory {
    Memory::new(4096, 4096, 1024).unwrap()
}

#[expect(clippy::disallowed_methods, reason = "any moment will do to start from")]
fn start() -> Instant {
    Instant::now()
}

fn read(tag: u64, start: u64, count: u32) -> Request {
    Request { tag: Tag(tag), op: Op::Read(BlockRange { start, count }), buffer: None }
}

/// Goal: every layer alone, and all of them stacked, keep the contract.
#[test]
fn layers_conform() {
    let random = Time::Random { min: Duration::ZERO, max: Duration::from_micros(200), seed: 5 };
    let rates = Rates { iops: Some(200_000), bytes_per_s: Some(4 << 30) };
    let check = |make: &dyn Fn() -> Box<dyn Backend>| conformance::check(make, Keeps::Data);
    check(&|| Box::new(Delay::new(memory(), Time::Fixed(Duration::from_micros(50)))));
    check(&|| Box::new(Delay::new(memory(), random)));
    check(&|| Box::new(Faulty::new(memory(), Vec::new(), 1)));
    check(&|| Box::new(Rate::new(memory(), rates)));
    check(&|| {
        let disk = Delay::new(Faulty::new(memory(), Vec::new(), 1), random);
        Box::new(Stats::new(Rate::new(disk, rates)))
    });
}

/// Goal: a result is not seen before its time, is seen at it, and the layer names that time.
#[test]
fn delay_holds_results_until_their_time() {
    let mut disk = Delay::new(memory(), Time::Fixed(Duration::from_micros(50)));
    let (now, mut done) = (start(), Vec::new());
    disk.submit(read(1, 0, 1)).unwrap();
    disk.poll(now, &mut done);
    assert!(done.is_empty());
    assert_eq!(disk.poll_timeout(), Some(now + Duration::from_micros(50)));
    disk.poll(now + Duration::from_micros(49), &mut done);
    assert!(done.is_empty());
    disk.poll(now + Duration::from_micros(50), &mut done);
    assert_eq!(done.len(), 1);
    assert_eq!(disk.in_flight(), 0);
}

/// Goal: over a second, as many operations and octets pass as the rates say, give or take a burst.
#[test]
fn rate_lets_through_what_it_says() {
    for (rates, block_count, wanted) in [
        (Rates { iops: Some(1000), bytes_per_s: None }, 1, 1000),
        (Rates { iops: None, bytes_per_s: Some(8 << 20) }, 2, 1024),
        (Rates { iops: Some(500), bytes_per_s: Some(8 << 20) }, 1, 500),
    ] {
        let mut disk = Rate::new(memory(), rates);
        let (begin, mut done, mut finished) = (start(), Vec::<Done>::new(), 0);
        let mut tag = 0;
        for tick in 0..=10_000 {
            let now = begin + Duration::from_micros(100) * tick;
            while disk.submit(read(tag, tag % 1024, block_count)).is_ok() {
                tag += 1;
            }
            disk.poll(now, &mut done);
            finished += done.len();
            for result in done.drain(..) {
                disk.release(result.buffer.unwrap());
            }
        }
        assert!(finished.abs_diff(wanted) <= wanted / 50 + 11, "{finished} with {rates:?}");
        assert!(disk.poll_timeout().is_some_and(|when| when > begin));
    }
}

/// Goal: faults strike as told, report the status, give the buffer back, and change no block.
#[test]
fn faults_strike_as_told() {
    let fault = |kind, when, status| Fault { kind, when, status };
    let faults = vec![
        fault(Kind::Write, When::Nth(2), DiskStatus::CapacityExceeded),
        fault(Kind::Read, When::Every(3), DiskStatus::ReadError),
        fault(Kind::Flush, When::From(2), DiskStatus::WriteError),
    ];
    let mut rig = Rig::new(Box::new(Faulty::new(memory(), faults, 1)));
    let range = BlockRange { start: 0, count: 1 };
    let write =
        |rig: &mut Rig, octet| rig.write(range, &[octet; 4096], Purpose::Write, Durability::Cached);
    assert_eq!(write(&mut rig, 1), DiskStatus::Good);
    let staged = rig.write(range, &[2; 4096], Purpose::StagedWrite, Durability::Cached);
    assert_eq!(staged, DiskStatus::CapacityExceeded);
    assert_eq!(rig.read(range), [1; 4096]);
    assert_eq!(write(&mut rig, 3), DiskStatus::Good);
    assert_eq!(rig.read(range), [3; 4096]);
    assert_eq!(rig.outcome(Op::Read(range)), DiskStatus::ReadError);
    let flushes: Vec<_> = (0..3).map(|_| rig.outcome(Op::Flush)).collect();
    assert_eq!(flushes, [DiskStatus::Good, DiskStatus::WriteError, DiskStatus::WriteError]);
    rig.check_idle();
}

/// Goal: chances come from the seed, and strike about as often as they say.
#[test]
fn chances_come_from_the_seed() {
    let run = |seed| {
        let fault = Fault {
            kind: Kind::Any,
            when: When::Millionths(100_000),
            status: DiskStatus::Internal,
        };
        let mut rig = Rig::new(Box::new(Faulty::new(memory(), vec![fault], seed)));
        (0..1000).map(|_| rig.outcome(Op::Flush) == DiskStatus::Good).collect::<Vec<_>>()
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
    let failed = run(1).iter().filter(|good| !**good).count();
    assert!((60..140).contains(&failed), "{failed} of 1000");
}

/// Goal: the counters count what happened.
#[test]
fn stats_count() {
    let mut rig = Rig::new(Box::new(Stats::new(memory())));
    let range = BlockRange { start: 0, count: 2 };
    rig.write(range, &[1; 8192], Purpose::Write, Durability::Cached);
    rig.read(range);
    rig.read(range);
    let mut seen = std::collections::HashMap::new();
    rig.backend.counters(&mut |name, value| {
        seen.insert(name, value);
    });
    let get = |name| seen.get(name).copied();
    assert_eq!((get("reads"), get("read_octets")), (Some(2), Some(16_384)));
    assert_eq!((get("writes"), get("write_octets")), (Some(1), Some(8192)));
    assert_eq!((get("prepares"), get("finished")), (Some(1), Some(4)));
    assert_eq!(
        (get("failed"), get("in_flight"), get("in_flight_max")),
        (Some(0), Some(0), Some(1))
    );
}
