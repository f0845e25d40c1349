//! Data that waits in the ring until it is known where it belongs.

use super::*;
use memory::DmaBuf;
use netstack::fabric::Landed;

/// A command of 64 octets and data behind it, which lands in memory of its own.
struct Capsules {
    data: Region,
    mr: Mr,
    qps: (QpHandle, QpHandle),
}

const DATA_BYTES: usize = 4096;
const DATA_LEN: u32 = 4096;
const FAR: &str = "10.0.0.2:4791";

fn in_process(mode: Mode) -> (Side<Nic<LoopbackLink>>, Side<Nic<LoopbackLink>>) {
    let (a, b) = LoopbackLink::pair(addr("10.0.0.1:4791"), addr(FAR), 4096, 4096);
    (Side::new(Nic::new(a, config(1, mode))), Side::new(Nic::new(b, config(2, mode))))
}

impl Capsules {
    /// Connects, uses up the receives of `connect`, and lets data be held back.
    fn open<A: Fabric, B: Fabric>(host: &mut Side<A>, target: &mut Side<B>, at: &str) -> Capsules {
        let pattern: Vec<u8> = (0..1_u32 << 16).map(|i| (i * 7 % 251).to_le_bytes()[0]).collect();
        host.region.write(0, &pattern);
        let qps = connect(host, target, addr(at));
        for token in 0..32 {
            host.post(qps.0, token, WorkOp::Send { invalidate: None }, host.sge(0, 64));
        }
        run(host, target, |host, target| host.done(31).is_some() && target.received() == 32);
        let data = Region::allocate(4 * DATA_BYTES).unwrap();
        let mr = target.fabric.register(&data, Access::LOCAL_WRITE).unwrap();
        target.fabric.hold_back(&mr);
        for (slot, token) in (0..4_u64).zip(32..) {
            let addr = mr.addr + slot * DATA_BYTES as u64;
            let data = Sge { addr, length: DATA_LEN, lkey: mr.lkey };
            let local = Gather::two(target.sge(slot * 64, 64), data);
            let work = Work { token, op: WorkOp::Recv, local, signaled: true };
            target.fabric.post(qps.1, work).unwrap();
        }
        Capsules { data, mr, qps }
    }
    /// Sends capsules `from..to` and waits until the last is heard of.
    fn send<A: Fabric, B: Fabric>(
        &self,
        host: &mut Side<A>,
        target: &mut Side<B>,
        numbers: std::ops::Range<u64>,
    ) {
        let heard = target.received() + numbers.clone().count();
        for number in numbers {
            let capsule = host.sge(number * 8192, 64 + DATA_LEN);
            host.post(self.qps.0, 100 + number, WorkOp::Send { invalidate: None }, capsule);
        }
        run(host, target, |_, target| target.received() == heard);
    }
    fn landed(&self, number: usize) -> Landed<'_> {
        Landed { region: &self.data, offset: number * DATA_BYTES, len: DATA_BYTES }
    }
    fn in_receive(&self, number: usize) -> Vec<u8> {
        let mut octets = vec![0; DATA_BYTES];
        self.data.read(number * DATA_BYTES, &mut octets);
        octets
    }
}

/// Where a command sends its data.
fn disk() -> DmaBuf {
    DmaBuf::new(&Region::allocate(DATA_BYTES).unwrap(), 0, 0, DATA_BYTES)
}

fn sent<F: Fabric>(host: &Side<F>, number: usize) -> Vec<u8> {
    let mut octets = vec![0; DATA_BYTES];
    host.region.read(number * 8192 + 64, &mut octets);
    octets
}

/// Goal: data in a capsule is copied once, from the ring to where its command sends it.
#[test]
fn held_data_is_copied_once() {
    for mode in MODES {
        let (mut host, mut target) = in_process(mode);
        let (capsules, mut blocks) = (Capsules::open(&mut host, &mut target, FAR), disk());
        let before = target.counters()["dpa.placed_bytes"];
        capsules.send(&mut host, &mut target, 0..1);
        let again = target.fabric.copy_landed(&capsules.landed(0), &mut blocks);
        assert_eq!(again, 0, "{mode:?}");
        assert_eq!(blocks.bytes(), sent(&host, 0), "{mode:?}");
        assert_eq!(capsules.in_receive(0), [0; DATA_BYTES], "{mode:?}: a copy nobody wants");
        // The ring is free again, although nothing of it had to settle.
        capsules.send(&mut host, &mut target, 1..2);
        let again = target.fabric.copy_landed(&capsules.landed(1), &mut blocks);
        assert_eq!((again, blocks.bytes()), (0, &sent(&host, 1)[..]), "{mode:?}");
        let counters = target.counters();
        assert_eq!(counters["qp.duplicates_in"], 0, "{mode:?}: packets handled twice");
        let placed = counters["dpa.placed_bytes"] - before;
        assert_eq!(placed, 2 * (64 + DATA_BYTES as u64), "{mode:?}");
    }
}

/// Goal: data that nobody fetched in time, or that is asked to settle, is in its receive, whole,
/// and can still be fetched.
#[test]
fn held_data_settles_before_the_ring_is_used_again() {
    for mode in MODES {
        let (mut host, mut target) = in_process(mode);
        let (capsules, mut blocks) = (Capsules::open(&mut host, &mut target, FAR), disk());
        capsules.send(&mut host, &mut target, 0..1);
        capsules.send(&mut host, &mut target, 1..2);
        assert_eq!(capsules.in_receive(0), sent(&host, 0), "{mode:?}");
        let again = target.fabric.copy_landed(&capsules.landed(0), &mut blocks);
        assert_eq!(again, DATA_BYTES as u64, "{mode:?}");
        assert_eq!(blocks.bytes(), sent(&host, 0), "{mode:?}");
        // Fetching what had settled settled the rest, too.
        assert_eq!(capsules.in_receive(1), sent(&host, 1), "{mode:?}");
        capsules.send(&mut host, &mut target, 2..3);
        target.fabric.settle_landed();
        assert_eq!(capsules.in_receive(2), sent(&host, 2), "{mode:?}");
    }
}

/// Goal: a part of a capsule's data is fetched right as well, and a connection that ends with data
/// in the ring leaves nothing behind that the next burst could stumble over.
#[test]
fn parts_and_dead_receives_are_no_trouble() {
    let (mut host, mut target) = in_process(Mode::Native);
    let (capsules, mut blocks) = (Capsules::open(&mut host, &mut target, FAR), disk());
    capsules.send(&mut host, &mut target, 0..1);
    let part = Landed { len: 512, offset: 1024, ..capsules.landed(0) };
    assert_eq!(target.fabric.copy_landed(&part, &mut blocks), 512);
    assert_eq!(blocks.bytes()[..512], sent(&host, 0)[1024..1536]);
    capsules.send(&mut host, &mut target, 1..2);
    target.fabric.deregister(&capsules.mr);
    target.fabric.disconnect(Instant::now(), capsules.qps.1);
    capsules.data.fill(0, DATA_BYTES, 0);
    let over = |heard: &[FabricEvent]| {
        heard.iter().any(|event| matches!(event, FabricEvent::Disconnected { .. }))
    };
    run(&mut host, &mut target, |host, target| over(&host.heard) && over(&target.heard));
    assert_eq!(capsules.in_receive(0), [0; DATA_BYTES]);
}

/// Goal: behind the pipe nothing waits: the host reads its memory itself.
#[test]
fn behind_the_pipe_data_is_in_its_receive() {
    let near = UdpLink::bind(addr("127.0.1.3:4791")).unwrap();
    let mut host = Side::new(Nic::new(near, config(1, Mode::Native)));
    let far = PipeFabric::spawn(PipeOptions::default(), move || {
        Ok(Nic::new(UdpLink::bind(addr("127.0.1.4:4791"))?, config(2, Mode::Native)))
    });
    let mut target = Side::new(far.unwrap());
    let (capsules, mut blocks) = (Capsules::open(&mut host, &mut target, "127.0.1.4:4791"), disk());
    capsules.send(&mut host, &mut target, 0..1);
    assert_eq!(capsules.in_receive(0), sent(&host, 0));
    let again = target.fabric.copy_landed(&capsules.landed(0), &mut blocks);
    assert_eq!(again, DATA_BYTES as u64);
    assert_eq!(blocks.bytes(), sent(&host, 0));
}
