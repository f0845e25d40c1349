use super::*;
use memory::Sge;
use netstack::fabric::loopback::Loopback;
use netstack::fabric::{DisconnectReason, Gather, WorkOp};
use verbs::{Remote, WcStatus};

/// A fabric whose one end connects to itself.
fn own_fabric() -> io::Result<Loopback> {
    Ok(Loopback::new("10.0.0.1:4791".parse().unwrap()))
}

fn params(private: &[u8]) -> ConnectParams {
    ConnectParams { private: private.to_vec(), send_depth: 8, recv_depth: 8, read_depth: 4 }
}

/// Polls until `wanted` events are there.
fn wait<F: Fabric>(fabric: &mut F, wanted: usize) -> Vec<FabricEvent> {
    let mut events = Vec::new();
    let until = Instant::now() + Duration::from_secs(10);
    while events.len() < wanted && Instant::now() < until {
        fabric.flush(Instant::now());
        fabric.poll(Instant::now(), &mut events);
    }
    assert_eq!(events.len(), wanted, "{events:?}");
    events
}

fn post<F: Fabric>(fabric: &mut F, qp: QpHandle, token: u64, op: WorkOp, sge: Sge) {
    let mut work = Work { token, op, local: Gather::one(sge), signaled: true };
    while let Err(Full(back)) = fabric.post(qp, work) {
        work = back;
        fabric.flush(Instant::now());
    }
}

/// Connects, moves data every way, breaks a key, and tells all that happened in order.
fn scenario<F: Fabric>(mut fabric: F) -> Vec<FabricEvent> {
    let region = Region::allocate(1 << 16).unwrap();
    region.write(0, b"capsule");
    let access = Access::LOCAL_WRITE | Access::REMOTE_WRITE | Access::REMOTE_READ;
    let mr = fabric.register(&region, access).unwrap();
    let sge = |offset: u64, length| Sge { addr: mr.addr + offset, length, lkey: mr.lkey };
    fabric.listen(4420);
    let host = fabric.connect(Instant::now(), "10.0.0.1:4420".parse().unwrap(), params(b"hello"));
    let mut told = wait(&mut fabric, 1);
    let FabricEvent::ConnectRequest { qp: target, .. } = told[0] else { panic!("{told:?}") };
    for token in 0..8 {
        post(&mut fabric, target, token, WorkOp::Recv, sge(4096 + token * 64, 64));
    }
    fabric.accept(Instant::now(), target, params(b"welcome"));
    told.extend(wait(&mut fabric, 2));
    for token in 100..108 {
        post(&mut fabric, host, token, WorkOp::Send { invalidate: None }, sge(0, 7));
    }
    told.extend(wait(&mut fabric, 16));
    let remote = Remote { addr: mr.addr + 8192, rkey: mr.rkey };
    post(&mut fabric, target, 200, WorkOp::RdmaWrite(remote), sge(0, 7));
    post(&mut fabric, target, 201, WorkOp::RdmaRead(remote), sge(9000, 7));
    told.extend(wait(&mut fabric, 2));
    let mut octets = [0; 7];
    for at in [4096, 4096 + 7 * 64, 8192, 9000] {
        region.read(at, &mut octets);
        assert_eq!(&octets, b"capsule", "at {at}");
    }
    // A full queue with no receive posted, then the end: all of it is flushed.
    for token in 300..308 {
        post(&mut fabric, host, token, WorkOp::Send { invalidate: None }, sge(0, 1));
    }
    fabric.disconnect(Instant::now(), target);
    told.extend(wait(&mut fabric, 10));
    told
}

/// Goal: the same scenario through the pipe tells the same story, event by event.
#[test]
fn threaded_is_as_inline() {
    let inline = scenario(own_fabric().unwrap());
    let piped = scenario(PipeFabric::spawn(PipeOptions::default(), own_fabric).unwrap());
    assert_eq!(piped, inline);
    assert!(matches!(
        inline.last(),
        Some(FabricEvent::Disconnected {
            reason: DisconnectReason::Local | DisconnectReason::Peer,
            ..
        })
    ));
}

/// Goal: work beyond a stuck connection's depth waits at the NIC, keeps its credits, does not lock
/// out control calls, and is flushed exactly once at the end.
#[test]
fn a_stuck_connection_does_not_lock_the_pipe() {
    let options = PipeOptions { depth: 64, ..PipeOptions::default() };
    let mut fabric = PipeFabric::spawn(options, own_fabric).unwrap();
    let region = Region::allocate(4096).unwrap();
    let mr = fabric.register(&region, Access::LOCAL_WRITE).unwrap();
    fabric.listen(1);
    let host = fabric.connect(Instant::now(), "10.0.0.1:1".parse().unwrap(), params(b""));
    let FabricEvent::ConnectRequest { qp: target, .. } = wait(&mut fabric, 1)[0] else { panic!() };
    fabric.accept(Instant::now(), target, params(b""));
    wait(&mut fabric, 2);
    let sge = Sge { addr: mr.addr, length: 1, lkey: mr.lkey };
    let mut posted = 0;
    let until = Instant::now() + Duration::from_millis(300);
    while Instant::now() < until {
        let op = WorkOp::Send { invalidate: None };
        let work = Work { token: posted, op, local: Gather::one(sge), signaled: true };
        posted += u64::from(fabric.post(host, work).is_ok());
        fabric.flush(Instant::now());
    }
    // Eight in the queue pair, the rest with the pipe's credits.
    assert_eq!(posted, 8 + 64 - CONTROL_RESERVE as u64);
    fabric.disconnect(Instant::now(), host);
    let events = wait(&mut fabric, 10);
    let flushed = |event: &&FabricEvent| {
        matches!(event, FabricEvent::Done { status: WcStatus::WrFlushErr, .. })
    };
    assert_eq!(events.iter().filter(flushed).count(), 8, "the rest was posted to a dead one");
}

/// Goal: an idle NIC thread sleeps, and wakes for work; a busy one is not rung.
#[test]
fn sleeps_only_when_idle() {
    let options = PipeOptions { spin: Duration::from_micros(1), ..PipeOptions::default() };
    let mut fabric = PipeFabric::spawn(options, own_fabric).unwrap();
    let region = Region::allocate(4096).unwrap();
    for _ in 0..20 {
        std::thread::sleep(Duration::from_millis(2));
        let mr = fabric.register(&region, Access::LOCAL_WRITE).unwrap();
        fabric.deregister(&mr);
    }
    let mut counters = std::collections::HashMap::new();
    fabric.counters(&mut |name, value| {
        counters.insert(name, value);
    });
    assert!(counters["pipe.nic_sleeps"] >= 15, "{counters:?}");
    assert_eq!(counters["pipe.host_wakes"], 0, "the host never slept");

    let busy = PipeOptions { spin: Duration::MAX, ..PipeOptions::default() };
    let mut fabric = PipeFabric::spawn(busy, own_fabric).unwrap();
    for _ in 0..100 {
        let mr = fabric.register(&region, Access::LOCAL_WRITE).unwrap();
        fabric.deregister(&mr);
    }
    fabric.counters(&mut |name, value| {
        counters.insert(name, value);
    });
    assert_eq!((counters["pipe.nic_wakes"], counters["pipe.nic_sleeps"]), (0, 0));
}

/// Goal: a NIC that looks only when somebody rang finds all that was rung for, also after a sleep that
/// the ring ended, and also what was more than a batch. (It once took the wake-up for itself, and looked
/// at nothing.)
#[test]
fn no_ring_is_lost_to_a_sleep_or_a_batch() {
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for (spin_us, batch) in [(1, 256), (1, 2), (1_000_000, 2)] {
            let spin = Duration::from_micros(spin_us);
            let options = PipeOptions { spin, batch, rings_always: true, ..PipeOptions::default() };
            let mut fabric = PipeFabric::spawn(options, own_fabric).unwrap();
            let region = Region::allocate(4096).unwrap();
            for _ in 0..20 {
                // Long enough to fall asleep, if it does.
                std::thread::sleep(Duration::from_micros(300));
                let mr = fabric.register(&region, Access::LOCAL_WRITE).unwrap();
                fabric.deregister(&mr);
            }
            scenario(fabric);
            tell.send((spin_us, batch)).unwrap();
        }
    });
    for _ in 0..3 {
        // A NIC that is stuck says nothing for ever: the bound is generous, not a measurement.
        assert!(told.recv_timeout(Duration::from_secs(30)).is_ok(), "a ring was lost");
    }
}

/// Goal: a host that sleeps on the pipe's descriptor is woken by the next event.
#[test]
fn the_host_can_sleep() {
    let mut fabric = PipeFabric::spawn(PipeOptions::default(), own_fabric).unwrap();
    fabric.listen(1);
    for _ in 0..20 {
        fabric.connect(Instant::now(), "10.0.0.1:1".parse().unwrap(), params(b"x"));
        let mut events = Vec::new();
        while events.is_empty() {
            if fabric.may_sleep() {
                fabric.bell.sleep(None, Some(Duration::from_secs(5)));
            }
            fabric.poll(Instant::now(), &mut events);
        }
        assert!(matches!(events[0], FabricEvent::ConnectRequest { .. }));
    }
}

/// Goal: what keeps the fabric from being made comes back to the caller.
#[test]
fn a_failed_start_is_told() {
    let failed = PipeFabric::spawn::<Loopback>(PipeOptions::default(), || {
        Err(io::ErrorKind::AddrInUse.into())
    });
    assert_eq!(failed.err().map(|error| error.kind()), Some(io::ErrorKind::AddrInUse));
}

/// A NIC that ended while calls were on their way to it.
struct Ended;

impl HostControl for Ended {
    fn send(&mut self, _: Call) -> bool {
        true
    }
    fn reply(&mut self) -> Reply {
        panic!("the NIC ended");
    }
    fn note(&mut self) -> FabricEvent {
        panic!("the NIC ended");
    }
    fn is_alive(&mut self) -> bool {
        false
    }
    fn end(&mut self) {}
}

/// Goal: a host whose NIC ended waits neither for room in the pipe nor at its own end.
#[test]
fn a_nic_that_ended_keeps_nobody() {
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let (ends, _nic) = ends(64).unwrap();
        let limits = own_fabric().unwrap().limits();
        let mut fabric = PipeFabric::new(ends, Box::new(Ended), limits, PipeOptions::default());
        let calls = std::panic::AssertUnwindSafe(|| (0..1 << 20).for_each(|_| fabric.listen(1)));
        let outcome = std::panic::catch_unwind(calls);
        drop(fabric);
        tell.send(outcome.is_err()).unwrap();
    });
    assert!(told.recv_timeout(Duration::from_secs(10)).expect("it waits"), "the end was not told");
}
